//! State that a page keeps: forms that must be sent only once, `sessionStorage`, the engine's cache, typed text; and
//! media.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regen_tests::site::{Answer, Request};
use regen_tests::{Browser, Site, eventually};

fn shop(request: &Request) -> Option<Answer> {
    let big = "style='position:fixed;left:0;top:0;width:300px;height:100px;display:block'";
    Some(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/basket") => Answer::page(&format!(
            "<title>basket</title><form method=post action=/order><input name=item value=lamp><button {big}>order</button></form>"
        )),
        ("POST", "/order") => Answer::page("<title>ordered</title><p>thank you"),
        ("GET", "/help") => Answer::page("<title>help</title><p>how to order"),
        _ => return None,
    })
}

struct Order {
    site: Site,
    browser: Browser,
    tab: u64,
}

impl Order {
    fn new() -> Self {
        let site = Site::serve(shop);
        let browser = Browser::headless();
        let tab = browser.open(&site.url(1, "/basket"));
        browser.wait_for_url(tab, &site.url(1, "/basket"));
        browser.input(tab, &["--click", "100,50"]);
        browser.wait_for_text(tab, "thank you");
        let order = Self { site, browser, tab };
        assert_eq!(order.sent(), 1);
        order
    }

    fn sent(&self) -> usize {
        self.site.requests("/order").iter().filter(|request| request.method == "POST").count()
    }

    /// Asserts that the page asks before sending the form again, and that it was sent only this many times.
    fn is_asked(&self, sent: usize) {
        let tab =
            eventually("the question", || Some(self.browser.tab(self.tab)).filter(|tab| tab["state"] == "failed"));
        assert!(tab["reason"].as_str().unwrap().contains("form must be sent again"), "{tab}");
        assert_eq!(self.sent(), sent, "the form was sent again without asking");
    }

    fn press_send_again(&self, sent: usize) {
        // Tab focuses the page's only link.
        self.browser.input(self.tab, &["--key", "Tab"]);
        self.browser.input(self.tab, &["--key", "Enter"]);
        self.browser.wait_for_text(self.tab, "thank you");
        assert_eq!(self.sent(), sent, "the form was not sent exactly once more");
    }

    /// Saves the session, kills the tab's process, and waits for another one.
    fn kill(&self) {
        self.browser.regen(&["session", "save"]).unwrap();
        let pid = self.browser.pid_of_tab(self.tab);
        self.regen(&["kill", "tab"]);
        eventually("another process", || {
            Some(self.browser.tab(self.tab)["pid"].as_i64()?).filter(|new| *new != i64::from(pid))
        });
    }

    fn regen(&self, arguments: &[&str]) {
        self.browser.regen(&[arguments, &[&self.tab.to_string()]].concat()).unwrap();
    }
}

#[test]
fn a_form_is_not_sent_again_when_its_answer_is_reloaded() {
    let order = Order::new();
    order.regen(&["tab", "reload"]);
    order.is_asked(1);
    order.press_send_again(2);
}

#[test]
fn a_form_is_not_sent_again_when_its_answers_process_is_killed() {
    let order = Order::new();
    order.kill();
    order.is_asked(1);
    // The same holds when the process that shows the question is killed.
    order.kill();
    order.is_asked(1);
    order.press_send_again(2);
}

#[test]
fn a_form_is_not_sent_again_by_a_step_back_from_another_site() {
    let order = Order::new();
    order.browser.regen(&["tab", "goto", &order.tab.to_string(), &order.site.url(2, "/help"), "--wait"]).unwrap();
    order.regen(&["tab", "back"]);
    order.is_asked(1);
    order.regen(&["tab", "back"]);
    order.browser.wait_for_url(order.tab, &order.site.url(1, "/basket"));
    assert_eq!(order.sent(), 1);
}

#[test]
fn a_form_is_not_sent_again_by_a_step_back_within_its_site() {
    let order = Order::new();
    // Goes so far forward that the engine no longer caches the page.
    for step in 0..8 {
        let help = order.site.url(1, &format!("/help?{step}"));
        order.browser.regen(&["tab", "goto", &order.tab.to_string(), &help, "--wait"]).unwrap();
    }
    for step in (0..7).rev() {
        order.regen(&["tab", "back"]);
        order.browser.wait_for_url(order.tab, &order.site.url(1, &format!("/help?{step}")));
    }
    order.regen(&["tab", "back"]);
    order.is_asked(1);
}

