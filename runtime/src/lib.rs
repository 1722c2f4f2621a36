//! What every child does first: adopt what it inherited, say Hello, and serve the kernel channel.
//!
//! A child must not open anything before [`begin`] and [`adopt`]. It never outlives its channel: when the broker is gone,
//! [`Kernel::receive`] says so and the child ends.

mod crash;
mod inherited;
mod sealed;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

pub use crash::show_crashes_of_helper;
pub use sealed::{MappedBytes, Sealed, read_sealed};

use regen_proto::kernel::v1::{Configure, Exit, Hello, Ready};
use regen_proto::kernel_channel::{ChannelError, KernelChannel};
use regen_proto::role::Role;
use regen_proto::validate::{self, BrokerToChild, ChildToBroker};
use regen_proto::version;
use rustix::net::SocketType;

/// The number of the channel among the descriptors that a child inherits beside its standard streams.
const CHANNEL: i32 = 3;

/// What may go wrong between a child and its broker. All of it ends the child.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Started by hand, or by something that is not the broker.
    #[error("this program is started by the Regen broker, not by hand: run `regen`")]
    NotAChild,
    /// The channel failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The broker is of another build.
    #[error(transparent)]
    Version(#[from] version::HelloError),
    /// The broker sent something that this build does not know.
    #[error("the broker sent {0}")]
    Unexpected(String),
}

/// What is logged. Tor's own parts say what happens to each relay: what matters of it, the net-daemon says.
const FILTER: &str = "info,smithay=warn,tor_=error,arti_client=error";

/// The child's end of its kernel channel. Clones share it.
#[derive(Debug, Clone)]
pub struct Kernel(Arc<KernelChannel>);

/// Sets up logging (to stderr, which the broker reads), says what panicked before the process ends, and shows a crash to the
/// dumper. Must be called before anything is opened.
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

/// Adopts the inherited channel, shakes hands, and takes the configuration. Must be called inside a tokio runtime, once.
///
/// # Errors
/// When this process is not a broker's child, or the broker is of another build.
pub async fn adopt(role: Role) -> Result<(Kernel, Configure), RuntimeError> {
    let channel = inherited::take(CHANNEL, SocketType::SEQPACKET).ok_or(RuntimeError::NotAChild)?;
    let kernel = Kernel(Arc::new(KernelChannel::adopt(channel).map_err(ChannelError::Io)?));
    kernel.send(ChildToBroker::Hello(version::hello(role))).await?;
    let BrokerToChild::Hello(hello) = kernel.receive().await?.0 else {
        return Err(RuntimeError::Unexpected("something before its Hello".to_owned()));
    };
    agree(&hello)?;
    let BrokerToChild::Configure(configure) = kernel.receive().await?.0 else {
        return Err(RuntimeError::Unexpected("something before Configure".to_owned()));
    };
    Ok((kernel, configure))
}

fn agree(hello: &Hello) -> Result<(), version::HelloError> {
    version::agree_with_broker(hello).map(drop)
}

impl Kernel {
    /// The next message of the broker, with its descriptors.
    ///
    /// # Errors
    /// When the broker is gone or sent nonsense: the child must end.
    pub async fn receive(&self) -> Result<(BrokerToChild, Vec<OwnedFd>), RuntimeError> {
        let datagram = self.0.receive().await?;
        let message = validate::from_broker(&datagram.bytes).map_err(|e| RuntimeError::Unexpected(e.to_string()))?;
        Ok((message, datagram.descriptors))
    }

    /// Sends one message, waiting for room.
    ///
    /// # Errors
    /// When the broker is gone, or the message is over a limit of the channel.
    pub async fn send(&self, message: ChildToBroker) -> Result<(), RuntimeError> {
        Ok(self.0.send(&validate::to_broker(message), &[]).await?)
    }

    /// Sends one message with descriptors.
    ///
    /// # Errors
    /// As [`Kernel::send`].
    pub async fn send_with(&self, message: ChildToBroker, descriptors: &[BorrowedFd<'_>]) -> Result<(), RuntimeError> {
        Ok(self.0.send(&validate::to_broker(message), descriptors).await?)
    }

    /// Tells the broker that this child can be used.
    ///
    /// # Errors
    /// When the broker is gone.
    pub async fn ready(&self) -> Result<(), RuntimeError> {
        self.send(ChildToBroker::Ready(Ready {})).await
    }

    /// Says why, and ends this process with an error.
    pub async fn exit(&self, reason: &str) -> ! {
        tracing::error!("{reason}");
        // If the broker is gone there is nobody to tell.
        let _ = self.send(ChildToBroker::Exit(Exit { reason: reason.to_owned() })).await;
        std::process::exit(1)
    }
}
