//! Entry points of untrusted data, for fuzzers (`tests/fuzz`). Invalid data may only be refused.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use regen_proto::kernel::v1::{Grant, Service};
use regen_proto::kernel_channel;
use regen_proto::net::v1::VerdictChannelOpened;

use crate::{dns, server, shields};

/// Socket timeout. Later answers are of no interest.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Checks a filter list from a server or the user. A valid list is applied to requests and documents.
pub fn filter_list(text: &str) {
    shields::try_list(text);
}

/// Parses a text as a hosts file and as the user's DNSKEY records.
pub fn names(text: &str) {
    dns::try_texts(text);
}

/// Serves a connection on which a tab-host sends these bytes instead of HTTP/2.
///
/// # Panics
/// Panics if the system is out of descriptors.
#[expect(clippy::expect_used, reason = "a fuzzer has no other use for errors")]
pub fn tab_host(bytes: &[u8]) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
    serve(Service::Tunnel, theirs.into());
    ours.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
    ours.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    // The daemon may have closed the connection already.
    let _ = ours.write_all(bytes);
    let _ = ours.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = ours.read_to_end(&mut answer);
}

/// Serves a verdict channel on which a web process sends these datagrams.
///
/// # Panics
/// Panics if the system is out of descriptors.
#[expect(clippy::expect_used, reason = "a fuzzer has no other use for errors")]
pub fn verdict_channel(datagrams: &[&[u8]]) {
    use std::os::fd::AsFd;

    use prost::Message as _;
    let (host, theirs) = kernel_channel::pair().expect("a socket pair");
    serve(Service::VerdictChannels, theirs);
    let (ours, theirs) = kernel_channel::pair().expect("a socket pair");
    let opened = VerdictChannelOpened { number: 1 }.encode_to_vec();
    // The daemon may have closed either channel already.
    let _ = kernel_channel::send_now(host.as_fd(), &opened, &[theirs.as_fd()]);
    for datagram in datagrams {
        let _ = kernel_channel::send_now(ours.as_fd(), datagram, &[]);
    }
    std::thread::sleep(Duration::from_micros(200));
}

fn serve(service: Service, socket: std::os::fd::OwnedFd) {
    let site = "https://site.test".to_owned();
    let grant = Grant { service: service.into(), serve: true, route: "block".to_owned(), site, ..Grant::default() };
    server::serve_alone(grant, socket);
}
