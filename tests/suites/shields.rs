//! Shields: requests that filter rules name are never sent, and the log shows the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use regen_tests::process::signal;
use regen_tests::site::{Answer, Request};
use regen_tests::{Browser, Site, eventually, within};
use rustix::process::Signal;
use serde_json::Value;

/// Time limit for a net-daemon to be back after repeated deaths.
const BACK: Duration = Duration::from_secs(60);

/// Returns a page with subresources that the lists name, from other sites and its own, and some that they do not name.
fn page(port_of: &dyn Fn(u8, &str) -> String) -> String {
    let other = |path: &str| port_of(2, path);
    format!(
        "<title>t</title><p id=said></p>
        <img src='{banner}'><img src='{cat}'><img src='{own}'>
        <script src='{collect}'></script><script src='{fine}'></script>
        <iframe src='{frame}'></iframe>
        <script>
            const say = text => document.getElementById('said').append(text + ' ');
            fetch('{hop}').then(() => say('hop:sent'), () => say('hop:stopped'));
            new Worker(URL.createObjectURL(new Blob([`
                fetch('{worker}').then(() => postMessage('worker:sent'), () => postMessage('worker:stopped'))`])))
                .onmessage = event => say(event.data);
            navigator.sendBeacon('{beacon}', 'x');
            say('end');
        </script>",
        banner = other("/banner/ad_728x90.gif"),
        cat = other("/cat.gif"),
        own = port_of(1, "/own/ad_728x90.gif"),
        collect = other("/collect?v=1&script"),
        fine = other("/fine.js"),
        frame = other("/frame"),
        hop = other("/hop"),
        worker = other("/collect?v=1&worker"),
        beacon = other("/collect?v=1&beacon"),
    )
}

fn site() -> Site {
    Site::serve(|request: &Request| {
        let own = |host: u8, path: &str| {
            let port = request.header("host").rsplit(':').next().unwrap().to_owned();
            format!("http://127.0.0.{host}:{port}{path}")
        };
        let any = "Access-Control-Allow-Origin";
        Some(match request.path.as_str() {
            "/" => Answer::page(&page(&own)),
            "/frame" => Answer::page(&format!("<img src='{}'>", own(3, "/frame/ad_728x90.gif"))),
            // Only the redirect's target is named by the lists.
            "/hop" => Answer::redirect(302, &own(3, "/collect?v=1&hop")).with(any, "*"),
            path if path.contains(".js") => Answer::typed("text/javascript", Vec::new()),
            _ => Answer::typed("text/plain", b"x".to_vec()).with(any, "*"),
        })
    })
}

fn loaded(browser: &Browser, tab: u64) {
    eventually("the page to have tried everything", || {
        let text = browser.text(tab);
        ["end", "hop:", "worker:"].iter().all(|word| text.contains(word)).then_some(())
    });
}

/// Removes and returns the paths that were requested since the last call.
fn arrived(site: &Site) -> Vec<String> {
    let mut paths: Vec<String> = site.take_requests().into_iter().map(|request| request.path).collect();
    paths.retain(|path| path != "/favicon.ico");
    paths.sort();
    paths.dedup();
    paths
}

const NAMED: [&str; 6] = [
    "/banner/ad_728x90.gif",
    "/collect?v=1&beacon",
    "/collect?v=1&hop",
    "/collect?v=1&script",
    "/collect?v=1&worker",
    "/frame/ad_728x90.gif",
];
const OWN: &str = "/own/ad_728x90.gif";
const REST: [&str; 5] = ["/", "/cat.gif", "/fine.js", "/frame", "/hop"];

