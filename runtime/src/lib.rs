//! The start of every child process: adopts the inherited channel, exchanges Hello, and serves the kernel channel.
//!
//! A child must not open anything before [`begin`] and [`adopt`]. It must never outlive its channel: when the broker is
//! gone, [`Kernel::receive`] fails and the child ends.

mod crash;
pub mod foreign_text;
mod inherited;
mod sealed;
mod surface;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

pub use crash::show_crashes_of_helper;
pub use sealed::{MappedBytes, Sealed, read_sealed};
pub use surface::{SurfaceChannel, SurfaceError, SurfaceMessage};

use regen_proto::kernel::v1::{Exit, Hello, Ready};
use regen_proto::kernel_channel::{ChannelError, KernelChannel};
use regen_proto::role::Configuration;
use regen_proto::validate::{self, BrokerToChild, ChildToBroker};
use regen_proto::version;
use rustix::net::SocketType;

/// Descriptor number of the kernel channel, the first after the standard streams.
const CHANNEL: i32 = 3;

/// Errors between a child and its broker. Each of them ends the child.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The process has no channel: something other than the broker started it.
    #[error("this program was not started by the Regen broker: run `regen` instead")]
    NotAChild,
    /// The channel failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The broker is from another build.
    #[error(transparent)]
    Version(#[from] version::HelloError),
    /// The broker sent a message that is malformed or out of order.
    #[error("the broker sent {0}")]
    Unexpected(String),
}

/// Log filter. Arti logs every relay's events; the net-daemon logs the ones that matter.
const FILTER: &str = "info,smithay=warn,tor_=error,arti_client=error";

/// The child's end of its kernel channel. Clones share the channel.
#[derive(Debug, Clone)]
pub struct Kernel(Arc<KernelChannel>);

/// Sets up crash reports, logging to stderr (which the broker reads), and logging of panics. Must be called before
/// anything is opened.
pub fn begin() {
    crash::show_crashes();
    let filter = tracing_subscriber::EnvFilter::new(FILTER);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// Adopts the inherited channel, exchanges Hello with the broker, and receives the configuration of this role. Must be
/// called once, inside a tokio runtime.
///
/// # Errors
/// When this process is not a broker's child, the broker is from another build, or it sends anything else first.
pub async fn adopt<C: Configuration>() -> Result<(Kernel, C), RuntimeError> {
    let channel = inherited::take(CHANNEL, SocketType::SEQPACKET).ok_or(RuntimeError::NotAChild)?;
    let kernel = Kernel(Arc::new(KernelChannel::adopt(channel).map_err(ChannelError::Io)?));
    kernel.send(ChildToBroker::Hello(version::hello(C::ROLE))).await?;
    let BrokerToChild::Hello(hello) = kernel.receive().await?.0 else {
        return Err(RuntimeError::Unexpected("a message before its Hello".to_owned()));
    };
    agree(&hello)?;
    let BrokerToChild::Configure(configure) = kernel.receive().await?.0 else {
        return Err(RuntimeError::Unexpected("a message before Configure".to_owned()));
    };
    let other = || RuntimeError::Unexpected("the configuration of another role".to_owned());
    Ok((kernel, C::of(configure).ok_or_else(other)?))
}

fn agree(hello: &Hello) -> Result<(), version::HelloError> {
    version::agree_with_broker(hello).map(drop)
}

impl Kernel {
    /// Receives the broker's next message and its descriptors.
    ///
    /// # Errors
    /// When the broker is gone or its message is malformed. The child must end.
    pub async fn receive(&self) -> Result<(BrokerToChild, Vec<OwnedFd>), RuntimeError> {
        let datagram = self.0.receive().await?;
        let message = validate::from_broker(&datagram.bytes).map_err(|e| RuntimeError::Unexpected(e.to_string()))?;
        Ok((message, datagram.descriptors))
    }

    /// Sends one message; waits while the channel is full.
    ///
    /// # Errors
    /// When the broker is gone, or the message exceeds a limit of the channel.
    pub async fn send(&self, message: ChildToBroker) -> Result<(), RuntimeError> {
        Ok(self.0.send(&validate::to_broker(message), &[]).await?)
    }

    /// Sends one message with descriptors; waits while the channel is full.
    ///
    /// # Errors
    /// As [`Kernel::send`].
    pub async fn send_with(&self, message: ChildToBroker, descriptors: &[BorrowedFd<'_>]) -> Result<(), RuntimeError> {
        Ok(self.0.send(&validate::to_broker(message), descriptors).await?)
    }

    /// Tells the broker that this child is ready for use.
    ///
    /// # Errors
    /// When the broker is gone.
    pub async fn ready(&self) -> Result<(), RuntimeError> {
        self.send(ChildToBroker::Ready(Ready {})).await
    }

    /// Logs the reason, tells the broker, and ends this process with exit code 1.
    pub async fn exit(&self, reason: &str) -> ! {
        tracing::error!("{reason}");
        // The broker may be gone; this process ends either way.
        let _ = self.send(ChildToBroker::Exit(Exit { reason: reason.to_owned() })).await;
        std::process::exit(1)
    }
}
