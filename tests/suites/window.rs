//! The window on a real X server: what it shows, its mouse and keyboard input, and its recovery from crashes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use minidump::{Minidump, MinidumpException};
use regen_tests::process::{descendants, signal};
use regen_tests::window::{Display, Screen};
use regen_tests::{Browser, SessionBus, Site, eventually, within};
use rustix::process::Signal;

/// Title of the file dialog.
const DIALOG: &str = "^127.0.0.1 asks for a file";
const GREEN: [u8; 3] = [0x10, 0xa0, 0x40];

/// A green page that shows a random token (to detect reloads), its clicks, its field and its size.
const PAGE: &str = r#"<!doctype html><title>green page</title><body style="margin:0;background:#10a040;height:100vh">
<pre id="out" style="position:fixed;left:0;bottom:0;margin:0"></pre><input id="field" style="position:fixed;left:20px;top:20px;width:300px;height:30px">
<script>const token = Math.random(); let clicks = [], ticks = 0;
  const show = () => out.textContent = JSON.stringify({ token, ticks, clicks, value: field.value, focus: document.activeElement.id, w: innerWidth, h: innerHeight });
  onclick = (event) => { clicks.push([event.clientX, event.clientY]); show(); }; oninput = show; onresize = show;
  setInterval(() => { ticks += 1; show(); }, 100); show();</script>"#;

struct Scene {
    site: Site,
    display: Display,
    browser: Browser,
}

fn scene() -> Scene {
    let site =
        Site::pages(&[("/", PAGE), ("/other", "<title>other page</title><body style='background:#3050c0'>other")]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page to be seen in the window", || {
        (display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95).then_some(())
    });
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    eventually("the page to have the window's size", || (state(&browser, 1)["h"].as_u64()? < 790).then_some(()));
    Scene { site, display, browser }
}

fn titles(browser: &Browser) -> Vec<String> {
    let status = browser.status();
    status["tabs"].as_array().unwrap().iter().map(|tab| tab["title"].as_str().unwrap().to_owned()).collect()
}

fn state(browser: &Browser, tab: u64) -> serde_json::Value {
    eventually("the page's state", || {
        let text = browser.regen(&["tab", "text", &tab.to_string()]).ok()?;
        serde_json::from_str(text.get(text.find('{')?..)?.trim()).ok()
    })
}

