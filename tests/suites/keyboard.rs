//! Keyboard focus and shortcuts of the page, the bars and the browser, with simulated input on a real X server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use regen_tests::window::{Display, TABS_LEFT};
use regen_tests::{Browser, Site, eventually, within};

const DEADLINE: Duration = Duration::from_secs(8);
const GREEN: [u8; 3] = [0x10, 0xa0, 0x40];
/// A green page that logs every key it gets.
const PAGE: &str = r#"<!doctype html><title>green page</title><body style="margin:0;background:#10a040;height:3000px">
<input id="field" style="position:fixed;left:20px;top:20px;width:300px;height:30px"><pre id="out" style="position:fixed;top:60px;width:700px;white-space:pre-wrap;overflow-wrap:anywhere"></pre>
<script>const log = [];
  const show = () => out.textContent = JSON.stringify({ log, value: field.value, h: innerHeight, w: innerWidth, keys: document.hasFocus(), focus: document.activeElement.id, y: scrollY });
  const held = (event) => (event.ctrlKey ? "C-" : "") + (event.altKey ? "A-" : "") + (event.shiftKey ? "S-" : "");
  onkeydown = (event) => { log.push(held(event) + event.key); TAKES; show(); };
  onclick = (event) => { log.push(held(event) + "click"); show(); };
  onwheel = (event) => { log.push(held(event) + "wheel"); show(); };
  field.oninput = show; onresize = show; onscroll = show; setInterval(show, 100);</script>"#;

struct Scene {
    site: Site,
    display: Display,
    browser: Browser,
}

impl Scene {
    fn new() -> Self {
        let greedy = PAGE.replace("TAKES", "event.preventDefault()").replace("green page", "greedy page");
        let site = Site::pages(&[("/", &PAGE.replace("TAKES", "0")), ("/greedy", &greedy)]);
        let display = Display::start(1280, 860);
        let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
        let scene = Self { site, display, browser };
        scene.display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
        scene.click_field(1);
        scene
    }

    fn state(&self, tab: u64) -> serde_json::Value {
        eventually("the page's state", || {
            let text = self.browser.regen(&["tab", "text", &tab.to_string()]).ok()?;
            serde_json::from_str(text.get(text.find('{')?..)?.trim()).ok()
        })
    }

    fn top(&self, tab: u64) -> Option<i64> {
        // The window may still be resizing.
        self.state(tab)["h"].as_i64().map(|height| 860 - height).filter(|top| *top > 60)
    }

    fn click_field(&self, tab: u64) {
        eventually("the field to have the keyboard", || {
            let top = self.top(tab)?;
            self.display.xdotool(&["mousemove", "100", &(top + 35).to_string(), "click", "1"]);
            (self.state(tab)["focus"] == "field").then_some(())
        });
    }

    fn value(&self, tab: u64) -> String {
        self.state(tab)["value"].as_str().unwrap().to_owned()
    }