#[test]
fn a_form_is_not_sent_again_when_the_browser_starts_again() {
    let order = Order::new();
    order.browser.regen(&["session", "save"]).unwrap();
    order.browser.quit();
    order.browser.start();
    order.browser.regen(&["session", "restore"]).unwrap();
    let tab = eventually("the tab", || {
        let status = order.browser.status();
        let tabs = status["tabs"].as_array()?.clone();
        tabs.into_iter().find(|tab| tab["url"].as_str().is_some_and(|url| url.ends_with("/order")))
    });
    let tab = tab["id"].as_u64().unwrap();
    order.browser.regen(&["tab", "activate", &tab.to_string()]).unwrap();
    eventually("the question", || (order.browser.tab(tab)["state"] == "failed").then_some(()));
    assert_eq!(order.sent(), 1);
}

/// A site that counts visits in `sessionStorage`, and goes to another site and back as a sign-in does.
fn sign_in(request: &Request) -> Option<Answer> {
    let other = |address: &str| {
        let port = request.header("host").split(':').nth(1).unwrap_or_default().to_owned();
        format!("http://{address}:{port}")
    };
    Some(match request.path.split('?').next().unwrap_or_default() {
        "/" => Answer::page(
            "<title>app</title><pre id=out></pre><script>sessionStorage.n = 1 + (+sessionStorage.n || 0);
             out.textContent = `n=${sessionStorage.n} verifier=${sessionStorage.verifier}`</script>",
        ),
        // The page leaves immediately after it has stored the verifier.
        "/login" => Answer::page(&format!(
            "<title>login</title><script>sessionStorage.verifier = 'v3r1f13r'; location.href = '{}/provider'</script>",
            other("127.0.0.2")
        )),
        "/provider" => Answer::page(&format!(
            "<title>provider</title><script>const seen = sessionStorage.length;
             setTimeout(() => location.href = '{}/?code=1&seen=' + seen, 200)</script>",
            other("127.0.0.1")
        )),
        _ => return None,
    })
}

#[test]
fn session_storage_lives_as_long_as_the_tab() {
    let site = Site::serve(sign_in);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "n=1 verifier=undefined");
    eventually("the storage to be restored after a kill", || {
        browser.regen(&["session", "save"]).ok()?;
        browser.regen(&["kill", "tab", &tab.to_string()]).ok()?;
        browser.wait_for_state(tab, "ready");
        let text = browser.regen(&["tab", "text", &tab.to_string()]).ok()?;
        let visits: u32 = text.split(['=', ' ']).nth(1)?.parse().ok()?;
        (visits >= 2).then_some(())
    });
    // Goes to another site and back, as a sign-in does. The other site does not see the storage.
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/login")]).unwrap();
    browser.wait_for_text(tab, "verifier=v3r1f13r");
    assert_eq!(browser.tab(tab)["url"], site.url(1, "/?code=1&seen=0"));
    // Another tab has its own storage.
    let second = browser.open(&site.url(1, "/"));
    browser.wait_for_text(second, "n=1 verifier=undefined");
}

#[test]
fn what_a_page_takes_out_of_its_session_storage_stays_out() {
    let page = "<title>app</title><pre id=out></pre><script>if (location.search) { sessionStorage.clear(); } \
                else if (!sessionStorage.length) sessionStorage.secret = 'kept'; out.textContent = 'has ' + sessionStorage.length</script>";
    let site = Site::serve(move |_| Some(Answer::page(page)));
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "has 1");
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(1, "/?clear"), "--wait"]).unwrap();
    browser.wait_for_text(tab, "has 0");
    browser.regen(&["session", "save"]).unwrap();
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_state(tab, "ready");
    browser.wait_for_text(tab, "has 0");
}

/// A page with subresources of 300 KB that may be cached for an hour.
fn cacheable(request: &Request) -> Option<Answer> {
    let keep = |answer: Answer| Some(answer.with("Cache-Control", "max-age=3600"));
    match request.path.as_str() {
        "/" => Some(Answer::page(
            "<title>cached</title><link rel=stylesheet href=/large.css><script src=/large.js></script>\
             <body><script>document.write(`script ${typeof large} `, getComputedStyle(document.body).color)</script>",
        )),
        "/large.js" => keep(Answer::typed("text/javascript", format!("large = 1; /*{}*/", "x".repeat(300_000)).into())),
        "/large.css" => {
            keep(Answer::typed("text/css", format!("body {{ color: red }} /*{}*/", "x".repeat(300_000)).into()))
        }
        _ => None,
    }
}

