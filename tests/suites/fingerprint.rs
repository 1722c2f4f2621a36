//! Fingerprinting: strict shields hide a machine's properties from a page that measures them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use regen_tests::{Browser, Site, eventually};
use serde_json::Value;

/// A page that measures identifying properties in itself, in a frame and in a worker.
const MEASURES: &str = "<!doctype html><title>measuring</title><body><iframe src='/frame'></iframe><pre id=said></pre><script>
    const draw = canvas => {
        canvas.width = 200;
        canvas.height = 60;
        const context = canvas.getContext('2d');
        context.fillStyle = '#f60';
        context.fillRect(10, 10, 100, 40);
        context.fillStyle = '#069';
        context.font = '20px serif';
        context.fillText('Sphinx of black quartz', 5, 30);
        return canvas;
    };
    const off = () => draw(new OffscreenCanvas(200, 60));
    const on = () => draw(document.createElement('canvas'));
    const pixels = canvas => [...canvas.getContext('2d').getImageData(0, 0, 200, 60).data].join();
    const blob = blob => blob.arrayBuffer().then(bytes => [...new Uint8Array(bytes)].join());
    const hash = text => { let h = 0; for (const c of text) h = Math.imul(h ^ c.charCodeAt(), 0x01000193); return h; };
    const sound = async () => {
        const context = new OfflineAudioContext(1, 4000, 44100), tone = context.createOscillator();
        const press = context.createDynamicsCompressor();
        tone.type = 'triangle';
        tone.connect(press).connect(context.destination);
        tone.start();
        return [...(await context.startRendering()).getChannelData(0)].join();
    };
    const inWorker = () => new Promise(done => {
        const source = `postMessage([navigator.hardwareConcurrency, navigator.languages,
            Intl.DateTimeFormat().resolvedOptions().timeZone, Intl.DateTimeFormat().resolvedOptions().locale])`;
        new Worker(URL.createObjectURL(new Blob([source]))).onmessage = message => done(message.data);
    });
    onload = async () => {
        const own = await sound();
        const machine = {
            window: [innerWidth, innerHeight, outerWidth, outerHeight],
            screen: [screen.width, screen.height, screen.availWidth, screen.availHeight],
            media: [matchMedia(`(device-width: ${innerWidth}px)`).matches, matchMedia('(prefers-color-scheme: dark)').matches],
            languages: navigator.languages, processors: navigator.hardwareConcurrency,
            zone: [Intl.DateTimeFormat().resolvedOptions().timeZone, new Date(2024, 6).getTimezoneOffset()],
            graphics: !!document.createElement('canvas').getContext('webgl'), voices: speechSynthesis.getVoices().length,
            worker: await inWorker(), frame: frames[0].measured,
        };
        const canvas = on();
        const reads = {
            pixels: hash(pixels(canvas)), url: hash(canvas.toDataURL()), off: hash(pixels(off())),
            blob: hash(await blob(await off().convertToBlob())), sound: hash(own),
        };
        const again = {
            pixels: hash(pixels(canvas)), url: hash(canvas.toDataURL()), off: hash(pixels(off())),
            blob: hash(await blob(await off().convertToBlob())), sound: hash(await sound()),
        };
        const natural = [HTMLCanvasElement.prototype.toDataURL, CanvasRenderingContext2D.prototype.getImageData]
            .every(method => /\\[native code\\]/.test(method) && method.name && !('prototype' in method));
        said.textContent = JSON.stringify({ machine, reads, again, natural });
        document.title = 'measured';
    };
</script>";

const FRAME: &str = "<script>
    measured = [screen.width, navigator.languages, Intl.DateTimeFormat().resolvedOptions().timeZone,
        new Date(2024, 6).getTimezoneOffset()];
</script>";

/// Returns the measurements of two tabs in a browser with this window size and language.
fn measured(site: &Site, size: &str, language: &str, level: &str) -> [Value; 2] {
    let zone = if language.starts_with("de") { "Europe/Berlin" } else { "America/Cayenne" };
    let browser = Browser::not_started(&["--headless", "--size", size]).with_variable("LANG", language);
    let browser = browser.with_variable("TZ", zone);
    browser.start();
    browser.regen(&["shields", "level", level]).unwrap();
    [1, 2].map(|_| {
        let tab = browser.open(&site.url(1, "/"));
        eventually("the measurements", || (browser.tab(tab)["title"] == "measured").then_some(()));
        serde_json::from_str(&browser.text(tab)).unwrap()
    })
}

#[test]
fn strict_shields_make_machines_alike() {
    let site = Site::pages(&[("/", MEASURES), ("/frame", FRAME)]);
    let [german, again] = measured(&site, "1333x877", "de_DE.UTF-8", "strict");
    let [french, _] = measured(&site, "1270x801", "fr_FR.UTF-8", "strict");
    assert_eq!(german["machine"], french["machine"]);
    assert_eq!(german["machine"]["window"], serde_json::json!([1200, 800, 1200, 800]));
    assert_eq!(german["machine"]["languages"], serde_json::json!(["en-US"]));
    let reads = german["reads"].as_object().unwrap();
    for (what, read) in reads {
        assert_ne!(*read, french["reads"][what], "{what}");
        assert_ne!(*read, again["reads"][what], "{what}: another document reads the same value");
        assert_eq!(*read, german["again"][what], "{what}: the same document reads another value");
    }
    assert_eq!(german["natural"], true);

    // Control: with balanced shields the machines differ, and canvas and audio read the same everywhere.
    let [german, again] = measured(&site, "1333x877", "de_DE.UTF-8", "balanced");
    let [french, _] = measured(&site, "1270x801", "fr_FR.UTF-8", "balanced");
    for what in ["window", "screen", "languages", "zone", "worker", "frame"] {
        assert_ne!(german["machine"][what], french["machine"][what], "{what}");
    }
    assert_eq!(german["machine"]["languages"], serde_json::json!(["de-DE"]));
    assert_eq!(german["machine"]["zone"], serde_json::json!(["Europe/Berlin", -120]));
    assert_eq!((&german["reads"], &german["reads"]), (&french["reads"], &again["reads"]));
    assert_eq!(reads.len(), 5);
}
