//! A private network namespace with only a loopback device, and a record of every packet on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use regen_sandbox::policy::Namespace;

/// Source and destination of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Source address.
    pub from: IpAddr,
    /// Destination address.
    pub to: IpAddr,
    /// Destination port of TCP or UDP.
    pub port: u16,
}

/// Packets on loopback since the recording started.
#[derive(Debug, Clone)]
pub struct Packets(Arc<Mutex<Vec<Packet>>>);

/// Moves this thread, and everything that it starts from now on, into a private network namespace.
pub fn quiet_network() {
    regen_sandbox::sys::unshare(&[Namespace::Net]).expect("a network namespace: run as root");
    ip(&["link", "set", "lo", "up"]);
}

/// Moves this thread into a private network namespace, and records every packet there.
#[must_use]
pub fn own_network() -> Packets {
    quiet_network();
    // Datagram: packets without the link layer's header.
    let listener = socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .expect("a packet socket: run as root");
    // A large buffer, so that no packet is lost.
    setsockopt(&listener, sockopt::RcvBufForce, &(256 << 20)).expect("room for packets: run as root");
    // A default route, so that packets to other addresses are recorded as well.
    ip(&["route", "add", "default", "dev", "lo"]);
    let seen = Packets(Arc::default());
    let packets = seen.clone();
    std::thread::spawn(move || {
        let mut packet = vec![0; 65536];
        while let Ok(length) = rustix::io::read(&listener, packet.as_mut_slice()) {
            packets.0.lock().unwrap_or_else(PoisonError::into_inner).extend(parse(&packet[..length]));
        }
    });
    seen
}

/// Adds an address to the loopback device.
pub fn add_address(address: Ipv4Addr) {
    ip(&["address", "replace", &format!("{address}/32"), "dev", "lo"]);
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
pub(crate) fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().expect("ip");
    assert!(done.success(), "ip {}", arguments.join(" "));
}

impl Packets {
    /// Returns all packets so far.
    #[must_use]
    pub fn all(&self) -> Vec<Packet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn parse(packet: &[u8]) -> Option<Packet> {
    let ports_at = match packet.first()? >> 4 {
        4 => usize::from(packet[0] & 15) * 4,
        6 => 40,
        _ => return None,
    };
    let (from, to) = if packet[0] >> 4 == 4 {
        let address =
            |at: usize| Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?)));
        (address(12)?, address(16)?)
    } else {
        let address =
            |at: usize| Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?)));
        (address(8)?, address(24)?)
    };
    let port = packet.get(ports_at + 2..ports_at + 4)?;
    Some(Packet { from, to, port: u16::from_be_bytes([port[0], port[1]]) })
}
