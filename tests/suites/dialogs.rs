//! Page dialogs and sign-ins: answered from the command line and in the window, without blocking other pages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use regen_tests::site::Answer;
use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually, within};

/// A page that asks to confirm leaving (`beforeunload`) once it has been clicked.
const MINDING: &str = "<title>minding</title><body style='margin:0;background:#10a040;height:100vh'><p>here</p><script>\
    onclick = () => document.title = 'touched'; onbeforeunload = (event) => { event.preventDefault(); return 'no'; }</script>";
const GREEN: [u8; 3] = [0x10, 0xa0, 0x40];

fn refused(browser: &Browser, arguments: &[&str]) -> String {
    let failed = browser.regen(arguments).unwrap_err();
    assert_eq!(failed.code, 1, "{failed:?}");
    failed.message
}

fn vault() -> Site {
    Site::serve(|request| {
        // user:secret
        if request.header("authorization") == "Basic dXNlcjpzZWNyZXQ=" {
            return Some(Answer::page("<title>inside</title><p>you are in</p>"));
        }
        let mut answer = Answer::page("<p>closed</p>").with("WWW-Authenticate", "Basic realm=\"vault\"");
        answer.status = 401;
        Some(answer)
    })
}

#[test]
fn a_page_that_asks_while_it_loads_says_so_at_once_and_goes_on_when_it_is_answered() {
    let site =
        Site::pages(&[("/", "<p>before</p><script>onload = () => { alert(1); document.title = 'after' }</script>")]);
    let browser = Browser::headless();
    let said = refused(&browser, &["tab", "open", &site.url(1, "/"), "--wait", "--timeout", "100"]);
    assert!(said.contains("tab 1 shows a dialog: alert “1”"), "{said}");
    assert!(said.contains("`regen tab dialog 1 --accept|--dismiss`"), "{said}");
    let said = refused(&browser, &["tab", "text", "1"]);
    assert!(said.contains("shows a dialog: alert “1”"), "{said}");
    assert_eq!(browser.tab(1)["dialog"]["text"], "1");
    // Saving the session does not wait for the dialog.
    browser.regen(&["session", "save"]).unwrap();
    browser.regen(&["tab", "dialog", "1", "--accept"]).unwrap();
    eventually("the page to go on", || (browser.tab(1)["title"] == "after").then_some(()));
    browser.wait_for_text(1, "before");
    assert!(browser.tab(1)["dialog"].is_null());
    assert!(refused(&browser, &["tab", "dialog", "1"]).contains("shows no dialog"));
}

#[test]
fn a_page_is_answered_what_was_given_and_a_question_that_comes_meanwhile_ends_the_wait() {
    let page = "<script>onclick = () => { const name = prompt('who?', 'me'); document.title = name + ' ' + confirm('sure?') }</script>\
                <body style='height:100vh'>text";
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let answered = |arguments: &[&str]| {
        // The input command does not wait for a dialog that the click opens.
        browser.input(tab, &["--click", "200,200"]);
        let dialog =
            eventually("the dialog", || Some(browser.tab(tab)["dialog"].clone()).filter(|shown| !shown.is_null()));
        assert_eq!((dialog["kind"].as_str(), dialog["preset"].as_str()), (Some("prompt"), Some("me")));
        browser.regen(&[&["tab", "dialog", "1"], arguments].concat()).unwrap();
        eventually("the next dialog", || (browser.tab(tab)["dialog"]["kind"] == "confirm").then_some(()));
    };
    let is_called = |title: &str| eventually(title, || (browser.tab(tab)["title"] == title).then_some(()));
    answered(&["--accept", "--text", "you"]);
    browser.regen(&["tab", "dialog", "1", "--accept"]).unwrap();
    is_called("you true");
    answered(&["--accept"]);
    browser.regen(&["tab", "dialog", "1", "--dismiss"]).unwrap();
    is_called("me false");
    answered(&["--dismiss"]);
    browser.regen(&["tab", "dialog", "1", "--dismiss"]).unwrap();
    is_called("null false");
}

