//! What a web process asks before it sends a request, on its way to the net-daemon and back. The web process stands still
//! meanwhile, so nothing here waits for long; and without an answer nothing is sent.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use prost::Message;
use regen_proto::kernel_channel::{self, ChannelError, KernelChannel, MAX_INLINE};
use regen_proto::net::v1::shields_client::ShieldsClient;
use regen_proto::net::v1::{HideRequest, PageAnswer, PageQuestion, page_answer, page_question};
use regen_proto::{DOCUMENT, SHIELDS_PLACE};
use regen_runtime::Sealed;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::link::ToMain;
use crate::tunnel::{Granted, PATIENCE};

/// The net-daemon answers within this time; the first answer waits until it has read the lists.
const ANSWERS: Duration = Duration::from_secs(10);
/// A page waits so long for a net-daemon.
const PAGE_PATIENCE: Duration = Duration::from_secs(2);
/// Web processes that may be waiting to be let in.
const WAITING: i32 = 16;

/// Listens for web processes. Must be called inside a tokio runtime.
pub(crate) fn start(asker: Asker) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::bind(&listener, &SocketAddrUnix::new(SHIELDS_PLACE)?)?;
    rustix::net::listen(&listener, WAITING)?;
    let listener = kernel_channel::register(listener, Interest::READABLE)?;
    tokio::spawn(async move {
        loop {
            let accept = |listener: &OwnedFd| Ok(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?);
            match listener.async_io(Interest::READABLE, accept).await.and_then(KernelChannel::adopt) {
                Ok(channel) => drop(tokio::spawn(serve(channel, asker.clone()))),
                Err(error) => {
                    tracing::warn!("shields: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(())
}

/// One web process, until it ends or says something else.
async fn serve(channel: KernelChannel, mut asker: Asker) {
    loop {
        match asker.answer_one(&channel).await {
            Ok(()) => {}
            Err(ChannelError::Closed) => return,
            Err(error) => {
                tracing::warn!("shields: {error}");
                return;
            }
        }
    }
}

/// Whoever asks the net-daemon.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    granted: watch::Receiver<Granted>,
    /// Nobody was there to be asked the last time.
    waited: bool,
    blocked: mpsc::UnboundedSender<ToMain>,
}

impl Asker {
    pub(crate) fn new(granted: watch::Receiver<Granted>, blocked: mpsc::UnboundedSender<ToMain>) -> Self {
        Self { granted, waited: false, blocked }
    }

    async fn answer_one(&mut self, channel: &KernelChannel) -> Result<(), ChannelError> {
        let datagram = channel.receive().await?;
        let question = PageQuestion::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
        match question.body {
            Some(page_question::Body::Check(request)) => {
                // Without a network there is no page: each is waited for anew, but not so long that its process counts as hung.
                let is_page = request.kind == DOCUMENT;
                self.waited &= !is_page;
                let verdict = self.ask(if is_page { PAGE_PATIENCE } else { PATIENCE }, |mut net| {
                    let request = request.clone();
                    async move { net.check(request).await }
                });
                let body = match verdict.await {
                    Ok(mut verdict) => {
                        if verdict.blocked {
                            // The main thread only goes away with this process.
                            let _ = self.blocked.send(ToMain::Blocked(question.page));
                        }
                        if verdict.encoded_len() > MAX_INLINE {
                            verdict.stand_in.clear();
                        }
                        Some(page_answer::Body::Verdict(verdict))
                    }
                    Err(error) => {
                        tracing::warn!("shields: a request is not sent, for nobody said that it may be: {error}");
                        None
                    }
                };
                channel.send(&PageAnswer { body }.encode_to_vec(), &[]).await
            }
            Some(page_question::Body::Begin(request)) => {
                let rules = self.ask(Duration::ZERO, |mut net| {
                    let request = request.clone();
                    async move { net.begin(request).await }
                });
                // Nothing of a page is sent without an answer; what it shows may be.
                let rules = rules.await.inspect_err(|error| tracing::warn!("shields: nothing is hidden: {error}"));
                let rules = rules.unwrap_or_default().encode_to_vec();
                let sealed = Sealed::new(&rules)?;
                let body = Some(page_answer::Body::RulesSize(rules.len() as u64));
                channel.send(&PageAnswer { body }.encode_to_vec(), &[sealed.as_fd()]).await
            }
            None => Err(io::Error::other("a question that is not one").into()),
        }
    }

    /// What of a document that has grown is to be hidden: selectors.
    pub(crate) async fn hidden(mut self, request: HideRequest) -> Vec<String> {
        let reply = self.ask(PATIENCE, |mut net| {
            let request = request.clone();
            async move { net.hide(request).await }
        });
        reply.await.map(|reply| reply.selectors).unwrap_or_default()
    }

    /// Asks the net-daemon; one that has just died has a successor soon. Where none came for a while, the next question does not
    /// wait for it again: the page stands still as long as it is asked about.
    async fn ask<T, F>(
        &mut self,
        patience: Duration,
        mut call: impl FnMut(ShieldsClient<Channel>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + if self.waited { Duration::ZERO } else { patience };
        loop {
            let client =
                self.granted.borrow_and_update().as_ref().map(|(_, channel)| ShieldsClient::new(channel.clone()));
            let gone = match client {
                Some(client) => match timeout(ANSWERS, call(client)).await {
                    Ok(Ok(answer)) => {
                        self.waited = false;
                        return Ok(answer.into_inner());
                    }
                    Ok(Err(status)) if status.code() == Code::InvalidArgument => return Err(status),
                    Ok(Err(status)) => status,
                    Err(_) => return Err(Status::deadline_exceeded("the network process does not answer")),
                },
                None => Status::unavailable("there is no network process"),
            };
            match timeout_at(deadline, self.granted.changed()).await {
                Ok(Ok(())) => {}
                _ => {
                    self.waited |= !patience.is_zero();
                    return Err(gone);
                }
            }
        }
    }
}
