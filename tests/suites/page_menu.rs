//! Context menu, clipboard, full screen, printing, inspector, favicons and window size, driven by mouse and keyboard.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::site::Answer;
use regen_tests::window::{Display, TABS_LEFT};
use regen_tests::{Browser, Site, eventually};

const ORANGE: [u8; 3] = [0xff, 0x64, 0x00];
const GREEN: [u8; 3] = [0x10, 0xa0, 0x40];
/// Height of the bars, pixels.
const BARS: usize = 88;

/// A page with an orange picture, a link, a field that goes to full screen when it is clicked, and a print button.
const PAGE: &str = "<title>A page</title><body style='margin:0'><img src='/orange.png' style='display:block;width:200px;height:200px'>\
    <a href='/linked' style='display:block;width:200px;height:100px;background:#ddd'>link</a>\
    <div id=field style='background:#10a040;height:100px' onclick='field.requestFullscreen()'></div>\
    <button style='position:fixed;left:300px;top:0;width:100px;height:100px' onclick='print()'>print</button>";

fn orange() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 20, 10);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&ORANGE.repeat(200)).unwrap();
    file
}

fn site() -> Site {
    Site::serve(|request| match request.path.as_str() {
        "/" => Some(Answer::page(PAGE)),
        "/linked" => Some(Answer::page("<title>linked</title>")),
        "/orange.png" => Some(Answer::typed("image/png", orange())),
        _ => None,
    })
}

struct Scene {
    site: Site,
    display: Display,
    browser: Browser,
}

fn scene() -> Scene {
    let site = site();
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/")]);
    let is_shown = || display.screenshot().share(ORANGE, 5, BARS + 5, 180, 180) > 0.95;
    eventually("the page", || is_shown().then_some(()));
    display.xdotool(&["search", "--sync", "--onlyvisible", "--name", "Regen", "windowfocus"]);
    Scene { site, display, browser }
}

/// Opens the context menu at a point, and chooses an entry, counted from one.
fn choose(display: &Display, (x, y): (u32, u32), entry: u32) {
    // The link's bubble must be drawn before the picture to compare with is taken.
    display.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "sleep", "1"]);
    let before = display.screenshot();
    display.xdotool(&["click", "3"]);
    eventually("the menu", || (display.screenshot().differs(&before)).then_some(()));
    for _ in 0..entry {
        display.xdotool(&["sleep", "0.1", "key", "Down"]);
    }
    display.xdotool(&["sleep", "0.1", "key", "Return"]);
}

#[test]
fn what_the_menu_opens_it_opens_in_a_tab_behind_the_page() {
    let Scene { site, display, browser } = scene();
    choose(&display, (100, 340), 2);
    browser.wait_for_url(2, &site.url(1, "/linked"));
    choose(&display, (100, 200), 1);
    browser.wait_for_url(3, &site.url(1, "/orange.png"));
    assert_eq!(browser.tab(1)["active"], true);
}

#[test]
fn a_picture_that_is_copied_is_a_picture_for_other_programs() {
    let scene = scene();
    let display = &scene.display;
    choose(display, (100, 200), 3);
    let copied =
        eventually("the picture", || Some(display.clipboard("image/png")).filter(|file| file.starts_with(b"\x89PNG")));
    let mut picture = png::Decoder::new(std::io::Cursor::new(copied)).read_info().unwrap();
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    let info = picture.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, &pixels[..3]), (20, 10, &ORANGE[..]));
}

#[test]
fn a_page_that_fills_the_screen_gives_it_back_with_escape_and_when_its_user_goes_to_another_tab() {
    let Scene { site, display, browser } = scene();
    let fills = || display.screenshot().share(GREEN, 10, 5, 300, 60) > 0.95;
    let fill = || {
        display.xdotool(&["mousemove", "100", "430", "click", "1"]);
        eventually("the green field everywhere", || fills().then_some(()));
    };
    let is_a_page = || display.screenshot().share(ORANGE, 5, BARS + 5, 180, 180) > 0.95;
    fill();
    eventually("the full screen hint", || (display.screenshot().share(GREEN, 520, 50, 240, 20) < 0.9).then_some(()));
    display.xdotool(&["key", "Escape"]);
    eventually("the bars", || is_a_page().then_some(()));
    fill();
    browser.regen(&["tab", "open", &site.url(2, "/linked")]).unwrap();
    eventually("the other page", || (!fills()).then_some(()));
    display.xdotool(&["key", "ctrl+1"]);
    eventually("the page with its bars", || is_a_page().then_some(()));
}

