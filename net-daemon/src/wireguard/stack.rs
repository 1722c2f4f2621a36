//! TCP and UDP inside a tunnel: a network stack in this process, in place of the system's.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use regen_net_config::wireguard::Profile;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{Socket, tcp, udp};
use smoltcp::time::{Duration as StackDuration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, Ipv4Address, Ipv6Address};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Size of a connection's receive and send buffers, in bytes. Only the part that is used takes memory.
const RECEIVES: usize = 512 * 1024;
const SENDS: usize = 256 * 1024;
/// Size of a UDP socket's buffers, in bytes. A DNS answer is smaller.
const DATAGRAMS: usize = 16 * 1024;
/// Interval of keepalives on a silent connection, and the silence after which it counts as dead.
const ASKS: StackDuration = StackDuration::from_secs(30);
const SILENCE: StackDuration = StackDuration::from_secs(120);
/// Timeout for closing a connection that was dropped.
const GOODBYE: StackDuration = StackDuration::from_secs(20);
/// First local port of connections. Random bits are set in it to get another one.
const FIRST_PORT: u16 = 0xc000;
const PORT_TRIES: u32 = 64;
/// Maximum number of packets that wait for encryption.
const MAX_PACKETS: usize = 256;

/// The stack of one tunnel. Clones share it.
#[derive(Clone)]
pub(super) struct Stack {
    inner: Arc<Mutex<Inner>>,
    /// Notified when the stack has to run, as after a write.
    changed: Arc<Notify>,
}

struct Inner {
    /// Start of a monotonic clock. The system's clock may be set.
    started: std::time::Instant,
    interface: Interface,
    sockets: SocketSet<'static>,
    packets: Packets,
    /// Dropped connections that are being closed, and their deadlines.
    closing: Vec<(SocketHandle, Instant)>,
}

/// Queues of packets between the stack and the tunnel.
struct Packets {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}

impl Stack {
    pub(super) fn new(profile: &Profile) -> Self {
        let (incoming, outgoing) = (VecDeque::new(), VecDeque::new());
        let mut packets = Packets { incoming, outgoing, mtu: usize::from(profile.mtu) };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from_ne_bytes(random());
        let mut interface = Interface::new(config, &mut packets, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for network in &profile.addresses {
                // Addresses beyond the stack's limit are dropped: outgoing connections do not need them.
                let _ = addresses.push(IpCidr::new(network.addr().into(), network.prefix_len()));
            }
        });
        // A tunnel is point-to-point, so the gateway's address is never resolved.
        let _ = interface.routes_mut().add_default_ipv4_route(Ipv4Address::new(0, 0, 0, 1));
        let _ = interface.routes_mut().add_default_ipv6_route(Ipv6Address::new(0, 0, 0, 0, 0, 0, 0, 1));
        let (started, sockets) = (std::time::Instant::now(), SocketSet::new(Vec::new()));
        let inner = Inner { started, interface, sockets, packets, closing: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)), changed: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the stack has to run.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Queues a packet that came out of the tunnel.
    pub(super) fn receive(&self, packet: &[u8]) {
        self.inner().packets.incoming.push_back(packet.to_vec());
    }

    /// Processes all packets and timers. Returns the packets for the tunnel, and the maximum delay until the next call.
    pub(super) fn run(&self) -> (VecDeque<Vec<u8>>, Option<Duration>) {
        let mut inner = self.inner();
        let now = inner.now();
        let Inner { interface, sockets, packets, closing, .. } = &mut *inner;
        interface.poll(now, packets, sockets);
        closing.retain(|(handle, until)| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            let is_over = matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait);
            if is_over {
                sockets.remove(*handle);
            } else if now > *until {
                socket.abort();
            }
            !is_over
        });
        let delay = interface.poll_delay(now, sockets).map(Duration::from);
        (std::mem::take(&mut packets.outgoing), delay)
    }

    /// Opens a connection. Returns when the remote end has accepted it.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(vec![0; RECEIVES]), tcp::SocketBuffer::new(vec![0; SENDS]));
        // Nagle's algorithm would only delay: the engine writes whole requests.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(StackDuration::from_millis(5)));
        socket.set_congestion_control(tcp::CongestionControl::Cubic);
        let stream = {
            let mut inner = self.inner();
            let port = inner.port(0)?;
            let Inner { interface, sockets, .. } = &mut *inner;
            let unreachable = |_| io::Error::from(io::ErrorKind::AddrNotAvailable);
            socket.connect(interface.context(), to, port).map_err(unreachable)?;
            TcpStream { stack: self.clone(), handle: sockets.add(socket) }
        };
        self.changed.notify_one();
        std::future::poll_fn(|context| {
            stream.with(|socket| match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                tcp::State::Closed => Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionRefused))),
                tcp::State::Listen
                | tcp::State::Established
                | tcp::State::FinWait1
                | tcp::State::FinWait2
                | tcp::State::CloseWait
                | tcp::State::Closing
                | tcp::State::LastAck
                | tcp::State::TimeWait => {
                    socket.set_keep_alive(Some(ASKS));
                    socket.set_timeout(Some(SILENCE));
                    Poll::Ready(Ok(()))
                }
            })
        })
        .await?;
        Ok(stream)
    }

    /// Opens a UDP socket on this port; 0 means any port.
    pub(super) fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; DATAGRAMS]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        let mut inner = self.inner();
        socket.bind(inner.port(port)?).map_err(|_| io::Error::from(io::ErrorKind::AddrInUse))?;
        Ok(UdpSocket { stack: self.clone(), handle: inner.sockets.add(socket) })
    }
}

