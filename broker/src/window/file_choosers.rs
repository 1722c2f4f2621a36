//! File choosers: a page asks for files, the user picks, and exactly those files go to exactly that page.
//!
//! A chooser opens only for the page in front, soon after a click or key in it, and names its site. It belongs to one
//! child, tab and request, so that no other page can receive the files. It is closed when the page that asked is left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;

use regen_desktop::file_dialog::DialogError;

/// Time after a click or key in which a page may open a chooser.
const GESTURE: Duration = Duration::from_secs(5);
/// Maximum number of files per chooser.
const MAX_FILES: usize = 10_000;

type ChildId = u64;
type TabId = u64;

/// Identifies a page's request by its host's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChooserSource {
    /// Process of the host.
    pub child: ChildId,
    /// Tab of the page.
    pub tab: TabId,
    /// Number that the host gave the request.
    pub request: u64,
}

/// Request of a page for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// Request that is answered.
    pub from: ChooserSource,
    /// Site of the page.
    pub site: Site,
    /// Set if the page takes several files.
    pub multiple: bool,
    /// Set if the page is in front.
    pub is_active: bool,
    /// Time of the last click or key in the page.
    pub gesture: Option<Instant>,
}

/// Action that follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Show the dialog.
    Show { request: u64, site: Site, multiple: bool },
    /// Close the dialog.
    Hide { request: u64 },
    /// Tell the page that nothing was picked.
    Cancel(ChooserSource),
    /// Show the user an error.
    Tell(String),
    /// Give the page these files.
    Place { from: ChooserSource, paths: Vec<PathBuf> },
}

/// Reason that a page gets none of the picked files.
#[derive(Debug, thiserror::Error)]
enum ChooserError {
    #[error("{0} files were chosen, and a page takes {MAX_FILES} at most")]
    TooMany(usize),
    #[error("the page takes one file, and {0} were chosen")]
    OnlyOne(usize),
    #[error(transparent)]
    Dialog(#[from] DialogError),
}

/// Open choosers; at most one per tab.
#[derive(Debug, Default)]
pub struct FileChoosers {
    open: HashMap<u64, (ChooserSource, bool)>,
    last: u64,
}

impl FileChoosers {
    /// Handles a page's request for files. `has_window`: there is a window to ask in.
    pub fn asked(&mut self, wanted: FileRequest, now: Instant, has_window: bool) -> Vec<Action> {
        let FileRequest { from, site, multiple, is_active, gesture } = wanted;
        let is_recent = gesture.is_some_and(|at| now.saturating_duration_since(at) < GESTURE);
        if !has_window || !is_active || !is_recent {
            return vec![Action::Cancel(from)];
        }
        let mut actions = self.close(|open| open.tab == from.tab);
        self.last += 1;
        self.open.insert(self.last, (from, multiple));
        actions.push(Action::Show { request: self.last, site, multiple });
        actions
    }

    /// Takes the dialog's result; no paths means that the user cancelled. A result that no page waits for is ignored.
    pub fn answered(&mut self, request: u64, picked: Result<Vec<PathBuf>, DialogError>) -> Vec<Action> {
        let Some((from, multiple)) = self.open.remove(&request) else { return Vec::new() };
        match picked.map_err(ChooserError::from).and_then(|paths| check(paths, multiple)) {
            Ok(paths) if paths.is_empty() => vec![Action::Cancel(from)],
            Ok(paths) => vec![Action::Place { from, paths }],
            Err(error) => vec![Action::Tell(error.to_string()), Action::Cancel(from)],
        }
    }

    /// Closes the chooser of a tab that shows another page, is no longer in front, or is closed.
    pub fn left(&mut self, tab: TabId) -> Vec<Action> {
        self.close(|open| open.tab == tab)
    }

    /// Closes the choosers of a child that is gone, without answering it.
    pub fn child_gone(&mut self, child: ChildId) -> Vec<Action> {
        let mut actions = self.close(|open| open.child == child);
        actions.retain(|action| !matches!(action, Action::Cancel(_)));
        actions
    }

    /// Closes all choosers because the window is gone.
    pub fn window_gone(&mut self) -> Vec<Action> {
        self.close(|_| true)
    }

