//! File choosers: a page asks for files of the user's, the user picks, and exactly those files go to exactly that page.
//!
//! A chooser opens only for the page in front, soon after a click or key in it, and names its site. It belongs to one child, tab
//! and request: what the user picks can reach nobody else, and it ends with the page that asked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use regen_proto::site::Site;

/// A click or key opens a chooser within this time.
const GESTURE: Duration = Duration::from_secs(5);
/// Files that a chooser takes at once.
pub const MAX_FILES: usize = 10_000;

type ChildId = u64;
type TabId = u64;

/// A page's request as its host numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The host.
    pub child: ChildId,
    /// The tab of the page.
    pub tab: TabId,
    /// The host's number.
    pub request: u64,
}

/// Request of a page for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The child that asks.
    pub from: PageRequest,
    /// Its site.
    pub site: Site,
    /// Several files.
    pub multiple: bool,
    /// The page is the one in front.
    pub is_active: bool,
    /// When the user last clicked or typed in it.
    pub gesture: Option<Instant>,
}

/// Action that follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Show a chooser in the window.
    Show { request: u64, tab: TabId, site: Site, multiple: bool },
    /// Take it away again.
    Hide { request: u64 },
    /// Tell the page that nothing was picked.
    Cancel(PageRequest),
    /// Give the page these files.
    Place { from: PageRequest, paths: Vec<String> },
}

/// Why an answer of the window is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooserError {
    /// No page asks for files under this number.
    #[error("no page asks for files any more")]
    NotOpen,
    /// More files than a page takes.
    #[error("{0} files were chosen, and a page takes {MAX_FILES} at most")]
    TooMany(usize),
    /// Several files for a page that takes one.
    #[error("the page takes one file, and {0} were chosen")]
    OnlyOne(usize),
}

/// The choosers that are open; one for a tab at most.
#[derive(Debug, Default)]
pub struct FileChoosers {
    open: HashMap<u64, (PageRequest, bool)>,
    last: u64,
}

impl FileChoosers {
    /// A page asks for files. `has_window`: there is somebody to ask.
    pub fn asked(&mut self, wanted: Wanted, now: Instant, has_window: bool) -> Vec<Action> {
        let Wanted { from, site, multiple, is_active, gesture } = wanted;
        let is_recent = gesture.is_some_and(|at| now.saturating_duration_since(at) < GESTURE);
        if !has_window || !is_active || !is_recent {
            return vec![Action::Cancel(from)];
        }
        let mut actions = self.close(|open| open.tab == from.tab);
        self.last += 1;
        self.open.insert(self.last, (from, multiple));
        actions.push(Action::Show { request: self.last, tab: from.tab, site, multiple });
        actions
    }

    /// The window answers. Without paths the user picked nothing.
    ///
    /// # Errors
    /// When no page asks, or not for so many. The chooser then stays as it is.
    pub fn answered(&mut self, request: u64, paths: Vec<String>) -> Result<Action, ChooserError> {
        let (from, multiple) = *self.open.get(&request).ok_or(ChooserError::NotOpen)?;
        if paths.len() > MAX_FILES {
            return Err(ChooserError::TooMany(paths.len()));
        }
        if paths.len() > 1 && !multiple {
            return Err(ChooserError::OnlyOne(paths.len()));
        }
        self.open.remove(&request);
        Ok(if paths.is_empty() { Action::Cancel(from) } else { Action::Place { from, paths } })
    }

    /// Returns whether a chooser is open: only then does the window see folders.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// A tab shows another page, is not in front any more, or is closed.
    pub fn left(&mut self, tab: TabId) -> Vec<Action> {
        self.close(|open| open.tab == tab)
    }

    /// A child is gone: there is nobody to tell.
    pub fn child_gone(&mut self, child: ChildId) -> Vec<Action> {
        let mut actions = self.close(|open| open.child == child);
        actions.retain(|action| !matches!(action, Action::Cancel(_)));
        actions
    }

    /// The window is gone: pages do not wait for it.
    pub fn window_gone(&mut self) -> Vec<Action> {
        self.close(|_| true)
    }

