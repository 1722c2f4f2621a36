//! A tab-host without an engine, for what it asks of the network alone. The address of its tab says what: `/tunnels/2000` opens so
//! many to that host; through each, it asks for something small, all at once, and once more when all are open; some ask for
//! something large, and never read it. `/verdicts/6` asks for verdicts for so many seconds, as a web process does. Then it says in
//! the title how long the answers took.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a probe ends by panicking")]

mod child;

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use regen_proto::convert::{ForChild, FromChild};
use regen_proto::grpc;
use regen_proto::kernel::v1::{Grant, PageEvent, RequestGrant, Service, host_command, page_event};
use regen_proto::kernel_channel::{self, KernelChannel};
use regen_proto::net::v1::tunnel_client::TunnelClient;
use regen_proto::net::v1::{CheckRequest, FromNetwork, LineAnswer, Open, ToNetwork, from_network, to_network};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// So many of them are asked for much, which is not read.
const UNREAD: usize = 64;
/// What others do not do at the same time, at the beginning and at the end.
const ALONE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (channel, _) = child::begin().await;
    child::send(&channel, FromChild::RequestGrant(RequestGrant { service: Service::Verdicts.into() })).await;
    let (mut network, mut line, mut wanted) = (None, None, None);
    while network.is_none() || line.is_none() || wanted.is_none() {
        let mut datagram = channel.receive().await.unwrap();
        match regen_proto::convert::from_broker(&datagram.bytes).unwrap() {
            ForChild::Grant(Grant { service, .. }) if service == i32::from(Service::Tunnel) => {
                let socket = std::os::unix::net::UnixStream::from(datagram.descriptors.remove(0));
                socket.set_nonblocking(true).unwrap();
                network = Some(grpc::client(UnixStream::from_std(socket).unwrap()));
            }
            ForChild::Grant(_) => line = Some(datagram.descriptors.remove(0)),
            ForChild::Command(command) => {
                if let Some(host_command::Body::Open(open)) = command.body {
                    wanted = Some((command.tab, open.load.unwrap().url));
                }
            }
            ForChild::Heartbeat(beat) => child::send(&channel, FromChild::Heartbeat(beat)).await,
            ForChild::Hello(_)
            | ForChild::Configure(_)
            | ForChild::Revoke(_)
            | ForChild::Update(_)
            | ForChild::Cookies(_)
            | ForChild::Site(_)
            | ForChild::Shutdown(_) => {}
        }
    }
    let (tab, url) = wanted.unwrap();
    let parts: Vec<&str> = url.split('/').collect();
    let [_, _, authority, what, count] = parts[..] else { panic!("nobody told me what {url} means") };
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
            other => panic!("nobody told me what “{other}” means"),
        };
        let title = page_event::Body::Title(said);
        child::send(&channel, FromChild::PageEvent(PageEvent { tab, body: Some(title) })).await;
    };
    tokio::join!(live(&channel), work);
}

fn ask_all(line: &OwnedFd, long: Duration) -> String {
    let (start, line) = (Instant::now(), line.as_raw_fd());
    let mut times = Vec::new();
    for number in 0.. {
        let url = format!("http://doubleclick.net/ad{number}");
        let (page, kind, method) = ("http://127.0.0.1/".to_owned(), "xmlhttprequest".to_owned(), "GET".to_owned());
        let request = CheckRequest { url, page, kind, method, waited_us: 0 };
        let asked = Instant::now();
        kernel_channel::send_now(line, &request.encode_to_vec(), &[]).unwrap();
        let answer = kernel_channel::receive_now(line).unwrap();
        assert!(LineAnswer::decode(answer.bytes.as_slice()).unwrap().verdict.unwrap().blocked);
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
        if let Ok(ForChild::Heartbeat(beat)) = regen_proto::convert::from_broker(&datagram.bytes) {
            child::send(channel, FromChild::Heartbeat(beat)).await;
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
    tokio::time::sleep(Duration::from_secs(2)).await;
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
    // They stay open: what they cost is looked at now.
    std::mem::forget((open, unread));
    format!("{count} open, {UNREAD} of them unread, ms for an answer: median {median} slowest {slowest} ")
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
