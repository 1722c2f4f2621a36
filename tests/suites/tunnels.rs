//! Tunnels, from the side of a tab-host that has turned against the net-daemon: what is not read costs bounded memory, holds up
//! nobody else, and what is no proper request is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use regen_tests::Stranger;
use regen_tests::process::pss;

/// More than any process may keep of what nobody reads, MB: 64 tunnels times what each may hold.
const MOST: f64 = 100.0;

/// Answers `/small`, has no end of `/big`, and never reads what is posted.
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
        } else if words.contains("/big") {
            // Until it is closed.
            while stream.write_all(&[7; 1 << 16]).is_ok() {}
        } else if words.contains("/never") {
            loop {
                std::thread::park();
            }
        }
    }
}

#[test]
fn what_nobody_reads_costs_bounded_memory_and_holds_up_nobody_else() {
    let (stranger, [one, other]) = (Stranger::start(), [server(1), server(2)]);
    let daemon = stranger.browser.daemon("net-daemon");
    let before = pss(daemon);
    // It asks through 136 more, and is answered.
    let down = stranger.open(&format!("http://{one}/tunnels/200"));
    let said = stranger.says(down);
    assert!(said.starts_with("200 open, 64 of them unread"), "{said}");
    let held = pss(daemon) - before;
    assert!(held < MOST, "{held} MB");
    // The other way: the last one is answered, and what was taken of the others has a bound.
    let up = stranger.open(&format!("http://{other}/uploads/70"));
    let said = stranger.says(up);
    let sent: f64 = said.split("sent ").nth(1).unwrap().trim().parse().unwrap();
    assert!(sent > 64.0 * 70.0, "the control: something was taken ({said})");
    let held = pss(daemon) - before;
    assert!(held < 2.0 * MOST, "{held} MB ({said})");
}

#[test]
fn what_is_no_proper_request_is_refused_and_half_an_end_is_none() {
    let (stranger, site) = (Stranger::start(), server(1));
    let tab = stranger.open(&format!("http://{site}/strange/1"));
    assert_eq!(stranger.says(tab), "refused 6 of 6, ended true, half true");
    assert!(stranger.browser.daemon("net-daemon") > 0);
    assert!(!stranger.browser.log().contains("died"), "{}", stranger.browser.log());
}
