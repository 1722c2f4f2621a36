//! A tunnel: it encrypts and decrypts packets between its network stack and its peers. Packets that belong to no peer
//! are dropped, and never sent another way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use regen_net_config::wireguard::{Peer, Profile};
use regen_proto::net::v1::{VpnState, VpnTunnel};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stack::Stack;
use crate::dns::Dns;

/// Interval between checks of the timers.
const TICK: Duration = Duration::from_millis(250);
/// Time without an answer after which a peer counts as dead. A live peer sends at least a keepalive after 10 s.
const DEAD: Duration = Duration::from_secs(15);
/// Time without an answer after which handshakes are sent, which a live peer answers at once. They are repeated every
/// `ASKS` until the peer counts as dead.
const QUIET: Duration = Duration::from_millis(10_500);
const ASKS: Duration = Duration::from_secs(1);
/// Delay between attempts to reach a dead peer.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Maximum size of a datagram, in bytes.
const DATAGRAM: usize = 65_536;
/// Maximum number of datagrams that are received before the stack runs.
const AT_ONCE: usize = 64;
/// First byte of a cookie reply, the answer to too many handshakes.
const COOKIE: u8 = 3;
/// Maximum number of handshakes that are processed per tick. More are an attack.
const HANDSHAKES: u64 = 100;
const RESOLVE: Duration = Duration::from_secs(10);
/// Partition of the endpoints' names. No page shares it.
const ENDPOINTS: &str = "";

/// A tunnel that runs while its profile is up.
pub(super) struct Tunnel {
    /// Resolver of the peers' endpoints.
    dns: Dns,
    stack: Stack,
    peers: Vec<Link>,
    socket: UdpSocket,
    status: watch::Sender<VpnTunnel>,
    /// Token that ends the open connections when the tunnel is dead.
    over: watch::Sender<CancellationToken>,
    /// Buffer for encryption and decryption.
    buffer: Vec<u8>,
    limiter: Arc<RateLimiter>,
}

/// State of the link to one peer.
struct Link {
    peer: Peer,
    tunnel: Tunn,
    /// Source address of the peer's last datagram; before that, the profile's endpoint.
    at: Option<SocketAddr>,
    /// Time since which the peer owes an answer.
    owes: Option<Instant>,
    tried: Instant,
    heard: bool,
    /// Lookup of the endpoint's name.
    lookup: Option<JoinHandle<Option<Vec<SocketAddr>>>>,
}

impl Link {
    fn is_dead(&self) -> bool {
        self.owes.is_some_and(|since| since.elapsed() > DEAD)
    }
}

/// Returns the next address of an endpoint, after one that does not answer.
fn next_of(found: &[SocketAddr], asked: Option<SocketAddr>) -> Option<SocketAddr> {
    let after = found.iter().position(|address| Some(*address) == asked).map_or(0, |index| index + 1);
    found.get(after).or_else(|| found.first()).copied()
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(lookup) = &self.lookup {
            lookup.abort();
        }
    }
}

impl Tunnel {
    pub(super) async fn open(
        profile: &Profile,
        dns: Dns,
        stack: Stack,
        status: watch::Sender<VpnTunnel>,
        over: watch::Sender<CancellationToken>,
    ) -> io::Result<Self> {
        let port = profile.listen_port.unwrap_or(0);
        // The socket serves both address families if this machine has both.
        let socket = match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(socket) => socket,
            Err(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?,
        };
        let secret = StaticSecret::from(profile.private_key.bytes());
        let limiter = Arc::new(RateLimiter::new(&PublicKey::from(&secret), HANDSHAKES));
        let link = |(index, peer): (u32, &Peer)| Link {
            tunnel: Tunn::new(
                secret.clone(),
                PublicKey::from(peer.public_key.bytes()),
                peer.preshared_key.as_ref().map(regen_net_config::wireguard::Key::bytes),
                peer.keepalive,
                index,
                Some(Arc::clone(&limiter)),
            ),
            peer: peer.clone(),
            at: None,
            owes: None,
            tried: Instant::now(),
            heard: false,
            lookup: None,
        };
        let peers = (0..).zip(&profile.peers).map(link).collect();
        Ok(Self { dns, stack, peers, socket, status, over, buffer: vec![0; DATAGRAM], limiter })
    }