#[test]
fn what_a_page_prints_is_saved_as_a_pdf() {
    let site = site();
    let browser = Browser::headless();
    let tab = browser.open(&site.url(1, "/"));
    browser.input(tab, &["--click", "350,50"]);
    let saved = eventually("the file", || std::fs::read(browser.downloads().join("A page.pdf")).ok());
    assert!(saved.starts_with(b"%PDF-") && saved.len() > 1000, "{} bytes", saved.len());
    // A page that prints repeatedly by itself must ask.
    let browser = Browser::headless();
    let printing = Site::pages(&[("/", "<title>storm</title><script>setInterval(() => print(), 100)</script>")]);
    browser.open(&printing.url(1, "/"));
    eventually("the question", || {
        let warnings = browser.status()["warnings"].to_string();
        warnings.contains("allow-downloads").then_some(())
    });
}

#[test]
fn a_window_opens_as_large_as_it_was_left_and_is_called_what_it_shows() {
    let Scene { display, browser, .. } = &scene();
    display.xdotool(&["search", "--onlyvisible", "--name", "Regen", "windowsize", "900", "700"]);
    let file = browser.profile().join("window.json");
    eventually("the size to be saved", || std::fs::read_to_string(&file).ok()?.contains("900").then_some(()));
    // Window managers write a remote host's name into the title.
    assert!(!display.window_properties("Regen").contains("WM_CLIENT_MACHINE"));
    browser.quit();
    browser.start();
    let is_as_large = || {
        let picture = display.screenshot();
        picture.share([0, 0, 0], 910, 0, 300, 800) > 0.95 && picture.share([0, 0, 0], 0, 0, 890, 690) < 0.1
    };
    eventually("a window of that size", || is_as_large().then_some(()));
}

#[test]
fn the_inspector_is_opened_and_closed_and_the_page_stays() {
    let Scene { display, browser, .. } = &scene();
    let pid = browser.pid_of_tab(1);
    // Chooses the last entry, Inspect, in the menu of an empty place.
    let before = display.screenshot();
    display.xdotool(&["mousemove", "900", "300", "click", "3"]);
    eventually("the menu", || display.screenshot().differs(&before).then_some(()));
    display.xdotool(&["sleep", "0.3", "key", "Up", "sleep", "0.2", "key", "Return"]);
    let networks = || {
        let status = browser.status();
        let processes = status["processes"].as_array().unwrap();
        let helpers = processes.iter().flat_map(|process| process["helpers"].as_array().unwrap());
        helpers.filter(|helper| helper["name"].as_str().unwrap().starts_with("WebKitNetwork")).count()
    };
    let without = networks();
    eventually("the inspector", || (networks() > without).then_some(()));
    // The inspector's close button is at the left of its bar.
    eventually("the inspector to close", || {
        display.xdotool(&["sleep", "0.5", "mousemove", "15", "574", "click", "1"]);
        (networks() == without).then_some(())
    });
    assert_eq!(browser.pid_of_tab(1), pid);
    browser.wait_for_text(1, "link");
    // The host's network process is still supervised.
    let shared = regen_tests::process::descendants(pid).into_iter().find(|(_, name)| name.starts_with("WebKitNetwork"));
    regen_tests::process::signal(shared.unwrap().0, rustix::process::Signal::KILL);
    eventually("another process", || (browser.pid_of_tab(1) != pid).then_some(()));
    browser.wait_for_text(1, "link");
}

#[test]
fn icons_are_shown_of_drawings_too_and_of_tabs_that_were_left_at_once() {
    const BLUE: [u8; 3] = [0x20, 0x30, 0xd0];
    let drawing =
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><rect width='8' height='8' fill='#2030d0'/></svg>";
    let site = Site::serve(move |request| match request.path.as_str() {
        "/drawn" => {
            let page = Answer::page("<title>drawn</title><link rel=icon href='/icon.svg' type='image/svg+xml'>");
            Some(page.with("Content-Security-Policy", "default-src 'none'; img-src 'self' data:"))
        }
        "/icon.svg" => Some(Answer::typed("image/svg+xml", drawing.as_bytes().to_vec())),
        "/painted" => Some(Answer::page("<title>painted</title><link rel=icon href='/orange.png'>")),
        "/orange.png" => Some(Answer::typed("image/png", orange())),
        _ => None,
    });
    let display = Display::start(1280, 860);
    let browser = Browser::in_window(&display.name(), &[&site.url(1, "/drawn")]);
    browser.wait_for_url(1, &site.url(1, "/drawn"));
    browser.regen(&["tab", "open", &site.url(2, "/painted")]).unwrap();
    browser.regen(&["tab", "activate", "1"]).unwrap();
    let share = |colour, tab: usize| display.screenshot().share(colour, TABS_LEFT + 10 + 222 * tab, 17, 12, 12);
    eventually("both icons", || (share(BLUE, 0) > 0.9 && share(ORANGE, 1) > 0.9).then_some(()));
}
