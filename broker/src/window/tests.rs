//! The window component without ui-shell: what follows from the user's commands and pages' wishes.

use std::path::Path;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{
    Empty, FileChooser, OpenTab, UserCommand, host_command, shell_update, user_command::Body,
};
use regen_proto::validate::BrokerToChild;
use tokio::sync::mpsc;

use super::file_choosers::ChooserSource;
use super::{Action, ChooserContext, Event, Window};
use crate::observe::audit::{Audit, AuditLog};
use crate::profile::Profile;
use crate::session::Event as SessionEvent;

fn window(folder: &Path) -> (Window, mpsc::Receiver<Event>) {
    let profile = Profile::find(Some(folder)).unwrap();
    let audit = AuditLog::start(Audit::open(folder, None).unwrap()).unwrap();
    let (events, received) = mpsc::channel(8);
    (Window::new(profile, folder.join("downloads"), audit, events), received)
}

fn command(body: Body) -> UserCommand {
    UserCommand { body: Some(body) }
}

#[test]
fn quitting_asks_pages_first_and_a_second_wish_is_insisting() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let now = Instant::now();
    let quit = || command(Body::Quit(Empty {}));
    assert!(matches!(window.command(quit(), now).as_slice(), [Action::AskPages]));
    let asked = window.event(Event::PagesAnswered { objecting: 2 }, now);
    assert!(
        matches!(asked.as_slice(), [Action::Update(shell_update::Body::QuitQuestion(question))] if question.pages == 2),
        "{asked:?}"
    );
    assert!(matches!(window.command(quit(), now + Duration::from_secs(1)).as_slice(), [Action::Quit]));
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
    let asked = FileChooser { request: 9, multiple: false };
    let is_refused = |actions: &[Action]| {
        let [Action::Send(outgoing)] = actions else { return false };
        let BrokerToChild::Command(command) = &outgoing.message else { return false };
        let Some(host_command::Body::FilesChosen(chosen)) = &command.body else { return false };
        outgoing.to == 3 && chosen.request == 9 && chosen.names.is_empty()
    };
    let context = ChooserContext { is_active: true, has_window: true, now };
    assert!(is_refused(&window.file_chooser(from, &site, &asked, context)), "nobody clicked");
    window.command(command(Body::Gesture(1)), now);
    let behind = ChooserContext { is_active: false, ..context };
    assert!(is_refused(&window.file_chooser(from, &site, &asked, behind)));
    let headless = ChooserContext { has_window: false, ..context };
    assert!(is_refused(&window.file_chooser(from, &site, &asked, headless)));
}

#[test]
fn picked_files_and_failures_reach_the_page_and_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let from = ChooserSource { child: 3, tab: 1, request: 9 };
    let event = Event::FilesPlaced { from, names: vec!["9-0/a".into()], failed: vec!["b cannot be opened".into()] };
    let actions = window.event(event, Instant::now());
    assert!(
        matches!(actions.as_slice(), [Action::Update(shell_update::Body::Notice(_)), Action::Send(_)]),
        "{actions:?}"
    );
}

#[test]
fn what_the_user_enters_becomes_an_address_and_a_gesture() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, _events) = window(folder.path());
    let now = Instant::now();
    let open = |input: &str| command(Body::OpenTab(OpenTab { input: input.into(), background: true }));
    let opened = window.command(open("example.org"), now);
    assert!(
        matches!(opened.as_slice(), [Action::Open { url, background: true }] if url == "https://example.org/"),
        "{opened:?}"
    );
    assert!(matches!(
        window.command(open(""), now).as_slice(),
        [Action::Session(SessionEvent::Open { load: None, background: true, .. })]
    ));
    assert!(matches!(
        window.command(command(Body::Print(7)), now).as_slice(),
        [Action::Session(SessionEvent::StillUsed(7)), Action::Command { tab: 7, .. }]
    ));
    assert!(window.gestures().is_recent(7, now));
    assert!(window.command(UserCommand { body: None }, now).is_empty());
}
