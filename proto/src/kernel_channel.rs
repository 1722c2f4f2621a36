//! The kernel channel: one `SOCK_SEQPACKET` datagram is one message, with up to four descriptors.
//!
//! The module moves bytes and descriptors within their limits. [`crate::validate`] decodes them.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, setsockopt,
    socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Maximum size of a datagram, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Maximum number of descriptors with one datagram.
pub const MAX_DESCRIPTORS: usize = 4;
/// Maximum number of descriptors that the kernel delivers. The buffer has room for all of them, so that each can be
/// closed.
const SCM_MAX_FD: usize = 253;
/// Maximum size of an inline payload, in bytes; a larger one travels in a sealed memfd.
pub const MAX_INLINE: usize = 48 * 1024;

/// One end of a kernel channel.
#[derive(Debug)]
pub struct KernelChannel(AsyncFd<OwnedFd>);

/// A received datagram.
#[derive(Debug)]
pub struct Datagram {
    /// Encoded message.
    pub bytes: Vec<u8>,
    /// Descriptors sent with it.
    pub descriptors: Vec<OwnedFd>,
    /// Process id of the sender in this process's PID namespace, as attested by the kernel; 0 if not requested.
    pub sender: i32,
}

/// Failure of a channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// A closed peer.
    #[error("the peer closed its kernel channel")]
    Closed,
    /// A message over the size limit; it is lost.
    #[error("message is larger than {MAX_MESSAGE} bytes")]
    Oversized,
    /// Too many descriptors; they are closed.
    #[error("message has more than {MAX_DESCRIPTORS} descriptors")]
    TooManyDescriptors,
    /// An error of the system.
    #[error("kernel channel: {0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> Self {
        if matches!(errno, Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) {
            Self::Closed
        } else if errno == Errno::EMSGSIZE {
            Self::Oversized
        } else {
            Self::Io(errno.into())
        }
    }
}

/// Creates a channel. The first end learns the sender's process id with each datagram; the second is for the child.
///
/// # Errors
/// Returns an error if the system is out of descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    setsockopt(&ours, sockopt::PassCred, &true)?;
    Ok((ours, theirs))
}

impl KernelChannel {
    /// Adopts one end. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the descriptor cannot be polled.
    pub fn adopt(end: OwnedFd) -> io::Result<Self> {
        nix::fcntl::fcntl(&end, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
        // Register for reading only: an end that also waits for room would wake with each datagram that the peer takes.
        Ok(Self(register(end, Interest::READABLE)?))
    }

    /// Receives the next datagram.
    ///
    /// # Errors
    /// Returns [`ChannelError::Closed`] if the peer is gone. A datagram over a limit is dropped and reported.
    pub async fn receive(&self) -> Result<Datagram, ChannelError> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| Ok(receive_now(fd.get_ref().as_fd()))) {
                Ok(Ok(Err(ChannelError::Io(e)))) if e.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Ok(Ok(result)) => return result,
                Ok(Err(e)) => return Err(e.into()),
                Err(_would_block) => {}
            }
        }
    }

    /// Sends one datagram, waiting for room.
    ///
    /// # Errors
    /// Returns an error if the message is over a limit or the peer is gone.
    pub async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let is_full = |result: &Result<(), ChannelError>| matches!(result, Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock);
        let mut result = self.try_send(bytes, descriptors);
        if is_full(&result) {
            let room = register(self.0.get_ref().try_clone()?, Interest::WRITABLE)?;
            while is_full(&result) {
                // Another task may have used the room: readiness is only a hint.
                room.writable().await?.clear_ready();
                result = self.try_send(bytes, descriptors);
            }
        }
        result
    }

    /// Sends one datagram if there is room for it now.
    ///
    /// # Errors
    /// As [`KernelChannel::send`], and `WouldBlock` if the peer's queue is full.
    pub fn try_send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        send_now(self.0.get_ref().as_fd(), bytes, descriptors)
    }
}

/// Sends on a channel that is not inside a runtime (the launcher's).
///
/// # Errors
/// As [`KernelChannel::try_send`].
pub fn send_now(fd: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(ChannelError::Oversized);
    }
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(ChannelError::TooManyDescriptors);
    }
    let raw: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    sendmsg::<()>(fd.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives on a channel that is not inside a runtime (the launcher's).
///
/// # Errors
/// As [`KernelChannel::receive`], and `WouldBlock` if there is no datagram.
pub fn receive_now(fd: BorrowedFd<'_>) -> Result<Datagram, ChannelError> {
    // Most messages are short: the buffer for the largest is allocated once per thread.
    thread_local!(static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_MESSAGE]));
    ROOM.with_borrow_mut(|room| receive_into(fd.as_raw_fd(), room))
}

