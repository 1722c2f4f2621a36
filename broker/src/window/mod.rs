//! The window: what ui-shell is told and asks for, and what the user decides in it. Downloads, file choosers, other programs,
//! the end of the browser, and gestures.
//!
//! ui-shell can be killed at any time: everything it shows is rebuilt from here and from the session.

mod chosen_files;
pub mod commands;
pub mod downloads;
pub mod events;
pub mod file_choosers;
mod gestures;
pub mod quitting;
#[cfg(test)]
mod tests;
pub mod window_size;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use regen_audit_log::AuditLog;
use regen_desktop::file_dialog::FileDialogs;
use regen_desktop::folder;
use regen_desktop::outside::{self, Outside};
use regen_net_config::site::Site;
use regen_session::{Event as SessionEvent, HostKey, TabId};
use tokio::sync::mpsc;

use crate::kept::{preferences, visit_log};
use crate::message::ChildId;
use crate::profile::Profile;
use commands::{PageCommand, Question, SiteOrder, UserCommand};
use downloads::{DownloadView, Downloads, HostDownload, Order, Report};
pub use events::{Action, Event};
use events::{HostMessage, News};
use file_choosers::{ChooserSource, FileChoosers, FileRequest};
pub use gestures::Gestures;
use quitting::Quitting;
use window_size::{Size, WindowSize};

/// The window's part of the broker.
#[derive(Debug)]
pub struct Window {
    downloads: Downloads,
    choosers: FileChoosers,
    dialogs: FileDialogs,
    outside: Outside,
    quitting: Quitting,
    size: WindowSize,
    gestures: Gestures,
    profile: Profile,
    audit: AuditLog,
    events: mpsc::Sender<Event>,
}

impl Window {
    /// Returns the component as an earlier run of this profile left it. `downloads`: the folder that files are saved to.
    #[must_use]
    pub fn new(profile: Profile, downloads: PathBuf, audit: AuditLog, events: mpsc::Sender<Event>) -> Self {
        Self {
            downloads: Downloads::open(downloads, profile.root()),
            choosers: FileChoosers::default(),
            dialogs: FileDialogs::default(),
            outside: Outside::default(),
            quitting: Quitting::default(),
            size: WindowSize::open(profile.root()),
            gestures: Gestures::default(),
            profile,
            audit,
            events,
        }
    }

    /// Goes on with the downloads that an earlier run left unfinished.
    pub fn start(&mut self) -> Vec<Action> {
        let actions = self.downloads.start();
        self.after_downloads(actions)
    }

