//! A tab-host without an engine that only makes network requests. Its tab's address selects them, and its title is the
//! result.
//!
//! - `/tunnels/N` opens N tunnels to the host. Some request a large file and never read it; each of the others requests
//!   a small one when it opens, and again, all at once, when all are open.
//! - `/unread/N` opens N tunnels, requests a large file through each, and reads nothing.
//! - `/verdicts/N` requests verdicts for N seconds, as a web process does.
//! - `/uploads/N` uploads through N tunnels to a server that never reads.
//! - `/strange/1` sends requests that no engine would send.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a probe fails by panicking")]

mod child;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use regen_proto::grpc;
use regen_proto::kernel::v1::{Grant, PageEvent, Service, host_command, page_event};
use regen_proto::kernel_channel::{self, KernelChannel};
use regen_proto::net::v1::tunnel_client::TunnelClient;
use regen_proto::net::v1::{
    CheckRequest, FromNetwork, Open, ToNetwork, VerdictAnswer, VerdictChannelOpened, from_network, to_network,
};
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// Number of tunnels whose large answer is never read.
const UNREAD: usize = 64;
/// Time in which the unread tunnels' buffers fill.
const FILLING: Duration = Duration::from_secs(2);
/// Time after which an upload that makes no progress counts as stuck.
const STUCK: Duration = Duration::from_millis(100);
/// Time at the start and end of a measurement that is not counted, as other probes may not be running yet or any more.
const ALONE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (channel, _) = child::begin().await;
    let (mut network, mut line, mut wanted) = (None, None, None);
    while network.is_none() || line.is_none() || wanted.is_none() {
        let mut datagram = channel.receive().await.unwrap();
        match regen_proto::validate::from_broker(&datagram.bytes).unwrap() {
            BrokerToChild::Grant(Grant { service, .. }) if service == i32::from(Service::Tunnel) => {
                let socket = std::os::unix::net::UnixStream::from(datagram.descriptors.remove(0));
                socket.set_nonblocking(true).unwrap();
                network = Some(grpc::client(UnixStream::from_std(socket).unwrap()));
            }
            BrokerToChild::Grant(_) => {
                let connection = KernelChannel::adopt(datagram.descriptors.remove(0)).unwrap();
                let (ours, theirs) = regen_proto::kernel_channel::pair().unwrap();
                let opened = VerdictChannelOpened { number: 1 }.encode_to_vec();
                connection.send(&opened, &[theirs.as_fd()]).await.unwrap();
                line = Some(ours);
            }
            BrokerToChild::Command(command) => {
                if let Some(host_command::Body::Open(open)) = command.body {
                    wanted = Some((command.tab, open.load.unwrap().url));
                }
            }
            BrokerToChild::Heartbeat(beat) => child::send(&channel, ChildToBroker::Heartbeat(beat)).await,
            BrokerToChild::Hello(_)
            | BrokerToChild::Configure(_)
            | BrokerToChild::Revoke(_)
            | BrokerToChild::Update(_)
            | BrokerToChild::Cookies(_)
            | BrokerToChild::Permissions(_)
            | BrokerToChild::Site(_)
            | BrokerToChild::Shutdown(_) => {}
        }
    }
    let (tab, url) = wanted.unwrap();
    let parts: Vec<&str> = url.split('/').collect();
    let [_, _, authority, what, count] = parts[..] else { panic!("unknown address {url}") };
    let (host, port) = authority.split_once(':').unwrap();
    let count: u32 = count.parse().unwrap();
    let work = async {
        let said = match what {
            "tunnels" => open_all(network.unwrap(), host, port.parse().unwrap(), count).await,
            "verdicts" => {
                let line = line.unwrap();
                let asking = move || ask_all(&line, Duration::from_secs(count.into()));
                tokio::task::spawn_blocking(asking).await.unwrap()
            }
            "unread" => leave_unread(network.unwrap(), host, port.parse().unwrap(), count).await,
            "uploads" => send_all(network.unwrap(), host, port.parse().unwrap(), count).await,
            "strange" => ask_strangely(network.unwrap(), host, port.parse().unwrap()).await,
            other => panic!("unknown request “{other}”"),
        };
        let title = page_event::Body::Title(said);
        child::send(&channel, ChildToBroker::PageEvent(PageEvent { tab, body: Some(title) })).await;
    };
    tokio::join!(live(&channel), work);
}

