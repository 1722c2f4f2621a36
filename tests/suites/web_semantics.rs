//! Requests of cross-site navigations: the same as MiniBrowser's, header for header, for every way a page can lead to
//! another site. MiniBrowser navigates in one process; here the tab moves to another host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use regen_tests::site::{Answer, Request};
use regen_tests::tls::Authority;
use regen_tests::window::Display;
use regen_tests::{Browser, MiniBrowser, Site, within};

/// Ways from site 1 to `/target/NAME`, and the scripts that take them. `$2` is the origin of site 2.
const WAYS: &[(&str, &str)] = &[
    ("link", "go.click()"),
    ("link-noreferrer", "go.rel = 'noreferrer'; go.click()"),
    ("link-origin-policy", "go.referrerPolicy = 'origin'; go.click()"),
    ("link-no-policy", "go.referrerPolicy = 'no-referrer'; go.click()"),
    ("link-unsafe-url", "go.referrerPolicy = 'unsafe-url'; go.click()"),
    ("assign", "location.href = go.href"),
    ("replace", "location.replace(go.href)"),
    ("refresh", "document.head.innerHTML += `<meta http-equiv=refresh content='0;url=${go.href}'>`"),
    ("new-window", "open(go.href, '_blank', 'noopener')"),
    ("new-window-post", "form.target = '_blank'; button.click()"),
    ("form-get", "form.method = 'get'; form.submit()"),
    ("form-post", "form.submit()"),
    ("form-post-button", "button.click()"),
    ("form-multipart", "form.enctype = 'multipart/form-data'; form.submit()"),
    ("form-text", "form.enctype = 'text/plain'; form.submit()"),
    ("form-file", "form.enctype = 'multipart/form-data'; attach('a file\\r\\nof two lines'); form.submit()"),
    ("form-large-file", "form.enctype = 'multipart/form-data'; attach('0123456789'.repeat(300000)); form.submit()"),
    ("form-empty-file", "form.enctype = 'multipart/form-data'; file.disabled = false; form.submit()"),
    ("form-large", "form.word.value = '0123456789'.repeat(20000); form.submit()"),
    ("redirected-302", "go.href = '/to/302/' + name; go.click()"),
    ("redirected-twice", "go.href = $2 + '/on/302/' + name; go.click()"),
    ("post-redirected-302", "form.action = '/to/302/' + name; form.submit()"),
    ("post-redirected-303", "form.action = '/to/303/' + name; form.submit()"),
    ("post-redirected-307", "form.action = '/to/307/' + name; form.submit()"),
    ("post-redirected-308", "form.action = '/to/308/' + name; form.submit()"),
    ("post-redirected-on-307", "form.action = $2 + '/on/307/' + name; form.submit()"),
];

const PAGE: &str = r"<!doctype html><html><head></head><body><a id=go>go</a>
  <form id=form method=post><input name=word value='a b&c=ü'><input name=other value='zwei'>
  <input id=file type=file name=file disabled><button id=button name=by value=button>send</button></form>
  <script>
    const name = '$NAME';
    go.href = form.action = '$2/target/' + name;
    const attach = (text) => {
      const files = new DataTransfer();
      files.items.add(new File([text], 'ü report.txt', { type: 'text/plain', lastModified: 0 }));
      file.disabled = false;
      file.files = files.files;
    };
    const leave = () => { $ACTION };
    if ($AUTO) addEventListener('load', () => setTimeout(leave, 50));
    else addEventListener('mouseup', leave);
  </script>";

/// Serves one run: sets cookies on sites 2 and 3, then shows the page on site 1, then redirects and targets.
fn serve(request: &Request, scheme: &str, auto: bool) -> Option<Answer> {
    let port = request.header("host").rsplit(':').next().unwrap_or_default().to_owned();
    let origin = |number: u8| format!("{scheme}://127.0.0.{number}:{port}");
    let steps: Vec<&str> = request.path.split('?').next()?.trim_start_matches('/').split('/').collect();
    Some(match steps.as_slice() {
        ["cookies", name] => {
            let next = if request.host == "127.0.0.2" { origin(3) + "/cookies/" } else { origin(1) + "/start/" };
            let answer = Answer::redirect(302, &(next + name))
                .with("Set-Cookie", "strict=1; SameSite=Strict; Max-Age=1000; Path=/")
                .with("Set-Cookie", "lax=1; SameSite=Lax; Max-Age=1000; Path=/")
                .with("Set-Cookie", "plain=1; Max-Age=1000; Path=/");
            if scheme == "https" {
                answer.with("Set-Cookie", "none=1; SameSite=None; Secure; Max-Age=1000; Path=/")
            } else {
                answer
            }
        }
        ["start", name] => {
            let (_, action) = WAYS.iter().find(|(way, _)| way == name)?;
            let action = action.replace("$2", &format!("'{}'", origin(2)));
            let page = PAGE.replace("$NAME", name).replace("$ACTION", &action);
            Answer::page(&page.replace("$2", &origin(2)).replace("$AUTO", if auto { "true" } else { "false" }))
        }
        ["to", status, name] => Answer::redirect(status.parse().ok()?, &format!("{}/target/{name}", origin(2))),
        ["on", status, name] => Answer::redirect(status.parse().ok()?, &format!("{}/target/{name}", origin(3))),
        ["target", _] => Answer::page("<title>arrived</title><p>arrived"),
        _ => return None,
    })
}