#[test]
fn what_the_lists_name_is_not_sent_and_the_user_sees_why() {
    let (site, browser) = (site(), Browser::headless());
    let tab = browser.open(&site.url(1, "/"));
    loaded(&browser, tab);
    let text = browser.text(tab);
    assert!(text.contains("hop:stopped") && text.contains("worker:stopped"), "{text}");
    let sent = arrived(&site);
    for path in REST.iter().chain([&OWN]) {
        assert!(sent.iter().any(|sent| sent == path), "{path} must not be blocked: {sent:?}");
    }
    for path in NAMED {
        assert!(!sent.iter().any(|sent| sent == path), "{path} was sent: {sent:?}");
    }
    let log = browser.json(&["shields", "log"]);
    let entry = |part: &str| {
        let found = log.as_array().unwrap().iter().find(|entry| entry["url"].as_str().unwrap().contains(part));
        found.unwrap_or_else(|| panic!("{part} is not in {log:#}")).clone()
    };
    let banner = entry("/banner/");
    assert_eq!((&banner["list"], &banner["type"]), (&"easylist".into(), &"image".into()), "{banner}");
    assert_eq!(banner["page"], site.url(1, "/"));
    assert!(banner["rule"].as_str().unwrap().contains("728x90"), "{banner}");
    assert_eq!(entry("hop")["list"], "easyprivacy");
    assert_eq!(entry("beacon")["list"], "easyprivacy");
    let status = browser.json(&["shields", "status"]);
    assert_eq!((&status["level"], status["lists"].as_array().unwrap().len()), (&"balanced".into(), 8), "{status}");
    assert!(status["blocked"].as_u64().unwrap() >= 6, "{status}");
}

#[test]
fn how_much_is_blocked_is_chosen_by_site_and_remembered() {
    let (site, browser) = (site(), Browser::headless());
    let url = site.url(1, "/");
    let tab = browser.open(&url);
    loaded(&browser, tab);
    let again = || {
        drop(site.take_requests());
        browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
        eventually("the reloaded page", || (!site.requests("/").is_empty()).then_some(()));
        browser.wait_for_state(tab, "ready");
        loaded(&browser, tab);
        arrived(&site)
    };
    browser.regen(&["shields", "level", "strict"]).unwrap();
    assert!(!again().contains(&OWN.to_owned()), "strict shields must also block the site's own requests");
    browser.regen(&["shields", "level", "off", "--site", &url]).unwrap();
    let sent = again();
    for path in NAMED.iter().chain([&OWN]).filter(|path| !path.contains("beacon")) {
        assert!(sent.iter().any(|sent| sent == path), "{path} was not sent although shields are off: {sent:?}");
    }
    // The levels survive a net-daemon's death and a browser restart.
    let levels = || {
        let now = browser.json(&["shields", "level"]);
        (now["level"].clone(), now["sites"].clone())
    };
    let chosen = (Value::from("strict"), serde_json::json!({ "http://127.0.0.1": "off" }));
    assert_eq!(levels(), chosen);
    let net = browser.daemon("net-daemon");
    regen_tests::process::signal(net, Signal::KILL);
    eventually("another net-daemon", || (browser.daemon("net-daemon") != net).then_some(()));
    assert!(again().contains(&OWN.to_owned()), "shields are no longer off for the site");
    browser.quit();
    browser.start();
    assert_eq!(levels(), chosen);
    let test = |page: &str| {
        browser.regen(&["shields", "test", "https://www.google-analytics.com/analytics.js", "--page", page]).is_err()
    };
    eventually("the net-daemon to be ready", || {
        browser.json(&["shields", "status"])["ready"].as_bool().filter(|ready| *ready)
    });
    assert!(test("https://example.org/") && !test("http://127.0.0.1/"));
    browser.regen(&["shields", "level", "default", "--site", &url]).unwrap();
    assert!(test("http://127.0.0.1/"));
    let wrong = browser.regen(&["shields", "level", "mild"]).unwrap_err();
    assert!(wrong.code == 2 && wrong.message.contains("strict, balanced or off"), "{wrong:?}");
    let wrong = browser.regen(&["shields", "test", "nonsense", "--page", "https://example.org/"]).unwrap_err();
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn a_host_that_is_blocked_outright_is_not_reached_by_what_no_page_is_asked_about() {
    let site = Site::pages(&[(
        "/",
        "<title>t</title><p id=said></p><script>
            for (const host of ['adnxs.com', 'no-such-host.test']) {
                const socket = new WebSocket(`ws://${host}/`);
                socket.onerror = () => document.getElementById('said').append(host + ':failed ');
            }
        </script>",
    )]);
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.wait_for_text(tab, "adnxs.com:failed");
    browser.wait_for_text(tab, "no-such-host.test:failed");
    let log = browser.json(&["shields", "log"]);
    let urls: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["url"].as_str().unwrap()).collect();
    assert!(urls.iter().any(|url| url.contains("adnxs.com")), "{urls:?}");
    assert!(!urls.iter().any(|url| url.contains("no-such-host")), "control: also blocked: {urls:?}");
}