fn ask_all(channel: &OwnedFd, long: Duration) -> String {
    let (start, channel) = (Instant::now(), channel.as_fd());
    let mut times = Vec::new();
    for number in 0.. {
        let url = format!("http://doubleclick.net/ad{number}");
        let (page, kind, method) = ("http://127.0.0.1/".to_owned(), "xmlhttprequest".to_owned(), "GET".to_owned());
        let request = CheckRequest { url, page, kind, method, waited_us: 0 };
        let asked = Instant::now();
        kernel_channel::send_now(channel, &request.encode_to_vec(), &[]).unwrap();
        let answer = kernel_channel::receive_now(channel).unwrap();
        assert!(VerdictAnswer::decode(answer.bytes.as_slice()).unwrap().verdict.unwrap().blocked);
        let since = start.elapsed();
        if since > long {
            break;
        }
        if since > ALONE && since + ALONE < long {
            times.push(asked.elapsed().as_micros());
        }
    }
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100];
    format!("{} verdicts, µs for one: median {} slowest-percent {} ", times.len(), at(50), at(99))
}

async fn live(channel: &KernelChannel) {
    loop {
        let datagram = channel.receive().await.unwrap();
        if let Ok(BrokerToChild::Heartbeat(beat)) = regen_proto::validate::from_broker(&datagram.bytes) {
            child::send(channel, ChildToBroker::Heartbeat(beat)).await;
        }
    }
}

async fn open_all(network: Channel, host: &str, port: u32, count: u32) -> String {
    let count = count as usize;
    let opening: Vec<_> = (0..count)
        .map(|_| {
            let (network, host) = (network.clone(), host.to_owned());
            tokio::spawn(async move { Tunnel::open(network, host, port).await })
        })
        .collect();
    let mut tunnels = Vec::new();
    for tunnel in opening {
        tunnels.push(tunnel.await.unwrap());
    }
    let mut unread = tunnels.split_off(count.saturating_sub(UNREAD));
    for tunnel in &mut unread {
        tunnel.send("GET /big HTTP/1.1\r\n\r\n").await;
    }
    // While the unread tunnels fill up, one that is read must keep working.
    let filling = Instant::now();
    while filling.elapsed() < FILLING {
        tunnels[0].ask().await;
    }
    let start = Instant::now();
    let asking: Vec<_> = tunnels
        .into_iter()
        .map(|mut tunnel| {
            tokio::spawn(async move {
                tunnel.ask().await;
                (tunnel, start.elapsed())
            })
        })
        .collect();
    let (mut open, mut times) = (Vec::new(), Vec::new());
    for asked in asking {
        let (tunnel, time) = asked.await.unwrap();
        open.push(tunnel);
        times.push(time.as_millis());
    }
    times.sort_unstable();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    // The tunnels stay open while the test measures their cost.
    std::mem::forget((open, unread));
    format!("{count} open, {UNREAD} of them unread, ms for an answer: median {median} slowest {slowest} ")
}

/// Opens `count` tunnels of which nothing is read, and reports how many were opened.
async fn leave_unread(network: Channel, host: &str, port: u32, count: u32) -> String {
    let opening: Vec<_> = (0..count)
        .map(|_| {
            let (up, stream) = mpsc::channel(4);
            let (mut network, host) = (TunnelClient::new(network.clone()), host.to_owned());
            tokio::spawn(async move {
                up.send(ToNetwork { body: Some(to_network::Body::Open(Open { host, port })) }).await.unwrap();
                let body = to_network::Body::Data(Bytes::from_static(b"GET /big HTTP/1.1\r\n\r\n"));
                up.send(ToNetwork { body: Some(body) }).await.unwrap();
                let answer = network.relay(ReceiverStream::new(stream)).await;
                answer.map(|answer| (up, answer.into_inner())).ok()
            })
        })
        .collect();
    let mut open = Vec::new();
    for tunnel in opening {
        open.extend(tunnel.await.unwrap());
    }
    let said = format!("{} unread", open.len());
    std::mem::forget(open);
    said
}

