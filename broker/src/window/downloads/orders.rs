//! Orders of the user about downloads.

use super::download::{Download, State, Stop};
use super::journal::EndKind;
use super::messages::{Action, Order};
use super::{Downloads, names};
use regen_session::HostKey;

impl Downloads {
    /// Carries out an order of the user. Returns `None` if there is no such download, or it is in no state for the order.
    pub fn order(&mut self, order: Order) -> Option<Vec<Action>> {
        let mut actions = Vec::new();
        match order {
            Order::Cancel(id) => self.cancel(id, &mut actions)?,
            Order::Pause(id) => self.pause(id, &mut actions)?,
            Order::Resume(id) => self.resume(id, &mut actions)?,
            Order::Forget(id) => {
                self.ended.remove(id)?;
                actions.push(Action::Gone(id));
            }
            Order::ForgetEnded => actions.extend(self.ended.clear().into_iter().map(Action::Gone)),
            Order::ShowFolder(id) => {
                let path = match self.all.get(&id) {
                    Some(download) => names::partial(&download.path),
                    None => self.ended.get(id)?.path.clone(),
                };
                actions.push(Action::ShowFolder(path));
            }
        }
        self.settle(&mut actions);
        Some(actions)
    }

    /// Takes the ended downloads of a site off the list, because the user clears its data.
    pub fn forget_site(&mut self, host: &HostKey) -> Vec<Action> {
        let mut actions: Vec<Action> = self.ended.remove_site(host).into_iter().map(Action::Gone).collect();
        self.settle(&mut actions);
        actions
    }

    /// Ends the downloads of a workspace that is gone, and takes them off the list.
    pub fn forget_workspace(&mut self, workspace: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        let is_its = |(id, download): (&u64, &Download)| (download.host.workspace == workspace).then_some(*id);
        let unfinished: Vec<u64> = self.all.iter().filter_map(is_its).collect();
        for id in unfinished {
            // One that its process is still writing ends with that process.
            let _ = self.cancel(id, &mut actions);
        }
        actions.extend(self.ended.remove_workspace(workspace).into_iter().map(Action::Gone));
        self.settle(&mut actions);
        actions
    }

    fn cancel(&mut self, id: u64, actions: &mut Vec<Action>) -> Option<()> {
        let download = self.all.get_mut(&id)?;
        match download.state {
            State::Running(from) => {
                download.stop = Some(Stop::Cancel);
                actions.push(Action::Stop(from));
            }
            State::Queued(from) => {
                actions.push(Action::Stop(from));
                self.fail(id, "", EndKind::Cancelled, actions);
            }
            State::Interrupted(_) | State::Paused => self.fail(id, "", EndKind::Cancelled, actions),
        }
        Some(())
    }

    fn pause(&mut self, id: u64, actions: &mut Vec<Action>) -> Option<()> {
        let download = self.all.get_mut(&id).filter(|download| download.source.is_some())?;
        match download.state {
            State::Running(from) if download.stop.is_none() => {
                download.stop = Some(Stop::Pause);
                actions.push(Action::Stop(from));
            }
            State::Running(_) if download.stop == Some(Stop::Restart) => download.stop = Some(Stop::Pause),
            State::Running(_) | State::Paused => return None,
            State::Queued(from) => {
                download.state = State::Paused;
                actions.push(Action::Stop(from));
            }
            State::Interrupted(_) => download.state = State::Paused,
        }
        actions.push(Action::Show(download.shown(id)));
        Some(())
    }

    fn resume(&mut self, id: u64, actions: &mut Vec<Action>) -> Option<()> {
        if let Some(download) = self.all.get_mut(&id) {
            match download.state {
                State::Running(_) if download.stop == Some(Stop::Pause) => download.stop = Some(Stop::Restart),
                State::Running(_) | State::Queued(_) => return None,
                State::Paused => download.state = State::Interrupted(String::new()),
                State::Interrupted(_) => {}
            }
            (download.is_due, download.tries) = (true, 0);
            actions.push(Action::Show(download.shown(id)));
            return Some(());
        }
        let record = self.ended.get(id).filter(|record| record.source().is_some())?;
        if record.end.as_ref().is_none_or(|end| end.kind == EndKind::Done) {
            return None;
        }
        let record = self.ended.remove(id)?;
        let download = Download::from_record(record)?;
        actions.push(Action::Show(download.shown(id)));
        self.all.insert(id, download);
        Some(())
    }
}
