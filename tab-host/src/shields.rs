//! What a web process asks before it sends a request. Most of it it asks the net-daemon itself, on a line that it is given here;
//! what is sealed for it takes this way there and back. It stands still meanwhile, so nothing here waits for long; and without an
//! answer nothing is sent.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message;
use regen_proto::SHIELDS_PLACE;
use regen_proto::kernel::v1::{RequestGrant, Service};
use regen_proto::kernel_channel::{self, ChannelError, KernelChannel};
use regen_proto::net::v1::shields_client::ShieldsClient as GrpcClient;
use regen_proto::net::v1::{
    CommonRequest, CommonRules, HideRequest, Line, PageAnswer, PageQuestion, page_answer, page_question,
};
use regen_proto::validate::ChildToBroker;
use regen_runtime::Sealed;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::broker_channel::MainEvent;
use crate::sender::BrokerSender;
use crate::tunnel::{Granted, RECONNECT_TIMEOUT};

/// The net-daemon answers within this time; the first answer waits until it has read the lists.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A page waits so long for a net-daemon.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// What was blocked is told this often.
const COUNTING: Duration = Duration::from_millis(100);
/// Web processes that may be waiting to be let in.
const WAITING: i32 = 16;

/// Listens for web processes. Must be called inside a tokio runtime.
pub(crate) fn start(asker: ShieldsClient) -> io::Result<()> {
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
async fn serve(channel: KernelChannel, mut asker: ShieldsClient) {
    // Of its pages, and not told yet.
    let mut blocked = HashMap::<u64, u32>::new();
    let mut tell_at = None;
    loop {
        let telling = async {
            match tell_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let answered = tokio::select! {
            datagram = channel.receive() => match datagram.and_then(question) {
                Ok((page, page_question::Body::Blocked(count))) => {
                    let all = blocked.entry(page).or_default();
                    *all = all.saturating_add(count);
                    tell_at.get_or_insert_with(|| Instant::now() + COUNTING);
                    Ok(())
                }
                Ok((_, question)) => asker.answer(&channel, question).await,
                Err(error) => Err(error),
            },
            () = telling => {
                tell_at = None;
                for (page, count) in blocked.drain() {
                    // The main thread only goes away with this process.
                    let _ = asker.blocked.send(MainEvent::Blocked(page, count));
                }
                Ok(())
            }
        };
        match answered {
            Ok(()) => {}
            Err(ChannelError::Closed) => return,
            Err(error) => {
                tracing::warn!("shields: {error}");
                return;
            }
        }
    }
}

fn question(datagram: kernel_channel::Datagram) -> Result<(u64, page_question::Body), ChannelError> {
    let question = PageQuestion::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
    Ok((question.page, question.body.ok_or_else(|| io::Error::other("a question that is not one"))?))
}

/// Lines to the net-daemon that web processes wait for. They are all alike.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    sender: BrokerSender,
    waiting: Arc<Mutex<VecDeque<oneshot::Sender<OwnedFd>>>>,
}

impl Lines {
    pub(crate) fn new(sender: BrokerSender) -> Self {
        Self { sender, waiting: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<oneshot::Sender<OwnedFd>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self) {
        self.sender.send(ChildToBroker::RequestGrant(RequestGrant { service: Service::Verdicts.into() }));
    }

    async fn line(&self, patience: Duration) -> Option<OwnedFd> {
        let (sender, line) = oneshot::channel();
        self.waiting().push_back(sender);
        self.ask();
        timeout(patience, line).await.ok()?.ok()
    }

    /// Here is one. Whoever waited for it may have given up.
    pub(crate) fn granted(&self, mut line: OwnedFd) {
        let mut waiting = self.waiting();
        while let Some(sender) = waiting.pop_front() {
            match sender.send(line) {
                Ok(()) => return,
                Err(back) => line = back,
            }
        }
    }

    /// There is a net-daemon now. One that was asked for a line may have died without giving it.
    pub(crate) fn ask_again(&self) {
        let mut waiting = self.waiting();
        waiting.retain(|sender| !sender.is_closed());
        waiting.iter().for_each(|_| self.ask());
    }
}

/// Whoever asks the net-daemon.
#[derive(Debug, Clone)]
pub(crate) struct ShieldsClient {
    granted: watch::Receiver<Granted>,
    lines: Lines,
    /// Nobody was there to be asked the last time.
    waited: bool,
    blocked: mpsc::UnboundedSender<MainEvent>,
}

impl ShieldsClient {
    pub(crate) fn new(
        granted: watch::Receiver<Granted>,
        lines: Lines,
        blocked: mpsc::UnboundedSender<MainEvent>,
    ) -> Self {
        Self { granted, lines, waited: false, blocked }
    }

    async fn answer(&mut self, channel: &KernelChannel, question: page_question::Body) -> Result<(), ChannelError> {
        match question {
            page_question::Body::Line(request) => {
                let line = self.line(request.is_page).await;
                let (body, descriptors) = match &line {
                    Some(line) => (Some(page_answer::Body::Line(Line {})), vec![line.as_fd()]),
                    None => (None, Vec::new()),
                };
                channel.send(&PageAnswer { body }.encode_to_vec(), &descriptors).await
            }
            page_question::Body::Begin(request) => {
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
            // It has no answer.
            page_question::Body::Blocked(_) => Ok(()),
        }
    }

    /// Without a network there is no page: each is waited for anew, but not so long that its process counts as hung.
    async fn line(&mut self, is_page: bool) -> Option<OwnedFd> {
        let patience = match (self.waited, is_page) {
            (_, true) => PAGE_TIMEOUT,
            (false, false) => RECONNECT_TIMEOUT,
            (true, false) => Duration::ZERO,
        };
        let line = self.lines.line(patience).await;
        self.waited = line.is_none();
        if self.waited {
            tracing::warn!("shields: a request is not sent, for nobody said that it may be");
        }
        line
    }

    /// What most documents have in common.
    pub(crate) async fn common(mut self) -> Option<CommonRules> {
        let reply = self.ask(RECONNECT_TIMEOUT, |mut net| async move { net.common(CommonRequest {}).await });
        reply.await.inspect_err(|error| tracing::warn!("shields: what pages have in common is not known: {error}")).ok()
    }

    /// What of a document that has grown is to be hidden: selectors.
    pub(crate) async fn hidden(mut self, request: HideRequest) -> Vec<String> {
        let reply = self.ask(RECONNECT_TIMEOUT, |mut net| {
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
        mut call: impl FnMut(GrpcClient<Channel>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + if self.waited { Duration::ZERO } else { patience };
        loop {
            let client = self.granted.borrow_and_update().as_ref().map(|(_, channel)| GrpcClient::new(channel.clone()));
            let gone = match client {
                Some(client) => match timeout(ANSWER_TIMEOUT, call(client)).await {
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
