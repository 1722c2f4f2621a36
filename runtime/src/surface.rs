//! The surface channel: messages between a tab-host's display and the window, with descriptors, in one order.
//!
//! A message that is too large for a datagram travels whole in a sealed memfd.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use regen_proto::kernel_channel::{ChannelError, KernelChannel, MAX_INLINE};
use regen_proto::page::v1::{FromPage, ToPage};
use regen_proto::prost::Message;

use crate::sealed::{Sealed, read_sealed};

/// Maximum size of a message, bytes: a copied picture, and room.
const MAX_MESSAGE: u64 = 65 << 20;

/// Error of a surface channel.
#[derive(Debug, thiserror::Error)]
pub enum SurfaceError {
    /// The channel failed, or the peer is gone.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The peer sent something that is not a message.
    #[error("malformed surface message: {0}")]
    Malformed(String),
    /// A message could not be put into memory of its own, or be read from it.
    #[error("payload of a surface message: {0}")]
    Payload(#[from] std::io::Error),
}

/// A message that may travel in a descriptor.
pub trait SurfaceMessage: Message + Default {
    /// Returns the message that announces one of this size in descriptor 0.
    fn announcing(size: u64) -> Self;

    /// Returns the announced size; 0: the message is complete.
    fn payload_size(&self) -> u64;

    /// Returns whether the message has a body.
    fn has_body(&self) -> bool;
}

/// Implements the trait for both directions of the channel: their messages have the same two fields.
macro_rules! surface_message {
    ($($name:ty),+) => {
        $(impl SurfaceMessage for $name {
            fn announcing(payload_size: u64) -> Self {
                Self { payload_size, ..Self::default() }
            }

            fn payload_size(&self) -> u64 {
                self.payload_size
            }

            fn has_body(&self) -> bool {
                self.body.is_some()
            }
        })+
    };
}

surface_message!(FromPage, ToPage);

/// One end of a surface channel, which sends `Out` and receives `In`.
#[derive(Debug)]
pub struct SurfaceChannel<Out, In> {
    channel: KernelChannel,
    messages: PhantomData<(Out, In)>,
}

impl<Out: SurfaceMessage, In: SurfaceMessage> SurfaceChannel<Out, In> {
    /// Adopts one end. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the descriptor cannot be polled.
    pub fn adopt(end: OwnedFd) -> Result<Self, SurfaceError> {
        Ok(Self { channel: KernelChannel::adopt(end)?, messages: PhantomData })
    }

    /// Sends a message, waiting for room. Only a message that fits into a datagram may have a descriptor of its own.
    ///
    /// # Errors
    /// When the peer is gone, or the message cannot be put into memory of its own.
    pub async fn send(&self, message: &Out, descriptor: Option<BorrowedFd<'_>>) -> Result<(), SurfaceError> {
        let bytes = message.encode_to_vec();
        if bytes.len() <= MAX_INLINE {
            return Ok(self.channel.send(&bytes, descriptor.as_slice()).await?);
        }
        let payload = Sealed::new(&bytes)?;
        let announcement = Out::announcing(bytes.len() as u64).encode_to_vec();
        Ok(self.channel.send(&announcement, &[payload.as_fd()]).await?)
    }

    /// Receives the next message, with its descriptor.
    ///
    /// # Errors
    /// When the peer is gone, or sent something else than a message.
    pub async fn receive(&self) -> Result<(In, Option<OwnedFd>), SurfaceError> {
        let datagram = self.channel.receive().await?;
        let mut descriptors = datagram.descriptors.into_iter();
        let (first, rest) = (descriptors.next(), descriptors.next());
        let message = decode::<In>(&datagram.bytes)?;
        let (message, descriptor) = match (message.payload_size(), first) {
            (0, descriptor) => (message, descriptor),
            (size, Some(payload)) => (decode(&read_sealed(&payload, size, MAX_MESSAGE)?)?, None),
            (_, None) => return Err(SurfaceError::Malformed("a payload without its descriptor".to_owned())),
        };
        if rest.is_some() {
            return Err(SurfaceError::Malformed("more than one descriptor".to_owned()));
        }
        if message.payload_size() > 0 || !message.has_body() {
            return Err(SurfaceError::Malformed("an unknown or empty kind".to_owned()));
        }
        Ok((message, descriptor))
    }
}

fn decode<M: SurfaceMessage>(bytes: &[u8]) -> Result<M, SurfaceError> {
    M::decode(bytes).map_err(|error| SurfaceError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use regen_proto::kernel_channel;
    use regen_proto::page::v1::{Paste, from_page, to_page};

    use super::*;

    type Host = SurfaceChannel<FromPage, ToPage>;
    type Window = SurfaceChannel<ToPage, FromPage>;

    fn pair() -> (Host, Window) {
        let (host, window) = kernel_channel::pair().unwrap();
        (Host::adopt(host).unwrap(), Window::adopt(window).unwrap())
    }

    fn hover(url: &str) -> FromPage {
        let link = regen_proto::page::v1::HoverLink { url: url.to_owned() };
        FromPage { tab: 3, body: Some(from_page::Body::HoverLink(link)), ..FromPage::default() }
    }

    #[tokio::test]
    async fn messages_of_any_size_arrive_whole_and_in_order() {
        let (host, window) = pair();
        let memory = Sealed::new(b"pixels").unwrap();
        host.send(&hover("first"), Some(memory.as_fd())).await.unwrap();
        host.send(&hover(&"x".repeat(300_000)), None).await.unwrap();
        host.send(&hover("last"), None).await.unwrap();
        let (first, descriptor) = window.receive().await.unwrap();
        assert_eq!(first, hover("first"));
        assert_eq!(read_sealed(&descriptor.unwrap(), 6, 6).unwrap(), b"pixels");
        let (large, descriptor) = window.receive().await.unwrap();
        assert!(descriptor.is_none() && large == hover(&"x".repeat(300_000)));
        assert_eq!(window.receive().await.unwrap().0, hover("last"));
        let paste = to_page::Body::Paste(Paste { text: "y".repeat(100_000) });
        let paste = ToPage { tab: 3, body: Some(paste), ..ToPage::default() };
        window.send(&paste, None).await.unwrap();
        assert_eq!(host.receive().await.unwrap().0, paste);
        drop(host);
        assert!(matches!(window.receive().await, Err(SurfaceError::Channel(ChannelError::Closed))));
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let raw = |message: FromPage, descriptors: usize| async move {
            let (host, window) = pair();
            let memory = Sealed::new(b"not a message").unwrap();
            let all = vec![memory.as_fd(); descriptors];
            host.channel.send(&message.encode_to_vec(), &all).await.unwrap();
            window.receive().await.map(drop).unwrap_err().to_string()
        };
        let empty = FromPage { tab: 1, ..FromPage::default() };
        assert!(raw(empty, 0).await.contains("empty kind"));
        assert!(raw(FromPage::announcing(13), 0).await.contains("without its descriptor"));
        assert!(raw(FromPage::announcing(12), 1).await.contains("13 bytes, announced as 12"));
        assert!(raw(FromPage::announcing(13), 1).await.contains("malformed"));
        assert!(raw(hover("x"), 2).await.contains("more than one descriptor"));
    }
}