    fn close(&mut self, is_meant: impl Fn(&PageRequest) -> bool) -> Vec<Action> {
        let mut closed: Vec<(u64, PageRequest)> =
            self.open.extract_if(|_, (from, _)| is_meant(from)).map(|(request, (from, _))| (request, from)).collect();
        closed.sort_unstable_by_key(|(request, _)| *request);
        closed.into_iter().flat_map(|(request, from)| [Action::Hide { request }, Action::Cancel(from)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(child: ChildId, tab: TabId) -> PageRequest {
        PageRequest { child, tab, request: 7 }
    }

    fn wanted(child: ChildId, tab: TabId, gesture: Option<Instant>) -> Wanted {
        let site = Site::of("https://a.test/").unwrap();
        Wanted { from: from(child, tab), site, multiple: false, is_active: true, gesture }
    }

    fn shown(actions: &[Action]) -> Option<u64> {
        actions.iter().find_map(|action| if let Action::Show { request, .. } = action { Some(*request) } else { None })
    }

    #[test]
    fn only_the_page_in_front_opens_a_chooser_and_only_after_a_click() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let cancelled = vec![Action::Cancel(from(1, 2))];
        assert_eq!(choosers.asked(wanted(1, 2, None), now, true), cancelled, "no click");
        let late = now + GESTURE;
        assert_eq!(choosers.asked(wanted(1, 2, Some(now)), late, true), cancelled, "long after the click");
        let background = Wanted { is_active: false, ..wanted(1, 2, Some(now)) };
        assert_eq!(choosers.asked(background, now, true), cancelled, "in the background");
        assert_eq!(choosers.asked(wanted(1, 2, Some(now)), now, false), cancelled, "nobody to ask");
        assert!(!choosers.is_open());
        // The control.
        let actions = choosers.asked(wanted(1, 2, Some(now)), now, true);
        assert!(matches!(&actions[..], [Action::Show { tab: 2, site, .. }] if site.as_str() == "https://a.test"));
        assert!(choosers.is_open());
    }

    #[test]
    fn what_is_picked_goes_to_the_page_that_asked_or_to_nobody() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let request = shown(&choosers.asked(wanted(1, 2, Some(now)), now, true)).unwrap();
        assert_eq!(choosers.answered(request + 1, vec!["/key".into()]), Err(ChooserError::NotOpen));
        // The tab goes to another site meanwhile: its host is told, the window shows no chooser, the answer comes too late.
        let closed = choosers.left(2);
        assert_eq!(closed, [Action::Hide { request }, Action::Cancel(from(1, 2))]);
        assert_eq!(choosers.answered(request, vec!["/key".into()]), Err(ChooserError::NotOpen));
        let request = shown(&choosers.asked(wanted(3, 2, Some(now)), now, true)).unwrap();
        let placed = choosers.answered(request, vec!["/photo".into()]).unwrap();
        assert_eq!(placed, Action::Place { from: from(3, 2), paths: vec!["/photo".into()] });
        assert_eq!(choosers.answered(request, vec!["/photo".into()]), Err(ChooserError::NotOpen), "once");
    }

    #[test]
    fn a_mistake_of_the_user_costs_an_answer_and_not_the_chooser() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let request = shown(&choosers.asked(wanted(1, 2, Some(now)), now, true)).unwrap();
        assert_eq!(choosers.answered(request, vec!["/a".into(), "/b".into()]), Err(ChooserError::OnlyOne(2)));
        assert_eq!(choosers.answered(request, Vec::new()), Ok(Action::Cancel(from(1, 2))));
        let many = Wanted { multiple: true, ..wanted(1, 2, Some(now)) };
        let request = shown(&choosers.asked(many, now, true)).unwrap();
        let files = vec!["/a".to_owned(); MAX_FILES + 1];
        assert_eq!(choosers.answered(request, files), Err(ChooserError::TooMany(MAX_FILES + 1)));
        assert!(choosers.answered(request, vec!["/a".into(); 82]).is_ok());
    }

    #[test]
    fn nobody_waits_for_a_window_or_a_host_that_is_gone() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let first = shown(&choosers.asked(wanted(1, 2, Some(now)), now, true)).unwrap();
        // A second one in the same tab takes the place of the first.
        let actions = choosers.asked(wanted(1, 2, Some(now)), now, true);
        assert_eq!(actions[..2], [Action::Hide { request: first }, Action::Cancel(from(1, 2))]);
        let second = shown(&actions).unwrap();
        assert_eq!(choosers.child_gone(1), [Action::Hide { request: second }]);
        let third = shown(&choosers.asked(wanted(4, 5, Some(now)), now, true)).unwrap();
        assert_eq!(choosers.window_gone(), [Action::Hide { request: third }, Action::Cancel(from(4, 5))]);
        assert!(!choosers.is_open());
    }
}
