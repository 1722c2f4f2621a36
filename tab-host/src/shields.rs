//! What a web process asks before it sends a request, on its way to the net-daemon and back. The web process stands still
//! meanwhile, so nothing here waits for long; and without an answer nothing is sent.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use prost::Message;
use regen_proto::SHIELDS_PLACE;
use regen_proto::kernel_channel::{self, ChannelError, KernelChannel};
use regen_proto::net::v1::shields_client::ShieldsClient;
use regen_proto::net::v1::{CheckAnswer, CheckRequest, Verdict};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::tunnel::{Granted, PATIENCE};

/// The net-daemon answers within this time; the first answer waits until it has read the lists.
const ANSWERS: Duration = Duration::from_secs(10);
/// Web processes that may be waiting to be let in.
const WAITING: i32 = 16;

/// Listens for web processes. Must be called inside a tokio runtime.
pub(crate) fn start(granted: watch::Receiver<Granted>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&listener, &SocketAddrUnix::new(SHIELDS_PLACE)?)?;
    rustix::net::listen(&listener, WAITING)?;
    let listener = kernel_channel::register(listener, Interest::READABLE)?;
    tokio::spawn(async move {
        loop {
            let accept = |listener: &OwnedFd| Ok(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?);
            match listener.async_io(Interest::READABLE, accept).await.and_then(KernelChannel::adopt) {
                Ok(channel) => drop(tokio::spawn(serve(channel, granted.clone()))),
                Err(error) => {
                    tracing::warn!("shields: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(())
}

type Answer = Result<Verdict, tonic::Status>;

/// One web process, until it ends or says something else.
async fn serve(channel: KernelChannel, mut granted: watch::Receiver<Granted>) {
    let mut waited = false;
    loop {
        let answered = async {
            let datagram = channel.receive().await?;
            let request = CheckRequest::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
            let verdict = match ask(&mut granted, request, &mut waited).await {
                Ok(verdict) => Some(verdict),
                Err(error) => {
                    tracing::warn!("shields: a request is not sent, for nobody said that it may be: {error}");
                    None
                }
            };
            channel.send(&CheckAnswer { verdict }.encode_to_vec(), &[]).await
        };
        match answered.await {
            Ok(()) => {}
            Err(ChannelError::Closed) => return,
            Err(error) => {
                tracing::warn!("shields: {error}");
                return;
            }
        }
    }
}

/// Asks the net-daemon; one that has just died has a successor soon. Where none came for a while, the next question does not
/// wait for it again: the page stands still as long as it is asked about.
async fn ask(granted: &mut watch::Receiver<Granted>, request: CheckRequest, waited: &mut bool) -> Answer {
    let deadline = tokio::time::Instant::now() + if *waited { Duration::ZERO } else { PATIENCE };
    loop {
        let client = granted.borrow_and_update().as_ref().map(|(_, channel)| ShieldsClient::new(channel.clone()));
        let gone = match client {
            Some(mut client) => match timeout(ANSWERS, client.check(request.clone())).await {
                Ok(Ok(verdict)) => {
                    *waited = false;
                    return Ok(verdict.into_inner());
                }
                Ok(Err(status)) if status.code() == tonic::Code::InvalidArgument => return Err(status),
                Ok(Err(status)) => status,
                Err(_) => return Err(tonic::Status::deadline_exceeded("the network process does not answer")),
            },
            None => tonic::Status::unavailable("there is no network process"),
        };
        match tokio::time::timeout_at(deadline, granted.changed()).await {
            Ok(Ok(())) => {}
            _ => {
                *waited = true;
                return Err(gone);
            }
        }
    }
}
