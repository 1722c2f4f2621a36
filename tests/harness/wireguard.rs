//! A `WireGuard` peer: a real wireguard-go in its own network namespace. Sites behind it are reachable only through it.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use regen_sandbox::policy::Namespace;
use tempfile::TempDir;

use crate::{eventually, network, process};

/// Outer address of the peer.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);
const BROWSER: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 1);
/// Address of the peer inside the tunnel, where it is also a DNS server.
pub const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 1);
/// Address of the browser inside the tunnel.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 91, 0, 2);
/// Host name that the peer's DNS server resolves.
pub const NAME: &str = "inside.test";
/// First three numbers of the addresses behind the peer.
pub const BEHIND: [u8; 3] = [10, 92, 0];
const PORT: u16 = 51820;

/// A running peer. It ends when this is dropped.
#[derive(Debug)]
pub struct WireGuardPeer {
    folder: TempDir,
    /// Queue of the thread that runs in the peer's network namespace.
    thread: mpsc::Sender<Job>,
    device: String,
    server: Option<Child>,
    names: Option<Child>,
    keys: Keys,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Keys {
    server: String,
    server_public: String,
    client: String,
    client_public: String,
    shared: String,
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
impl WireGuardPeer {
    /// Starts the peer in a new network namespace, linked to that of this thread, which must be a private one.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("regen-wireguard-").expect("a temporary folder");
        let (thread, jobs) = mpsc::channel::<Job>();
        let (there, where_it_is) = mpsc::channel();
        std::thread::spawn(move || {
            regen_sandbox::sys::unshare(&[Namespace::Net]).expect("a network namespace: run as root");
            there.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("the test thread waits for the id");
            jobs.into_iter().for_each(|job| job());
        });
        let other = where_it_is.recv().expect("the peer's thread starts").to_string();
        network::ip(&["link", "add", "outside", "type", "veth", "peer", "name", "uplink", "netns", &other]);
        network::ip(&["address", "add", &format!("{BROWSER}/24"), "dev", "outside"]);
        network::ip(&["address", "add", "fd90::1/64", "dev", "outside", "nodad"]);
        network::ip(&["link", "set", "outside", "up"]);
        // The name is unique, because wireguard-go's control socket in the file system is named after it.
        let device = format!("wg{}", std::process::id());
        let client = output("wg", &["genkey"], "");
        let server = output("wg", &["genkey"], "");
        let keys = Keys {
            client_public: output("wg", &["pubkey"], &client),
            server_public: output("wg", &["pubkey"], &server),
            shared: output("wg", &["genpsk"], ""),
            client,
            server,
        };
        let mut peer = Self { folder, thread, device, server: None, names: None, keys };
        peer.run(|| {
            network::ip(&["link", "set", "lo", "up"]);
            network::ip(&["address", "add", &format!("{PEER}/24"), "dev", "uplink"]);
            network::ip(&["address", "add", "fd90::2/64", "dev", "uplink", "nodad"]);
            network::ip(&["link", "set", "uplink", "up"]);
        });
        peer.revive();
        let mut names = Command::new("dnsmasq");
        names.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root"]);
        names.args(["--bind-dynamic", &format!("--listen-address={INSIDE}"), "--pid-file="]);
        names.arg(format!("--address=/{NAME}/10.92.0.2")).stderr(Stdio::null());
        peer.names = Some(peer.start_there(names));
        peer
    }

    /// Runs a function in the peer's network namespace.
    pub fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job: Job = Box::new(move || drop(done.send(act())));
        self.thread.send(job).expect("the peer's thread runs");
        result.recv().expect("the job ends without a panic")
    }

    fn start_there(&self, mut command: Command) -> Child {
        self.run(move || command.spawn().expect("the process"))
    }