    /// Runs the tunnel until the future is dropped.
    pub(super) async fn run(mut self) {
        for index in 0..self.peers.len() {
            self.shake_hands(index).await;
        }
        let mut datagram = vec![0; DATAGRAM];
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let delay = self.send_all().await;
            tokio::select! {
                got = self.socket.recv_from(&mut datagram) => self.receive_all(got, &mut datagram).await,
                () = self.stack.changed() => {}
                () = sleep(delay) => {}
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// Sends the stack's packets. Returns the time until the stack has to run again.
    async fn send_all(&mut self) -> Duration {
        loop {
            let (packets, delay) = self.stack.run();
            if packets.is_empty() {
                return delay.unwrap_or(TICK);
            }
            for packet in packets {
                self.send(&packet).await;
            }
        }
    }

    async fn send(&mut self, packet: &[u8]) {
        let Some(index) = Tunn::dst_address(packet).and_then(|to| closest(&self.peers, to)) else { return };
        let Some(link) = self.peers.get_mut(index) else { return };
        link.owes.get_or_insert_with(Instant::now);
        let result = link.tunnel.encapsulate(packet, &mut self.buffer);
        send_to_peer(&self.socket, link.at, result).await;
    }

    async fn receive_all(&mut self, mut got: io::Result<(usize, SocketAddr)>, datagram: &mut [u8]) {
        for _ in 0..AT_ONCE {
            match got {
                Ok((count, from)) => self.receive(datagram.get(..count).unwrap_or_default(), from).await,
                // The network may be unavailable for a moment. Lost packets are sent again.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return sleep(Duration::from_millis(10)).await;
                }
                Err(_) => return,
            }
            got = self.socket.try_recv_from(datagram);
        }
    }

    async fn receive(&mut self, datagram: &[u8], from: SocketAddr) {
        let named = match Tunn::parse_incoming_packet(datagram) {
            // An initiation does not name its receiver.
            Ok(Packet::HandshakeInit(_)) => None,
            Ok(Packet::HandshakeResponse(packet)) => Some(packet.receiver_idx),
            Ok(Packet::PacketCookieReply(packet)) => Some(packet.receiver_idx),
            Ok(Packet::PacketData(packet)) => Some(packet.receiver_idx),
            Err(_) => return,
        };
        // An eavesdropper could have forged a cookie reply.
        let is_cookie = datagram.first() == Some(&COOKIE);
        // The index of the peer is above that of the session.
        let named = named.map(|index| usize::try_from(index >> 8).unwrap_or(usize::MAX));
        for (index, link) in self.peers.iter_mut().enumerate() {
            if named.is_some_and(|named| named != index) {
                continue;
            }
            let mut result = link.tunnel.decapsulate(Some(from.ip()), datagram, &mut self.buffer);
            if matches!(result, TunnResult::Err(_)) {
                continue;
            }
            if let TunnResult::WriteToNetwork(answer) = &result
                && answer.first() == Some(&COOKIE)
            {
                // Under load, the handshake was not verified, and may be from anybody.
                return send_to_peer(&self.socket, Some(from), result).await;
            }
            if !is_cookie {
                // The datagram is authenticated, so its source is the peer's current address.
                (link.at, link.owes, link.heard) = (Some(from), None, true);
            }
            loop {
                match result {
                    TunnResult::WriteToTunnelV4(packet, sender) => {
                        if allows(&link.peer, IpAddr::V4(sender)) {
                            self.stack.receive(packet);
                        }
                        break;
                    }
                    TunnResult::WriteToTunnelV6(packet, sender) => {
                        if allows(&link.peer, IpAddr::V6(sender)) {
                            self.stack.receive(packet);
                        }
                        break;
                    }
                    TunnResult::WriteToNetwork(_) => {
                        send_to_peer(&self.socket, link.at, result).await;
                        // The next packet that waited for the handshake.
                        result = link.tunnel.decapsulate(None, &[], &mut self.buffer);
                    }
                    TunnResult::Done | TunnResult::Err(_) => break,
                }
            }
            return;
        }
    }

    /// Runs the timers, and sends handshakes to peers that do not answer.
    async fn look(&mut self) {
        self.limiter.reset_count();
        for index in 0..self.peers.len() {
            self.take_lookup(index).await;
            let Some(link) = self.peers.get_mut(index) else { return };
            let result = link.tunnel.update_timers(&mut self.buffer);
            if matches!(result, TunnResult::WriteToNetwork(_)) && !link.heard {
                link.owes.get_or_insert_with(Instant::now);
            }
            send_to_peer(&self.socket, link.at, result).await;
            let is_quiet = link.owes.is_some_and(|since| since.elapsed() > QUIET);
            if is_quiet && link.tried.elapsed() > if link.is_dead() { RETRY_DELAY } else { ASKS } {
                self.shake_hands(index).await;
            }
        }
        self.say_how_it_is();
    }

    /// Sends a handshake, and looks the endpoint up again: its name may have another address by now.
    async fn shake_hands(&mut self, index: usize) {
        let Some(link) = self.peers.get_mut(index) else { return };
        link.tried = Instant::now();
        link.owes.get_or_insert(link.tried);
        let (host, port) = link.peer.endpoint.clone();
        match host.parse::<IpAddr>() {
            Ok(address) => link.at = Some(SocketAddr::new(address, port)),
            // The handshake is sent to the last address meanwhile.
            Err(_) if link.lookup.is_none() => {
                let dns = self.dns.clone();
                link.lookup = Some(tokio::spawn(async move {
                    let found = timeout(RESOLVE, dns.addresses(ENDPOINTS, &host)).await.ok()?.ok()?;
                    Some(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
                }));
            }
            Err(_) => {}
        }
        self.ask_for_handshake(index).await;
    }

    /// Takes the result of an endpoint's lookup, and sends a handshake if the address has changed.
    async fn take_lookup(&mut self, index: usize) {
        let Some(link) = self.peers.get_mut(index) else { return };
        let Some(lookup) = link.lookup.take_if(|lookup| lookup.is_finished()) else { return };
        if let Ok(Some(found)) = lookup.await
            && let Some(found) = next_of(&found, link.at)
            && link.at != Some(found)
        {
            link.at = Some(found);
            self.ask_for_handshake(index).await;
        }
    }

    async fn ask_for_handshake(&mut self, index: usize) {
        let Some(link) = self.peers.get_mut(index) else { return };
        let result = link.tunnel.format_handshake_initiation(&mut self.buffer, true);
        send_to_peer(&self.socket, link.at, result).await;
    }

    fn say_how_it_is(&self) {
        // The tunnel is up while one peer lives. Traffic to a dead peer gets no answer.
        let dead = self.peers.first().filter(|_| self.peers.iter().all(Link::is_dead));
        let (state, message) = match dead {
            Some(Link { at: None, peer, .. }) => {
                (VpnState::Failing, format!("the name of its peer {} could not be resolved", peer.endpoint.0))
            }
            Some(Link { heard: false, peer, .. }) => {
                let (host, port) = &peer.endpoint;
                (
                    VpnState::Failing,
                    format!("its peer at {host} (port {port}) does not answer: check the endpoint and the keys"),
                )
            }
            Some(Link { peer, .. }) => {
                (VpnState::Failing, format!("its peer {} does not answer any more", peer.endpoint.0))
            }
            None if self.peers.iter().any(|link| link.heard) => (VpnState::Up, String::new()),
            None => (VpnState::Connecting, String::new()),
        };
        let mut died = false;
        self.status.send_modify(|status| {
            died = state == VpnState::Failing && status.state() != VpnState::Failing;
            status.set_state(state);
            status.message = message;
            (status.sent, status.received, status.handshake_s) = (0, 0, None);
            for link in &self.peers {
                let (shaken, sent, received, _, _) = link.tunnel.stats();
                status.sent += sent as u64;
                status.received += received as u64;
                status.handshake_s = status.handshake_s.into_iter().chain(shaken.map(|ago| ago.as_secs())).min();
            }
            status.endpoint = self.peers.iter().find_map(|link| link.at).map(canonical).unwrap_or_default();
        });
        if died {
            self.over.send_replace(CancellationToken::new()).cancel();
        }
    }
}

fn canonical(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Returns the peer whose allowed networks contain this address with the longest prefix.
fn closest(peers: &[Link], to: IpAddr) -> Option<usize> {
    let prefix = |link: &Link| {
        link.peer.allowed_ips.iter().filter(|network| network.contains(&to)).map(ipnet::IpNet::prefix_len).max()
    };
    let all = peers.iter().enumerate().filter_map(|(index, link)| Some((prefix(link)?, index)));
    all.max().map(|(_, index)| index)
}

fn allows(peer: &Peer, from: IpAddr) -> bool {
    peer.allowed_ips.iter().any(|network| network.contains(&from))
}

/// Sends a datagram to a peer. A datagram that cannot be sent is lost, as on any network.
async fn send_to_peer(socket: &UdpSocket, at: Option<SocketAddr>, result: TunnResult<'_>) {
    let (TunnResult::WriteToNetwork(datagram), Some(at)) = (result, at) else { return };
    let is_v6 = socket.local_addr().is_ok_and(|own| own.is_ipv6());
    let at = match at {
        SocketAddr::V4(v4) if is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => at,
    };
    if let Err(error) = socket.send_to(datagram, at).await {
        tracing::debug!("{at}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_does_not_answer_is_asked_at_its_next_address() {
        let found: [SocketAddr; 2] = ["192.0.2.1:51820", "[2001:db8::1]:51820"].map(|text| text.parse().unwrap());
        assert_eq!(next_of(&found, None), Some(found[0]));
        assert_eq!(next_of(&found, Some(found[0])), Some(found[1]));
        assert_eq!(next_of(&found, Some(found[1])), Some(found[0]));
        assert_eq!(next_of(&found[1..], Some(found[0])), Some(found[1]), "it has moved");
        assert_eq!(next_of(&[], Some(found[0])), None);
    }
}