    fn log(&self, tab: u64) -> Vec<String> {
        self.state(tab)["log"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    fn keys(&self, arguments: &[&str]) {
        self.display.xdotool(arguments);
    }

    /// Waits until the address bar has focus: the engine may deliver a key before an earlier click.
    fn address_bar_has_the_keyboard(&self) {
        const RING: [u8; 3] = [0x2f, 0x5f, 0xd0];
        eventually("the address bar to have the keyboard", || {
            (self.display.screenshot().share(RING, 145, 44, 1100, 44) > 0.02).then_some(())
        });
    }

    fn titles(&self) -> Vec<String> {
        let status = self.browser.status();
        status["tabs"].as_array().unwrap().iter().map(|tab| tab["title"].as_str().unwrap().to_owned()).collect()
    }

    fn zoom(&self) -> f64 {
        1280.0 / self.state(1)["w"].as_f64().unwrap()
    }

    /// Types into the page's field, and waits until the text arrives. Focus may still be moving from the bars to the
    /// page.
    fn type_in_page(&self, text: &str) {
        // About the time that a hand takes from the mouse to the keyboard.
        self.keys(&["sleep", "0.4"]);
        eventually("the page to have the keyboard", || (self.state(1)["keys"] == true).then_some(()));
        self.keys(&["type", "--delay", "20", text]);
        let arrived = within(DEADLINE, || self.value(1).ends_with(text).then_some(()));
        assert!(arrived.is_some(), "{text} did not arrive: {}", self.state(1));
    }
}

#[test]
fn keys_go_where_the_last_click_was() {
    let scene = Scene::new();
    scene.type_in_page("page");
    // Focuses the address bar by mouse.
    scene.keys(&["mousemove", "600", "64", "click", "1"]);
    scene.address_bar_has_the_keyboard();
    scene.keys(&["type", "--delay", "20", "secret"]);
    scene.keys(&["key", "Escape"]);
    scene.type_in_page("again");
    // A menu takes focus, returns it when it closes, and closes at a click outside.
    scene.keys(&["mousemove", "1256", "64", "click", "1"]);
    let menu = |open: bool| {
        eventually("the menu", || {
            let green = scene.display.screenshot().share(GREEN, 1020, 120, 230, 200);
            (if open { green < 0.3 } else { green > 0.99 }).then_some(())
        });
    };
    menu(true);
    scene.keys(&["key", "Down", "key", "x", "key", "Escape"]);
    menu(false);
    scene.type_in_page("third");
    scene.keys(&["mousemove", "1256", "64", "click", "1"]);
    menu(true);
    let top = scene.top(1).unwrap();
    scene.keys(&["mousemove", "310", &(top + 35).to_string(), "click", "1", "mousemove", "640", "700"]);
    menu(false);
    scene.type_in_page("fourth");
    // A click on a tab focuses its page.
    scene.keys(&["mousemove", &(TABS_LEFT + 90).to_string(), "24", "click", "1"]);
    scene.type_in_page("fifth");
    assert_eq!(scene.value(1), "pageagainthirdfourthfifth");
    let keys = scene.log(1).join(" ");
    assert!(!keys.contains('x') && !keys.contains("Escape") && !keys.contains("Arrow"), "{keys}");
}

#[test]
fn what_is_typed_into_a_new_tab_is_there_after_a_look_at_another() {
    let scene = Scene::new();
    let address = scene.site.url(1, "/greedy");
    scene.keys(&["mousemove", &(TABS_LEFT + 240).to_string(), "24", "click", "1"]);
    scene.address_bar_has_the_keyboard();
    scene.keys(&["type", "--delay", "40", &address]);
    scene.keys(&["sleep", "0.4"]);
    eventually("a second tab", || (scene.titles().len() == 2).then_some(()));
    scene.keys(&["key", "ctrl+Tab"]);
    scene.type_in_page("first");
    scene.keys(&["key", "ctrl+Tab"]);
    scene.address_bar_has_the_keyboard();
    scene.keys(&["key", "Return"]);
    eventually("the page", || scene.titles().contains(&"greedy page".to_owned()).then_some(()));
    assert_eq!(scene.value(1), "first");
}

#[test]
fn no_modifier_key_stays_down_in_a_page() {
    let scene = Scene::new();
    scene.type_in_page("ab");
    // The page gets the press of Control, the find bar the release.
    scene.keys(&["keydown", "ctrl", "key", "f"]);
    eventually("the find bar", || {
        let top = usize::try_from(scene.top(1)?).ok()?;
        (scene.display.screenshot().share(GREEN, 960, top + 10, 290, 20) < 0.5).then_some(())
    });
    scene.keys(&["keyup", "ctrl", "key", "Escape"]);
    scene.type_in_page("cd");
    // Switches to another tab and back with Control held.
    scene.keys(&["key", "ctrl+t"]);
    eventually("a second tab", || (scene.titles().len() == 2).then_some(()));
    scene.keys(&["keydown", "ctrl", "key", "Tab", "keyup", "ctrl"]);
    scene.type_in_page("ef");
    // The window loses focus while Alt is held, and regains it after the release.
    scene.keys(&["keydown", "alt"]);
    scene.keys(&["search", "--onlyvisible", "--name", "Regen", "windowunmap", "--sync"]);
    scene.keys(&["keyup", "alt"]);
    scene.keys(&["search", "--name", "Regen$", "windowmap", "--sync", "windowfocus"]);
    scene.click_field(1);
    scene.type_in_page("gh");
    assert_eq!(scene.value(1), "abcdefgh");
    scene.keys(&["click", "1"]);
    let log = eventually("the click", || Some(scene.log(1)).filter(|log| log.last().unwrap().ends_with("click")));
    assert_eq!(log.last().unwrap(), "click", "the click had a modifier: {log:?}");
    // A modifier that is pressed in the bars counts in the page.
    scene.keys(&["key", "ctrl+l", "keydown", "ctrl", "click", "1", "keyup", "ctrl"]);
    eventually("a click with Control", || (scene.log(1).last()? == "C-click").then_some(()));
}

#[test]
fn a_page_may_use_every_key_but_those_that_close_open_and_switch_tabs() {
    let scene = Scene::new();
    scene.browser.regen(&["tab", "goto", "1", &scene.site.url(1, "/greedy"), "--wait"]).unwrap();
    eventually("the page's size", || scene.top(1));
    let top = scene.top(1).unwrap();
    scene.keys(&["mousemove", "600", &(top + 400).to_string(), "click", "1"]);
    let bare = scene.display.screenshot();
    let shortcuts =
        ["ctrl+f", "ctrl+g", "ctrl+j", "ctrl+r", "ctrl+l", "F3", "F5", "ctrl+plus", "ctrl+0", "alt+Left", "alt+d"];
    for key in shortcuts {
        scene.keys(&["key", key]);
        scene.keys(&["key", "k"]);
    }
    // The page used each shortcut, so the keys that follow go to the page.
    let log =
        eventually("all keys", || Some(scene.log(1)).filter(|log| log.iter().filter(|key| *key == "k").count() == 11));
    for used in ["C-f", "C-g", "C-j", "C-r", "C-l", "F3", "F5", "C-0", "A-ArrowLeft", "A-d"] {
        assert!(log.contains(&used.to_owned()), "the page did not get {used}: {log:?}");
    }
    assert_eq!(scene.titles(), ["greedy page"]);
    assert!((scene.zoom() - 1.0).abs() < 0.01, "the page was zoomed");
    let now = scene.display.screenshot();
    assert!(
        (bare.share(GREEN, 800, 100, 400, 600) - now.share(GREEN, 800, 100, 400, 600)).abs() < 0.01,
        "a bar opened"
    );
    // The browser keeps these shortcuts to itself.
    scene.keys(&["key", "ctrl+t"]);
    eventually("a second tab", || (scene.titles().len() == 2).then_some(()));
    scene.keys(&["key", "ctrl+w"]);
    eventually("the second tab to be closed", || (scene.titles().len() == 1).then_some(()));
    scene.keys(&["key", "ctrl+w"]);
    eventually("the page to be closed", || scene.titles().is_empty().then_some(()));
}

#[test]
fn what_a_page_does_not_use_is_the_browsers() {
    let scene = Scene::new();
    let top = scene.top(1).unwrap();
    scene.keys(&["mousemove", "600", &(top + 400).to_string()]);
    scene.keys(&["keydown", "ctrl", "click", "5", "keyup", "ctrl"]);
    eventually("the page to be smaller", || (scene.zoom() < 0.95).then_some(()));
    assert_eq!(scene.state(1)["y"], 0, "the page was scrolled as well");
    assert!(scene.log(1).contains(&"C-wheel".to_owned()), "the page did not get the wheel event");
    scene.keys(&["key", "ctrl+0"]);
    eventually("the actual size", || (scene.zoom() > 0.95).then_some(()));
    // Types the address immediately after Ctrl+L.
    scene.keys(&["key", "ctrl+l", "type", "--delay", "1", &scene.site.url(1, "/greedy")]);
    scene.keys(&["key", "Return"]);
    eventually("the page", || (scene.titles() == ["greedy page"]).then_some(()));
}

#[test]
fn shortcuts_work_on_a_layout_without_latin_letters() {
    let scene = Scene::new();
    scene.display.set_keyboard("ru");
    // Keycodes: 28 is T, 25 is W, 38 is A, 54 is C, 55 is V.
    scene.keys(&["key", "28", "key", "25"]);
    eventually("Cyrillic letters", || (scene.value(1) == "ец").then_some(()));
    scene.keys(&["keydown", "ctrl", "key", "38", "key", "54", "keyup", "ctrl", "key", "End"]);
    eventually("the text to be pasted", || {
        scene.keys(&["keydown", "ctrl", "key", "55", "keyup", "ctrl"]);
        scene.value(1).starts_with("ецец").then_some(())
    });
    scene.keys(&["keydown", "ctrl", "key", "28", "keyup", "ctrl"]);
    eventually("a second tab", || (scene.titles().len() == 2).then_some(()));
    scene.keys(&["keydown", "ctrl", "key", "25", "keyup", "ctrl"]);
    eventually("the second tab to be closed", || (scene.titles().len() == 1).then_some(()));
}
