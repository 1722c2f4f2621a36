//! Limits on the number of tunnels, and on bytes that wait in them for pages that do not read, per partition and in
//! total. Over the byte limit, tunnels continue in small chunks: none stalls, and none takes memory from the others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use regen_proto::grpc::MAX_CALLS;
use regen_proto::net::v1::FromNetwork;
use tokio::sync::mpsc;
use tonic::Status;

/// Maximum number of tunnels in all partitions. Each uses a descriptor and about 64 KB.
const MAX_TUNNELS: usize = 6 * 1024;
/// Maximum number of tunnels in one partition while fewer than half of all are open; the call limit of a connection.
const MAX_PARTITION_TUNNELS: usize = MAX_CALLS as usize;
/// Maximum number of tunnels in one partition once half of all are open, to leave room for the other partitions.
const MAX_SHARED_TUNNELS: usize = 256;
/// Total of bytes waiting for pages above which chunks are small.
const MAX_WAITING: usize = 192 << 20;
/// Bytes of one partition waiting for pages above which its chunks are small.
const MAX_PARTITION_WAITING: usize = 24 << 20;
/// Number of bytes to read at once. Larger chunks need fewer messages.
const CHUNK: usize = 64 * 1024;
const SMALL_CHUNK: usize = 4 * 1024;

/// Tunnels and waiting bytes that count towards the limits.
#[derive(Debug, Default)]
struct Usage {
    tunnels: AtomicUsize,
    bytes: AtomicUsize,
}

/// Limits on all partitions together. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(Arc<Usage>);

/// Limits on one partition. Clones share their counts.
#[derive(Debug, Clone)]
pub(crate) struct PartitionLimits {
    own: Arc<Usage>,
    all: Arc<Usage>,
}

impl Limits {
    /// Creates the limits of a new partition.
    pub(crate) fn of_partition(&self) -> PartitionLimits {
        PartitionLimits { own: Arc::default(), all: Arc::clone(&self.0) }
    }
}

impl PartitionLimits {
    /// Reserves a place for a tunnel. Returns `None` if a limit is reached.
    pub(super) fn take_place(&self) -> Option<Place> {
        let place = Place(self.clone());
        let all = self.all.tunnels.fetch_add(1, Ordering::Relaxed);
        let own = self.own.tunnels.fetch_add(1, Ordering::Relaxed);
        let most = if all < MAX_TUNNELS / 2 { MAX_PARTITION_TUNNELS } else { MAX_SHARED_TUNNELS };
        (all < MAX_TUNNELS && own < most).then_some(place)
    }

    /// Returns the number of bytes to read at once.
    pub(super) fn chunk_size(&self) -> usize {
        let is_full = self.own.bytes.load(Ordering::Relaxed) > MAX_PARTITION_WAITING
            || self.all.bytes.load(Ordering::Relaxed) > MAX_WAITING;
        if is_full { SMALL_CHUNK } else { CHUNK }
    }

    /// Counts bytes as waiting until the returned value is dropped.
    pub(super) fn hold(&self, bytes: usize) -> Held {
        self.own.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        Held { limits: self.clone(), bytes }
    }
}

/// A reserved place for a tunnel, released when dropped.
#[derive(Debug)]
pub(super) struct Place(PartitionLimits);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.own.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.0.all.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that count as waiting until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    limits: PartitionLimits,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.limits.own.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.limits.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A message to the page, and its bytes that count as waiting.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) message: Result<FromNetwork, Status>,
    pub(super) held: Option<Held>,
}

/// Stream of messages to the page.
#[derive(Debug)]
pub(crate) struct Chunks {
    waiting: mpsc::Receiver<Chunk>,
    /// Bytes of the last message, which waits in the connection until the next one is polled.
    last: Option<Held>,
    _place: Place,
}

impl Chunks {
    pub(super) fn new(waiting: mpsc::Receiver<Chunk>, place: Place) -> Self {
        Self { waiting, last: None, _place: place }
    }
}

impl tokio_stream::Stream for Chunks {
    type Item = Result<FromNetwork, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.last = None;
        self.waiting.poll_recv(context).map(|chunk| {
            let Chunk { message, held } = chunk?;
            self.last = held;
            Some(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_partition_takes_the_places_of_the_others() {
        let limits = Limits::default();
        let greedy: Vec<_> = (0..4).map(|_| limits.of_partition()).collect();
        let taken: Vec<Place> =
            greedy.iter().flat_map(|one| std::iter::from_fn(|| one.take_place()).collect::<Vec<_>>()).collect();
        assert_eq!(
            taken.len(),
            MAX_PARTITION_TUNNELS + MAX_TUNNELS / 2 - MAX_PARTITION_TUNNELS + 2 * MAX_SHARED_TUNNELS
        );
        let late = limits.of_partition();
        let places: Vec<Place> = std::iter::from_fn(|| late.take_place()).collect();
        assert_eq!(places.len(), MAX_SHARED_TUNNELS);
        drop((taken, places));
        assert_eq!(limits.0.tunnels.load(Ordering::Relaxed), 0, "all places are given back");
    }

    #[test]
    fn what_waits_makes_chunks_small_until_it_is_taken() {
        let (limits, other) = (Limits::default(), Limits::default());
        let (one, two) = (limits.of_partition(), limits.of_partition());
        let held = one.hold(MAX_PARTITION_WAITING + 1);
        assert_eq!((one.chunk_size(), two.chunk_size()), (SMALL_CHUNK, CHUNK), "another partition is not affected");
        let rest: Vec<_> = (0..8).map(|_| limits.of_partition().hold(MAX_PARTITION_WAITING)).collect();
        assert_eq!(two.chunk_size(), SMALL_CHUNK, "the total limit affects every partition");
        drop((held, rest));
        assert_eq!((one.chunk_size(), two.chunk_size()), (CHUNK, CHUNK));
        assert_eq!(other.of_partition().chunk_size(), CHUNK);
    }
}
