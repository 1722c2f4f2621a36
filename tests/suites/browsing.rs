//! Opening and driving real pages from the command line, as a user or CI script would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::{Browser, Site, eventually};

/// A page that shows the input it gets as text, because a script can read that.
const MIRROR: &str = r#"<!doctype html><title>mirror</title><body style="margin:0;height:4000px">
<input id="field" style="position:absolute;left:10px;top:10px;width:300px;height:30px">
<button id="button" style="position:absolute;left:10px;top:60px;width:100px;height:30px">press</button>
<pre id="log" style="position:fixed;left:10px;top:200px"></pre>
<script>
  const state = { keys: [] };
  const show = () => log.textContent = JSON.stringify({ ...state, value: field.value, y: scrollY, w: innerWidth, h: innerHeight, dpr: devicePixelRatio });
  button.onclick = (event) => { state.clicked = event.isTrusted; show(); };
  field.oninput = show; onscroll = show; onresize = show;
  onkeydown = (event) => { state.keys.push(event.key); show(); };
  show();
</script>"#;

#[test]
fn a_page_opens_headless_and_status_tells_about_it() {
    let site = Site::pages(&[("/", "<title>Hello</title><p>a page of words</p>")]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    assert!(browser.text(tab).contains("a page of words"));
    let status = browser.status();
    assert!(status["broker"]["pid"].as_i64().unwrap() > 0);
    assert!(status["broker"]["uptime_s"].as_f64().unwrap() > 0.0);
    assert!(!status["broker"]["version"].as_str().unwrap().is_empty());
    let shown = &status["tabs"][0];
    assert_eq!(shown["title"], "Hello");
    assert_eq!(shown["site"], "http://127.0.0.1");
    assert_eq!(shown["url"], site.url(1, "/").as_str());
    let processes = status["processes"].as_array().unwrap();
    let host = processes.iter().find(|process| process["role"] == "tab-host").unwrap();
    assert_eq!(host["pid"], shown["pid"]);
    // The prelaunched process may still be starting.
    for process in processes.iter().filter(|process| process["role"] != "tab-host" || process["site"] != "") {
        assert!(process["rss_kb"].as_u64().unwrap() > 0, "{process}");
        assert_eq!(process["restarts"], 0);
        assert_eq!(process["state"], "ready");
    }
    let measured = browser.json(&["status", "--memory"]);
    assert!(measured["processes"][0]["pss_kb"].as_u64().unwrap() > 0);
}

#[test]
fn clicks_typing_keys_and_scrolling_reach_the_page() {
    let site = Site::pages(&[("/", MIRROR)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "60,75"]);
    browser.wait_for_text(tab, r#""clicked":true"#);
    browser.input(tab, &["--click", "50,25"]);
    browser.input(tab, &["--type", "Grüße, World 1!"]);
    browser.wait_for_text(tab, r#""value":"Grüße, World 1!""#);
    browser.input(tab, &["--key", "ctrl+a"]);
    browser.input(tab, &["--key", "Delete"]);
    browser.wait_for_text(tab, r#""value":"""#);
    browser.input(tab, &["--scroll", "0,400"]);
    browser.wait_for_text(tab, r#""y":400"#);
    browser.input(tab, &["--scroll", "0,-150"]);
    browser.wait_for_text(tab, r#""y":250"#);
}

#[test]
fn a_screenshot_shows_the_page_in_its_size() {
    let page = "<body style='margin:0;background:#0a0'><div style='width:100px;height:100px;background:#00f'></div>";
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::with_options(&["--headless", "--size", "640x480"]);
    let tab = browser.open(&site.url(1, "/"));
    let green = |pixels: &[u8], at: usize| pixels[at * 3..at * 3 + 3] == [0, 0xaa, 0];
    let picture = eventually("the page to be drawn", || {
        let (width, height, pixels) = browser.screenshot(tab);
        assert_eq!((width, height), (640, 480));
        green(&pixels, 200 * 640 + 300).then_some(pixels)
    });
    assert_eq!(picture[(50 * 640 + 50) * 3..][..3], [0, 0, 0xff]);
    let other = browser.open(&site.url(1, "/"));
    assert_ne!(other, tab);
    assert!(green(&browser.screenshot(tab).2, 200 * 640 + 300), "a background tab's screenshot lacks its page");
}

#[test]
fn scale_factor_two_doubles_the_pixels_and_not_the_page() {
    let site = Site::pages(&[("/", MIRROR)]);
    let browser = Browser::with_options(&["--headless", "--size", "500x400", "--scale", "2"]);
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, r#""w":500,"h":400,"dpr":2"#);
    let (width, height, _) = browser.screenshot(tab);
    assert_eq!((width, height), (1000, 800));
    browser.input(tab, &["--click", "60,75"]);
    browser.wait_for_text(tab, r#""clicked":true"#);
}

#[test]
fn a_select_menu_opens_and_takes_a_choice() {
    let page = r#"<body style="margin:0"><select id="s" style="position:absolute;left:20px;top:20px;width:200px;height:30px">
      <option>one<option>two<option>three</select><p id="out" style="margin-top:300px"></p>
      <script>s.onchange = () => out.textContent = "chose " + s.value</script>"#;
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let before = browser.screenshot(tab).2;
    browser.input(tab, &["--click", "100,35"]);
    eventually("the menu to be composed over the page", || (browser.screenshot(tab).2 != before).then_some(()));
    browser.input(tab, &["--key", "End"]);
    browser.input(tab, &["--key", "Enter"]);
    browser.wait_for_text(tab, "chose three");
}

#[test]
fn a_click_counts_as_its_users_and_says_when_it_was() {
    let page = "<body style='height:100vh'><pre id=out></pre><script>onclick = (event) => out.textContent =\n\
        `active ${navigator.userActivation.isActive} ${Math.abs(performance.now() - event.timeStamp) < 10000}`</script>";
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "200,200"]);
    browser.wait_for_text(tab, "active true true");
}

#[test]
fn a_colour_is_picked_in_a_dialog_over_the_page() {
    let page = r##"<body style="margin:0"><input type="color" id="c" value="#000000"
      style="position:absolute;left:10px;top:10px;width:100px;height:40px"><p id="out" style="margin-top:80px"></p>
      <script>c.onchange = () => out.textContent = "picked " + c.value</script>"##;
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    let before = browser.screenshot(tab).2;
    browser.input(tab, &["--click", "50,30"]);
    eventually("the dialog over the page", || {
        let now = browser.screenshot(tab).2;
        let changed = now.chunks(3).zip(before.chunks(3)).filter(|(a, b)| a != b).count();
        (changed > 20_000).then_some(())
    });
    browser.input(tab, &["--key", "Home"]);
    browser.input(tab, &["--key", "space"]);
    browser.input(tab, &["--key", "Enter"]);
    browser.wait_for_text(tab, "picked #");
}

#[test]
fn a_date_is_picked_in_a_calendar_over_the_page() {
    let page = r#"<body style="margin:0"><input type="date" id="d" value="2026-03-10"
      style="position:absolute;left:10px;top:10px;width:200px;height:40px"><p id="out" style="margin-top:400px"></p>
      <script>d.onchange = () => out.textContent = "picked " + d.value</script>"#;
    let site = Site::pages(&[("/", page)]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    // The calendar opens below its field, with a row for each week; the click is on another week than that of the 10th.
    // A click on the field opens or closes it with an animation, so a click on a day may come too early.
    eventually("a day of the calendar to be picked", || {
        browser.input(tab, &["--click", "150,30"]);
        std::thread::park_timeout(std::time::Duration::from_millis(700));
        browser.input(tab, &["--click", "163,178"]);
        browser.text(tab).contains("picked 2026-03-").then_some(())
    });
}

#[test]
fn pages_are_dark_where_the_user_wants_it_dark() {
    let page =
        "<script>document.title = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'</script>";
    let site = Site::pages(&[("/", page)]);
    for scheme in ["dark", "light"] {
        let browser = Browser::with_options(&["--headless", "--color-scheme", scheme]);
        let tab = browser.open(&site.url(1, "/"));
        eventually(scheme, || (browser.tab(tab)["title"] == scheme).then_some(()));
    }
}

#[test]
fn keys_mean_what_the_users_layout_says() {
    let site = Site::pages(&[("/", MIRROR)]);
    let browser = Browser::not_started(&["--headless"]).with_variable("XKB_DEFAULT_LAYOUT", "de");
    browser.start();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "50,25"]);
    // Key names are positions on a US keyboard: the key of its y gives z on a German one.
    browser.input(tab, &["--key", "y"]);
    browser.input(tab, &["--type", "üß"]);
    browser.wait_for_text(tab, r#""value":"züß""#);
}

#[test]
fn a_second_start_opens_a_tab_in_the_running_browser() {
    let site = Site::pages(&[("/a", "<title>a</title>"), ("/b", "<title>b</title>")]);
    let browser = Browser::headless();
    browser.open(&site.url(1, "/a"));
    browser.regen(&[&site.url(1, "/b")]).unwrap();
    eventually("the second tab", || {
        let status = browser.status();
        (status["tabs"][1]["title"] == "b").then_some(())
    });
    assert_eq!(browser.pids_of("broker").len(), 1);
}

#[test]
fn two_profiles_run_side_by_side() {
    let (one, two) = (Browser::headless(), Browser::headless());
    assert_ne!(one.broker(), two.broker());
    one.quit();
    assert!(two.status()["broker"]["pid"].as_i64().is_some());
}

#[test]
fn closing_the_last_tab_of_a_site_ends_its_process() {
    let site = Site::pages(&[("/", "<p>page")]);
    let browser = Browser::headless();
    let (a, b) = (browser.open(&site.url(1, "/")), browser.open(&site.url(2, "/")));
    assert_eq!(browser.pids_of("tab-host").len(), 2);
    browser.regen(&["tab", "close", &b.to_string()]).unwrap();
    eventually("the process to end", || (browser.pids_of("tab-host").len() == 1).then_some(()));
    assert!(browser.text(a).contains("page"));
}

#[test]
fn a_download_arrives_whole_and_never_overwrites() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let served = content.clone();
    let site = Site::serve(move |request| {
        (request.path == "/file.bin").then(|| {
            regen_tests::site::Answer::typed("application/octet-stream", served.clone())
                .with("Content-Disposition", "attachment; filename=\"../../report.bin\"")
        })
    });
    let browser = Browser::headless();
    for name in ["report.bin", "report (1).bin"] {
        browser.regen(&["tab", "open", &site.url(1, "/file.bin")]).unwrap();
        let path = browser.downloads().join(name);
        let arrived = eventually("the download", || std::fs::read(&path).ok());
        assert!(arrived == content, "{} of {} bytes", arrived.len(), content.len());
    }
}

#[test]
fn commands_fail_with_words_and_codes() {
    let browser = Browser::headless();
    let code = |arguments: &[&str]| browser.regen(arguments).unwrap_err().code;
    assert_eq!(code(&["tab", "text", "99"]), 4);
    assert_eq!(code(&["kill", "1"]), 4);
    assert_eq!(code(&["kill", "nobody"]), 4);
    assert_eq!(code(&["tab", "input", "1"]), 2);
    assert_eq!(code(&["tab", "input", "1", "--key", "hyper"]), 2);
    let stopped = Browser::not_started(&[]);
    let failed = stopped.regen(&["status"]).unwrap_err();
    assert_eq!(failed.code, 3);
    assert!(failed.message.contains("no browser runs"), "{}", failed.message);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let failed = browser.regen(&["tab", "open", &silent, "--wait", "--timeout", "0.5"]).unwrap_err();
    assert_eq!(failed.code, 5, "{}", failed.message);
}

#[test]
fn completions_and_the_manual_are_generated() {
    let browser = Browser::not_started(&[]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(browser.regen(&["completions", shell]).unwrap().contains("screenshot"));
    }
    assert!(browser.regen(&["man"]).unwrap().contains(".TH"));
}

#[test]
fn doctor_finds_this_machine_well() {
    let browser = Browser::headless();
    let findings = browser.json(&["doctor"]);
    assert_eq!(findings["ok"], true, "{findings:#}");
}
