//! Requests about earlier sessions.

use std::sync::Arc;

use regen_proto::control::v1::{SessionAction, SessionReply, SessionRequest, Tab as TabInfo};
use regen_proto::settings::v1::settings_request::Action;
use regen_proto::settings::v1::{SettingChange, SettingsRequest};
use regen_session::SavedTab;
use regen_store::Saved;
use tonic::Status;

use super::Command;
use super::service::{Control, status};
use super::status::saved_session;
use crate::kept::preferences::RESTORE_SESSION;
use crate::window::commands::SessionAnswer;

impl Control {
    /// Saves the session, restores or dismisses an earlier one, and lists all of them.
    pub(super) async fn sessions_now(&self, request: SessionRequest) -> Result<SessionReply, Status> {
        let restores = match request.action() {
            SessionAction::Save => {
                self.save().await?;
                None
            }
            SessionAction::Automatic => Some(true),
            SessionAction::Ask => Some(false),
            SessionAction::List | SessionAction::Restore | SessionAction::Dismiss | SessionAction::Unspecified => None,
        };
        if let Some(restores) = restores {
            let on = SettingChange {
                name: RESTORE_SESSION.to_owned(),
                values: vec![if restores { "on" } else { "off" }.to_owned()],
            };
            self.settings_now(SettingsRequest { action: Some(Action::Set(on)) }).await?;
        }
        let (earlier, automatic) = self.broker.call(|answer| Command::Sessions { answer }).await.map_err(status)?;
        let restore = match request.action() {
            SessionAction::Restore => Some(true),
            SessionAction::Dismiss => Some(false),
            SessionAction::List
            | SessionAction::Save
            | SessionAction::Automatic
            | SessionAction::Ask
            | SessionAction::Unspecified => None,
        };
        let chosen = match request.session {
            0 => earlier.first().filter(|saved| !saved.dismissed),
            session => earlier.iter().find(|saved| saved.epoch == session),
        };
        if let Some(restore) = restore {
            let saved = chosen.ok_or_else(|| no_session(request.session, &earlier))?;
            if let Some(tab) = request.tabs.iter().find(|tab| saved.tabs.iter().all(|saved| saved.id != **tab)) {
                return Err(Status::not_found(format!("that session has no tab {tab}: see `regen session list`")));
            }
            let reply = SessionAnswer { session: saved.epoch, restore, tabs: request.tabs.clone() };
            self.broker.call(|answer| Command::AnswerSession { reply, answer }).await.map_err(status)?;
        }
        let is_asked_for = |tab: &&SavedTab| request.tabs.is_empty() || request.tabs.contains(&tab.id);
        let tabs = chosen.into_iter().flat_map(|saved| &saved.tabs).filter(is_asked_for).map(saved_tab).collect();
        let sessions = earlier.iter().map(|saved| saved_session(saved)).collect();
        Ok(SessionReply { saved: chosen.map(|saved| saved_session(saved)), tabs, sessions, automatic })
    }
}

fn saved_tab(tab: &SavedTab) -> TabInfo {
    let segment = usize::try_from(tab.current).ok().and_then(|current| tab.segments.get(current));
    TabInfo {
        id: tab.id,
        url: segment.map(|s| s.url.clone()).unwrap_or_default(),
        title: segment.map(|s| s.title.clone()).unwrap_or_default(),
        site: segment.map(|s| s.site.clone()).unwrap_or_default(),
        state: "saved".to_owned(),
        workspace: tab.workspace.clone(),
        ..TabInfo::default()
    }
}

fn no_session(session: u64, earlier: &[Arc<Saved>]) -> Status {
    let words = match (session, earlier.first()) {
        (0, Some(newest)) => format!(
            "there is no earlier session to restore; `regen session restore --session {}` restores the one that \
             was dismissed",
            newest.epoch
        ),
        (0, None) => "there is no earlier session to restore".to_owned(),
        _ => format!("there is no session {session}: `regen session list` shows them"),
    };
    Status::not_found(words)
}