#[test]
fn a_storm_of_dialogs_is_stopped_by_one_answer_and_by_going_elsewhere() {
    let storm = "<title>storm</title><script>onload = () => { for (let i = 0; i < 300; i++) alert(i); document.title = 'calm' }</script>";
    let endless = "<title>endless</title><script>onload = () => { for (;;) alert('again') }</script>";
    let site = Site::pages(&[("/", storm), ("/endless", endless), ("/quiet", "<title>quiet</title><p>quiet</p>")]);
    let browser = Browser::headless();
    let open = |path: &str| browser.json(&["tab", "open", &site.url(1, path)])["id"].as_u64().unwrap();
    let tab = open("/");
    let asks = |tab: u64| eventually("a dialog", || (!browser.tab(tab)["dialog"].is_null()).then_some(()));
    asks(tab);
    browser.regen(&["tab", "dialog", &tab.to_string(), "--dismiss"]).unwrap();
    eventually("the second dialog", || (browser.tab(tab)["dialog"]["again"] == true).then_some(()));
    browser.regen(&["tab", "dialog", &tab.to_string(), "--dismiss", "--stop"]).unwrap();
    eventually("the script to end", || (browser.tab(tab)["title"] == "calm").then_some(()));
    // A reload is a new page, which may show dialogs again.
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    asks(tab);
    let tab = open("/endless");
    asks(tab);
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(2, "/quiet"), "--wait"]).unwrap();
    browser.wait_for_text(tab, "quiet");
}

#[test]
fn a_page_that_waits_for_its_user_is_not_called_unresponsive_and_its_neighbours_go_on() {
    let asking = "<title>asking</title><script>onload = () => setTimeout(() => { alert('still here'); document.title = 'answered' }, 50)</script>";
    let ticking = "<title>0</title><script>setInterval(() => document.title = +document.title + 1, 500)</script>";
    let site = Site::pages(&[("/", asking), ("/ticking", ticking)]);
    let browser = Browser::headless();
    let tab = browser.json(&["tab", "open", &site.url(1, "/")])["id"].as_u64().unwrap();
    eventually("the dialog", || (!browser.tab(tab)["dialog"].is_null()).then_some(()));
    let other = browser.open(&site.url(1, "/ticking"));
    // Waits for longer than a script may run before the page counts as unresponsive.
    eventually("its neighbour to tick", || {
        assert_eq!(browser.tab(tab)["unresponsive"], false);
        (browser.tab(other)["title"].as_str()?.parse::<u32>().ok()? > 12).then_some(())
    });
    browser.regen(&["tab", "dialog", &tab.to_string(), "--accept"]).unwrap();
    eventually("the page to get the answer", || (browser.tab(tab)["title"] == "answered").then_some(()));
}

#[test]
fn a_server_that_wants_a_password_gets_it_from_the_command_line() {
    let site = vault();
    let browser = Browser::headless();
    let said = refused(&browser, &["tab", "open", &site.url(1, "/"), "--wait"]);
    let server = format!("127.0.0.1:{}", site.port());
    assert!(said.contains(&format!("sign-in ({server} wants a name and a password for “vault”)")), "{said}");
    assert!(said.contains("regen tab authenticate 1 --user NAME"), "{said}");
    let said = refused(&browser, &["tab", "dialog", "1", "--accept"]);
    assert!(said.contains("regen tab authenticate 1"), "an empty name was sent: {said}");
    let sign_in = |password: &str| {
        let output = browser.command_with(&["tab", "authenticate", "1", "--user", "user"], password);
        assert!(output.status.success(), "{output:?}");
    };
    sign_in("wrong\n");
    eventually("the sign-in to be asked again", || (browser.tab(1)["dialog"]["again"] == true).then_some(()));
    sign_in("secret\n");
    browser.wait_for_text(1, "you are in");
    let log = std::fs::read_to_string(browser.profile().join("regen.log")).unwrap();
    assert!(!log.contains("secret") && !log.contains("wrong"), "the log has a password");
    // Cancel shows the page that the server sends without a password.
    let other = browser.json(&["tab", "open", &site.url(2, "/")])["id"].as_u64().unwrap();
    eventually("the question", || (browser.tab(other)["dialog"]["kind"] == "sign-in").then_some(()));
    browser.regen(&["tab", "authenticate", &other.to_string(), "--cancel"]).unwrap();
    browser.wait_for_text(other, "closed");
}

