//! History, bookmarks and settings of the user, and the command bar that searches them.

pub mod bookmark_shelf;
pub mod command_bar;
pub mod preferences;
pub mod visit_log;

use std::io;
use std::time::Instant;

use regen_net_config::host::is_throw_away;
use regen_places::{Bookmark, SavedVisit, Visit};
use regen_session::address::Searches;
use regen_session::{Session, Tab, TabId};
use regen_settings::{Settings, SettingsFile};
use regen_store::Store;
use tokio::sync::oneshot;

use crate::answer::{Answer, CommandError, answer};
use crate::codec;
use crate::message::{ChildId, Outgoing};
use crate::window::commands::Question;
use bookmark_shelf::BookmarkShelf;
use command_bar::Sources;
use preferences::{Followed, Preferences, Query, RESTORE_SESSION};
use visit_log::{OpenTab, VisitLog};

/// Command of the control API about what is kept.
#[derive(Debug)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Command {
    Visits { query: visit_log::Query, answer: Answer<visit_log::Reply> },
    Bookmarks { query: bookmark_shelf::Query, answer: Answer<bookmark_shelf::Reply> },
    Settings { query: preferences::Query, answer: Answer<preferences::Reply> },
}

/// Parts that a question or a command has changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Bookmarks.
    pub bookmarks: bool,
    /// A setting.
    pub settings: bool,
    /// Told once the user's file of settings is on the disk, where nobody else waits for that.
    pub unsaved: Option<oneshot::Receiver<io::Result<()>>>,
}

/// Contents of the store at the start.
#[derive(Debug, Default)]
pub struct Stored {
    /// Chunks of the history.
    pub visits: Vec<Vec<SavedVisit>>,
    /// Chunks of the bookmarks.
    pub bookmarks: Vec<Vec<Bookmark>>,
}

/// History, bookmarks and settings.
#[derive(Debug)]
pub struct Kept {
    visits: VisitLog,
    bookmarks: BookmarkShelf,
    preferences: Preferences,
}

impl Kept {
    /// Returns what earlier runs left.
    #[must_use]
    pub fn new(stored: Stored, settings: Settings, file: SettingsFile, store: Store, now: Instant) -> Self {
        Self {
            visits: VisitLog::new(stored.visits, store.clone(), now),
            bookmarks: BookmarkShelf::new(stored.bookmarks, store),
            preferences: Preferences::new(settings, file),
        }
    }

    /// Returns the search engines.
    #[must_use]
    pub fn searches(&self) -> &Searches {
        self.preferences.searches()
    }

    /// Returns the values of the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.preferences.settings()
    }

    /// Lets the history follow the settings. Returns those that others follow.
    pub fn follow_settings(&mut self) -> Followed {
        let followed = self.preferences.followed();
        self.visits.set_policy(followed.records_visits, followed.keeps_visits, Instant::now());
        followed
    }

    /// Turns a setting on that an earlier version kept elsewhere.
    pub fn restore_sessions(&mut self) {
        let on = Query::Set { name: RESTORE_SESSION.to_owned(), values: vec!["on".to_owned()] };
        if let Err(error) = self.preferences.ask(on) {
            tracing::warn!("{error}");
        }
    }

    /// Records a visit of a tab as far as its user caused it.
    pub fn visited(&mut self, session: &Session, tab: TabId, typed: bool, by_user: bool) {
        let Some(shown) = session.tabs.get(&tab).filter(|tab| !is_throw_away(&tab.workspace)) else { return };
        let (url, workspace) = (shown.segment().url.clone(), shown.workspace.clone());
        self.visits.visited(tab, Visit { at: visit_log::seconds(), url, workspace, typed }, by_user);
    }

    /// Notes the title of a tab's page.
    pub fn titled(&mut self, session: &Session, tab: TabId) {
        if let Some(tab) = session.tabs.get(&tab).filter(|tab| !is_throw_away(&tab.workspace)) {
            self.visits.titled(&tab.segment().url, &tab.segment().title);
        }
    }

    /// Deletes the visits of a workspace, for good.
    pub fn forget_workspace(&mut self, workspace: &str) {
        self.visits.forget_workspace(workspace, Instant::now());
    }

    /// Answers a question of the window.
    pub fn answer(
        &mut self,
        session: &Session,
        window: ChildId,
        request: u64,
        question: Question,
    ) -> (Outgoing, Changes) {
        let mut changes = Changes::default();
        let message = match question {
            Question::Visits(query) => codec::visits::answer(window, request, self.visits.ask(&query, Instant::now())),
            Question::Bookmarks(query) => {
                let answer = self.bookmarks.ask(query);
                changes.bookmarks = answer.as_ref().is_ok_and(|reply| reply.changed > 0);
                codec::bookmarks::answer(window, request, answer)
            }
            Question::Settings(query) => {
                let mut answer = self.preferences.ask(query);
                changes.unsaved = answer.as_mut().ok().and_then(|reply| reply.saved.take());
                changes.settings = changes.unsaved.is_some();
                codec::settings::answer(window, request, answer)
            }
            Question::Complete(typed) => {
                let pages = self.bookmarks.complete(&typed);
                let (suggestions, inline) = self.visits.complete(&typed, others(session), pages);
                codec::visits::completions(window, request, suggestions, inline)
            }
            Question::Anything(typed) => {
                let sources = Sources {
                    tabs: others(session).collect(),
                    visits: &self.visits,
                    bookmarks: &self.bookmarks,
                    settings: self.preferences.settings(),
                    workspaces: session.workspaces.all().filter(|one| one.id != session.workspace()).collect(),
                };
                codec::command_bar::found(window, request, sources.find(&typed))
            }
        };
        (message, changes)
    }

    /// Carries out a command of the control API.
    pub fn command(&mut self, command: Command) -> Changes {
        let mut changes = Changes::default();
        match command {
            Command::Visits { query, answer: to } => answer(to, Ok(self.visits.ask(&query, Instant::now()))),
            Command::Bookmarks { query, answer: to } => {
                let reply = self.bookmarks.ask(query);
                changes.bookmarks = reply.as_ref().is_ok_and(|reply| reply.changed > 0);
                answer(to, reply.map_err(CommandError::from));
            }
            Command::Settings { query, answer: to } => {
                let reply = self.preferences.ask(query);
                changes.settings = reply.as_ref().is_ok_and(|reply| reply.saved.is_some());
                answer(to, reply.map_err(CommandError::from));
            }
        }
        changes
    }

    /// Hands the store what has changed, if it is time.
    pub fn tick(&mut self, now: Instant) {
        self.visits.tick(now);
    }

    /// Hands the store what has changed.
    pub fn save(&mut self) {
        self.visits.save(Instant::now());
    }

    /// Hands a store that has lost what it was given everything again.
    pub fn save_all(&mut self) {
        self.visits.save_all(Instant::now());
        self.bookmarks.save_all();
    }

    /// Brings everything to the store and the disk, at the end of the browser. Blocks.
    pub fn end(&mut self) {
        self.save();
        self.preferences.flush();
    }
}

/// Returns the open tabs but the one in front, in the order of the strip. Those of a throw-away workspace are found from
/// there alone.
fn others(session: &Session) -> impl Iterator<Item = OpenTab<'_>> {
    let others = session.order.iter().filter(|tab| session.active != Some(**tab));
    let is_seen = |tab: &&Tab| !is_throw_away(&tab.workspace) || tab.workspace == session.workspace();
    let tabs = others.filter_map(|tab| session.tabs.get(tab)).filter(is_seen);
    tabs.map(|tab| OpenTab { id: tab.id, url: tab.address(), title: &tab.segment().title })
}
