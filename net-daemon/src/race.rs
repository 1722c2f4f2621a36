//! Connection attempts to several addresses of one host (RFC 8305). The next attempt starts while earlier ones have no
//! answer; addresses that failed recently come last.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

/// Delay before the next address is tried in parallel.
const NEXT: Duration = Duration::from_millis(250);
/// Time for which an address that failed is tried last.
const DEAD: Duration = Duration::from_secs(600);
/// Maximum number of dead addresses that are remembered.
const MAX_DEAD: usize = 512;
/// Maximum number of addresses that are tried per host.
const MAX_ADDRESSES: usize = 16;

/// Addresses that failed. Clones share them. Each partition sees its own only, so that one site cannot tell what
/// another has tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dead(Arc<Mutex<VecDeque<(String, SocketAddr, Instant)>>>);

impl Dead {
    fn has(&self, partition: &str, address: SocketAddr) -> bool {
        let now = Instant::now();
        let mut dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dead.retain(|(.., since)| now.duration_since(*since) < DEAD);
        dead.iter().any(|(of, other, _)| of == partition && *other == address)
    }

    fn set(&self, partition: &str, address: SocketAddr, is_dead: bool) {
        let mut dead = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        dead.retain(|(of, other, _)| of != partition || *other != address);
        if is_dead {
            dead.push_back((partition.to_owned(), address, Instant::now()));
            if dead.len() > MAX_DEAD {
                dead.pop_front();
            }
        }
    }
}

/// Connects to the first of `addresses` that answers. Returns the last error if none does, or `None` without addresses.
pub(crate) async fn first<T, E, F>(
    addresses: Vec<SocketAddr>,
    partition: &str,
    dead: &Dead,
    connect: impl Fn(SocketAddr) -> F,
) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting = in_order(addresses, |address| dead.has(partition, address));
    let mut under_way = FuturesUnordered::new();
    let mut last = None;
    let attempt = |address: SocketAddr| {
        let connecting = connect(address);
        async move { (address, connecting.await) }
    };
    // Addresses without an answer yet. They count as dead if another one connects.
    let mut silent = Vec::new();
    while let Some(address) = waiting.pop_front() {
        under_way.push(attempt(address));
        silent.push(address);
        let next = sleep(NEXT);
        tokio::pin!(next);
        loop {
            tokio::select! {
                Some((address, result)) = under_way.next() => {
                    silent.retain(|other| *other != address);
                    dead.set(partition, address, result.is_err());
                    if result.is_ok() {
                        silent.iter().for_each(|address| dead.set(partition, *address, true));
                        return Some(result);
                    }
                    last = Some(result);
                    // With no attempt under way there is nothing to wait for: the next address is tried at once.
                    if under_way.is_empty() { break }
                }
                () = &mut next, if !waiting.is_empty() => break,
                else => break,
            }
        }
    }
    last
}

/// Returns the addresses of both families in turn, beginning with that of the first; dead ones come last.
fn in_order(addresses: Vec<SocketAddr>, is_dead: impl Fn(SocketAddr) -> bool) -> VecDeque<SocketAddr> {
    let (dead, alive): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| is_dead(*address));
    alternate(alive).chain(alternate(dead)).take(MAX_ADDRESSES).collect()
}

fn alternate(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        let (first, second) = if turn { (&mut these, &mut others) } else { (&mut others, &mut these) };
        first.pop_front().or_else(|| second.pop_front())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: &str = "192.0.2.1:80";
    const ALIVE: &str = "192.0.2.2:80";
    const CLOSED: &str = "192.0.2.3:80";

    async fn race(addresses: &[&str], dead: &Dead) -> (Option<Result<SocketAddr, &'static str>>, Duration) {
        let began = Instant::now();
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let connect = |address: SocketAddr| async move {
            match address.to_string().as_str() {
                SILENT => {
                    sleep(Duration::from_secs(30)).await;
                    Err("silent")
                }
                CLOSED => Err("closed"),
                _ => {
                    sleep(Duration::from_millis(20)).await;
                    Ok(address)
                }
            }
        };
        let found = first(addresses, "a", dead, connect).await;
        (found, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_a_quarter_of_a_second_once() {
        let dead = Dead::default();
        let (found, took) = race(&[SILENT, ALIVE], &dead).await;
        assert_eq!(found.unwrap().unwrap().to_string(), ALIVE);
        assert!(took < Duration::from_millis(300), "{took:?}");
        assert!(dead.has("a", SILENT.parse().unwrap()) && !dead.has("b", SILENT.parse().unwrap()));
        let (_, took) = race(&[SILENT, ALIVE], &dead).await;
        assert!(took < Duration::from_millis(50), "{took:?}");
        // A dead address is forgotten after a while.
        sleep(DEAD).await;
        assert!(!dead.has("a", SILENT.parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_costs_nothing_and_the_last_failure_is_told() {
        let dead = Dead::default();
        let (found, took) = race(&[CLOSED, ALIVE], &dead).await;
        assert!(found.unwrap().is_ok() && took < Duration::from_millis(50), "{took:?}");
        let (found, took) = race(&[SILENT, CLOSED], &dead).await;
        assert!(found.unwrap().is_err() && took >= Duration::from_secs(30), "{took:?}");
        assert!(race(&[], &dead).await.0.is_none());
        // Dead addresses are tried if there are no others.
        assert!(dead.has("a", CLOSED.parse().unwrap()));
        assert_eq!(race(&[CLOSED], &dead).await.0.unwrap(), Err("closed"));
    }

    #[test]
    fn both_families_come_in_turn() {
        let addresses =
            ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "[2001:db8::3]:1"].map(|text| text.parse().unwrap());
        let order = in_order(addresses.to_vec(), |address| address == addresses[0]);
        assert_eq!(order, [addresses[1], addresses[2], addresses[3], addresses[0]]);
        let many = (1..=40).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        assert_eq!(in_order(many, |_| false).len(), MAX_ADDRESSES);
    }
}