#[test]
fn a_page_that_minds_being_left_is_asked_wherever_its_tab_goes() {
    let leaving = format!(
        "{MINDING}<a id=link style='position:fixed;left:0;top:100px;width:200px;height:50px' href=''>away</a>\
        <script>link.href = location.href.replace('127.0.0.1', '127.0.0.2').replace('minding', 'other')</script>"
    );
    let site = Site::pages(&[("/minding", &leaving), ("/other", "<title>other</title><p>other</p>")]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(2, "/other"));
    let id = tab.to_string();
    let go = |url: &str| drop(browser.regen(&["tab", "goto", &id, url]).unwrap());
    let minding = site.url(1, "/minding");
    let use_it = || {
        go(&minding);
        browser.wait_for_url(tab, &minding);
        browser.input(tab, &["--click", "300,300"]);
        eventually("the click", || (browser.tab(tab)["title"] == "touched").then_some(()));
    };
    let is_asked = || eventually("the question", || (browser.tab(tab)["dialog"]["kind"] == "leave").then_some(()));
    let stay = || {
        is_asked();
        browser.regen(&["tab", "dialog", &id, "--dismiss"]).unwrap();
        let now = browser.wait_for_state(tab, "ready");
        assert_eq!((now["url"].as_str(), now["title"].as_str()), (Some(minding.as_str()), Some("touched")));
    };
    use_it();
    // Leaves by an address of another site, by one of its own, by a link, and by going back.
    go(&site.url(2, "/other"));
    stay();
    go(&site.url(1, "/other"));
    stay();
    browser.input(tab, &["--click", "50,120"]);
    stay();
    browser.regen(&["tab", "back", &id]).unwrap();
    stay();
    // Confirming leaves the page.
    go(&site.url(2, "/other"));
    is_asked();
    browser.regen(&["tab", "dialog", &id, "--accept"]).unwrap();
    browser.wait_for_url(tab, &site.url(2, "/other"));
    // Going back returns to the page that was left.
    browser.regen(&["tab", "back", &id]).unwrap();
    browser.wait_for_url(tab, &minding);
}

#[test]
fn a_question_waits_in_its_tab_while_its_user_looks_at_another() {
    let site = vault();
    let green = Site::pages(&[("/", MINDING)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&green.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95).then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    browser.regen(&["tab", "open", &site.url(2, "/")]).unwrap();
    eventually("the question", || (browser.tab(2)["dialog"]["kind"] == "sign-in").then_some(()));
    let is_shown = || {
        let picture = display.screenshot();
        // A pale form over a darkened page.
        picture.share([255, 255, 255], 420, 160, 440, 60) > 0.7
            && picture.share([255, 255, 255], 20, 600, 300, 100) < 0.1
    };
    eventually("the question to be seen", || is_shown().then_some(()));
    display.xdotool(&["key", "ctrl+1"]);
    eventually("the other tab", || (display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95).then_some(()));
    display.xdotool(&["key", "ctrl+2"]);
    eventually("the same question", || is_shown().then_some(()));
    // Keys typed before the form has focus are lost, so the answer is typed again until it arrives.
    eventually("the answer", || {
        display.xdotool(&["sleep", "0.6", "key", "ctrl+a", "type", "user"]);
        display.xdotool(&["key", "Tab", "type", "secret"]);
        display.xdotool(&["key", "Return"]);
        within(Duration::from_secs(3), || browser.regen(&["tab", "text", "2"]).ok())
    });
    browser.wait_for_text(2, "you are in");
}

#[test]
fn the_window_asks_before_it_quits_when_a_page_minds_or_a_file_is_not_saved_yet() {
    let site = Site::serve(|request| match request.path.as_str() {
        "/" => Some(Answer::page(MINDING)),
        _ => None,
    });
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95).then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    display.xdotool(&["mousemove", "600", "600"]);
    eventually("the click to arrive", || {
        display.xdotool(&["click", "1"]);
        (browser.tab(1)["title"] == "touched").then_some(())
    });
    let is_asked = || display.screenshot().share(GREEN, 20, 200, 200, 500) < 0.05;
    display.xdotool(&["key", "ctrl+q"]);
    eventually("the question", || is_asked().then_some(()));
    // The safe answer, Cancel, has focus.
    display.xdotool(&["key", "Return"]);
    eventually("the page again", || (!is_asked()).then_some(()));
    assert_eq!(browser.tab(1)["title"], "touched");
    display.xdotool(&["key", "ctrl+q"]);
    eventually("the question", || is_asked().then_some(()));
    display.xdotool(&["key", "ctrl+q"]);
    eventually("the browser to quit", || (browser.command(&["status"]).status.code() == Some(3)).then_some(()));
}
