//! Checks who may use the control socket.
//!
//! 1. The peer runs as the broker's user.
//! 2. The peer is in the broker's user namespace: sandboxes of an unprivileged broker have the same user id, but none
//!    of them is in this namespace.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use interprocess::local_socket::tokio::Stream;
use regen_sandbox::sys;
use rustix::process::PidfdFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use crate::children::pidfd::process_id;

/// Reason that a peer was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    #[error("refused a connection: its process runs as user {0}")]
    OtherUser(u32),
    #[error("refused a connection: process {0} is in another user namespace")]
    OtherNamespace(i32),
    #[error("refused a connection: its process cannot be identified: {0}")]
    Unknown(#[from] io::Error),
}

/// Process at the other end of a connection, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Peer {
    pid: i32,
    /// Path of its program; empty if it cannot be read.
    program: String,
}

/// A connection whose peer was checked.
#[derive(Debug)]
pub(super) struct Trusted(Stream, Peer);

/// Checks the peer of a connection.
pub(super) fn check(stream: &Stream) -> Result<Peer, PeerError> {
    let Stream::UdSocket(socket) = stream;
    let credentials = rustix::net::sockopt::socket_peercred(socket.as_fd()).map_err(io::Error::from)?;
    if credentials.uid != rustix::process::geteuid() {
        return Err(PeerError::OtherUser(credentials.uid.as_raw()));
    }
    let held = match sys::peer_pidfd(socket.as_fd())? {
        Some(pidfd) => pidfd,
        None => rustix::process::pidfd_open(credentials.pid, PidfdFlags::empty()).map_err(io::Error::from)?,
    };
    let gone = || io::Error::other("the process has ended");
    let pid = process_id(&held).ok_or_else(gone)?;
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/user"))?;
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    let program = program.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    // The pidfd still has a process, so the process id was not reused in between.
    process_id(&held).ok_or_else(gone)?;
    if theirs == std::fs::read_link("/proc/self/ns/user")? {
        Ok(Peer { pid, program })
    } else {
        Err(PeerError::OtherNamespace(pid))
    }
}

impl Trusted {
    pub(super) fn new(stream: Stream, peer: Peer) -> Self {
        Self(stream, peer)
    }
}

impl Connected for Trusted {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.1.clone()
    }
}

impl AsyncRead for Trusted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Trusted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