/// While no net-daemon can give verdicts, requests fail; afterwards they are sent again.
#[test]
fn a_page_that_could_not_ask_for_a_while_asks_again() {
    // Requests new addresses until one fails, then the same address until it is answered.
    const ASKS: &str = "<title>t</title><script>
        const get = path => fetch(path, { cache: 'no-store' }).then(() => true, () => false);
        let fresh = 0, again = 0, failed = false;
        const go = async () => {
            if (!failed) failed = !await get('/fresh' + fresh++);
            else if (await get('/again' + again)) { failed = false; again++; }
            setTimeout(go, 50);
        };
        go();
    </script>";
    let site = Site::serve(|request: &Request| {
        Some(if request.path == "/" { Answer::page(ASKS) } else { Answer::typed("text/plain", b"x".to_vec()) })
    });
    let browser = Browser::headless();
    browser.open(&site.url(1, "/"));
    let _ = site.wait_for_request("/fresh0");
    // The retry delay grows with each death, until a request times out without a verdict.
    eventually("a request without a verdict", || {
        for daemon in browser.pids_of("net-daemon") {
            signal(daemon, Signal::KILL);
        }
        browser.log().contains("no verdict (net-daemon unavailable)").then_some(())
    });
    let _ = site.take_requests();
    let asked = within(BACK, || (!site.take_requests().is_empty()).then_some(()));
    assert!(asked.is_some(), "the page never asked again: {}", browser.log());
}

#[test]
fn a_stand_in_is_taken_where_the_page_compares_a_hash_or_asks_to_be_let_in() {
    const HASH: &str = "sha384-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let site = Site::serve(|request: &Request| {
        let other = format!("http://127.0.0.1:{}", request.header("host").rsplit(':').next().unwrap());
        let script = |name: &str, attributes: &str| {
            let say = |what: &str| format!("document.title += ' {name}:{what}'");
            let (loaded, failed) = (say("loaded"), say("failed"));
            format!("<script src='{other}/{name}.js' {attributes} onload=\"{loaded}\" onerror=\"{failed}\"></script>")
        };
        Some(match request.path.as_str() {
            "/" => Answer::page(&format!(
                "<title>t</title>{}{}{}{}{}<p>the end",
                script("stub-plain", ""),
                script("stub-cors", "crossorigin"),
                script("stub-hash", &format!("crossorigin integrity={HASH}")),
                script("stub-module", "type=module"),
                script("other", "crossorigin"),
            )),
            path if path.ends_with(".js") => Answer::typed("text/javascript", b"document.title += ' sent'".to_vec()),
            _ => return None,
        })
    });
    let browser = Browser::headless();
    let _net = browser.daemon("net-daemon");
    browser.regen(&["shields", "rules", "--add", "||127.0.0.1^*/stub-$script,redirect=noop.js"]).unwrap();
    let tab = browser.open(&site.url(2, "/"));
    browser.wait_for_text(tab, "the end");
    let title = eventually("all scripts", || {
        let title = browser.tab(tab)["title"].as_str().unwrap().to_owned();
        (title.matches(':').count() == 5).then_some(title)
    });
    for name in ["plain", "cors", "hash", "module"] {
        assert!(title.contains(&format!("stub-{name}:loaded")), "{title}");
    }
    // Control: without a rule, a cross-origin script without CORS headers fails.
    assert!(title.contains("other:failed") && !title.contains("sent"), "{title}");
    assert!(site.take_requests().iter().all(|request| !request.path.starts_with("/stub-")));
}

