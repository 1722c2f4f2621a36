//! Tools for pages: saving, screenshots, the inspector, and zoom that is remembered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::time::Duration;

use regen_tests::site::Answer;
use regen_tests::window::Display;
use regen_tests::{Browser, Site, eventually, within};

const RED: [u8; 3] = [200, 30, 30];
const GREEN: [u8; 3] = [20, 160, 60];
/// Height of the bars, pixels.
const BARS: u32 = 88;

/// A red page of 3000 pixels with a green square at 200, 100.
const PAGE: &str = "<title>A page</title><body style='margin:0;height:3000px;background:rgb(200,30,30)'>\
    <div style='position:absolute;left:200px;top:100px;width:100px;height:100px;background:rgb(20,160,60)'>words</div>";

struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// Reads a file that has been saved.
    fn read(path: &Path) -> Self {
        let file = eventually("the picture", || std::fs::read(path).ok());
        let mut picture = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
        let info = picture.next_frame(&mut pixels).unwrap();
        let channels = info.color_type.samples();
        let pixels = pixels.chunks(channels).flat_map(|pixel| pixel[..3].to_vec()).collect();
        Self { width: info.width, height: info.height, pixels }
    }

    fn at(&self, x: u32, y: u32) -> [u8; 3] {
        let first = usize::try_from((y * self.width + x) * 3).unwrap();
        self.pixels[first..first + 3].try_into().unwrap()
    }
}