impl Inner {
    fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Returns the wanted port, or an unpredictable one for 0: answers to a port that can be guessed could be forged.
    fn port(&self, wanted: u16) -> io::Result<u16> {
        let is_taken = |port: u16| {
            self.sockets.iter().any(|(_, socket)| match socket {
                Socket::Tcp(socket) => socket.local_endpoint().is_some_and(|own| own.port == port),
                Socket::Udp(socket) => socket.endpoint().port == port,
            })
        };
        let any = || FIRST_PORT | u16::from_ne_bytes(random());
        let mut tries = (0..PORT_TRIES).map(|_| if wanted == 0 { any() } else { wanted });
        tries.find(|port| !is_taken(*port)).ok_or_else(|| io::ErrorKind::AddrInUse.into())
    }
}

fn random<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    // If the system has no randomness, handshakes fail as well, and nothing is ever sent.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A TCP connection inside the tunnel.
#[derive(Debug)]
pub(crate) struct TcpStream {
    stack: Stack,
    handle: SocketHandle,
}

impl TcpStream {
    fn with<T>(&self, act: impl FnOnce(&mut tcp::Socket<'static>) -> T) -> T {
        act(self.stack.inner().sockets.get_mut(self.handle))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.with(|socket| {
            if !socket.can_recv() && socket.may_recv() {
                socket.register_recv_waker(context.waker());
                return Poll::Pending;
            }
            match socket.recv_slice(buffer.initialize_unfilled()) {
                Ok(count) => Poll::Ready(Ok(count)),
                Err(tcp::RecvError::Finished) => Poll::Ready(Ok(0)),
                // Returns an error, so that truncation is not taken as completion.
                Err(tcp::RecvError::InvalidState) => Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset))),
            }
        }))?;
        buffer.advance(count);
        // The receive window has grown.
        self.stack.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.with(|socket| {
            if !socket.can_send() && socket.may_send() {
                socket.register_send_waker(context.waker());
                return Poll::Pending;
            }
            Poll::Ready(socket.send_slice(bytes).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe)))
        });
        self.stack.changed.notify_one();
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(tcp::Socket::close);
        self.stack.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        {
            let mut inner = self.stack.inner();
            let socket = inner.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
            // Unread data is lost, so the remote end gets a reset.
            if socket.recv_queue() > 0 {
                socket.abort()
            } else {
                socket.close()
            }
            let until = inner.now() + GOODBYE;
            inner.closing.push((self.handle, until));
        }
        self.stack.changed.notify_one();
    }
}

/// A UDP socket inside the tunnel.
#[derive(Debug)]
pub(super) struct UdpSocket {
    stack: Stack,
    handle: SocketHandle,
}

impl UdpSocket {
    fn with<T>(&self, act: impl FnOnce(&mut udp::Socket<'static>) -> T) -> T {
        act(self.stack.inner().sockets.get_mut(self.handle))
    }

    pub(super) fn poll_receive(&self, waker: &Waker, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.with(|socket| match socket.recv_slice(buffer) {
            Ok((count, from)) => {
                let from = SocketAddr::new(IpAddr::from(from.endpoint.addr), from.endpoint.port);
                Poll::Ready(Ok((count, from)))
            }
            Err(udp::RecvError::Truncated) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Err(udp::RecvError::Exhausted) => {
                socket.register_recv_waker(waker);
                Poll::Pending
            }
        })
    }

    pub(super) fn poll_send(&self, waker: &Waker, bytes: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        let sent = self.with(|socket| match socket.send_slice(bytes, smoltcp::wire::IpEndpoint::from(to)) {
            Ok(()) => Poll::Ready(Ok(bytes.len())),
            Err(udp::SendError::BufferFull) => {
                socket.register_send_waker(waker);
                Poll::Pending
            }
            Err(udp::SendError::Unaddressable) => Poll::Ready(Err(io::ErrorKind::AddrNotAvailable.into())),
        });
        self.stack.changed.notify_one();
        sent
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.stack.inner().sockets.remove(self.handle);
    }
}

impl Device for Packets {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        (self.outgoing.len() < MAX_PACKETS).then_some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Outgoing<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let written = write(&mut packet);
        self.0.push_back(packet);
        written
    }
}
