//! The window component without ui-shell: what follows from the user's commands and pages' wishes.

use std::path::Path;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use tokio::sync::mpsc;

use super::commands::{PageCommand, PageTool, UserCommand};
use super::events::{HostMessage, News};
use super::file_choosers::ChooserSource;
use super::{Action, ChooserContext, Event, Window};
use crate::profile::Profile;
use regen_audit_log::{Audit, AuditLog};
use regen_session::Event as SessionEvent;

fn window(folder: &Path) -> (Window, mpsc::Receiver<Event>) {
    let profile = Profile::find(Some(folder)).unwrap();
    let audit = AuditLog::start(Audit::open(folder, None).unwrap()).unwrap();
    let (events, received) = mpsc::channel(8);
    (Window::new(profile, folder.join("downloads"), audit, events), received)
}

#[test]
fn quitting_asks_pages_first_and_a_second_wish_is_insisting() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let now = Instant::now();
    assert!(matches!(window.command(UserCommand::Quit, now).as_slice(), [Action::AskPages]));
    let asked = window.event(Event::PagesAnswered { objecting: 2 }, now);
    assert!(matches!(asked.as_slice(), [Action::Tell(News::QuitQuestion { pages: 2, .. })]), "{asked:?}");
    assert!(matches!(window.command(UserCommand::Quit, now + Duration::from_secs(1)).as_slice(), [Action::Quit]));
    let nobody_objects = window.event(Event::PagesAnswered { objecting: 0 }, now);
    assert!(matches!(nobody_objects.as_slice(), [Action::Quit]), "{nobody_objects:?}");
}

#[test]
fn a_page_gets_a_file_dialog_only_in_front_after_a_click_and_with_a_window() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let now = Instant::now();
    let site = Site::of("https://a.test/").unwrap();
    let from = ChooserSource { child: 3, tab: 1, request: 9 };
    let is_refused = |actions: &[Action]| {
        let [Action::Send(HostMessage::FilesChosen { from: to, names })] = actions else { return false };
        *to == from && names.is_empty()
    };
    let context = ChooserContext { is_active: true, has_window: true, now };
    assert!(is_refused(&window.file_chooser(from, &site, false, context)), "nobody clicked");
    window.command(UserCommand::Gesture(1), now);
    let behind = ChooserContext { is_active: false, ..context };
    assert!(is_refused(&window.file_chooser(from, &site, false, behind)));
    let headless = ChooserContext { has_window: false, ..context };
    assert!(is_refused(&window.file_chooser(from, &site, false, headless)));
}

#[test]
fn picked_files_and_failures_reach_the_page_and_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let from = ChooserSource { child: 3, tab: 1, request: 9 };
    let event = Event::FilesPlaced { from, names: vec!["9-0/a".into()], failed: vec!["b cannot be opened".into()] };
    let actions = window.event(event, Instant::now());
    assert!(
        matches!(
            actions.as_slice(),
            [Action::Tell(News::Notice { .. }), Action::Send(HostMessage::FilesChosen { .. })]
        ),
        "{actions:?}"
    );
}

#[test]
fn what_the_user_enters_becomes_an_address_and_a_gesture() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let now = Instant::now();
    let open = |input: &str| UserCommand::OpenTab { input: input.into(), background: true };
    let opened = window.command(open("example.org"), now);
    assert!(
        matches!(opened.as_slice(), [Action::Open { input, background: true }] if input == "example.org"),
        "{opened:?}"
    );
    assert!(matches!(window.command(open(""), now).as_slice(), [Action::OpenEmpty { background: true }]));
    assert!(matches!(
        window.command(UserCommand::Tool { tab: 7, tool: PageTool::Print }, now).as_slice(),
        [
            Action::Session(SessionEvent::StillUsed(7)),
            Action::Command { tab: 7, command: PageCommand::Tool(PageTool::Print) }
        ]
    ));
    assert!(window.gestures().is_recent(7, now));
}