fn window(pages: &[(&str, &str)]) -> (Site, Display, Browser) {
    let site = Site::pages(pages);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    eventually("the page", || (display.screenshot().share(RED, 5, 188, 180, 180) > 0.95).then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    (site, display, browser)
}

fn downloaded(browser: &Browser, number: usize) -> serde_json::Value {
    eventually("the download", || {
        let all = browser.json(&["downloads"]);
        all.get(number).filter(|one| one["state"] == "done" || one["state"] == "failed").cloned()
    })
}

#[test]
fn screenshots_show_what_is_visible_the_whole_page_or_an_area() {
    let (_site, display, browser) = window(&[("/", PAGE)]);
    browser.regen(&["command", "screenshot"]).unwrap();
    let visible = Picture::read(&browser.downloads().join("A page.png"));
    assert_eq!((visible.width, visible.height), (1280, 860 - BARS));
    assert_eq!((visible.at(5, 5), visible.at(250, 180)), (RED, GREEN));
    browser.regen(&["command", "screenshot-of-page"]).unwrap();
    let whole = Picture::read(&browser.downloads().join("A page (1).png"));
    assert_eq!((whole.height, whole.at(5, 2990)), (3000, RED));
    // An area that the user drags. The panel of downloads is open, and makes way.
    browser.regen(&["command", "screenshot-of-area"]).unwrap();
    eventually("the veil", || (display.screenshot().share(RED, 600, 400, 100, 100) < 0.05).then_some(()));
    let (from, to) = ((220, BARS + 110), (320, BARS + 160));
    display.xdotool(&["mousemove", &from.0.to_string(), &from.1.to_string(), "mousedown", "1", "sleep", "0.2"]);
    display.xdotool(&["mousemove", &to.0.to_string(), &to.1.to_string(), "sleep", "0.2", "mouseup", "1"]);
    let area = Picture::read(&browser.downloads().join("A page (2).png"));
    assert_eq!((area.width, area.height), (100, 50));
    assert_eq!((area.at(2, 40), area.at(79, 40), area.at(81, 40)), (GREEN, GREEN, RED));
    eventually("the page without the veil", || {
        (display.screenshot().share(RED, 600, 400, 100, 100) > 0.95).then_some(())
    });
}

#[test]
fn a_page_is_saved_with_its_pictures_and_one_that_is_too_large_for_a_picture_says_so() {
    let endless = "<title>Endless</title><body style='margin:0;height:90000px;background:rgb(200,30,30)'>";
    let with_picture = "<title>A/page: “x”</title><img src='/p.svg'><p>words to keep</p>\
        <body style='margin:0;background:rgb(200,30,30)'>";
    let picture = "<svg xmlns='http://www.w3.org/2000/svg' width='5' height='5'></svg>";
    let (site, _display, browser) = window(&[("/", endless), ("/with", with_picture), ("/p.svg", picture)]);
    browser.regen(&["command", "screenshot-of-page"]).unwrap();
    let failed = downloaded(&browser, 0);
    assert_eq!(failed["state"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("too large for a picture"), "{failed}");
    browser.regen(&["tab", "goto", "1", &site.url(1, "/with"), "--wait"]).unwrap();
    browser.regen(&["command", "save-page"]).unwrap();
    let saved = downloaded(&browser, 1);
    let path = Path::new(saved["path"].as_str().unwrap());
    assert_eq!(path.extension().unwrap(), "mhtml", "{saved}");
    let file = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    assert!(file.contains("words to keep") && file.contains("/p.svg"), "{file}");
}

#[test]
fn the_inspector_opens_and_closes_with_its_key() {
    let (_site, display, browser) = window(&[("/", PAGE)]);
    let red = || display.screenshot().share(RED, 600, 700, 200, 100);
    display.xdotool(&["key", "F12"]);
    eventually("the inspector below the page", || (red() < 0.05).then_some(()));
    let page = display.screenshot();
    assert!(page.share(GREEN, 210, 198, 80, 80) > 0.8, "the page is seen above it");
    display.xdotool(&["key", "F12"]);
    eventually("the page without the inspector", || (red() > 0.95).then_some(()));
    assert_eq!(browser.tab(1)["state"], "ready");
}

#[test]
fn a_site_keeps_its_zoom_in_other_tabs_and_across_starts() {
    let page = "<title>page</title><p>page</p><script>setInterval(() => document.title = Math.round(12800 / innerWidth) / 10, 50)</script>";
    let site = Site::pages(&[("/", PAGE), ("/zoomed", page)]);
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/zoomed")]);
    let shows = |tab: u64, ratio: &str| {
        eventually(ratio, || (browser.tab(tab)["title"] == ratio).then_some(()));
    };
    shows(1, "1");
    for _ in 0..3 {
        browser.regen(&["command", "zoom-in"]).unwrap();
    }
    shows(1, "1.5");
    let same = browser.open(&site.url(1, "/zoomed"));
    let other = browser.open(&site.url(2, "/zoomed"));
    shows(same, "1.5");
    shows(other, "1");
    browser.quit();
    browser.start();
    let later = browser.open(&site.url(1, "/zoomed"));
    shows(later, "1.5");
    // Clearing the site's data forgets it, too.
    browser.regen(&["site", "clear", &site.url(1, "/")]).unwrap();
    let last = browser.open(&site.url(1, "/zoomed"));
    shows(last, "1");
}

/// A page whose article has a link and a picture that runs a script, and a field that the page echoes.
const ARTICLE: &str = "<title>News</title><body style='margin:0;background:rgb(200,30,30)'>\
    <input id=field style='position:absolute;left:0;top:0;width:200px;height:40px'><pre id=out></pre>\
    <script>field.oninput = () => out.textContent = 'typed ' + field.value</script>\
    <article style='margin:100px 0 0 300px;width:700px'><h1>News</h1>\
    <p>The first paragraph of an article that is long enough to be one, with commas, and words, and more words.</p>\
    <p>The second paragraph, which is also long, so that nobody doubts that this is an article, as articles are.</p>\
    <p><img src='/none.png' onerror='fetch(\"/ran\")'>The third <a href='/next'>paragraph</a>, which has a picture that \
    runs a script, and a link, so that it is seen what becomes of both of them, one by one.</p></article>";
const WHITE: [u8; 3] = [255, 255, 255];
const PAPER: [u8; 3] = [0xfb, 0xfa, 0xf7];

#[test]
fn the_reader_and_the_source_run_nothing_and_leave_the_page_as_it_is() {
    let (site, display, browser) =
        window(&[("/", ARTICLE), ("/next", "<title>next</title>the next page"), ("/ran", "")]);
    display.xdotool(&["mousemove", "100", &(BARS + 20).to_string(), "click", "1", "sleep", "0.3", "type", "kept"]);
    browser.wait_for_text(1, "typed kept");
    assert_eq!(site.requests("/ran").len(), 1, "the control: the page runs its script");
    let red = || display.screenshot().share(RED, 1100, 600, 150, 200) > 0.95;
    let paper = || display.screenshot().share(PAPER, 1100, 600, 150, 200) > 0.95;
    for key in ["ctrl+alt+r", "ctrl+u"] {
        display.xdotool(&["key", key]);
        // The link back is drawn.
        eventually(key, || {
            (!red() && display.screenshot().share(WHITE, 20, usize::try_from(BARS).unwrap() + 8, 100, 20) < 0.9)
                .then_some(())
        });
        assert_eq!(browser.tab(1)["title"], "News");
        display.xdotool(&["key", key]);
        eventually("the page", || red().then_some(()));
    }
    browser.wait_for_text(1, "typed kept");
    // From one to the other, and back by the link.
    display.xdotool(&["key", "ctrl+u"]);
    eventually("the source", || (display.screenshot().share(WHITE, 1100, 600, 150, 200) > 0.95).then_some(()));
    display.xdotool(&["key", "ctrl+alt+r"]);
    eventually("the article", || paper().then_some(()));
    // A click that comes while the article is still being drawn may be lost; a person clicks again.
    eventually("the page", || {
        display.xdotool(&["mousemove", "60", &(BARS + 18).to_string(), "click", "1"]);
        within(Duration::from_secs(3), || red().then_some(()))
    });
    browser.wait_for_text(1, "typed kept");
    assert_eq!(site.requests("/ran").len(), 1, "a script of the article ran");
    // A link of the article is the page's.
    display.xdotool(&["key", "ctrl+alt+r"]);
    eventually("the article", || paper().then_some(()));
    display.xdotool(&["sleep", "0.5", "key", "Tab", "sleep", "0.2", "key", "Tab", "sleep", "0.2", "key", "Return"]);
    browser.wait_for_text(1, "the next page");
    browser.wait_for_url(1, &site.url(1, "/next"));
}

#[test]
fn a_pdf_is_shown() {
    let page = "BT /F1 40 Tf 60 150 Td (Hello) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = String::new();
    for (number, object) in (1..).zip(&objects) {
        table += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let start = file.len();
    let count = objects.len() + 1;
    file += &format!("xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n");
    file += &format!("startxref\n{start}\n%%EOF\n");
    let site = Site::serve(move |_| Some(Answer::typed("application/pdf", file.clone().into_bytes())));
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/file.pdf"));
    eventually("black letters on white paper", || {
        let (width, _, pixels) = browser.screenshot(tab);
        let page = pixels.chunks(3).skip(width * 100);
        let (mut black, mut white) = (0, 0);
        for pixel in page {
            black += usize::from(pixel.iter().all(|channel| *channel < 40));
            white += usize::from(pixel.iter().all(|channel| *channel > 250));
        }
        (black > 2000 && white > 200_000).then_some(())
    });
    assert_eq!(browser.json(&["downloads"]), serde_json::json!([]));
}
