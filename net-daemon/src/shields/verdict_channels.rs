//! Verdict channels, on which web processes ask whether they may send requests. Each web process has its own channel,
//! and waits for the answer, so that one thread does nothing else.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use prost::Message;
use regen_proto::KINDS;
use regen_proto::kernel_channel::{ChannelError, KernelChannel, MAX_INLINE};
use regen_proto::net::v1::{CheckRequest, VerdictAnswer, VerdictChannelOpened};
use tokio::sync::mpsc;

use super::{Shields, ShieldsContext};
use crate::encrypted_hosts::EncryptedHosts;

/// Maximum length of a request's method.
const MAX_METHOD: usize = 32;

/// Sender of verdict channels to their thread.
#[derive(Debug, Clone)]
pub(crate) struct VerdictChannels(mpsc::UnboundedSender<(OwnedFd, Asks)>);

/// Context of the tab-host at the other end of a channel, and its workspace.
type Asks = (Arc<ShieldsContext>, String);

impl VerdictChannels {
    /// Starts the thread.
    pub(crate) fn start(shields: Shields, encrypted: EncryptedHosts) -> io::Result<Self> {
        let (sender, mut channels) = mpsc::unbounded_channel::<(OwnedFd, Asks)>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        std::thread::Builder::new().name("verdicts".into()).spawn(move || {
            runtime.block_on(async {
                while let Some((channel, (context, workspace))) = channels.recv().await {
                    let (shields, encrypted) = (shields.clone(), encrypted.clone());
                    tokio::spawn(async move {
                        match serve(&shields, &encrypted, channel, &context, &workspace).await {
                            Ok(()) | Err(ChannelError::Closed) => {}
                            Err(error) => {
                                tracing::warn!(
                                    "shields: verdict channel of {} failed: {error}",
                                    context.recorded_site()
                                )
                            }
                        }
                    });
                }
            });
        })?;
        Ok(Self(sender))
    }

    /// Serves a tab-host that hands over channels for its web processes. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Fails if the connection cannot be polled.
    pub(crate) fn serve_host(
        &self,
        socket: OwnedFd,
        context: Arc<ShieldsContext>,
        workspace: String,
    ) -> io::Result<()> {
        let (connection, channels) = (KernelChannel::adopt(socket)?, self.clone());
        tokio::spawn(async move {
            // The connection ends with the tab-host.
            while let Ok(datagram) = connection.receive().await {
                let mut descriptors = datagram.descriptors.into_iter();
                let is_one =
                    VerdictChannelOpened::decode(datagram.bytes.as_slice()).is_ok_and(|opened| opened.number > 0);
                match (descriptors.next(), descriptors.next()) {
                    (Some(channel), None) if is_one => channels.serve(channel, Arc::clone(&context), workspace.clone()),
                    _ => {
                        tracing::warn!("shields: the tab-host of {} sent no verdict channel", context.recorded_site());
                        return;
                    }
                }
            }
        });
        Ok(())
    }

    /// Answers the requests on a channel.
    pub(crate) fn serve(&self, channel: OwnedFd, context: Arc<ShieldsContext>, workspace: String) {
        // The thread lives as long as this process.
        let _ = self.0.send((channel, (context, workspace)));
    }
}