#[test]
fn a_picked_file_reaches_the_page_and_nothing_else_does() {
    let page = r#"<!doctype html><title>upload</title><body style="margin:0;background:#10a040;height:100vh">
      <input type="file" id="file" style="position:fixed;left:20px;top:20px;width:300px;height:40px"><pre id="out" style="margin-top:100px"></pre>
      <script>file.onchange = async () => out.textContent = file.files[0].name + ": " + await file.files[0].text();
      setInterval(() => document.title = "h" + innerHeight, 200)</script>"#;
    let site = Site::pages(&[("/", page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::not_started_in_window(&display.name(), &[&site.url(1, "/")]);
    let desktop = [("DISPLAY", display.name()), ("XDG_CURRENT_DESKTOP", "GNOME".to_owned())];
    let bus = SessionBus::start(&browser.user_home(), &desktop);
    std::fs::write(browser.user_home().join("notes.txt"), "what it says").unwrap();
    let browser = browser.with_variable("DBUS_SESSION_BUS_ADDRESS", bus.address());
    browser.start();
    eventually("the page", || (display.screenshot().share(GREEN, 100, 300, 1000, 400) > 0.95).then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen|^h[0-9]", "windowfocus"]);
    let height: i64 = eventually("the page to have the window's size", || {
        titles(&browser)[0].strip_prefix('h')?.parse().ok().filter(|height| *height < 790)
    });
    let button = (860 - height + 40).to_string();
    // The desktop's own file dialog, whose title names the site.
    let is_open = || display.has_window(DIALOG);
    let ask = || {
        eventually("the dialog", || {
            display.xdotool(&["mousemove", "600", "500", "mousemove", "60", &button, "click", "1"]);
            within(Duration::from_secs(3), || is_open().then_some(()))
        });
    };
    let path = browser.user_home().join("notes.txt");
    eventually("the file to be picked", || {
        if !is_open() {
            ask();
        }
        display.xdotool(&["search", "--onlyvisible", "--name", DIALOG, "windowfocus"]);
        // The dialog may lose keys while it opens its path entry; then the typing is repeated.
        display.xdotool(&["key", "ctrl+l", "sleep", "0.5", "key", "ctrl+a"]);
        display.xdotool(&["type", "--delay", "20", path.to_str().unwrap()]);
        display.xdotool(&["key", "Return"]);
        let is_picked = || browser.text(1).contains("notes.txt: what it says");
        within(Duration::from_secs(3), || is_picked().then_some(()))
    });
    eventually("the dialog to be gone", || (!is_open()).then_some(()));
    // An open dialog closes when its page is left.
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen|^h[0-9]", "windowfocus"]);
    ask();
    browser.regen(&["tab", "goto", "1", &site.url(2, "/")]).unwrap();
    eventually("the dialog to be gone", || (!is_open()).then_some(()));
}

#[test]
fn without_a_file_dialog_the_page_gets_nothing_and_its_user_learns_what_to_install() {
    let page = r#"<body style="margin:0;background:#10a040;height:100vh"><input type="file" id="file" style="position:fixed;left:20px;top:20px;width:300px;height:40px">
      <pre id="out"></pre><script>file.oncancel = () => out.textContent = "cancelled"; file.onchange = () => out.textContent = "picked";
      setInterval(() => document.title = "h" + innerHeight, 200)</script>"#;
    let site = Site::pages(&[("/", page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(GREEN, 100, 300, 1000, 400) > 0.95).then_some(()));
    let height: i64 = eventually("the page to have the window's size", || {
        titles(&browser)[0].strip_prefix('h')?.parse().ok().filter(|height| *height < 790)
    });
    eventually("the advice in the log", || {
        // The window may still be resizing.
        display.xdotool(&["mousemove", "60", &(860 - height + 40).to_string(), "click", "1", "sleep", "2"]);
        browser.log().contains("install xdg-desktop-portal").then_some(())
    });
    assert!(!browser.text(1).contains("picked"));
}

/// Returns whether the bars are drawn: not green, not black, and with the many shades of text and icons.
fn has_bars(screen: &Screen) -> bool {
    screen.share(GREEN, 0, 0, 1280, 80) < 0.01 && screen.share([0, 0, 0], 0, 0, 1280, 80) < 0.2 && screen.colours() > 40
}

#[test]
fn the_window_shows_bars_and_below_them_the_page() {
    let scene = scene();
    eventually("the bars", || has_bars(&scene.display.screenshot()).then_some(()));
    let page = state(&scene.browser, 1);
    assert_eq!(page["w"], 1280, "the page is not as wide as the window");
    let height = page["h"].as_u64().unwrap();
    assert!((700..800).contains(&height), "the page does not fill the space below the bars: {height}");
}

#[test]
fn clicks_and_keys_reach_the_page_where_they_are_meant() {
    let scene = scene();
    let top = 860 - state(&scene.browser, 1)["h"].as_i64().unwrap();
    scene.display.xdotool(&["mousemove", "400", &(top + 300).to_string(), "click", "1"]);
    eventually("the click", || (state(&scene.browser, 1)["clicks"][0] == serde_json::json!([400, 300])).then_some(()));
    scene.display.xdotool(&["mousemove", "100", &(top + 35).to_string(), "click", "1"]);
    eventually("the field to have the keyboard", || (state(&scene.browser, 1)["focus"] == "field").then_some(()));
    scene.display.xdotool(&["type", "--delay", "20", "Hello 42"]);
    eventually("the text", || (state(&scene.browser, 1)["value"] == "Hello 42").then_some(()));
}

#[test]
fn the_address_bar_and_the_shortcuts_work() {
    let scene = scene();
    let address = scene.site.url(2, "/other");
    scene.display.xdotool(&["key", "ctrl+t"]);
    eventually("a second tab", || (titles(&scene.browser).len() == 2).then_some(()));
    // The address bar has focus when the start page is drawn.
    eventually("the start page", || {
        (scene.display.screenshot().share([255, 255, 255], 100, 600, 1000, 200) > 0.9).then_some(())
    });
    scene.display.xdotool(&["key", "ctrl+l"]);
    scene.display.xdotool(&["type", "--delay", "20", &address]);
    scene.display.xdotool(&["key", "Return"]);
    eventually("the other page", || titles(&scene.browser).contains(&"other page".to_owned()).then_some(()));
    eventually("the other page to be seen", || {
        (scene.display.screenshot().share([0x30, 0x50, 0xc0], 100, 300, 1000, 400) > 0.95).then_some(())
    });
    scene.display.xdotool(&["key", "ctrl+Tab"]);
    eventually("the first tab again", || {
        (scene.display.screenshot().share(GREEN, 100, 300, 1000, 400) > 0.95).then_some(())
    });
    scene.display.xdotool(&["key", "ctrl+w"]);
    eventually("the first tab to be closed", || (titles(&scene.browser) == ["other page"]).then_some(()));
    scene.display.xdotool(&["key", "ctrl+shift+t"]);
    eventually("the tab to be reopened", || titles(&scene.browser).contains(&"green page".to_owned()).then_some(()));
}

#[test]
fn a_menu_lies_over_the_page_and_leaves_nothing_behind() {
    let scene = scene();
    let green = |screen: &Screen| screen.share(GREEN, 1000, 120, 250, 200);
    scene.display.xdotool(&["mousemove", "1256", "64", "click", "1"]);
    eventually("the menu over the page", || (green(&scene.display.screenshot()) < 0.3).then_some(()));
    scene.display.xdotool(&["key", "Escape"]);
    scene.display.xdotool(&["mousemove", "640", "700"]);
    eventually("the whole page again", || (green(&scene.display.screenshot()) > 0.99).then_some(()));
}

#[test]
fn what_draws_the_bars_crashes_with_a_minidump_and_they_are_drawn_again() {
    let Scene { browser, display, .. } = scene();
    let window = browser.daemon("ui-shell");
    let helpers = descendants(window);
    let (helper, _) = helpers.iter().find(|(_, name)| name.starts_with("WebKitWebProces")).unwrap();
    signal(*helper, Signal::SEGV);
    let report = eventually("a report", || browser.json(&["crashes", "list"]).as_array().unwrap().first().cloned());
    assert_eq!(report["role"], "ui-shell", "{report}");
    let file = browser.profile().join("memory.dmp");
    browser.regen(&["crashes", "export", "last", "--minidump", "-o", file.to_str().unwrap()]).unwrap();
    let dump = Minidump::read_path(&file).unwrap();
    assert_eq!(dump.get_stream::<MinidumpException<'_>>().unwrap().raw.exception_record.exception_code, 11);
    eventually("another window", || browser.pids_of("ui-shell").into_iter().find(|pid| *pid != window && *pid != 0));
    eventually("its bars", || has_bars(&display.screenshot()).then_some(()));
}

#[test]
fn a_killed_window_comes_back_and_nothing_is_reloaded() {
    let scene = scene();
    let before = state(&scene.browser, 1);
    let old = scene.browser.daemon("ui-shell");
    scene.browser.regen(&["kill", "ui-shell"]).unwrap();
    eventually("another window process", || {
        scene.browser.pids_of("ui-shell").first().copied().filter(|pid| *pid != old && *pid != 0)
    });
    eventually("the page to be seen again", || {
        let screen = scene.display.screenshot();
        (screen.share(GREEN, 100, 200, 1000, 500) > 0.95 && has_bars(&screen)).then_some(())
    });
    let after = state(&scene.browser, 1);
    assert_eq!(after["token"], before["token"], "the page was reloaded");
    assert!(after["ticks"].as_u64() > before["ticks"].as_u64());
}

#[test]
fn a_killed_page_comes_back_in_the_window() {
    let scene = scene();
    let old = scene.browser.pid_of_tab(1);
    scene.browser.regen(&["kill", "tab", "1"]).unwrap();
    eventually("another process", || {
        let tab = scene.browser.tab(1);
        (tab["pid"] != old && tab["state"] == "ready").then_some(())
    });
    let blue = scene.site.url(1, "/other");
    scene.browser.regen(&["tab", "goto", "1", &blue, "--wait"]).unwrap();
    eventually("the new process's picture", || {
        (scene.display.screenshot().share([0x30, 0x50, 0xc0], 100, 300, 1000, 400) > 0.95).then_some(())
    });
}

#[test]
fn a_killed_page_stays_on_screen_until_it_is_back() {
    let scene = scene();
    let shows = || scene.display.screenshot().share(GREEN, 100, 300, 1000, 400) > 0.95;
    eventually("the green page", || shows().then_some(()));
    scene.browser.regen(&["session", "save"]).unwrap();
    let old = scene.browser.pid_of_tab(1);
    scene.browser.regen(&["kill", "tab", "1"]).unwrap();
    let mut back = None;
    // Before the fix, a blank page was shown for about half a second, which is at least five screenshots.
    while back.is_none_or(|since: std::time::Instant| since.elapsed() < std::time::Duration::from_secs(2)) {
        assert!(shows(), "the page was not on screen while its process was replaced");
        let tab = scene.browser.tab(1);
        let is_back = tab["pid"] != old && tab["state"] == "ready";
        back = back.or_else(|| is_back.then(std::time::Instant::now));
    }
}

#[test]
fn a_click_counts_while_a_tooltip_is_shown() {
    let page = r#"<!doctype html><title>0</title><body style="margin:0;background:#10a040;height:100vh">
      <div title="what this is" style="position:fixed;left:100px;top:200px;width:300px;height:200px" id=target></div>
      <script>let clicks = 0; target.onclick = () => document.title = ++clicks</script>"#;
    let site = Site::pages(&[("/", page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    let of_page = || display.screenshot().share(GREEN, 50, 300, 600, 300);
    eventually("the page", || (of_page() > 0.99).then_some(()));
    eventually("the tooltip", || {
        display.xdotool(&["mousemove", "900", "700", "sleep", "0.2", "mousemove", "250", "380"]);
        within(Duration::from_secs(3), || (of_page() < 0.99).then_some(()))
    });
    display.xdotool(&["click", "1"]);
    eventually("the click", || (titles(&browser) == ["1"]).then_some(()));
}

#[test]
fn a_tabs_tooltip_does_not_cover_its_menu() {
    let words = "a title that is long enough to lie over the menu";
    let page = format!("<!doctype html><title>{words}</title><body style='margin:0;background:#10a040;height:100vh'>");
    let site = Site::pages(&[("/", &page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    let of_page = || display.screenshot().share(GREEN, 200, 200, 200, 100);
    let black = || display.screenshot().share([0, 0, 0], 200, 38, 100, 36);
    eventually("the page", || (of_page() > 0.99).then_some(()));
    assert_eq!(titles(&browser), [words]);
    eventually("the tooltip: the control", || {
        display.xdotool(&["mousemove", "900", "700", "sleep", "0.2", "mousemove", "250", "22"]);
        within(Duration::from_secs(3), || (black() > 0.5).then_some(()))
    });
    display.xdotool(&["mousemove", "900", "700", "sleep", "0.5", "mousemove", "250", "22", "click", "3"]);
    eventually("the menu", || (of_page() < 0.5).then_some(()));
    assert_eq!(within(Duration::from_secs(2), || (black() > 0.5).then_some(())), None, "the tooltip covers the menu");
}

#[test]
fn a_menu_stays_whole_over_a_page_that_changes_below_it() {
    // A strip across the whole width that changes all the time.
    let page = r#"<!doctype html><title>page</title><body style="margin:0;background:#10a040;height:100vh">
      <p id=strip style="position:fixed;top:120px;left:0;right:0;height:30px;margin:0;color:#10a040"></p>
      <script>setInterval(() => strip.textContent = Date.now(), 30)</script>"#;
    let site = Site::pages(&[("/", page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(GREEN, 100, 300, 1000, 400) > 0.95).then_some(()));
    let of_page = |x: usize| display.screenshot().share(GREEN, x, 195, 180, 60);
    eventually("the menu", || {
        display.xdotool(&["mousemove", "1256", "64", "click", "1"]);
        // Waits long enough for a slow menu, because another click would close it again.
        within(Duration::from_secs(8), || (of_page(1050) < 0.05).then_some(()))
    });
    let end = std::time::Instant::now() + Duration::from_secs(2);
    while std::time::Instant::now() < end {
        assert!(of_page(1050) < 0.05, "the page shows through the menu");
        assert!(of_page(300) > 0.5, "control: the page is not shown beside the menu");
    }
    drop(browser);
}

#[test]
fn an_unclean_end_is_asked_about_in_the_window() {
    let scene = scene();
    let broker = scene.browser.broker();
    scene.browser.regen(&["session", "save"]).unwrap();
    regen_tests::process::signal(broker, Signal::KILL);
    eventually("the broker to end", || (!regen_tests::process::is_alive(broker)).then_some(()));
    scene.browser.start();
    let bar = |screen: &Screen| screen.share([0x2f, 0x5f, 0xd0], 1100, 88, 180, 50);
    eventually("the question with its button", || (bar(&scene.display.screenshot()) > 0.05).then_some(()));
    let (x, y) = eventually("the button", || button(&scene.display.screenshot()));
    scene.display.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    eventually("the restored green page", || titles(&scene.browser).contains(&"green page".to_owned()).then_some(()));
}

fn button(screen: &Screen) -> Option<(usize, usize)> {
    let blue = (88..140).flat_map(|y| (1000..1280).map(move |x| (x, y)));
    let all: Vec<_> = blue.filter(|(x, y)| screen.pixel(*x, *y) == [0x2f, 0x5f, 0xd0]).collect();
    all.get(all.len() / 2).copied()
}

#[test]
fn copied_text_passes_through_the_users_clipboard() {
    let scene = scene();
    eventually("the field to have the keyboard", || {
        // The window may still be resizing.
        let top = 860 - state(&scene.browser, 1)["h"].as_i64()?;
        scene.display.xdotool(&["mousemove", "100", &(top + 35).to_string(), "click", "1"]);
        (state(&scene.browser, 1)["focus"] == "field").then_some(())
    });
    scene.display.xdotool(&["type", "--delay", "20", "twice"]);
    eventually("the text", || (state(&scene.browser, 1)["value"] == "twice").then_some(()));
    scene.display.xdotool(&["key", "ctrl+a"]);
    scene.display.xdotool(&["key", "ctrl+c"]);
    scene.display.xdotool(&["key", "End"]);
    // The copy passes through the window asynchronously; an earlier paste pastes nothing.
    eventually("the text to be pasted", || {
        scene.display.xdotool(&["key", "ctrl+v"]);
        let value = state(&scene.browser, 1)["value"].as_str()?.to_owned();
        value.starts_with("twicetwice").then_some(())
    });
}

#[test]
fn keys_follow_a_layout_that_is_switched_while_a_page_is_open() {
    let scene = scene();
    eventually("the field to have the keyboard", || {
        let top = 860 - state(&scene.browser, 1)["h"].as_i64()?;
        scene.display.xdotool(&["mousemove", "100", &(top + 35).to_string(), "click", "1"]);
        (state(&scene.browser, 1)["focus"] == "field").then_some(())
    });
    // Keycodes: 29 is y or z, 24 is q (with AltGr, keycode 108, @ in German), 47 is ; or ö.
    let press = |expected: &str| {
        for key in ["29", "47"] {
            scene.display.xdotool(&["key", key]);
        }
        scene.display.xdotool(&["keydown", "50", "key", "29", "keyup", "50"]);
        eventually(expected, || state(&scene.browser, 1)["value"].as_str()?.ends_with(expected).then_some(()));
    };
    press("y;Y");
    scene.display.set_keyboard("de");
    press("zöZ");
    scene.display.xdotool(&["keydown", "108", "key", "24", "keyup", "108"]);
    eventually("an @", || state(&scene.browser, 1)["value"].as_str()?.ends_with('@').then_some(()));
    // A dead key composes in the window's input method: ´ and e give é.
    scene.display.xdotool(&["key", "21", "key", "26"]);
    eventually("an é", || state(&scene.browser, 1)["value"].as_str()?.ends_with('é').then_some(()));
    scene.display.set_keyboard("us");
    press("y;Y");
}

#[test]
fn a_page_that_minds_being_closed_is_asked_first() {
    let minding = "<title>minding</title><body style='margin:0;background:#10a040;height:100vh'>\
                   <script>onclick = () => document.title = 'touched';\n                   onbeforeunload = (event) => { event.preventDefault(); return 'no'; }</script>";
    let site = Site::serve(move |_| Some(regen_tests::site::Answer::page(minding)));
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95).then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    // A page may only ask after it has been clicked.
    display.xdotool(&["mousemove", "600", "500", "click", "1"]);
    eventually("the click to arrive", || {
        display.xdotool(&["click", "1"]);
        (titles(&browser) == ["touched"]).then_some(())
    });
    display.xdotool(&["key", "ctrl+w"]);
    eventually("the question", || (display.screenshot().share(GREEN, 300, 250, 680, 400) < 0.9).then_some(()));
    assert_eq!(titles(&browser).len(), 1, "the tab was closed without asking");
    // Stay has focus; Tab moves to Leave.
    display.xdotool(&["sleep", "0.4", "key", "Tab", "sleep", "0.2", "key", "Return"]);
    eventually("the tab to be closed", || titles(&browser).is_empty().then_some(()));
}

/// Pages cannot use a VPN that the user has not allowed. The window asks, and asks again after a restart.
#[test]
fn the_window_asks_about_a_vpn_that_was_never_up() {
    const PROFILE: &str = "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.91.0.2/32\n\
        [Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs = 0.0.0.0/0\nEndpoint = 127.0.0.9:9\n";
    let scene = scene();
    let Scene { browser, display, .. } = &scene;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("home.conf");
    std::fs::write(&file, PROFILE).unwrap();
    browser.regen(&["vpn", "import", file.to_str().unwrap()]).unwrap();
    // The command fails while the tunnel is not up, so only its output is used.
    let list = || browser.command(&["--json", "vpn", "list"]).stdout;
    let now = || serde_json::from_slice::<serde_json::Value>(&list()).unwrap()[0].clone();
    let is = |allowed: bool, asked: bool| now()["allowed"] == allowed && now()["asked"] == asked;
    // The question's bar moves the page down.
    let bar = || display.screenshot().share(GREEN, 100, 95, 900, 25) < 0.05;
    let ask = || {
        let refused = browser.regen(&["vpn", "up", "home"]).unwrap_err();
        assert!(refused.message.contains("the window asks"), "{refused:?}");
        eventually("the question", || (is(false, true) && bar()).then_some(()));
    };
    ask();
    let window = browser.daemon("ui-shell");
    regen_tests::process::signal(window, rustix::process::Signal::KILL);
    eventually("another window", || browser.pids_of("ui-shell").iter().any(|pid| *pid != window).then_some(()));
    let page = || display.screenshot().share(GREEN, 100, 200, 1000, 500) > 0.95;
    eventually("the same question", || (is(false, true) && page() && bar()).then_some(()));
    // A command on the command line also answers the question.
    let _ = browser.regen(&["vpn", "down", "home"]);
    eventually("the question to close", || (is(false, false) && !bar()).then_some(()));
    ask();
    display.xdotool(&["mousemove", "1234", "110", "click", "1"]);
    eventually("the VPN to be allowed", || is(true, false).then_some(()));
}