/// Cosmetic rules, scriptlets, redirects, CSP and URL parameters, by user rules.
#[test]
fn rules_hide_parts_of_pages_and_stand_in_for_what_they_block() {
    let site = Site::serve(|request: &Request| {
        let port = request.header("host").rsplit(':').next().unwrap().to_owned();
        Some(match request.path.split('?').next().unwrap() {
            "/" => Answer::page(&format!(
                "<head><title>t</title><script>var adsEnabled = true;</script></head>
                <form><input name=id><input name=classList></form><p class=banner>specific</p><p class=fine>content</p><div id=first>Sponsored one</div>
                <div class=box><span>by-upward</span></div><p id=said></p>
                <script>
                    const say = text => document.getElementById('said').append(text + ' ');
                    say('ads:' + adsEnabled);
                    const stub = document.createElement('script');
                    stub.onload = () => say('stub:loaded');
                    stub.onerror = () => say('stub:failed');
                    stub.src = 'http://127.0.0.1:{port}/stub.js';
                    document.head.append(stub);
                    addEventListener('load', () => setTimeout(() => {{
                        document.body.insertAdjacentHTML('beforeend',
                            '<p class=grown-ad>generic</p><div>Sponsored two</div><p class=end>end</p>');
                    }}, 0));
                </script>"
            )),
            "/policy" => Answer::page(
                "<head><title>t</title><script>var ran = 'inline:ran';</script></head><p id=said></p>
                <script src=/say.js></script>",
            ),
            "/say.js" => Answer::typed(
                "text/javascript",
                b"document.getElementById('said').append((window.ran || 'inline:stopped') + ' end')".to_vec(),
            ),
            "/stub.js" => Answer::typed("text/javascript", b"say('stub:sent')".to_vec()),
            _ => Answer::page("<title>t</title>other"),
        })
    });
    let browser = Browser::headless();
    // 127.0.0.2, because the lists have an exception for pages on 127.0.0.1.
    let rules = [
        "127.0.0.2##.banner",
        "##.grown-ad",
        "127.0.0.2##div:has-text(Sponsored)",
        "127.0.0.2##span:upward(.box)",
        "127.0.0.2##+js(set-constant, adsEnabled, false)",
        "||127.0.0.1^$script,redirect=noop.js",
        "||127.0.0.2^*/policy$csp=script-src 'self'",
        "||127.0.0.2^$removeparam=utm_source",
        "||127.0.0.3^$document",
    ];
    // Control first: without rules, everything is shown and sent.
    let _net = browser.daemon("net-daemon");
    let tab = browser.open(&site.url(2, "/?utm_source=x&b=1#part"));
    let hidden = ["specific", "Sponsored one", "by-upward", "generic", "Sponsored two"];
    browser.wait_for_text(tab, "end");
    browser.wait_for_text(tab, "stub:sent");
    let text = browser.text(tab);
    assert!(hidden.iter().all(|part| text.contains(part)) && text.contains("ads:true"), "{text}");
    assert_eq!(site.take_requests()[0].path, "/?utm_source=x&b=1");
    for rule in rules {
        browser.regen(&["shields", "rules", "--add", rule]).unwrap();
    }
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    eventually("the page without what the rules name", || {
        let text = browser.text(tab);
        (text.contains("end") && text.contains("stub:") && !hidden.iter().any(|part| text.contains(part))).then_some(())
    });
    let text = browser.text(tab);
    assert!(text.contains("content") && text.contains("ads:false") && text.contains("stub:loaded"), "{text}");
    let sent = site.take_requests();
    assert_eq!(sent[0].path, "/?b=1", "the tracking parameter was sent");
    assert_eq!(browser.tab(tab)["url"], site.url(2, "/?b=1#part"), "the rest of the address was not kept");
    assert!(sent.iter().all(|request| request.path != "/stub.js"), "{sent:?}");
    eventually("the count of blocked requests", || (browser.tab(tab)["blocked"] == 1).then_some(()));
    browser.regen(&["tab", "goto", &tab.to_string(), &site.url(2, "/policy")]).unwrap();
    browser.wait_for_text(tab, "inline:stopped end");
    // A document that a rule blocks is not loaded, and the error page says why.
    let refused = browser.json(&["tab", "open", &site.url(3, "/"), "--wait"]);
    assert_eq!(refused["state"], "failed", "{refused}");
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("regen shields log") && !reason.contains("$document"), "{reason}");
    let log = browser.json(&["shields", "log"]);
    let entry = log.as_array().unwrap().iter().find(|entry| entry["url"] == site.url(3, "/")).expect("an entry");
    assert_eq!(
        (entry["rule"].as_str(), entry["list"].as_str()),
        (Some("||127.0.0.3^$document"), Some("own")),
        "{entry}"
    );
    assert!(site.requests("/").iter().all(|request| !request.header("host").starts_with("127.0.0.3")), "it was sent");
    // The rules survive a crash and a restart.
    regen_tests::process::signal(browser.daemon("net-daemon"), Signal::KILL);
    browser.quit();
    browser.start();
    let _net = browser.daemon("net-daemon");
    let kept = browser.json(&["shields", "rules"]);
    assert_eq!(kept.as_array().unwrap().len(), rules.len(), "{kept}");
    let wrong = browser.regen(&["shields", "rules", "--add", "||a.test^$nonsense"]).unwrap_err();
    assert!(wrong.code == 2 && wrong.message.contains("nonsense"), "{wrong:?}");
    let tab = browser.open(&site.url(2, "/"));
    browser.wait_for_text(tab, "end");
    eventually("the rules to apply", || (!hidden.iter().any(|part| browser.text(tab).contains(part))).then_some(()));
    browser.regen(&["shields", "rules", "--remove", rules[0]]).unwrap();
    let picked = browser.json(&["shields", "block-element", ".fine", "--tab", &tab.to_string()]);
    assert_eq!(picked["rule"], "127.0.0.2##.fine");
    browser.regen(&["tab", "reload", &tab.to_string()]).unwrap();
    browser.wait_for_text(tab, "specific");
    eventually("the picked element to be hidden", || (!browser.text(tab).contains("content")).then_some(()));
}