async fn serve(
    shields: &Shields,
    encrypted: &EncryptedHosts,
    channel: OwnedFd,
    context: &ShieldsContext,
    workspace: &str,
) -> Result<(), ChannelError> {
    // An honest tab-host does not have more web processes.
    let Ok(_room) = Arc::clone(&context.verdict_channels).try_acquire_owned() else {
        return Err(
            io::Error::other(format!("too many verdict channels (limit {})", super::MAX_VERDICT_CHANNELS)).into()
        );
    };
    let channel = KernelChannel::adopt(channel)?;
    loop {
        let datagram = channel.receive().await?;
        let request = CheckRequest::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
        if !KINDS.contains(&request.kind.as_str()) || request.method.len() > MAX_METHOD {
            return Err(io::Error::other("invalid kind or method of a request").into());
        }
        let mut verdict = shields.check(context, &request).await;
        if verdict.encoded_len() > MAX_INLINE {
            verdict.stand_in.clear();
        }
        verdict.encrypt = !verdict.blocked && encrypted.covers(workspace, &context.site, &request).await;
        // Web processes must not learn the rule, as it may be a user rule.
        (verdict.rule, verdict.list) = Default::default();
        channel.send(&VerdictAnswer { verdict: Some(verdict) }.encode_to_vec(), &[]).await?;
        // The other channels have waited meanwhile.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use regen_proto::kernel_channel;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn opened() -> Vec<u8> {
        VerdictChannelOpened { number: 1 }.encode_to_vec()
    }

    fn request() -> Vec<u8> {
        let (url, kind) = ("https://a.test/x.js".to_owned(), "script".to_owned());
        CheckRequest { url, kind, ..CheckRequest::default() }.encode_to_vec()
    }

    /// Returns a host's end of its connection.
    fn connection() -> KernelChannel {
        let shields = Shields::without_lists();
        let context = shields.asking(1, "https://a.test", "");
        let channels = VerdictChannels::start(shields, EncryptedHosts::none()).unwrap();
        let (ours, theirs) = kernel_channel::pair().unwrap();
        channels.serve_host(theirs, context, String::new()).unwrap();
        KernelChannel::adopt(ours).unwrap()
    }

    #[tokio::test]
    async fn each_channel_that_a_host_hands_over_is_answered() {
        let host = connection();
        for _ in 0..3 {
            let (ours, theirs) = kernel_channel::pair().unwrap();
            host.send(&opened(), &[theirs.as_fd()]).await.unwrap();
            drop(theirs);
            let page = KernelChannel::adopt(ours).unwrap();
            page.send(&request(), &[]).await.unwrap();
            let answer = tokio::time::timeout(TIMEOUT, page.receive()).await.unwrap().unwrap();
            assert!(!VerdictAnswer::decode(answer.bytes.as_slice()).unwrap().verdict.unwrap().blocked);
        }
    }

    #[tokio::test]
    async fn anything_but_one_channel_ends_the_connection() {
        let (a, b) = kernel_channel::pair().unwrap();
        for (bytes, descriptors) in [
            (opened(), vec![]),
            (opened(), vec![a.as_fd(), b.as_fd()]),
            (VerdictChannelOpened { number: 0 }.encode_to_vec(), vec![a.as_fd()]),
            (vec![0xff; 8], vec![a.as_fd()]),
        ] {
            let host = connection();
            host.send(&bytes, &descriptors).await.unwrap();
            let ended = tokio::time::timeout(TIMEOUT, host.receive()).await.unwrap();
            assert!(matches!(ended, Err(ChannelError::Closed)), "{bytes:?}: {ended:?}");
        }
    }

    #[tokio::test]
    async fn a_web_process_that_asks_nonsense_loses_its_channel_and_no_other() {
        let host = connection();
        let mut pages = Vec::new();
        for _ in 0..2 {
            let (ours, theirs) = kernel_channel::pair().unwrap();
            host.send(&opened(), &[theirs.as_fd()]).await.unwrap();
            pages.push(KernelChannel::adopt(ours).unwrap());
        }
        let nonsense = CheckRequest { kind: "no such kind".to_owned(), ..CheckRequest::default() };
        pages[0].send(&nonsense.encode_to_vec(), &[]).await.unwrap();
        let ended = tokio::time::timeout(TIMEOUT, pages[0].receive()).await.unwrap();
        assert!(matches!(ended, Err(ChannelError::Closed)), "{ended:?}");
        pages[1].send(&request(), &[]).await.unwrap();
        assert!(tokio::time::timeout(TIMEOUT, pages[1].receive()).await.unwrap().is_ok());
    }
}