/// Uploads through each of `count` tunnels as much as is accepted, and reports the total.
async fn send_all(network: Channel, host: &str, port: u32, count: u32) -> String {
    let (mut stuck, mut sent) = (Vec::new(), 0);
    for _ in 0..count {
        let tunnel = Tunnel::open(network.clone(), host.to_owned(), port).await;
        tunnel.send("POST /never HTTP/1.1\r\n\r\n").await;
        let chunk = || ToNetwork { body: Some(to_network::Body::Data(Bytes::from_static(&[7; 64 * 1024]))) };
        while let Ok(Ok(())) = timeout(STUCK, tunnel.up.send(chunk())).await {
            sent += 64;
        }
        stuck.push(tunnel);
    }
    // Another tunnel must still work.
    let mut other = Tunnel::open(network, host.to_owned(), port).await;
    other.ask().await;
    std::mem::forget((stuck, other));
    format!("{count} are stuck, KB: sent {sent} ")
}

/// Sends invalid requests, and reports how the net-daemon answers them.
async fn ask_strangely(network: Channel, host: &str, port: u32) -> String {
    let open = |host: &str, port| to_network::Body::Open(Open { host: host.to_owned(), port });
    let data = || to_network::Body::Data(Bytes::from_static(b"GET /small HTTP/1.1\r\n\r\n"));
    let first =
        [data(), open("", port), open(host, 0), open(host, 70_000), open("a b", port), open(&"a".repeat(300), port)];
    let mut refused = 0;
    for first in first {
        let (up, stream) = mpsc::channel(4);
        up.send(ToNetwork { body: Some(first) }).await.unwrap();
        let answered = TunnelClient::new(network.clone()).relay(ReceiverStream::new(stream)).await;
        let answer = answered.unwrap().into_inner().message().await.unwrap().unwrap().body;
        refused += usize::from(matches!(answer, Some(from_network::Body::Failed(_))));
    }
    // A tunnel that opens twice must end. A tunnel that is half-closed must still be answered.
    let mut twice = Tunnel::open(network.clone(), host.to_owned(), port).await;
    twice.up.send(ToNetwork { body: Some(open(host, port)) }).await.unwrap();
    let ended = !matches!(timeout(Duration::from_secs(5), twice.down.message()).await, Ok(Ok(Some(_))) | Err(_));
    let Tunnel { up, mut down } = Tunnel::open(network, host.to_owned(), port).await;
    up.send(ToNetwork { body: Some(data()) }).await.unwrap();
    drop(up);
    let mut answer = Vec::new();
    while let Ok(Some(FromNetwork { body: Some(from_network::Body::Data(bytes)) })) = down.message().await {
        answer.extend_from_slice(&bytes);
    }
    format!("refused {refused} of 6, ended {ended}, half {}", answer.ends_with(b"small"))
}

struct Tunnel {
    up: mpsc::Sender<ToNetwork>,
    down: Streaming<FromNetwork>,
}

impl Tunnel {
    async fn open(network: Channel, host: String, port: u32) -> Self {
        let (up, stream) = mpsc::channel(4);
        let open = to_network::Body::Open(Open { host, port });
        up.send(ToNetwork { body: Some(open) }).await.unwrap();
        let mut network = TunnelClient::new(network);
        let mut down = network.relay(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let Some(from_network::Body::Opened(_)) = down.message().await.unwrap().unwrap().body else {
            panic!("not opened")
        };
        let mut tunnel = Self { up, down };
        tunnel.ask().await;
        tunnel
    }

    async fn send(&self, words: &'static str) {
        let body = to_network::Body::Data(Bytes::from_static(words.as_bytes()));
        self.up.send(ToNetwork { body: Some(body) }).await.unwrap();
    }

    async fn ask(&mut self) {
        self.send("GET /small HTTP/1.1\r\n\r\n").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"small") {
            match self.down.message().await.unwrap().unwrap().body {
                Some(from_network::Body::Data(bytes)) => answer.extend_from_slice(&bytes),
                _ => panic!("no answer"),
            }
        }
    }
}