#[test]
fn other_sites_learn_that_nobody_is_to_be_tracked_and_not_which_page_asks() {
    let site = Site::serve(|request: &Request| {
        let port = request.header("host").rsplit(':').next().unwrap().to_owned();
        Some(match request.path.as_str() {
            "/page?secret" => Answer::page(&format!(
                "<meta name=referrer content=unsafe-url><p id=said></p><img src='/own'><img src='http://127.0.0.2:{port}/picture'>
                 <a href='http://127.0.0.2:{port}/next' style='position:fixed;inset:0'>on</a>
                 <script>said.textContent = 'asks: ' + navigator.globalPrivacyControl</script>"
            )),
            _ => Answer::page("<title>t</title>"),
        })
    });
    let browser = Browser::headless();
    let told = || {
        let tab = browser.open(&site.url(1, "/page?secret"));
        let said = browser.text(tab);
        let own = site.wait_for_request("/own");
        let picture = site.wait_for_request("/picture");
        browser.input(tab, &["--click", "200,200"]);
        let next = site.wait_for_request("/next");
        let _ = site.take_requests();
        (said.trim().trim_end_matches(" on").to_owned(), [own, picture, next])
    };
    let (page, origin) = (site.url(1, "/page?secret"), site.url(1, "/"));
    let (said, requests) = told();
    assert!(said.contains("asks: true"), "{said}");
    assert!(requests.iter().all(|request| request.header("sec-gpc") == "1"), "{requests:?}");
    assert_eq!(requests.each_ref().map(|request| request.header("referer")), [&page, &origin, &origin]);
    // Control: without shields, the page's own referrer policy holds and no GPC signal is sent.
    browser.regen(&["shields", "level", "off"]).unwrap();
    let (said, requests) = told();
    assert!(said.contains("asks: undefined"), "{said}");
    assert!(requests.iter().all(|request| request.header("sec-gpc").is_empty()), "{requests:?}");
    assert_eq!(requests.each_ref().map(|request| request.header("referer")), [&page, &page, &page]);
}