fn receive_into(fd: i32, buffer: &mut [u8]) -> Result<Datagram, ChannelError> {
    let mut control = cmsg_space!([i32; SCM_MAX_FD], nix::libc::ucred);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let (bytes, flags) = (message.bytes, message.flags);
    let mut descriptors = Vec::new();
    let mut sender = 0;
    if let Ok(messages) = message.cmsgs() {
        for item in messages {
            if let ControlMessageOwned::ScmRights(raw) = item {
                descriptors.extend(raw.into_iter().map(own));
            } else if let ControlMessageOwned::ScmCredentials(credentials) = item {
                sender = credentials.pid();
            }
        }
    }
    if flags.contains(MsgFlags::MSG_CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
        return Err(ChannelError::TooManyDescriptors);
    }
    if flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(ChannelError::Oversized);
    }
    if bytes == 0 && descriptors.is_empty() {
        return Err(ChannelError::Closed);
    }
    let bytes = buffer.get(..bytes).unwrap_or_default().to_vec();
    Ok(Datagram { bytes, descriptors, sender })
}

/// Registers a descriptor (a channel, a pidfd) for readiness. Must be called inside a tokio runtime.
///
/// # Errors
/// Returns an error if the descriptor cannot be polled.
#[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays the same one")]
pub fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open file until it is dropped, and AsyncFd deregisters before it drops it.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(|error| error.into_parts().1)
}

#[expect(unsafe_code, reason = "a descriptor that arrived in SCM_RIGHTS is a bare number")]
fn own(raw: i32) -> OwnedFd {
    // SAFETY: the kernel has just installed this descriptor for us, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_datagram_arrives_whole_with_descriptors_and_sender() {
        runtime().block_on(async {
            let (ours, theirs) = pair().unwrap();
            let (ours, theirs) = (KernelChannel::adopt(ours).unwrap(), KernelChannel::adopt(theirs).unwrap());
            let file = std::fs::File::open("/dev/null").unwrap();
            theirs.send(b"hello", &[file.as_fd(), file.as_fd()]).await.unwrap();
            let datagram = ours.receive().await.unwrap();
            assert_eq!(datagram.bytes, b"hello");
            assert_eq!(datagram.descriptors.len(), 2);
            assert_eq!(datagram.sender, i32::try_from(std::process::id()).unwrap());
        });
    }

    #[test]
    fn limits_hold_on_both_ends() {
        runtime().block_on(async {
            let (ours, theirs) = pair().unwrap();
            let file = std::fs::File::open("/dev/null").unwrap();
            let many: Vec<_> = (0..200).map(|_| file.as_fd()).collect();
            let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
            assert!(matches!(send_now(theirs.as_fd(), b"x", &many), Err(ChannelError::TooManyDescriptors)));
            assert!(matches!(send_now(theirs.as_fd(), &vec![0; MAX_MESSAGE + 1], &[]), Err(ChannelError::Oversized)));
            // A hostile peer does not use our send functions.
            let raw: Vec<i32> = many.iter().map(AsRawFd::as_raw_fd).collect();
            sendmsg::<()>(
                theirs.as_raw_fd(),
                &[IoSlice::new(b"x")],
                &[ControlMessage::ScmRights(&raw)],
                MsgFlags::empty(),
                None,
            )
            .unwrap();
            sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(&vec![0; MAX_MESSAGE + 1])], &[], MsgFlags::empty(), None)
                .unwrap();
            let ours = KernelChannel::adopt(ours).unwrap();
            let before = open();
            assert!(matches!(ours.receive().await, Err(ChannelError::TooManyDescriptors)));
            assert_eq!(open(), before, "what came uninvited is closed");
            assert!(matches!(ours.receive().await, Err(ChannelError::Oversized)));
            drop(theirs);
            assert!(matches!(ours.receive().await, Err(ChannelError::Closed)));
        });
    }

    #[test]
    fn a_full_peer_is_seen_and_does_not_block() {
        runtime().block_on(async {
            let (ours, _theirs) = pair().unwrap();
            let ours = KernelChannel::adopt(ours).unwrap();
            let full = (0..10_000).find_map(|_| ours.try_send(&[0; 1000], &[]).err()).unwrap();
            assert!(matches!(full, ChannelError::Io(e) if e.kind() == io::ErrorKind::WouldBlock));
        });
    }
}
