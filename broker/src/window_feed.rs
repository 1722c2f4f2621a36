//! Everything that the window is told of tabs, sessions and warnings, made of the components' own state.

use regen_proto::role::Role;
use regen_session::TabId;
use regen_settings::Settings;

use crate::codec::settings as settings_codec;
use crate::codec::window_updates as codec;
use crate::lookup::Lookup;
use crate::message::{ChildId, Outgoing};
use crate::observe::Observer;
use crate::persistence::Persistence;
use crate::window::events::News;
use crate::workspaces;

/// Messages for a window that takes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowFeed<'a> {
    window: ChildId,
    lookup: Lookup<'a>,
    persistence: &'a Persistence,
    observer: &'a Observer,
    settings: &'a Settings,
}

impl<'a> WindowFeed<'a> {
    /// Returns the messages for the window; `None` where there is none.
    pub(crate) fn new(
        lookup: Lookup<'a>,
        persistence: &'a Persistence,
        observer: &'a Observer,
        settings: &'a Settings,
    ) -> Option<Self> {
        let window = lookup.ready(Role::UiShell)?;
        Some(Self { window, lookup, persistence, observer, settings })
    }

    pub(crate) fn tab(&self, tab: TabId) -> Option<Outgoing> {
        let tab = self.lookup.session.tabs.get(&tab)?;
        Some(codec::tab(self.window, tab, self.lookup.context(tab)))
    }

    pub(crate) fn favicon(&self, tab: TabId) -> Outgoing {
        codec::favicon(self.window, self.lookup.session, tab)
    }

    pub(crate) fn order(&self) -> Vec<Outgoing> {
        codec::order(self.window, self.lookup.session)
    }

    /// Returns the message for the offer of an earlier session.
    pub(crate) fn offer(&self) -> Vec<Outgoing> {
        vec![codec::session_offer(self.window, self.persistence.offer())]
    }

    pub(crate) fn settings(&self) -> Outgoing {
        settings_codec::for_window(self.window, self.settings)
    }

    /// Returns the update for the workspaces.
    pub(crate) fn workspaces(&self) -> Outgoing {
        let settings = self.lookup.network.settings();
        let all = workspaces::views(self.lookup.session, &settings.routes, &settings.shields);
        codec::workspaces(self.window, all)
    }

    /// Returns all that a new window must know of tabs, warnings and questions.
    pub(crate) fn everything(&self) -> Vec<Outgoing> {
        let tabs =
            self.lookup.session.order.iter().flat_map(|tab| self.tab(*tab).into_iter().chain([self.favicon(*tab)]));
        let warning = |text| codec::news(self.window, News::Notice { level: "warning", text });
        let questions = self.lookup.network.vpn_questions();
        let question = |question| codec::vpn_question(self.window, question);
        [self.settings(), self.workspaces()]
            .into_iter()
            .chain(tabs)
            .chain(self.order())
            .chain(self.observer.warnings().map(warning))
            .chain(questions.into_iter().map(question))
            .collect()
    }
}