#[test]
fn what_is_embedded_sets_and_gets_no_cookies_and_pages_have_no_webrtc() {
    let page = |other: u8, port: &str| {
        format!(
            "<p id=said>asks</p><iframe src='http://127.0.0.{other}:{port}/frame'></iframe><script>
            const image = path => new Promise(done => {{
                const image = new Image();
                image.onload = image.onerror = done;
                image.src = `http://127.0.0.{other}:{port}/${{path}}`;
            }});
            const names = ['RTCPeerConnection', 'webkitRTCPeerConnection', 'RTCDataChannel'].filter(name => name in window);
            image('first').then(() => image('second')).then(() => said.textContent = `done, WebRTC: ${{names.length}}`);
            </script>"
        )
    };
    let site = Site::serve(move |request: &Request| {
        let port = request.header("host").rsplit(':').next().unwrap().to_owned();
        let sets = |answer: Answer| answer.with("Set-Cookie", "embedded=1; Path=/");
        Some(match request.path.as_str() {
            "/embeds-other" => Answer::page(&page(2, &port)),
            "/embeds-own" => Answer::page(&page(1, &port)),
            "/frame" => sets(Answer::page("<script>document.cookie = 'script=1'; fetch('/from-frame')</script>")),
            "/first" | "/second" => sets(Answer::typed("image/gif", Vec::new())),
            _ => return None,
        })
    });
    let browser = Browser::headless();
    for level in ["off", "balanced", "strict"] {
        browser.regen(&["shields", "level", level]).unwrap();
        drop(site.take_requests());
        let tab = browser.open(&site.url(1, "/embeds-other"));
        browser.wait_for_text(tab, "done, WebRTC: 0");
        let cookies = |path: &str| site.wait_for_request(path).header("cookie").to_owned();
        assert_eq!((cookies("/second"), cookies("/from-frame")), (String::new(), String::new()), "{level}");
    }
    // Control: same-site subresources set and get cookies.
    drop(site.take_requests());
    let tab = browser.open(&site.url(1, "/embeds-own"));
    browser.wait_for_text(tab, "done");
    assert!(site.wait_for_request("/second").header("cookie").contains("embedded=1"));
    assert!(site.wait_for_request("/from-frame").header("cookie").contains("script=1"));
}

/// The page-agent does not see these requests; the engine's own content filter blocks them. The rule names a path, so
/// blocking the host at the tunnel would not be enough.
#[test]
fn websockets_and_service_workers_meet_rules_about_paths() {
    const PAGE: &str = "<title>t</title><p id=said></p><script>
        const socket = path => new Promise(done => {
            const open = new WebSocket(`ws://127.0.0.2:${location.port}${path}`);
            open.onopen = open.onerror = open.onclose = done;
        });
        const go = async () => {
            await Promise.all(['/named-socket', '/fine-socket'].map(socket));
            await navigator.serviceWorker.register('/worker.js');
            const worker = (await navigator.serviceWorker.ready).active;
            navigator.serviceWorker.onmessage = () => said.textContent = 'asked';
            worker.postMessage('go');
        };
        setTimeout(go, 1000);
    </script>";
    const WORKER: &str = "onmessage = async event => {
        const ask = path => fetch(`http://127.0.0.2:${location.port}${path}`, { mode: 'no-cors' }).catch(() => {});
        await Promise.all(['/named-fetch', '/fine-fetch'].map(ask));
        event.source.postMessage('asked');
    }";
    let site = Site::serve(|request: &Request| {
        Some(match request.path.as_str() {
            "/" => Answer::page(PAGE),
            "/worker.js" => Answer::typed("text/javascript", WORKER.into()),
            _ => Answer::typed("text/plain", b"x".to_vec()),
        })
    });
    let browser = Browser::headless();
    browser.regen(&["shields", "rules", "--add", "/named-"]).unwrap();
    let asked = || {
        let tab = browser.open(&site.url(1, "/"));
        browser.wait_for_text(tab, "asked");
        let asked: Vec<String> = site.take_requests().into_iter().map(|request| request.path).collect();
        ["/named-socket", "/fine-socket", "/named-fetch", "/fine-fetch"].map(|path| asked.iter().any(|one| one == path))
    };
    assert_eq!(asked(), [false, true, false, true]);
    // Control: without shields, all are sent.
    browser.regen(&["shields", "level", "off"]).unwrap();
    assert_eq!(asked(), [true; 4]);
}