/// Returns a request's comparable parts, without the program's name, the port and random boundaries.
fn telling(request: &Request, port: u16) -> BTreeMap<String, String> {
    let boundary =
        request.header("content-type").split_once("boundary=").map_or("", |(_, boundary)| boundary).to_owned();
    let neutral = |text: &str| {
        let text = text.replace(&format!(":{port}"), ":PORT");
        if boundary.is_empty() { text } else { text.replace(&boundary, "BOUNDARY") }
    };
    // Without a system language, Regen sends English and the engine alone sends none.
    let unequal = ["user-agent", "host", "connection", "accept-language"];
    let mut seen: BTreeMap<String, String> = request
        .headers
        .iter()
        .filter(|(name, _)| !unequal.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), neutral(value)))
        .collect();
    if let Some(cookies) = seen.get_mut("cookie") {
        let mut each: Vec<&str> = cookies.split("; ").collect();
        each.sort_unstable();
        *cookies = each.join("; ");
    }
    seen.insert("(request)".to_owned(), format!("{} at {}", request.method, request.host));
    seen.insert("(body)".to_owned(), neutral(&request.body));
    seen
}

/// Waits for the request at a target, and returns its comparable parts; empty if none arrives.
fn arrived(site: &Site, target: &str) -> BTreeMap<String, String> {
    let first = within(Duration::from_secs(6), || site.requests(target).into_iter().next());
    first.map(|request| telling(&request, site.port())).unwrap_or_default()
}

fn shortened(seen: &BTreeMap<String, String>) -> BTreeMap<&str, String> {
    seen.iter().map(|(name, value)| (name.as_str(), value.chars().take(400).collect())).collect()
}

/// Returns MiniBrowser's request for every way. Few ways run at a time, because each tab is a process; missing ones are
/// retried, because about one in a hundred tabs does not navigate.
fn reference(site: &Site, options: &[&str]) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let display = Display::start(1280, 800);
    let mut all = BTreeMap::new();
    for _ in 0..3 {
        // MiniBrowser opens no window without a click. A new window's request must equal that of the same tab.
        let is_missing = |name: &str| !name.starts_with("new-window") && !all.contains_key(name);
        let missing: Vec<&str> = WAYS.iter().map(|(name, _)| *name).filter(|name| is_missing(name)).collect();
        for names in missing.chunks(7) {
            let starts: Vec<String> = names.iter().map(|name| site.url(2, &format!("/cookies/{name}"))).collect();
            let arguments: Vec<&str> = options.iter().copied().chain(starts.iter().map(String::as_str)).collect();
            let _mini = MiniBrowser::start(&display, &arguments);
            let told = names.iter().map(|name| (*name, arrived(site, &format!("/target/{name}"))));
            all.extend(told.filter(|(_, request)| !request.is_empty()));
        }
    }
    all.insert("new-window", all["link"].clone());
    all.insert("new-window-post", all["form-post-button"].clone());
    all
}

/// Takes every way in both browsers, and compares the requests.
fn compare(theirs: &Site, ours: &Site, browser: &Browser, mini_options: &[&str]) {
    let reference = reference(theirs, mini_options);
    // A page of each site stays open, so that no host has to start for each way.
    for number in 1..=3 {
        browser.open(&ours.url(number, "/target/stays"));
    }
    let mut different = Vec::new();
    for (name, _) in WAYS {
        let tab = browser.open(&ours.url(2, &format!("/cookies/{name}")));
        browser.input(tab, &["--click", "600,500"]);
        let (our, mut their) = (arrived(ours, &format!("/target/{name}")), reference[name].clone());
        // Expected differences: Regen adds Sec-GPC, and trims the referrer to its origin.
        their.insert("sec-gpc".to_owned(), "1".to_owned());
        their.entry("referer".to_owned()).and_modify(|page| page.truncate(page.rfind("PORT/").expect("an origin") + 5));
        if our != their {
            different.push(format!("{name}: Regen {:#?}\nexpected {:#?}", shortened(&our), shortened(&their)));
        }
        browser.regen(&["tab", "close", &tab.to_string()]).expect("the tab closes");
    }
    assert!(different.is_empty(), "{} of {} ways differ:\n{}", different.len(), WAYS.len(), different.join("\n"));
}

#[test]
fn every_way_to_another_site_is_as_in_the_engine_alone() {
    let theirs = Site::serve(|request| serve(request, "http", true));
    let ours = Site::serve(|request| serve(request, "http", false));
    compare(&theirs, &ours, &Browser::headless(), &[]);
}

#[test]
fn every_way_to_another_secure_site_is_as_in_the_engine_alone() {
    let authority = Authority::new("test authority");
    let (certificate, key) = authority.issue(&["127.0.0.1", "127.0.0.2", "127.0.0.3"], |_| {});
    let secure = |auto: bool| Site::serve_tls(&certificate, &key, move |request| serve(request, "https", auto));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority.pem()).expect("the authority");
    let browser = Browser::with_options(&["--headless", "--extra-ca", file.to_str().expect("a path")]);
    compare(&secure(true), &secure(false), &browser, &["--ignore-tls-errors"]);
}
