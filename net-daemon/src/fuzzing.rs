//! The doors through which strangers' bytes come in, for fuzzers (`tests/fuzz`): nothing may do more than be refused.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use regen_proto::kernel::v1::{Grant, Service};
use regen_proto::kernel_channel;

use crate::{dns, server, shields};

/// Nothing is waited for longer: what is left to say is of no interest.
const TIMEOUT: Duration = Duration::from_millis(20);

/// A filter list, as its server or the user hands it over. Where it is taken, pages meet it.
pub fn filter_list(text: &str) {
    shields::try_list(text);
}

/// A hosts file, and DNSKEY records of the user's.
pub fn names(text: &str) {
    dns::try_texts(text);
}

/// What a tab-host sends on its connection, which should be HTTP/2.
///
/// # Panics
/// When the system is out of descriptors.
#[expect(clippy::expect_used, reason = "a fuzzer has no other use for errors")]
pub fn tab_host(bytes: &[u8]) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
    serve(Service::Tunnel, theirs.into());
    ours.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
    ours.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    // It may have had enough before.
    let _ = ours.write_all(bytes);
    let _ = ours.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = ours.read_to_end(&mut answer);
}

/// What a web process sends on its line: datagrams.
///
/// # Panics
/// When the system is out of descriptors.
#[expect(clippy::expect_used, reason = "a fuzzer has no other use for errors")]
pub fn line(datagrams: &[&[u8]]) {
    let (ours, theirs) = kernel_channel::pair().expect("a socket pair");
    serve(Service::Verdicts, theirs);
    for datagram in datagrams {
        use std::os::fd::AsRawFd;
        // It may have had enough before.
        let _ = kernel_channel::send_now(ours.as_raw_fd(), datagram, &[]);
    }
    std::thread::sleep(Duration::from_micros(200));
}

fn serve(service: Service, socket: std::os::fd::OwnedFd) {
    let site = "https://site.test".to_owned();
    let grant = Grant { service: service.into(), serve: true, route: "block".to_owned(), site, ..Grant::default() };
    server::serve_alone(grant, socket);
}
