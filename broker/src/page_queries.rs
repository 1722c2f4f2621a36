//! Questions to the pages of tabs, put to the process that shows each.

use regen_session::{Tab, TabId};

use crate::answer::CommandError;
use crate::codec::host as codec;
use crate::control::questions::PageQuery;
use crate::control::{PageAnswer, PageQuestions, TabInfo, shows_dialog};
use crate::lookup::Lookup;
use crate::message::Outgoing;

/// The questions, and the components that say who answers.
#[derive(Debug)]
pub(crate) struct PageQueries<'a> {
    pub(crate) lookup: Lookup<'a>,
    pub(crate) questions: &'a mut PageQuestions,
}

impl PageQueries<'_> {
    /// Puts a question to the page of a tab. `events`: number of input events that it answers for.
    pub(crate) fn ask(
        &mut self,
        tab: TabId,
        kind: PageQuery,
        events: u32,
    ) -> Result<(Outgoing, PageAnswer), CommandError> {
        let info = self.lookup.tab_info(tab)?;
        let child = self.lookup.of_tab(tab).ok_or_else(|| no_page(&info))?;
        let needs_script = matches!(kind, PageQuery::Text | PageQuery::Saved | PageQuery::Objects);
        let dialog = self.lookup.session.tabs.get(&tab).and_then(|tab| tab.dialog.as_ref());
        if let Some(dialog) = dialog.filter(|_| needs_script) {
            return Err(shows_dialog(tab, dialog));
        }
        let (question, answer) = self.questions.ask(child, tab, kind, events);
        Ok((codec::question(child, tab, question), answer))
    }

    /// Puts a question to all pages of a kind that can answer it.
    pub(crate) fn ask_all(&mut self, kind: PageQuery, which: impl Fn(&Tab) -> bool) -> Vec<(Outgoing, PageAnswer)> {
        let pages = self.lookup.session.tabs.values().filter(|tab| tab.view && which(tab));
        let pages: Vec<TabId> = pages.map(|tab| tab.id).collect();
        pages.into_iter().filter_map(|tab| self.ask(tab, kind, 0).ok()).collect()
    }
}

/// Returns the error for a tab without a page.
pub(crate) fn no_page(info: &TabInfo) -> CommandError {
    let state = if info.reason.is_empty() { info.state.clone() } else { format!("{} ({})", info.state, info.reason) };
    CommandError::NoPage(info.id, state)
}
