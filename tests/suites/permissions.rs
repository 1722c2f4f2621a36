//! Rights that pages ask for: the bar in the window, a real notification service, and a page that asks for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::{Command, Stdio};

use regen_tests::window::Display;
use regen_tests::{Browser, SessionBus, Site, eventually};

/// Page whose first button asks for notifications and shows one, whose second asks for everything, and that says what it has.
const PAGE: &str = "<title>asks</title>
    <button id=one style='position:fixed;left:0;top:0;width:400px;height:200px'>notify</button>
    <button id=all style='position:fixed;left:0;top:220px;width:400px;height:200px'>everything</button>
    <pre id=said style='position:fixed;left:420px'></pre><script>
    const say = (words) => said.textContent += words + '\\n';
    one.onclick = async () => {
      say('asked ' + await Notification.requestPermission());
      if (Notification.permission !== 'granted') return;
      const shown = new Notification('News', { body: 'Something <b>new</b>' });
      shown.onclick = () => say('clicked');
    };
    const other = (what, asked) => asked.then(() => say(what + ' granted'), () => say(what + ' denied'));
    all.onclick = () => {
      navigator.geolocation.getCurrentPosition(() => say('location granted'), () => say('location denied'));
      other('clipboard', navigator.clipboard.readText());
      document.onpointerlockerror = () => say('pointer denied');
      document.body.requestPointerLock()?.catch(() => {});
      for (let n = 0; n < 500; n++) Notification.requestPermission();
    };
    say('permission ' + Notification.permission);
    </script>";

struct Scene {
    site: Site,
    display: Display,
    browser: Browser,
    bus: SessionBus,
}

impl Scene {
    fn new() -> Self {
        let site = Site::pages(&[("/", PAGE), ("/other", "<title>other</title><p>other page")]);
        let display = Display::start(1280, 860);
        let browser = Browser::not_started_in_window(&display.name(), &[&site.url(1, "/")]);
        let bus = SessionBus::start(&browser.user_home(), &[("DISPLAY", display.name())]);
        let browser = browser.with_variable("DBUS_SESSION_BUS_ADDRESS", bus.address());
        browser.start();
        browser.wait_for_text(1, "permission default");
        display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
        Self { site, display, browser, bus }
    }

    fn click(&self, x: usize, y: usize) {
        self.display.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    fn click_notify(&self) {
        self.click(200, 180);
    }

    /// Lets the page ask, and clicks a place in the bar until it has answered: its buttons count after a while.
    fn answer(&self, x: usize, answer: &str) {
        eventually("the answer", || {
            self.click_notify();
            self.click(x, 64);
            self.browser.text(1).contains(answer).then_some(())
        });
    }

    /// Runs `dunstctl`, the remote control of the notification service.
    #[expect(clippy::disallowed_methods, reason = "a test does what a person does on the desktop")]
    fn dunst(&self, arguments: &[&str]) -> String {
        let output = Command::new("dunstctl")
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
            .stderr(Stdio::null())
            .output()
            .expect("dunst is installed by ./x setup");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

const ALLOW: usize = 1124;
const NEVER: usize = 1200;

#[test]
fn a_page_notifies_its_user_once_it_may_and_hears_of_the_click() {
    let scene = Scene::new();
    scene.answer(ALLOW, "asked granted");
    scene.browser.regen(&["permissions", "set", &scene.site.url(1, "/"), "notifications", "allow"]).unwrap();
    scene.browser.regen(&["tab", "open", &scene.site.url(2, "/other"), "--wait"]).unwrap();
    scene.browser.regen(&["tab", "activate", "1"]).unwrap();
    eventually("the notification", || {
        scene.click_notify();
        (scene.dunst(&["count", "displayed"]) == "1").then_some(())
    });
    scene.browser.regen(&["tab", "activate", "2"]).unwrap();
    assert!(!scene.browser.text(1).contains("clicked"));
    scene.dunst(&["action"]);
    scene.browser.wait_for_text(1, "clicked");
    // The tab whose notification was clicked is in front.
    eventually("the tab", || (scene.browser.tab(1)["active"] == true).then_some(()));
}

#[test]
fn never_is_never_and_what_regen_lacks_is_refused_at_once() {
    let scene = Scene::new();
    eventually("the page's requests", || {
        scene.click(200, 400);
        scene.browser.text(1).contains("location denied").then_some(())
    });
    for refused in ["location denied", "clipboard denied", "pointer denied"] {
        scene.browser.wait_for_text(1, refused);
    }
    // Five hundred requests were one question.
    eventually("the answer", || {
        scene.click(NEVER, 64);
        (!scene.browser.json(&["permissions", "list"]).as_array().unwrap().is_empty()).then_some(())
    });
    let kept = scene.browser.json(&["permissions", "list"]);
    let facts = ["permission", "choice"].map(|fact| kept[0][fact].as_str().unwrap().to_owned());
    assert_eq!(facts, ["notifications", "deny"]);
    scene.click_notify();
    scene.browser.wait_for_text(1, "asked denied");
    // A choice outlives the browser, and can be taken back.
    scene.browser.quit();
    scene.browser.start();
    assert_eq!(scene.browser.json(&["permissions", "list"]), kept);
    scene.browser.regen(&["permissions", "revoke", &scene.site.url(1, "/")]).unwrap();
    assert_eq!(scene.browser.json(&["permissions", "list"]), serde_json::json!([]));
}

#[test]
fn without_a_window_a_page_has_what_was_set_and_nothing_else() {
    let site = Site::pages(&[("/", PAGE)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "200,100"]);
    browser.wait_for_text(tab, "asked denied");
    browser.regen(&["permissions", "set", &site.url(1, "/"), "notifications", "allow", "--for", "1h"]).unwrap();
    assert!(browser.json(&["permissions", "list"])[0]["until"].is_string());
    let again = browser.open(&site.url(1, "/"));
    browser.input(again, &["--click", "200,100"]);
    browser.wait_for_text(again, "asked granted");
    for (arguments, code) in [
        (["permissions", "set", "https://a.test/", "camera", "allow"], 2),
        (["permissions", "set", "about:blank", "autoplay", "allow"], 2),
        (["permissions", "set", "https://a.test/", "mind-reading", "allow"], 2),
    ] {
        assert_eq!(browser.regen(&arguments).unwrap_err().code, code, "{arguments:?}");
    }
}
