//! Where web processes ask what they may send. Each has a line of its own to this process, and stands still until it is answered:
//! so one thread does nothing else, and nothing is on its way there that need not be.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use prost::Message;
use regen_proto::KINDS;
use regen_proto::kernel_channel::{ChannelError, KernelChannel, MAX_INLINE};
use regen_proto::net::v1::{CheckRequest, LineAnswer};
use tokio::sync::mpsc;

use super::{Shields, ShieldsContext};
use crate::encrypted_hosts::EncryptedHosts;

/// No method has a longer name.
const MAX_METHOD: usize = 32;

/// Takes lines to that thread.
#[derive(Debug, Clone)]
pub(crate) struct Lines(mpsc::UnboundedSender<(OwnedFd, Asks)>);

/// The tab-host at the other end of a line, and its workspace.
type Asks = (Arc<ShieldsContext>, String);

impl Lines {
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
                            Err(error) => tracing::warn!("shields: a web process of {}: {error}", asking.site),
                        }
                    });
                }
            });
        })?;
        Ok(Self(sender))
    }

    /// Answers what comes on this one.
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
    // Whoever has more web processes than that has them for this.
    let Ok(_room) = Arc::clone(&asking.lines).try_acquire_owned() else {
        return Err(io::Error::other("too many verdict channels").into());
    };
    let line = KernelChannel::adopt(line)?;
    loop {
        let datagram = line.receive().await?;
        let request = CheckRequest::decode(datagram.bytes.as_slice()).map_err(io::Error::other)?;
        if !KINDS.contains(&request.kind.as_str()) || request.method.len() > MAX_METHOD {
            return Err(io::Error::other("not a kind of request").into());
        }
        let mut verdict = shields.check(asking, &request).await;
        if verdict.encoded_len() > MAX_INLINE {
            verdict.stand_in.clear();
        }
        verdict.encrypt = !verdict.blocked && encrypted.covers(workspace, &asking.site, &request).await;
        // Web processes learn what becomes of a request, not the rule: it may be one of the user's own.
        (verdict.rule, verdict.list) = Default::default();
        line.send(&LineAnswer { verdict: Some(verdict) }.encode_to_vec(), &[]).await?;
        // The others have waited meanwhile.
        tokio::task::yield_now().await;
    }
}