    /// Writes the browser's profile, and returns its path. Each change replaces the line that starts with the same key.
    #[must_use]
    pub fn profile(&self, changes: &[&str]) -> PathBuf {
        let Keys { client, server_public, shared, .. } = &self.keys;
        let mut text = format!(
            "[Interface]\nPrivateKey = {client}\nAddress = {CLIENT}/32, fd91::2/128\nDNS = {INSIDE}\nMTU = 1420\n\
             [Peer]\nPublicKey = {server_public}\nPresharedKey = {shared}\nAllowedIPs = 0.0.0.0/0, ::/0\n\
             Endpoint = {PEER}:{PORT}\n"
        );
        for change in changes {
            let (key, _) = change.split_once(' ').expect("a key and its value");
            let is_other = |line: &&str| !line.starts_with(key);
            assert!(text.lines().any(|line| !is_other(&line)), "{key}");
            text = text.lines().map(|line| if is_other(&line) { line } else { change }).fold(
                String::new(),
                |mut all, line| {
                    let _ = writeln!(all, "{line}");
                    all
                },
            );
        }
        let file = self.folder.path().join("home.conf");
        fs::write(&file, text).expect("a file");
        file
    }

    /// Starts wireguard-go, if it does not run.
    pub fn revive(&mut self) {
        if self.server.is_some() {
            return;
        }
        let mut server = Command::new("wireguard-go");
        server.args(["--foreground", &self.device]).env("LOG_LEVEL", "silent").stderr(Stdio::null());
        self.server = Some(self.start_there(server));
        let Keys { server, client_public, shared, .. } = &self.keys;
        let config = format!(
            "[Interface]\nPrivateKey = {server}\nListenPort = {PORT}\n\
             [Peer]\nPublicKey = {client_public}\nPresharedKey = {shared}\nAllowedIPs = {CLIENT}/32, fd91::2/128\n"
        );
        let file = self.folder.path().join("server.conf");
        fs::write(&file, config).expect("a file");
        let device = self.device.clone();
        eventually("the WireGuard device", || {
            let (device, file) = (device.clone(), file.clone());
            self.run(move || try_run("wg", &["setconf", &device, file.to_str().expect("a path")])).then_some(())
        });
        self.run(move || {
            network::ip(&["address", "add", &format!("{INSIDE}/24"), "dev", &device]);
            network::ip(&["address", "add", "fd91::1/64", "dev", &device, "nodad"]);
            network::ip(&["link", "set", &device, "mtu", "1420", "up"]);
        });
    }

    /// Configures a device in this thread's network namespace with the browser's keys and address.
    pub fn set_up_client(&self, device: &str) {
        let Keys { client, server_public, shared, .. } = &self.keys;
        let config = format!(
            "[Interface]\nPrivateKey = {client}\n\
             [Peer]\nPublicKey = {server_public}\nPresharedKey = {shared}\nAllowedIPs = 0.0.0.0/0\nEndpoint = {PEER}:{PORT}\n"
        );
        let file = self.folder.path().join("client.conf");
        fs::write(&file, config).expect("a file");
        let file = file.to_str().expect("a path");
        eventually("the WireGuard device", || try_run("wg", &["setconf", device, file]).then_some(()));
        network::ip(&["address", "add", &format!("{CLIENT}/32"), "dev", device]);
        network::ip(&["link", "set", device, "mtu", "1420", "up"]);
        let [a, b, c] = BEHIND;
        network::ip(&["route", "replace", &format!("{a}.{b}.{c}.0/24"), "dev", device]);
    }

    /// Kills wireguard-go.
    pub fn kill(&mut self) {
        process::kill(&mut self.server);
    }

    /// Moves the peer to another port.
    pub fn roam(&self, port: u16) {
        let device = self.device.clone();
        assert!(self.run(move || try_run("wg", &["set", &device, "listen-port", &port.to_string()])));
    }
}

impl Drop for WireGuardPeer {
    fn drop(&mut self) {
        self.kill();
        process::kill(&mut self.names);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
fn try_run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).stderr(Stdio::null()).status().expect(program).success()
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
fn output(program: &str, arguments: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("its input");
    let output = child.wait_with_output().expect(program);
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
