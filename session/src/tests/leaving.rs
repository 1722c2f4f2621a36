//! Dialogs of pages, and pages that object to being left.

use super::*;

fn asked(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Send { command: HostCommand::Close { ask: true }, .. }))
}

fn goes_to(session: &mut Session, tab: TabId, url: &str) -> Vec<Effect> {
    reduce(session, Event::Navigate { tab, load: PageLoad::by_user(url) })
}

fn dialog(number: u64, kind: DialogKind) -> Dialog {
    Dialog { number, kind, text: "1".into(), preset: String::new(), server: String::new(), again: false }
}

fn answer(number: u64, accept: bool) -> DialogAnswer {
    DialogAnswer { number, accept, text: String::new(), password: String::new(), stop: false }
}

fn leave_dialog(number: u64) -> PageEvent {
    PageEvent::Dialog(Some(dialog(number, DialogKind::Leave)))
}

#[test]
fn a_page_that_was_used_is_asked_before_its_tab_goes_to_another_site() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    assert!(!asked(&goes_to(&mut session, tab, B)), "nobody has used it");
    page(&mut session, B, tab, committed(B));

    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::StillUsed(tab));
    assert!(asked(&goes_to(&mut session, tab, B)));
    assert_eq!(session.tabs[&tab].segment().url, A, "it is still there");
    page(&mut session, A, tab, PageEvent::CloseRequested);
    assert_eq!(session.tabs[&tab].segment().url, B, "its consent takes the tab there");
    assert!(session.tabs.contains_key(&tab));
}

#[test]
fn a_user_who_stays_stays_and_one_who_asks_twice_goes() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::StillUsed(tab));
    goes_to(&mut session, tab, B);
    page(&mut session, A, tab, leave_dialog(3));
    reduce(&mut session, Event::AnswerDialog { tab, answer: answer(3, false) });
    let now = &session.tabs[&tab];
    assert_eq!((now.segment().url.as_str(), &now.phase, &now.dialog), (A, &Phase::Ready, &None));

    // A double click on a link: the second click repeats the request, and nothing is closed.
    assert!(asked(&goes_to(&mut session, tab, B)));
    reduce(&mut session, Event::StillUsed(tab));
    assert!(!asked(&goes_to(&mut session, tab, B)));
    assert_eq!(session.tabs[&tab].segment().url, B);
    page(&mut session, A, tab, PageEvent::CloseRequested);
    assert!(session.tabs.contains_key(&tab), "the page that was left closes nothing any more");
}

#[test]
fn a_step_in_history_to_another_site_is_a_way_to_leave_and_so_is_an_address_of_the_same_site() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    goes_to(&mut session, tab, B);
    reduce(&mut session, Event::HostUp(key(B)));
    page(&mut session, B, tab, committed(B));
    page(&mut session, B, tab, PageEvent::LoadFinished);
    reduce(&mut session, Event::StillUsed(tab));
    assert!(asked(&reduce(&mut session, Event::History { tab, delta: -1 })));
    page(&mut session, B, tab, PageEvent::CloseRequested);
    assert_eq!(session.tabs[&tab].segment().url, A);

    // Within a site, the engine asks. A user who stays sees the previous page.
    reduce(&mut session, Event::HostUp(key(A)));
    page(&mut session, A, tab, committed(A));
    page(&mut session, A, tab, PageEvent::LoadFinished);
    reduce(&mut session, Event::StillUsed(tab));
    assert!(!asked(&goes_to(&mut session, tab, "http://127.0.0.1:8000/other")));
    assert_eq!(session.tabs[&tab].phase, Phase::Loading);
    page(&mut session, A, tab, leave_dialog(4));
    reduce(&mut session, Event::AnswerDialog { tab, answer: answer(4, false) });
    assert_eq!((&session.tabs[&tab].phase, session.tabs[&tab].segment().url.as_str()), (&Phase::Ready, A));
}

#[test]
fn a_process_that_ends_while_its_page_is_asked_cannot_object() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::StillUsed(tab));
    goes_to(&mut session, tab, B);
    reduce(&mut session, Event::HostDied { host: key(A), reason: "signal 9".into(), given_up: false });
    assert_eq!(session.tabs[&tab].segment().url, B);
}

#[test]
fn an_answer_counts_for_the_dialog_that_it_is_to() {
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    let alert = |number| Some(dialog(number, DialogKind::Alert));
    let effects = page(&mut session, A, tab, PageEvent::Dialog(alert(1)));
    assert!(effects.contains(&Effect::PageWaits(tab)));
    let answer = |number| Event::AnswerDialog { tab, answer: answer(number, true) };
    let is_sent = |effects: &[Effect]| {
        effects.iter().any(|e| matches!(e, Effect::Send { command: HostCommand::AnswerDialog(_), .. }))
    };
    page(&mut session, A, tab, PageEvent::Dialog(alert(2)));
    assert!(!is_sent(&reduce(&mut session, answer(1))), "the page has asked something else meanwhile");
    assert!(is_sent(&reduce(&mut session, answer(2))));
    assert!(!is_sent(&reduce(&mut session, answer(2))), "once");
    // A dialog ends with its process.
    page(&mut session, A, tab, PageEvent::Dialog(alert(3)));
    reduce(&mut session, Event::HostDied { host: key(A), reason: "signal 9".into(), given_up: false });
    assert_eq!(session.tabs[&tab].dialog, None);
}

#[test]
fn a_page_that_is_asked_cannot_choose_where_its_user_goes_nor_have_the_tab_closed() {
    const C: &str = "http://127.0.0.3:8000/";
    let mut session = Session::default();
    let tab = loaded(&mut session, A);
    reduce(&mut session, Event::StillUsed(tab));
    goes_to(&mut session, tab, B);
    let load = Load { url: C.into(), initiator: Origin::new("http://127.0.0.1:8000"), ..Load::default() };
    page(&mut session, A, tab, PageEvent::Handover(load));
    assert_eq!(session.tabs[&tab].segment().url, A, "it waits for the page's answer to its user");
    // A load that the page had begun itself commits in between.
    page(&mut session, A, tab, committed("http://127.0.0.1:8000/late"));
    page(&mut session, A, tab, PageEvent::CloseRequested);
    assert_eq!(session.tabs[&tab].segment().url, B);
}

#[test]
fn what_was_asked_is_forgotten_when_its_user_does_something_else() {
    for other in [|tab| Event::Stop(tab), |tab| Event::Reload { tab, bypass_cache: false }] {
        let mut session = Session::default();
        let tab = loaded(&mut session, A);
        reduce(&mut session, Event::StillUsed(tab));
        goes_to(&mut session, tab, B);
        page(&mut session, A, tab, leave_dialog(1));
        reduce(&mut session, other(tab));
        page(&mut session, A, tab, PageEvent::Dialog(None));
        reduce(&mut session, Event::HostDied { host: key(A), reason: "signal 9".into(), given_up: false });
        assert_eq!(session.tabs[&tab].segment().url, A, "a death brings back what was there");
    }
}
