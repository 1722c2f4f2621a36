//! Tunnels of a hostile tab-host: unread data takes bounded memory and does not block other tunnels, and invalid
//! requests are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regen_tests::process::pss;
use regen_tests::{Browser, ForeignPeer};
use sha1::{Digest, Sha1};

/// Maximum growth of the net-daemon for unread data, MB: more than 64 tunnels' buffers.
const MAX_GROWTH_MB: f64 = 100.0;

/// Starts a server that answers `/small`, sends `/big` endlessly, never reads what is posted to `/never`, and serves
/// [`PAGE`].
fn server(number: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, number), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(count) = stream.read(&mut bytes)
        && count > 0
    {
        let words = String::from_utf8_lossy(&bytes[..count]);
        if words.contains("/small") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall").unwrap();
        } else if words.starts_with("GET /page ") {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", PAGE.len());
            stream.write_all((head + PAGE).as_bytes()).unwrap();
        } else if words.starts_with("GET /events ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
            for number in 0..=5 {
                stream.write_all(format!("data: {number}\n\n").as_bytes()).unwrap();
            }
            // The response never ends, so the events must have arrived while it streamed.
        } else if words.starts_with("GET /socket ") {
            return converse(&mut stream, &words);
        } else if words.starts_with("GET /movie") {
            // The engine's media player requests ranges as well.
            let range =
                words.lines().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let (first, last) = range.as_deref().and_then(|range| range.split_once('-')).expect("a range");
            let (first, last) = (first.parse::<usize>().unwrap(), last.parse().unwrap_or(MOVIE - 1));
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Type: video/mp4\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n\
                 Content-Range: bytes {first}-{last}/{MOVIE}\r\n\r\n",
                last + 1 - first
            );
            stream.write_all(head.as_bytes()).unwrap();
            let part: Vec<u8> = (first..=last).map(|at| u8::try_from(at % 251).unwrap()).collect();
            if stream.write_all(&part).is_err() {
                return;
            }
        } else if words.contains("/big") {
            // Sends until the connection is closed.
            while stream.write_all(&[7; 1 << 16]).is_ok() {}
        } else if words.contains("/never") {
            loop {
                std::thread::park();
            }
        }
    }
}

/// Serves a WebSocket: echoes one message, and then sends frames endlessly.
fn converse(stream: &mut TcpStream, words: &str) {
    let key = words.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key").trim();
    let accept = BASE64_STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A client's frame of a megabyte: two bytes of header, eight of length, four of mask.
    let mut start = [0; 14];
    stream.read_exact(&mut start).unwrap();
    let length = usize::try_from(u64::from_be_bytes(start[2..10].try_into().unwrap())).unwrap();
    let mut message = vec![0; length];
    stream.read_exact(&mut message).unwrap();
    message.iter_mut().zip(start[10..14].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    let frame = |bytes: &[u8]| [&[0x82, 127][..], &(bytes.len() as u64).to_be_bytes(), bytes].concat();
    stream.write_all(&frame(&message)).unwrap();
    while stream.write_all(&frame(&[7; 1 << 16])).is_ok() {}
}

/// Size of the video, bytes.
const MOVIE: usize = 3 << 20;

/// A page that streams: server-sent events, a WebSocket, ranges and a video.
const PAGE: &str = "<!doctype html><title>t</title><p id=said></p><video src='/movie.mp4?player' preload=auto></video><script>
    const events = new Promise(done => {
        const source = new EventSource('/events');
        source.onmessage = event => event.data === '5' && source.readyState === 1 && done('events');
    });
    const socket = new Promise(done => {
        const socket = new WebSocket(`ws://${location.host}/socket`);
        socket.binaryType = 'arraybuffer';
        const sent = new Uint8Array(1 << 20).map((_, at) => at * 7);
        socket.onopen = () => socket.send(sent);
        let count = 0;
        socket.onmessage = event => {
            const got = new Uint8Array(event.data);
            if (count === 0) done(got.length === sent.length && got.every((byte, at) => byte === sent[at]) ? 'socket' : 'torn');
            if (++count === 200) said.append(' slow');
            // A page that is slower than what it is sent.
            for (const end = performance.now() + 20; performance.now() < end;);
        };
    });
    const range = fetch('/movie.mp4', { headers: { Range: 'bytes=1000-2999' } }).then(async answer => {
        const got = new Uint8Array(await answer.arrayBuffer());
        return answer.status === 206 && got.length === 2000 && got.every((byte, at) => byte === (at + 1000) % 251) ? 'range' : 'torn';
    });
    Promise.all([events, socket, range]).then(all => said.prepend(all.join(' ')));
</script>";

#[test]
fn what_streams_arrives_as_it_is_sent_and_a_slow_page_costs_bounded_memory() {
    let (browser, site) = (Browser::headless(), server(1));
    let tab = browser.open(&format!("http://{site}/page"));
    let daemon = browser.daemon("net-daemon");
    let before = pss(daemon);
    browser.wait_for_text(tab, "events socket range");
    // The server sends faster than the page reads: 200 frames take the page four seconds.
    browser.wait_for_text(tab, "slow");
    let held = pss(daemon) - before;
    assert!(held < MAX_GROWTH_MB, "{held} MB");
}

#[test]
fn what_nobody_reads_costs_bounded_memory_and_holds_up_nobody_else() {
    let (stranger, [one, other]) = (ForeignPeer::start(), [server(1), server(2)]);
    let daemon = stranger.browser.daemon("net-daemon");
    let before = pss(daemon);
    // 64 tunnels are unread; the other 136 are answered.
    let down = stranger.open(&format!("http://{one}/tunnels/200"));
    let said = stranger.says(down);
    assert!(said.starts_with("200 open, 64 of them unread"), "{said}");
    let held = pss(daemon) - before;
    assert!(held < MAX_GROWTH_MB, "{held} MB");
    // Uploads: the last tunnel is answered, and the data accepted from the others is bounded.
    let up = stranger.open(&format!("http://{other}/uploads/70"));
    let said = stranger.says(up);
    let sent: f64 = said.split("sent ").nth(1).unwrap().trim().parse().unwrap();
    assert!(sent > 64.0 * 70.0, "control: no data was accepted ({said})");
    let held = pss(daemon) - before;
    assert!(held < 2.0 * MAX_GROWTH_MB, "{held} MB ({said})");
}

#[test]
fn what_is_no_proper_request_is_refused_and_half_an_end_is_none() {
    let (stranger, site) = (ForeignPeer::start(), server(1));
    let tab = stranger.open(&format!("http://{site}/strange/1"));
    assert_eq!(stranger.says(tab), "refused 6 of 6, ended true, half true");
    assert!(stranger.browser.daemon("net-daemon") > 0);
    assert!(!stranger.browser.log().contains("died"), "{}", stranger.browser.log());
}
