use regen_net_config::site::Site;
use regen_store::secrets::Vault;

use super::*;

const KIND: PermissionKind = PermissionKind::Notifications;
const SEEN: RequestContext = RequestContext { by_user: true, over_tor: false, has_window: true };
const UNSEEN: RequestContext = RequestContext { by_user: false, ..SEEN };

struct Fixture {
    permissions: Permissions,
    folder: tempfile::TempDir,
}

fn open(folder: &tempfile::TempDir) -> (PermissionSettings, Store) {
    let opened = regen_store::open(folder.path(), Vault::of_profile(folder.path()).unwrap()).unwrap();
    (opened.settings.permissions, opened.store)
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (settings, store) = open(&folder);
        let audit = AuditLog::start(regen_audit_log::Audit::open(folder.path(), None).unwrap()).unwrap();
        Self { permissions: Permissions::new(settings, store, audit), folder }
    }

    fn ask(&mut self, request: u64, tab: TabId, context: RequestContext) -> Vec<Action> {
        self.ask_for(request, tab, KIND, host("https://a.test/", ""), context)
    }

    fn ask_for(
        &mut self,
        request: u64,
        tab: TabId,
        kind: PermissionKind,
        host: HostKey,
        context: RequestContext,
    ) -> Vec<Action> {
        let request = PermissionRequest { child: 3, tab, request, host, kind, asker: String::new() };
        self.permissions.asked(request, context)
    }
}

fn host(url: &str, workspace: &str) -> HostKey {
    HostKey { site: Site::of(url).unwrap(), workspace: workspace.to_owned() }
}

fn answers(actions: &[Action]) -> Vec<(u64, bool)> {
    let answer = |action: &Action| match action {
        Action::Answer { request, is_allowed, .. } => Some((*request, *is_allowed)),
        Action::Ask(_) | Action::Withdraw(_) | Action::Inform(_) | Action::Notify { .. } => None,
    };
    actions.iter().filter_map(answer).collect()
}

fn asked(actions: &[Action]) -> Option<(u64, bool)> {
    actions.iter().find_map(|action| match action {
        Action::Ask(view) => Some((view.number, view.is_quiet)),
        Action::Answer { .. } | Action::Withdraw(_) | Action::Inform(_) | Action::Notify { .. } => None,
    })
}

#[test]
fn what_was_answered_holds_as_long_as_was_said() {
    let mut fixture = Fixture::new();
    let (number, is_quiet) = asked(&fixture.ask(1, 7, SEEN)).unwrap();
    assert!(!is_quiet);
    // A second request of the page waits for the same answer.
    assert_eq!(fixture.ask(2, 7, SEEN), []);
    let actions = fixture.permissions.answered(number, UserAnswer::WhileOpen);
    assert_eq!(answers(&actions), [(1, true), (2, true)]);
    assert!(actions.contains(&Action::Withdraw(number)));
    // Other rights can be had for one time.
    let storage = PermissionKind::StorageAccess;
    for request in [10, 11] {
        let actions = fixture.ask_for(request, 7, storage, host("https://a.test/", ""), SEEN);
        fixture.permissions.answered(asked(&actions).unwrap().0, UserAnswer::Once);
    }
    assert_eq!(answers(&fixture.ask(4, 7, UNSEEN)), [(4, true)]);
    assert!(asked(&fixture.ask(5, 8, SEEN)).is_some(), "another tab is asked about");
    fixture.permissions.page_left(7, Some(&host("https://a.test/", "")));
    assert_eq!(answers(&fixture.ask(6, 7, UNSEEN)), [(6, true)], "it still shows the site");
    fixture.permissions.page_left(7, Some(&host("https://b.test/", "")));
    let (number, _) = asked(&fixture.ask(7, 7, SEEN)).unwrap();
    let actions = fixture.permissions.answered(number, UserAnswer::Always);
    assert!(actions.contains(&Action::Inform(host("https://a.test/", ""))));
    // The question of the other tab has its answer as well.
    assert_eq!(answers(&actions), [(7, true), (5, true)]);
    assert_eq!(answers(&fixture.ask(8, 9, UNSEEN)), [(8, true)]);
    assert_eq!(fixture.permissions.answered(number, UserAnswer::Never), [], "answered already");
    // Choices outlive the run.
    fixture.permissions.store.flush(true).unwrap();
    let Fixture { permissions, folder } = fixture;
    drop(permissions);
    let (settings, _) = open(&folder);
    assert!(settings.of(&host("https://a.test/", ""), KIND, 0).unwrap().is_allowed);
}

