//! Network: the machine's own network, past the granted route, and the machine's local sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as LocalAddr, UnixStream};
use std::time::Duration;

use libc::{c_int, syscall};

use super::{Attempt, Here, attempt, call};

/// The role with a network.
const NETWORK: &[(&str, &str)] = &[("net-daemon", "it opens the connections of every page")];
/// Roles that may list the machine's sockets; the broker reads `/proc`.
const TABLES: &[(&str, &str)] =
    &[("net-daemon", "it opens the connections of every page"), ("broker", "it reads its children's entries in /proc")];
/// The role that uses local sockets.
const LOCAL: &[(&str, &str)] = &[("broker", "it serves the command line on a local socket")];

/// Maximum time to wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("open a netlink socket", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)),
    attempt("open a packet socket", |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    attempt("open a raw socket", |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
    attempt("open a crypto socket", |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
    attempt("open a socket to a virtual machine's host", |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
    attempt("open a Bluetooth socket", |_| socket(libc::AF_BLUETOOTH, libc::SOCK_RAW, 1)),
    attempt("listen on a port", |_| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map(drop)),
    Attempt { name: "reach the machine's own network", by_nature: NETWORK, make: connect },
    Attempt { name: "send a datagram to the machine", by_nature: NETWORK, make: send_datagram },
    Attempt {
        name: "reach an abstract socket of the machine",
        by_nature: LOCAL,
        make: |here| {
            UnixStream::connect_addr(&LocalAddr::from_abstract_name(format!("regen-probe-{}", here.port))?).map(drop)
        },
    },
    Attempt {
        name: "reach the user's display",
        by_nature: LOCAL,
        make: |here| UnixStream::connect(here.folder.join("wayland-0")).map(drop),
    },
    Attempt { name: "list the machine's sockets", by_nature: TABLES, make: sockets },
];

fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<()> {
    call(|| unsafe { syscall(libc::SYS_socket, family, kind | libc::SOCK_CLOEXEC, protocol) })
}

fn connect(here: &Here) -> io::Result<()> {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], here.port)), ANSWER_TIMEOUT).map(drop)
}

/// Sends a datagram and waits for the machine's answer.
fn send_datagram(here: &Here) -> io::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    socket.send_to(b"probe", ("127.0.0.1", here.port))?;
    let mut answer = [0; 16];
    socket.recv(&mut answer).map(drop)
}

/// Looks for listening sockets. The machine has some; a separate network namespace has only those of its own processes.
fn sockets(_: &Here) -> io::Result<()> {
    let table = std::fs::read_to_string("/proc/self/net/tcp")?;
    let listening = table.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some("0A")).count();
    if listening > 0 { Ok(()) } else { Err(super::denied(libc::ENOENT)) }
}