    /// Returns the size that the user gave the window; `None`: the window chooses.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.size.get()
    }

    /// Returns the user's gestures.
    #[must_use]
    pub fn gestures(&mut self) -> &mut Gestures {
        &mut self.gestures
    }

    /// Returns what a new window must know beside tabs: downloads, and questions about them.
    pub fn shown(&mut self) -> Vec<Action> {
        let question =
            |(host, files, _): (&HostKey, usize, TabId)| News::DownloadQuestion { host: host.clone(), files };
        let questions = self.downloads.questions().map(question);
        questions.chain(self.downloads.shown().into_iter().map(News::Download)).map(Action::Tell).collect()
    }

    /// Returns a line for each site that waits for the user's word about its downloads, for the status.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let words = |(host, files, tab): (&HostKey, usize, TabId)| {
            format!("{} wants to save {files} more files: `regen tab allow-downloads {tab}` [--refuse]", host.site)
        };
        self.downloads.questions().map(words).collect()
    }

    /// Takes what the user did in the window.
    pub fn command(&mut self, command: UserCommand, now: Instant) -> Vec<Action> {
        match command {
            UserCommand::Session(event) => vec![Action::Session(event)],
            UserCommand::OpenTab { input, background } if input.is_empty() => {
                vec![Action::OpenEmpty { background }]
            }
            UserCommand::OpenTab { input, background } => vec![Action::Open { input, background }],
            UserCommand::Navigate { tab, input } => {
                self.gestures.address(tab, now);
                vec![Action::Navigate { tab, input }]
            }
            UserCommand::Gesture(tab) => vec![Action::Session(self.input(tab, now))],
            UserCommand::Page { tab, command } => vec![Action::Command { tab, command }],
            UserCommand::Tool { tab, tool } if !tool.makes_file() => {
                vec![Action::Command { tab, command: PageCommand::Tool(tool) }]
            }
            UserCommand::Tool { tab, tool } => {
                let used = Action::Session(self.input(tab, now));
                vec![used, Action::Command { tab, command: PageCommand::Tool(tool) }]
            }
            UserCommand::Quit if self.quitting.insists(now) => vec![self.quit()],
            UserCommand::Quit => vec![Action::AskPages],
            UserCommand::QuitAnyway => vec![self.quit()],
            UserCommand::AnswerSession(answer) => vec![Action::AnswerSession(answer)],
            UserCommand::OfferSession => vec![Action::OfferSession],
            UserCommand::AnswerDownloads { host, allow } => self.answer_downloads(&host, allow),
            UserCommand::AnswerVpn(answer) => {
                let details = serde_json::json!({ "profile": answer.name, "allow": answer.allow });
                let entry = serde_json::json!({ "what": "vpn", "details": details, "by": "the window" });
                self.audit.record("ordered", entry);
                vec![Action::AnswerVpn(answer)]
            }
            UserCommand::Ask { request, question } => {
                self.audit_question(&question);
                vec![Action::Ask { request, question }]
            }
            UserCommand::Site(order) => {
                if matches!(order, SiteOrder::Clear(_)) {
                    // The site itself would be a trace of what was cleared.
                    self.audit.record("ordered", serde_json::json!({ "what": "clear site", "by": "the window" }));
                }
                vec![Action::Site(order)]
            }
            UserCommand::Refused(text) => vec![notice(&text)],
            UserCommand::Health(request) => vec![Action::Health(request)],
            UserCommand::AnswerPermission { question, answer } => {
                vec![Action::AnswerPermission { question, answer }]
            }
            UserCommand::ChoosePermission { tab, kind, kept } => vec![Action::ChoosePermission { tab, kind, kept }],
            UserCommand::Workspaces(order) => vec![Action::Workspaces(order)],
            // The download may have ended while the user clicked.
            UserCommand::Download(order) => self.order_download(order).unwrap_or_default(),
            UserCommand::OpenOutside(url) => {
                self.open_outside(&url);
                Vec::new()
            }
            UserCommand::Resized(size) => {
                if let Some(write) = self.size.changed(size) {
                    tokio::task::spawn_blocking(write);
                }
                Vec::new()
            }
        }
    }

    /// Takes an event of work that was done for the window.
    pub fn event(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::FilesPicked { request, picked } => {
                self.dialogs.close(request);
                let actions = self.choosers.answered(request, picked);
                self.after_choosers(actions)
            }
            Event::FilesPlaced { from, names, failed } => {
                let mut actions: Vec<Action> = failed.iter().map(|text| notice(text)).collect();
                actions.push(chosen(from, names));
                actions
            }
            Event::TryDownload(id) => {
                let actions = self.downloads.try_again(id);
                self.after_downloads(actions)
            }
            Event::PagesAnswered { objecting } => {
                match self.quitting.weighed(self.downloads.unfinished(), objecting, now) {
                    quitting::Action::Quit => vec![self.quit()],
                    quitting::Action::Ask { downloads, pages } => {
                        vec![Action::Tell(News::QuitQuestion { downloads, pages })]
                    }
                }
            }
            Event::NotOpened { text } | Event::NotSaved { text } => vec![notice(&text)],
            Event::SiteReported { request, report } => {
                vec![Action::Tell(News::Site { request, report: Box::new(report) })]
            }
            Event::HealthReported { request, lines } => vec![Action::Tell(News::Health { request, lines })],
            Event::NotificationClicked { child, tab, number } => {
                vec![Action::NotificationClicked { child, tab, number }]
            }
            Event::SiteChanged { text } => vec![Action::Tell(News::Notice { level: "info", text })],
        }
    }

    /// Notes a click or key of the user in a tab. Returns the event for the session.
    pub fn input(&mut self, tab: TabId, now: Instant) -> SessionEvent {
        self.gestures.input(tab, now);
        // A user who goes on using a tab has decided to stay.
        SessionEvent::StillUsed(tab)
    }

    /// Takes a page's wish for files, for several if `multiple`.
    pub fn file_chooser(
        &mut self,
        from: ChooserSource,
        site: &Site,
        multiple: bool,
        is: ChooserContext,
    ) -> Vec<Action> {
        let wanted = FileRequest {
            from,
            site: site.clone(),
            multiple,
            is_active: is.is_active,
            gesture: self.gestures.last_input(from.tab),
        };
        let actions = self.choosers.asked(wanted, is.now, is.has_window);
        if actions.iter().any(|action| matches!(action, file_choosers::Action::Show { .. })) {
            // One dialog for a click.
            self.gestures.take(from.tab);
        }
        self.after_choosers(actions)
    }

    /// Takes a host's report on a download. A download goes on when its tab shows something else, or is closed.
    pub fn download(&mut self, from: HostDownload, host: &HostKey, report: Report, now: Instant) -> Vec<Action> {
        let gesture = self.gestures.for_download(from.tab);
        let actions = self.downloads.reported(host, from, report, gesture, now);
        self.after_downloads(actions)
    }

    /// Takes the user's word about a site's downloads.
    pub fn answer_downloads(&mut self, host: &HostKey, allow: bool) -> Vec<Action> {
        self.audit.record("downloads", serde_json::json!({ "site": host.recorded_site(), "allowed": allow }));
        let actions = self.downloads.answered(host, allow);
        self.after_downloads(actions)
    }

    /// Carries out the user's order about a download. Returns `None` if there is no such download, or it is in no state for
    /// the order.
    pub fn order_download(&mut self, order: Order) -> Option<Vec<Action>> {
        let actions = self.downloads.order(order)?;
        Some(self.after_downloads(actions))
    }

    /// Forgets the ended downloads of a site whose data the user clears.
    pub fn clear_site(&mut self, host: &HostKey) -> Vec<Action> {
        let actions = self.downloads.forget_site(host);
        self.after_downloads(actions)
    }

    /// Forgets the downloads of a workspace that is gone.
    pub fn forget_workspace(&mut self, workspace: &str) -> Vec<Action> {
        let actions = self.downloads.forget_workspace(workspace);
        self.after_downloads(actions)
    }

    /// Returns all downloads in the order in which they began.
    #[must_use]
    pub fn downloads(&self) -> Vec<DownloadView> {
        self.downloads.shown()
    }

    /// Takes a page's wish that another program opens an address.
    pub fn wants_outside(&mut self, host: &HostKey, url: &str) -> Vec<Action> {
        match self.outside.ask(url) {
            Ok(url) => {
                vec![Action::Tell(News::OutsideQuestion { site: host.site.as_str().to_owned(), url })]
            }
            Err(error) => {
                tracing::info!(site = host.recorded_site(), "an address is not opened: {error}");
                Vec::new()
            }
        }
    }

    /// Notes that a tab shows another page, or is not in front any more.
    pub fn page_left(&mut self, tab: TabId) -> Vec<Action> {
        let actions = self.choosers.left(tab);
        self.after_choosers(actions)
    }

    /// Notes that a tab is closed.
    pub fn tab_closed(&mut self, tab: TabId) -> Vec<Action> {
        self.downloads.tab_closed(tab);
        self.gestures.forget(tab);
        let mut actions = self.page_left(tab);
        actions.push(Action::Tell(News::TabClosed(tab)));
        actions
    }

    /// Notes that a host takes commands.
    pub fn host_ready(&mut self, host: &HostKey, child: ChildId) -> Vec<Action> {
        let actions = self.downloads.host_ready(host, child);
        self.after_downloads(actions)
    }

    /// Notes that a child is gone. `host`: its site, where it had one.
    pub fn child_gone(&mut self, child: ChildId, host: Option<&HostKey>) -> Vec<Action> {
        let choosers = self.choosers.child_gone(child);
        let mut actions = self.after_choosers(choosers);
        if let Some(host) = host {
            let downloads = self.downloads.host_ended(host, child);
            actions.extend(self.after_downloads(downloads));
        }
        actions
    }

    /// Notes that ui-shell is gone: pages do not wait for it.
    pub fn gone(&mut self) -> Vec<Action> {
        let actions = self.choosers.window_gone();
        self.after_choosers(actions)
    }

    /// Writes down what is not finished, at the end of the browser.
    pub fn end(&mut self) {
        self.downloads.end();
    }

    /// Records the changes that an administrator may ask about: that visits are deleted, not which, so that nothing of them
    /// is left; and that a setting is changed.
    fn audit_question(&self, question: &Question) {
        let (what, details) = match question {
            Question::Visits(visit_log::Query::Delete(_)) => ("delete history", serde_json::Value::Null),
            Question::Settings(preferences::Query::Set { name, .. } | preferences::Query::Reset { name }) => {
                ("setting", serde_json::json!({ "name": name }))
            }
            Question::Visits(_)
            | Question::Bookmarks(_)
            | Question::Settings(preferences::Query::List { .. })
            | Question::Complete(_)
            | Question::Anything(_) => return,
        };
        self.audit.record("ordered", serde_json::json!({ "what": what, "details": details, "by": "the window" }));
    }

    fn quit(&self) -> Action {
        self.audit.record("ordered", serde_json::json!({ "what": "quit", "by": "the window" }));
        Action::Quit
    }

    fn open_outside(&mut self, url: &str) {
        let Some(url) = self.outside.agree(url) else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(error) = outside::open(&url).await {
                // The event loop may have ended meanwhile.
                let _ = events.send(Event::NotOpened { text: error.to_string() }).await;
            }
        });
    }

    fn show_folder(&self, path: PathBuf) {
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(error) = folder::show(&path).await {
                // The event loop may have ended meanwhile.
                let _ = events.send(Event::NotOpened { text: error.to_string() }).await;
            }
        });
    }

    fn after_choosers(&mut self, actions: Vec<file_choosers::Action>) -> Vec<Action> {
        let mut out = Vec::new();
        for action in actions {
            match action {
                file_choosers::Action::Show { request, site, multiple } => {
                    let events = self.events.clone();
                    self.dialogs.open(request, &site, multiple, move |picked| {
                        // The event loop may have ended meanwhile.
                        drop(tokio::spawn(async move { events.send(Event::FilesPicked { request, picked }).await }));
                    });
                }
                file_choosers::Action::Hide { request } => self.dialogs.close(request),
                file_choosers::Action::Cancel(from) => out.push(chosen(from, Vec::new())),
                file_choosers::Action::Tell(text) => {
                    tracing::warn!("{text}");
                    out.push(notice(&text));
                }
                file_choosers::Action::Place { from, paths } => {
                    let (folder, events) = (self.profile.chosen(from.child), self.events.clone());
                    tokio::task::spawn_blocking(move || {
                        let (names, failed) = chosen_files::place_all(&paths, &folder, from.request);
                        // The event loop may have ended meanwhile.
                        let _ = events.blocking_send(Event::FilesPlaced { from, names, failed });
                    });
                }
            }
        }
        out
    }

    fn after_downloads(&mut self, actions: Vec<downloads::Action>) -> Vec<Action> {
        let one = |action| match action {
            downloads::Action::Write { to, file } => Some(Action::Send(HostMessage::WriteDownload { to, file })),
            downloads::Action::Stop(to) => Some(Action::Send(HostMessage::StopDownload(to))),
            downloads::Action::GoOn { to, url, source, from, total, file } => {
                Some(Action::Send(HostMessage::GoOnDownload { to, url, source, from, total, file }))
            }
            downloads::Action::Show(shown) => Some(Action::Tell(News::Download(shown))),
            downloads::Action::Gone(id) => Some(Action::Tell(News::DownloadGone(id))),
            downloads::Action::ShowFolder(path) => {
                self.show_folder(path);
                None
            }
            downloads::Action::Tell(text) => Some(notice(&text)),
            downloads::Action::Ask { host, files } => Some(Action::Tell(News::DownloadQuestion { host, files })),
            downloads::Action::Keep { host, is_needed } => {
                Some(Action::Session(SessionEvent::Saving { host, is_saving: is_needed }))
            }
            downloads::Action::Later { id, after } => {
                self.try_later(id, after);
                None
            }
        };
        actions.into_iter().filter_map(one).collect()
    }

    fn try_later(&self, id: u64, after: Duration) {
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // The event loop may have ended meanwhile.
            let _ = events.send(Event::TryDownload(id)).await;
        });
    }
}

/// Circumstances in which a page asks for files.
#[derive(Debug, Clone, Copy)]
pub struct ChooserContext {
    /// The page's tab is in front.
    pub is_active: bool,
    /// Set if a window can show a dialog.
    pub has_window: bool,
    /// The time.
    pub now: Instant,
}

fn notice(text: &str) -> Action {
    Action::Tell(News::Notice { level: "warning", text: text.to_owned() })
}

/// Returns the answer for the host that asked, whatever the tab shows by now; the host knows whether its page is still there.
fn chosen(from: ChooserSource, names: Vec<String>) -> Action {
    Action::Send(HostMessage::FilesChosen { from, names })
}
