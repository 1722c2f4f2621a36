//! Upstream proxies: a real microsocks, and a real tinyproxy behind TLS.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::io::copy_bidirectional;

use crate::site::SERVERS;
use crate::{eventually, network, process, tls};

/// Host name that only the proxies can resolve.
pub const NAME: &str = "behind.test";

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct UpstreamProxy {
    process: Option<Child>,
    port: u16,
    _folder: TempDir,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
impl UpstreamProxy {
    /// Starts a SOCKS 5 proxy that connects from `from` and resolves [`NAME`] to `named`.
    #[must_use]
    pub fn socks(from: Ipv4Addr, named: Ipv4Addr) -> Self {
        let port = free_port();
        let command = format!("exec microsocks -i 127.0.0.1 -p {port} -b {from}");
        Self::start(from, named, port, |_| command)
    }

    /// Starts an HTTPS proxy with this certificate and key (PEM), which connects from `from` and resolves [`NAME`] to
    /// `named`.
    #[must_use]
    pub fn https(from: Ipv4Addr, named: Ipv4Addr, certificate: &str, key: &str) -> Self {
        let inner = free_port();
        let mut started = Self::start(from, named, inner, |folder| {
            let config =
                format!("Port {inner}\nListen 127.0.0.1\nBind {from}\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\n");
            let file = folder.path().join("tinyproxy.conf");
            fs::write(&file, config).expect("a file");
            format!("exec tinyproxy -d -c {}", file.display())
        });
        let acceptor = tls::acceptor(certificate, key);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("a listener");
        let _inside = SERVERS.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        SERVERS.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that refuses the certificate hangs up here.
                    let Ok(mut outer) = acceptor.accept(stream).await else { return };
                    let inner = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, inner)).await;
                    let _ = copy_bidirectional(&mut outer, &mut inner.expect("tinyproxy")).await;
                });
            }
        });
        started.port = port;
        started
    }

    fn start(from: Ipv4Addr, named: Ipv4Addr, port: u16, command: impl FnOnce(&TempDir) -> String) -> Self {
        let folder = TempDir::with_prefix("regen-proxy-").expect("a temporary folder");
        network::add_address(from);
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost\n{named} {NAME}\n")).expect("a file");
        // Runs in a mount namespace whose /etc/hosts has the name.
        let script = format!("mount --bind {} /etc/hosts && {}", hosts.display(), command(&folder));
        let mut process = Command::new("unshare");
        process.args(["--mount", "sh", "-c", &script]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Some(process.spawn().expect("unshare: run as root"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        eventually("the proxy", || TcpStream::connect(address).ok());
        Self { process, port, _folder: folder }
    }

    /// Returns the port that it listens on, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the proxy.
    pub fn kill(&mut self) {
        process::kill(&mut self.process);
    }
}

impl Drop for UpstreamProxy {
    fn drop(&mut self) {
        self.kill();
    }
}
