//! TCP and UDP inside of a tunnel: what the system's own network stack would do, in this process.

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

/// What a connection holds for a slow page, and for a slow network. Only what is used takes memory.
const RECEIVES: usize = 512 * 1024;
const SENDS: usize = 256 * 1024;
/// A name server's answer is smaller.
const DATAGRAMS: usize = 16 * 1024;
/// How often the other end of a silent connection is asked whether it is still there, and when it is not.
const ASKS: StackDuration = StackDuration::from_secs(30);
const SILENCE: StackDuration = StackDuration::from_secs(120);
/// So long a connection that nobody has any more may take to say goodbye.
const GOODBYE: StackDuration = StackDuration::from_secs(20);
/// The first of the ports that connections come from, a power of two apart from the last.
const FIRST_PORT: u16 = 0xc000;
const PORT_TRIES: u32 = 64;
/// Packets that may wait to be encrypted.
const MAX_PACKETS: usize = 256;

/// The stack of one tunnel. Clones share it.
#[derive(Clone)]
pub(super) struct Stack {
    inner: Arc<Mutex<Inner>>,
    /// Somebody has something to send.
    changed: Arc<Notify>,
}

struct Inner {
    /// Its clock: the system's may be set.
    started: std::time::Instant,
    interface: Interface,
    sockets: SocketSet<'static>,
    packets: Packets,
    /// Nobody has these any more.
    closing: Vec<(SocketHandle, Instant)>,
}

/// Between the stack and the tunnel.
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
                // More than there is room for are of no use to somebody who only connects.
                let _ = addresses.push(IpCidr::new(network.addr().into(), network.prefix_len()));
            }
        });
        // In a tunnel there is one way on; the address is never asked for.
        let _ = interface.routes_mut().add_default_ipv4_route(Ipv4Address::new(0, 0, 0, 1));
        let _ = interface.routes_mut().add_default_ipv6_route(Ipv6Address::new(0, 0, 0, 0, 0, 0, 0, 1));
        let (started, sockets) = (std::time::Instant::now(), SocketSet::new(Vec::new()));
        let inner = Inner { started, interface, sockets, packets, closing: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)), changed: Arc::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until somebody has something to send.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A packet came out of the tunnel.
    pub(super) fn receive(&self, packet: &[u8]) {
        self.inner().packets.incoming.push_back(packet.to_vec());
    }

    /// Does what is to be done now. Gives the packets for the tunnel, and when to do this again at the latest.
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

    /// A connection, once the other end has agreed to it.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(vec![0; RECEIVES]), tcp::SocketBuffer::new(vec![0; SENDS]));
        // The engine writes whole requests.
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

    /// A socket for datagrams, from this port; 0: from any.
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

    /// This port, or any that nobody can foretell: an answer to a guessed port could be forged.
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
    // Where the system has no randomness, handshakes have none either, and nothing is ever sent.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// A connection inside of the tunnel.
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
                // Not as if it had said all it wanted.
                Err(tcp::RecvError::InvalidState) => Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset))),
            }
        }))?;
        buffer.advance(count);
        // There is room for more.
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
            // What was not read will not be, and the other end is told so.
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

/// For datagrams inside of the tunnel.
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