    fn close(&mut self, is_meant: impl Fn(&ChooserSource) -> bool) -> Vec<Action> {
        let mut closed: Vec<(u64, ChooserSource)> =
            self.open.extract_if(|_, (from, _)| is_meant(from)).map(|(request, (from, _))| (request, from)).collect();
        closed.sort_unstable_by_key(|(request, _)| *request);
        closed.into_iter().flat_map(|(request, from)| [Action::Hide { request }, Action::Cancel(from)]).collect()
    }
}

fn check(paths: Vec<PathBuf>, multiple: bool) -> Result<Vec<PathBuf>, ChooserError> {
    match paths.len() {
        count if count > MAX_FILES => Err(ChooserError::TooMany(count)),
        count if count > 1 && !multiple => Err(ChooserError::OnlyOne(count)),
        _ => Ok(paths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(child: ChildId, tab: TabId) -> ChooserSource {
        ChooserSource { child, tab, request: 7 }
    }

    fn wanted(child: ChildId, tab: TabId, gesture: Option<Instant>) -> FileRequest {
        let site = Site::of("https://a.test/").unwrap();
        FileRequest { from: from(child, tab), site, multiple: false, is_active: true, gesture }
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
        let background = FileRequest { is_active: false, ..wanted(1, 2, Some(now)) };
        assert_eq!(choosers.asked(background, now, true), cancelled, "in the background");
        assert_eq!(choosers.asked(wanted(1, 2, Some(now)), now, false), cancelled, "nobody to ask");
        // The control.
        let actions = choosers.asked(wanted(1, 2, Some(now)), now, true);
        assert!(matches!(&actions[..], [Action::Show { site, .. }] if site.as_str() == "https://a.test"));
    }

    #[test]
    fn what_is_picked_goes_to_the_page_that_asked_or_to_nobody() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let request = shown(&choosers.asked(wanted(1, 2, Some(now)), now, true)).unwrap();
        let key = || Ok(vec![PathBuf::from("/key")]);
        assert_eq!(choosers.answered(request + 1, key()), []);
        // The tab goes to another site meanwhile: its host is told, the dialog closes, and a later answer is ignored.
        let closed = choosers.left(2);
        assert_eq!(closed, [Action::Hide { request }, Action::Cancel(from(1, 2))]);
        assert_eq!(choosers.answered(request, key()), []);
        let request = shown(&choosers.asked(wanted(3, 2, Some(now)), now, true)).unwrap();
        let photo = vec![PathBuf::from("/photo")];
        let placed = choosers.answered(request, Ok(photo.clone()));
        assert_eq!(placed, [Action::Place { from: from(3, 2), paths: photo.clone() }]);
        assert_eq!(choosers.answered(request, Ok(photo)), [], "once");
    }

    #[test]
    fn whoever_cannot_pick_is_told_why_and_the_page_that_nothing_was_picked() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let mut pick = |multiple, picked| {
            let asked = FileRequest { multiple, ..wanted(1, 2, Some(now)) };
            let request = shown(&choosers.asked(asked, now, true)).unwrap();
            choosers.answered(request, picked)
        };
        let files = |count| Ok(vec![PathBuf::from("/a"); count]);
        let cancelled = Action::Cancel(from(1, 2));
        assert_eq!(pick(false, files(0)), std::slice::from_ref(&cancelled));
        assert!(matches!(&pick(true, files(82))[..], [Action::Place { paths, .. }] if paths.len() == 82));
        for (multiple, picked, why) in [
            (false, files(2), "the page takes one file, and 2 were chosen"),
            (true, files(MAX_FILES + 1), "10001 files were chosen, and a page takes 10000 at most"),
            (true, Err(DialogError::Ended), "the desktop's file dialog ended without an answer"),
        ] {
            assert_eq!(pick(multiple, picked), [Action::Tell(why.into()), cancelled.clone()]);
        }
    }

    #[test]
    fn nobody_waits_for_a_window_or_a_host_that_is_gone() {
        let (mut choosers, now) = (FileChoosers::default(), Instant::now());
        let first = shown(&choosers.asked(wanted(1, 2, Some(now)), now, true)).unwrap();
        // A second chooser of the same tab replaces the first.
        let actions = choosers.asked(wanted(1, 2, Some(now)), now, true);
        assert_eq!(actions[..2], [Action::Hide { request: first }, Action::Cancel(from(1, 2))]);
        let second = shown(&actions).unwrap();
        assert_eq!(choosers.child_gone(1), [Action::Hide { request: second }]);
        let third = shown(&choosers.asked(wanted(4, 5, Some(now)), now, true)).unwrap();
        assert_eq!(choosers.window_gone(), [Action::Hide { request: third }, Action::Cancel(from(4, 5))]);
        assert_eq!(choosers.window_gone(), []);
    }
}