#[test]
fn large_parts_of_a_page_come_from_the_cache_after_a_kill_and_a_restart() {
    let site = Site::serve(cacheable);
    let browser = Browser::headless();
    let whole = "script number rgb(255, 0, 0)";
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, whole);
    let asked = || site.requests("/large.js").len() + site.requests("/large.css").len();
    assert_eq!(asked(), 2);
    // The engine writes cache files with a delay.
    eventually("both files to be in the disk cache", || (large_files(&browser.profile()) >= 2).then_some(()));
    let second = browser.open(&site.url(1, "/"));
    browser.wait_for_text(second, whole);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_state(tab, "ready");
    browser.wait_for_text(tab, whole);
    browser.quit();
    browser.start();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, whole);
    assert_eq!(asked(), 2);
}

fn large_files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => large_files(&entry.path()),
        Ok(metadata) => usize::from(metadata.len() > 300_000 && entry.path().to_string_lossy().contains("Blobs")),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(count).sum()
}

/// Returns a WAV file with 5 s of noise, 16 bits, 8 kHz.
fn wave() -> Vec<u8> {
    let samples: Vec<u8> = (0..80_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let length = u32::try_from(samples.len()).unwrap();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(8000_u32.to_le_bytes());
    file.extend(16_000_u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples);
    file
}

#[test]
fn what_comes_from_the_network_plays() {
    let page = "<title>plays</title><button style='position:fixed;left:0;top:0;width:300px;height:100px' onclick='sound.play()'>play</button>\
                <audio id=sound src=/noise.wav></audio><pre id=out style='margin-top:120px'></pre><script>setInterval(() => \
                out.textContent = sound.error ? `error ${sound.error.code} ${sound.error.message}` : sound.currentTime > 1 ? 'plays' : 'waits', 100)</script>";
    let site = Site::serve(move |request| {
        Some(if request.path == "/noise.wav" { Answer::typed("audio/wav", wave()) } else { Answer::page(page) })
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "waits");
    browser.input(tab, &["--click", "100,50"]);
    browser.wait_for_text(tab, "plays");
}

/// A page with fields in nested shadow trees, in a frame that is added later, and with a long text.
fn fields(request: &Request) -> Option<Answer> {
    Some(match request.path.as_str() {
        "/fields" => Answer::page(
            "<title>fields</title><div id=host></div><textarea id=long hidden></textarea>\
             <button style='position:fixed;left:0;top:200px;width:200px;height:40px'>long</button><pre id=out style='margin-top:300px'></pre>
             <script>
               const outer = host.attachShadow({ mode: 'open' });
               outer.innerHTML = `<p></p><section></section>`;
               const inner = outer.querySelector('section').attachShadow({ mode: 'open' });
               inner.innerHTML = `<p></p><input style='position:fixed;left:0;top:0;width:200px;height:40px'>`;
               document.querySelector('button').onclick = () => {
                 long.value = 'x'.repeat(700000);
                 long.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
               };
               setTimeout(() => {
                 const frame = document.createElement('iframe');
                 frame.src = '/frame';
                 frame.style = 'position:fixed;left:0;top:60px;width:300px;height:100px';
                 document.body.append(frame);
               }, 1500);
               setInterval(() => {
                 const late = frames[0]?.document.querySelector('input')?.value;
                 out.textContent = `tree: ${inner.querySelector('input').value}, frame: ${late}, long: ${long.value.length}.`;
               }, 100);
             </script>",
        ),
        "/frame" => Answer::page("<input style='position:fixed;left:0;top:0;width:200px;height:40px'>"),
        _ => return None,
    })
}

const TYPED: &str = "tree: first, frame: second, long: 700000.";

fn type_into_fields(browser: &Browser, tab: u64) {
    browser.wait_for_text(tab, "frame: ,");
    for (at, text) in [("50,20", "first"), ("50,80", "second")] {
        browser.input(tab, &["--click", at]);
        browser.input(tab, &["--type", text]);
        browser.wait_for_text(tab, text);
    }
    browser.input(tab, &["--click", "50,220"]);
    browser.wait_for_text(tab, TYPED);
    browser.regen(&["session", "save"]).unwrap();
}

#[test]
fn what_was_typed_is_back_in_every_kind_of_field() {
    let site = Site::serve(fields);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/fields"));
    type_into_fields(&browser, tab);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, TYPED);
    // A reload empties the form, because the user asked for it.
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "tree: , frame: , long: 0.");
}

#[test]
fn what_was_typed_is_back_when_the_page_can_be_had_again() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let site = Site::serve(move |request| {
        // The connection ends without an answer.
        assert!(!down.load(Ordering::Relaxed), "the server is down");
        fields(request)
    });
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/fields"));
    type_into_fields(&browser, tab);
    is_down.store(true, Ordering::Relaxed);
    browser.regen(&["kill", "tab", &tab.to_string()]).unwrap();
    browser.wait_for_state(tab, "failed");
    is_down.store(false, Ordering::Relaxed);
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, TYPED);
}
