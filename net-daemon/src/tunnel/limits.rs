//! Bounds of tunnels: how many a partition and all partitions may have, and how many bytes may wait in them for pages that do
//! not read. Beyond the bytes a tunnel goes on in small pieces: nothing stops, and nobody takes memory from the others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use regen_proto::grpc::MAX_CALLS;
use regen_proto::net::v1::FromNetwork;
use tokio::sync::mpsc;
use tonic::Status;

/// Tunnels of all partitions. Each has a descriptor and about 64 KB.
const MAX_TUNNELS: usize = 6 * 1024;
/// Tunnels of one partition, while fewer than half of all are taken; a grant's connection has no more calls anyway.
const MAX_PARTITION_TUNNELS: usize = MAX_CALLS as usize;
/// Tunnels of one partition when more are taken: the other half is for everybody.
const MAX_SHARED_TUNNELS: usize = 256;
/// Bytes that wait for pages, beyond which chunks are small.
const MAX_WAITING: usize = 192 << 20;
/// The same of one partition.
const MAX_PARTITION_WAITING: usize = 24 << 20;
/// Bytes read at once. Larger chunks are fewer messages.
const CHUNK: usize = 64 * 1024;
const SMALL_CHUNK: usize = 4 * 1024;

/// Use of something bounded.
#[derive(Debug, Default)]
struct Usage {
    tunnels: AtomicUsize,
    bytes: AtomicUsize,
}

/// Bounds of all partitions together. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits(Arc<Usage>);

/// Bounds of one partition. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct PartitionLimits {
    own: Arc<Usage>,
    all: Arc<Usage>,
}

impl Limits {
    /// Makes the bounds of one more partition.
    pub(crate) fn of_partition(&self) -> PartitionLimits {
        PartitionLimits { own: Arc::default(), all: Arc::clone(&self.0) }
    }
}

impl PartitionLimits {
    /// Takes a tunnel's place, if there is one.
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

/// A tunnel's place among those that may be open.
#[derive(Debug)]
pub(super) struct Place(PartitionLimits);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.own.tunnels.fetch_sub(1, Ordering::Relaxed);
        self.0.all.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that count as waiting.
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

/// One message down a tunnel.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) message: Result<FromNetwork, Status>,
    pub(super) held: Option<Held>,
}

/// Messages down a tunnel, in order.
#[derive(Debug)]
pub(crate) struct Chunks {
    waiting: mpsc::Receiver<Chunk>,
    /// The last one still waits in the connection, until the next one is asked for.
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
        assert_eq!((one.chunk_size(), two.chunk_size()), (SMALL_CHUNK, CHUNK), "another partition does not feel it");
        let rest: Vec<_> = (0..8).map(|_| limits.of_partition().hold(MAX_PARTITION_WAITING)).collect();
        assert_eq!(two.chunk_size(), SMALL_CHUNK, "all of them together do");
        drop((held, rest));
        assert_eq!((one.chunk_size(), two.chunk_size()), (CHUNK, CHUNK));
        assert_eq!(other.of_partition().chunk_size(), CHUNK);
    }
}