#[test]
fn without_a_click_a_question_is_only_a_mark() {
    let mut fixture = Fixture::new();
    let (number, is_quiet) = asked(&fixture.ask(1, 7, UNSEEN)).unwrap();
    assert!(is_quiet);
    assert_eq!(fixture.ask(2, 7, UNSEEN), []);
    assert_eq!(asked(&fixture.ask(3, 7, SEEN)), Some((number, false)));
    assert_eq!(answers(&fixture.permissions.answered(number, UserAnswer::Never)), [(1, false), (2, false), (3, false)]);
    assert_eq!(answers(&fixture.ask(4, 7, SEEN)), [(4, false)]);
    assert_eq!(fixture.permissions.state(&host("https://a.test/", ""), KIND), PermissionState::Denied(None));
}

#[test]
fn three_dismissals_are_silence_until_the_user_chooses() {
    let mut fixture = Fixture::new();
    for request in 1..=3 {
        let (number, _) = asked(&fixture.ask(request, 7, SEEN)).unwrap();
        assert_eq!(answers(&fixture.permissions.answered(number, UserAnswer::Dismissed)), [(request, false)]);
    }
    assert_eq!(answers(&fixture.ask(4, 7, SEEN)), [(4, false)]);
    assert!(asked(&fixture.ask_for(5, 7, KIND, host("https://b.test/", ""), SEEN)).is_some(), "another site may ask");
    fixture.permissions.choose(&host("https://a.test/", ""), KIND, None);
    assert!(asked(&fixture.ask(6, 8, SEEN)).is_some());
}

#[test]
fn what_cannot_be_had_or_seen_is_refused_without_a_question() {
    let mut fixture = Fixture::new();
    let site = || host("https://a.test/", "");
    for kind in PERMISSION_KINDS {
        let is_asked = asked(&fixture.ask_for(1, 1, kind, site(), SEEN)).is_some();
        assert_eq!(is_asked, kind.is_available(), "{kind}");
        let over_tor = RequestContext { over_tor: true, ..SEEN };
        let is_asked = asked(&fixture.ask_for(2, 2, kind, site(), over_tor)).is_some();
        assert_eq!(is_asked, kind.is_available() && !kind.identifies(), "{kind} over Tor");
    }
    let headless = RequestContext { has_window: false, ..SEEN };
    assert_eq!(answers(&fixture.ask(3, 3, headless)), [(3, false)]);
    let thrown = host("https://a.test/", "~1");
    assert_eq!(answers(&fixture.ask_for(4, 4, KIND, thrown.clone(), SEEN)), [(4, false)], "the desktop may keep it");
    assert!(asked(&fixture.ask_for(5, 4, PermissionKind::Autoplay, thrown, SEEN)).is_some());
}

#[test]
fn a_page_that_asks_for_ever_costs_nothing() {
    let mut fixture = Fixture::new();
    let refused = (0..1000).map(|request| answers(&fixture.ask(request, 7, UNSEEN)).len()).sum::<usize>();
    assert_eq!(refused, 1000 - MAX_WAITING);
    assert_eq!(fixture.permissions.shown().count(), 1);
    let actions = fixture.permissions.page_left(7, None);
    assert_eq!((answers(&actions).len(), actions.len()), (MAX_WAITING, MAX_WAITING + 1));
}

