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
        let (sender, mut lines) = mpsc::unbounded_channel::<(OwnedFd, Asks)>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        std::thread::Builder::new().name("verdicts".into()).spawn(move || {
            runtime.block_on(async {
                while let Some((line, (asking, workspace))) = lines.recv().await {
                    let (shields, encrypted) = (shields.clone(), encrypted.clone());
                    tokio::spawn(async move {
                        match serve(&shields, &encrypted, line, &asking, &workspace).await {
                            Ok(()) | Err(ChannelError::Closed) => {}
                            Err(error) => tracing::warn!("shields: verdict channel of {} failed: {error}", asking.site),
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
    pub(crate) fn serve_host(&self, socket: OwnedFd, asking: Arc<ShieldsContext>, workspace: String) -> io::Result<()> {
        let (channel, lines) = (KernelChannel::adopt(socket)?, self.clone());
        tokio::spawn(async move {
            // The connection ends with the tab-host.
            while let Ok(datagram) = channel.receive().await {
                let mut descriptors = datagram.descriptors.into_iter();
                let is_one =
                    VerdictChannelOpened::decode(datagram.bytes.as_slice()).is_ok_and(|opened| opened.number > 0);
                match (descriptors.next(), descriptors.next()) {
                    (Some(line), None) if is_one => lines.serve(line, Arc::clone(&asking), workspace.clone()),
                    _ => {
                        tracing::warn!("shields: the tab-host of {} sent no verdict channel", asking.site);
                        return;
                    }
                }
            }
        });
        Ok(())
    }

    /// Answers the requests on a channel.
    pub(crate) fn serve(&self, line: OwnedFd, asking: Arc<ShieldsContext>, workspace: String) {
        // The thread lives as long as this process.
        let _ = self.0.send((line, (asking, workspace)));
    }
}

async fn serve(
    shields: &Shields,
    encrypted: &EncryptedHosts,
    line: OwnedFd,
    asking: &ShieldsContext,
    workspace: &str,
) -> Result<(), ChannelError> {
    // An honest tab-host does not have more web processes.
    let Ok(_room) = Arc::clone(&asking.lines).try_acquire_owned() else {
        return Err(io::Error::other(format!("too many verdict channels (limit {})", super::LINES)).into());
    };
    let line = KernelChannel::adopt(line)?;
    loop {
        let datagram = line.receive().await?;
        let request = CheckRequest::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
        if !KINDS.contains(&request.kind.as_str()) || request.method.len() > MAX_METHOD {
            return Err(io::Error::other("invalid kind or method of a request").into());
        }
        let mut verdict = shields.check(asking, &request).await;
        if verdict.encoded_len() > MAX_INLINE {
            verdict.stand_in.clear();
        }
        verdict.encrypt = !verdict.blocked && encrypted.covers(workspace, &asking.site, &request).await;
        // Web processes must not learn the rule, as it may be a user rule.
        (verdict.rule, verdict.list) = Default::default();
        line.send(&VerdictAnswer { verdict: Some(verdict) }.encode_to_vec(), &[]).await?;
        // The other channels have waited meanwhile.
        tokio::task::yield_now().await;
    }
}
