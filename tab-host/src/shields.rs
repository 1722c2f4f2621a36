//! Shields for the web processes. A web process asks the net-daemon for verdicts directly, on a verdict channel that it
//! gets here. It asks for the rules of a document here, and gets them in sealed memory. The web process blocks
//! meanwhile, so nothing here waits for long. Without a verdict no request is sent.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;
use regen_proto::SHIELDS_PLACE;
use regen_proto::kernel_channel::{self, ChannelError, KernelChannel};
use regen_proto::net::v1::shields_client::ShieldsClient as GrpcClient;
use regen_proto::net::v1::{
    CommonRequest, CommonRules, HideRequest, PageAnswer, PageQuestion, VerdictChannel, VerdictChannelOpened,
    page_answer, page_question,
};
use regen_runtime::Sealed;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::events::MainEvent;
use crate::tunnel::{Granted, RECONNECT_TIMEOUT};

/// Timeout for an answer of the net-daemon. The first answer waits until the filter lists are loaded.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a page load waits for a verdict channel.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that making a verdict channel may take while there is a net-daemon.
const MIN_PATIENCE: Duration = Duration::from_millis(100);
/// Interval between reports of blocked requests.
const COUNTING: Duration = Duration::from_millis(100);
/// Maximum web processes that wait to be accepted.
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
                    tracing::warn!("shields: cannot accept a web process: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(())
}

/// Serves one web process until it ends or violates the protocol.
async fn serve(channel: KernelChannel, mut asker: ShieldsClient) {
    // Blocked requests by page that have not been reported yet.
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
                    // Fails only when the process is ending.
                    let _ = asker.blocked.send(MainEvent::Blocked(page, count));
                }
                Ok(())
            }
        };
        match answered {
            Ok(()) => {}
            Err(ChannelError::Closed) => return,
            Err(error) => {
                tracing::warn!("shields: connection to a web process closed: {error}");
                return;
            }
        }
    }
}

fn question(datagram: kernel_channel::Datagram) -> Result<(u64, page_question::Body), ChannelError> {
    let question = PageQuestion::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
    Ok((question.page, question.body.ok_or_else(|| io::Error::other("the web process sent an empty question"))?))
}

/// The connection to the net-daemon over which this host hands it verdict channels. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct VerdictConnection {
    current: watch::Sender<Option<Arc<KernelChannel>>>,
    opened: Arc<AtomicU64>,
}

impl VerdictConnection {
    pub(crate) fn new() -> Self {
        Self { current: watch::Sender::new(None), opened: Arc::default() }
    }

    /// Takes a granted connection to a net-daemon; it replaces that to an earlier one.
    pub(crate) fn granted(&self, socket: OwnedFd) -> io::Result<()> {
        self.current.send_replace(Some(Arc::new(KernelChannel::adopt(socket)?)));
        Ok(())
    }

    /// Makes a verdict channel for a web process; `None` if no net-daemon takes it in time.
    async fn open(&self, patience: Duration) -> Option<OwnedFd> {
        let mut current = self.current.subscribe();
        let opening = async {
            loop {
                let connection = current.borrow_and_update().clone();
                if let Some(connection) = connection
                    && let Ok(ours) = self.open_on(&connection).await
                {
                    return Some(ours);
                }
                // The net-daemon is gone: its successor comes with another connection.
                current.changed().await.ok()?;
            }
        };
        // Without patience, a connection that is there is used all the same.
        timeout(patience.max(MIN_PATIENCE), opening).await.ok()?
    }

    async fn open_on(&self, connection: &KernelChannel) -> Result<OwnedFd, ChannelError> {
        // The web process waits for each answer, so its end blocks.
        let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(io::Error::from)?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        connection.send(&VerdictChannelOpened { number }.encode_to_vec(), &[theirs.as_fd()]).await?;
        Ok(ours)
    }
}

/// Client of the net-daemon for shields.
#[derive(Debug, Clone)]
pub(crate) struct ShieldsClient {
    granted: watch::Receiver<Granted>,
    verdicts: VerdictConnection,
    /// Set if the last call waited in vain for a net-daemon.
    waited: bool,
    blocked: mpsc::UnboundedSender<MainEvent>,
}

impl ShieldsClient {
    pub(crate) fn new(
        granted: watch::Receiver<Granted>,
        verdicts: VerdictConnection,
        blocked: mpsc::UnboundedSender<MainEvent>,
    ) -> Self {
        Self { granted, verdicts, waited: false, blocked }
    }

    async fn answer(&mut self, channel: &KernelChannel, question: page_question::Body) -> Result<(), ChannelError> {
        match question {
            page_question::Body::VerdictChannel(request) => {
                let line = self.line(request.is_page).await;
                let (body, descriptors) = match &line {
                    Some(line) => (Some(page_answer::Body::VerdictChannel(VerdictChannel {})), vec![line.as_fd()]),
                    None => (None, Vec::new()),
                };
                channel.send(&PageAnswer { body }.encode_to_vec(), &descriptors).await
            }
            page_question::Body::Begin(request) => {
                let rules = self.ask(Duration::ZERO, |mut net| {
                    let request = request.clone();
                    async move { net.begin(request).await }
                });
                // Without an answer, a page's requests are blocked, but its content is shown.
                let rules = rules.await.inspect_err(|error| tracing::warn!("shields: no document rules: {error}"));
                let rules = rules.unwrap_or_default().encode_to_vec();
                let sealed = Sealed::new(&rules)?;
                let body = Some(page_answer::Body::RulesSize(rules.len() as u64));
                channel.send(&PageAnswer { body }.encode_to_vec(), &[sealed.as_fd()]).await
            }
            // A count has no answer.
            page_question::Body::Blocked(_) => Ok(()),
        }
    }

    /// Returns a verdict channel; `None` if none is granted in time. Each page load waits anew, but not so long that
    /// the web process counts as hung.
    async fn line(&mut self, is_page: bool) -> Option<OwnedFd> {
        let patience = match (self.waited, is_page) {
            (_, true) => PAGE_TIMEOUT,
            (false, false) => RECONNECT_TIMEOUT,
            (true, false) => Duration::ZERO,
        };
        let line = self.verdicts.open(patience).await;
        self.waited = line.is_none();
        if self.waited {
            tracing::warn!("shields: request blocked: no verdict (net-daemon unavailable)");
        }
        line
    }

    /// Returns the generic rules; `None` if the net-daemon cannot be asked.
    pub(crate) async fn common(mut self) -> Option<CommonRules> {
        let reply = self.ask(RECONNECT_TIMEOUT, |mut net| async move { net.common(CommonRequest {}).await });
        reply.await.inspect_err(|error| tracing::warn!("shields: no generic rules: {error}")).ok()
    }

    /// Returns the selectors to hide for new classes and IDs of a document.
    pub(crate) async fn hidden(mut self, request: HideRequest) -> Vec<String> {
        let reply = self.ask(RECONNECT_TIMEOUT, |mut net| {
            let request = request.clone();
            async move { net.hide(request).await }
        });
        reply.await.map(|reply| reply.selectors).unwrap_or_default()
    }

    /// Calls the net-daemon. If it has just died, waits up to `patience` for its successor. After waiting in vain, the
    /// next call does not wait, because the page blocks meanwhile.
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
                    Err(_) => return Err(Status::deadline_exceeded("the net-daemon does not answer")),
                },
                None => Status::unavailable("the net-daemon is unavailable"),
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
