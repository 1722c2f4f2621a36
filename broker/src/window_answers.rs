//! Answers to the window's questions about what the browser keeps: history, bookmarks, settings, and all of them at once.

use std::io;
use std::time::Instant;

use regen_session::Session;
use tokio::sync::oneshot;

use crate::bookmark_shelf::BookmarkShelf;
use crate::codec::{bookmarks, command_bar, settings, visits};
use crate::command_bar::Sources;
use crate::message::{ChildId, Outgoing};
use crate::preferences::Preferences;
use crate::visit_log::{OpenTab, VisitLog};
use crate::window::commands::Question;

/// The components that know the answers.
#[derive(Debug)]
pub(crate) struct WindowAnswers<'a> {
    pub(crate) session: &'a Session,
    pub(crate) visits: &'a mut VisitLog,
    pub(crate) bookmarks: &'a mut BookmarkShelf,
    pub(crate) preferences: &'a mut Preferences,
}

/// An answer, and what it changed.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) message: Outgoing,
    /// Bookmarks have changed.
    pub(crate) bookmarks_changed: bool,
    /// Set if a setting has changed: told once the file is on the disk.
    pub(crate) setting_saved: Option<oneshot::Receiver<io::Result<()>>>,
}

impl WindowAnswers<'_> {
    /// Answers a question of the window.
    pub(crate) fn answer(&mut self, window: ChildId, request: u64, question: Question) -> Answered {
        let (mut bookmarks_changed, mut setting_saved) = (false, None);
        let message = match question {
            Question::Visits(query) => visits::answer(window, request, self.visits.ask(&query, Instant::now())),
            Question::Bookmarks(query) => {
                let answer = self.bookmarks.ask(query);
                bookmarks_changed = answer.as_ref().is_ok_and(|reply| reply.changed > 0);
                bookmarks::answer(window, request, answer)
            }
            Question::Settings(query) => {
                let mut answer = self.preferences.ask(query);
                setting_saved = answer.as_mut().ok().and_then(|reply| reply.saved.take());
                settings::answer(window, request, answer)
            }
            Question::Complete(typed) => {
                let (suggestions, inline) = self.visits.complete(&typed, self.tabs(), self.bookmarks.complete(&typed));
                visits::completions(window, request, suggestions, inline)
            }
            Question::Anything(typed) => {
                let sources = Sources {
                    tabs: self.tabs().collect(),
                    visits: self.visits,
                    bookmarks: self.bookmarks,
                    settings: self.preferences.settings(),
                };
                command_bar::found(window, request, sources.find(&typed))
            }
        };
        Answered { message, bookmarks_changed, setting_saved }
    }

    /// Returns the open tabs but the one in front, in the order of the strip.
    fn tabs(&self) -> impl Iterator<Item = OpenTab<'_>> {
        let others = self.session.order.iter().filter(|tab| self.session.active != Some(**tab));
        let tabs = others.filter_map(|tab| self.session.tabs.get(tab));
        tabs.map(|tab| OpenTab { id: tab.id, url: tab.address(), title: &tab.segment().title })
    }
}