#[test]
fn questions_end_with_what_they_are_about() {
    let mut fixture = Fixture::new();
    fixture.ask(1, 7, SEEN);
    assert_eq!(fixture.permissions.child_gone(4), []);
    assert_eq!(fixture.permissions.child_gone(3), [Action::Withdraw(1)]);
    fixture.ask(2, 7, SEEN);
    assert_eq!(answers(&fixture.permissions.window_gone()), [(2, false)]);
    fixture.ask(3, 7, SEEN);
    assert_eq!(answers(&fixture.permissions.forget_site(&host("https://a.test/", ""))), [(3, false)]);
    let allowed = KeptPermission { is_allowed: true, until_s: None };
    fixture.permissions.choose(&host("https://b.test/", "work"), KIND, Some(allowed));
    fixture.permissions.forget_workspace("work");
    assert_eq!(fixture.permissions.settings(), &PermissionSettings::default());
    assert_eq!(fixture.permissions.shown().count(), 0);
}

#[test]
fn notifications_are_shown_for_those_who_may_and_never_too_many() {
    let mut fixture = Fixture::new();
    let site = host("https://a.test/", "");
    let notice = || Notice { title: "x".repeat(500), body: "a\u{202e}b\nbank.test".to_owned() };
    assert_eq!(fixture.permissions.notifies(3, 7, &site, 1, notice()), None);
    let (number, _) = asked(&fixture.ask(1, 7, SEEN)).unwrap();
    fixture.permissions.answered(number, UserAnswer::WhileOpen);
    let Some(Action::Notify { site: named, notice: shown, .. }) =
        fixture.permissions.notifies(3, 7, &site, 1, notice())
    else {
        panic!("not shown");
    };
    assert_eq!((named.as_str(), shown.title.len(), shown.body.as_str()), ("a.test", 100, "ab bank.test"));
    let shown = (0..100).filter(|number| fixture.permissions.notifies(3, 7, &site, *number, notice()).is_some());
    assert_eq!(shown.count(), 9);
    // The answer was for one tab.
    assert_eq!(fixture.permissions.notifies(3, 8, &site, 1, notice()), None);
}

#[test]
fn an_answer_is_for_the_embedded_site_that_was_named() {
    let mut fixture = Fixture::new();
    let mut ask = |request, asker: &str| {
        let host = host("https://news.test/", "");
        let kind = PermissionKind::StorageAccess;
        let request = PermissionRequest { child: 3, tab: 7, request, host, kind, asker: asker.to_owned() };
        fixture.permissions.asked(request, SEEN)
    };
    let (one, other) = (asked(&ask(1, "one.test")).unwrap().0, asked(&ask(2, "two.test")).unwrap().0);
    assert_ne!(one, other);
    // A name that is none says nothing.
    let Some(Action::Ask(view)) = ask(3, &"x".repeat(5000)).into_iter().next() else { panic!("not asked") };
    assert_eq!(view.asker, "");
    assert_eq!(answers(&fixture.permissions.answered(one, UserAnswer::WhileOpen)), [(1, true)]);
    assert_eq!(answers(&fixture.permissions.answered(other, UserAnswer::Never)), [(2, false), (3, false)]);
}

#[test]
fn a_look_at_another_tab_answers_no_question() {
    let mut fixture = Fixture::new();
    let site = host("https://a.test/", "");
    let (number, _) = asked(&fixture.ask(1, 7, SEEN)).unwrap();
    assert_eq!(fixture.permissions.tab_shows(7, Some(&site)), []);
    assert_eq!(answers(&fixture.permissions.answered(number, UserAnswer::Always)), [(1, true)]);
    fixture.ask_for(2, 7, PermissionKind::Autoplay, site, SEEN);
    let gone = fixture.permissions.tab_shows(7, Some(&host("https://b.test/", "")));
    assert_eq!(answers(&gone), [(2, false)]);
}
