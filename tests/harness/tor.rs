//! A Tor network of real tor processes in the test's private network namespace. Every relay is an authority and an
//! exit, and has its own address, from which its exit connections come (except those to 127.0.0.0/8, for which tor uses
//! any address).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{network, process, within};

/// Time limit for a consensus; it takes about a quarter of this.
const AGREEMENT: Duration = Duration::from_secs(60);
/// DNS server that exits ask. No server runs there.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 1);
/// OR port of all relays.
pub const OR_PORT: u16 = 5001;
const DIR_PORT: u16 = 7001;

/// A running Tor network. It ends when this is dropped.
#[derive(Debug)]
pub struct TorNetwork {
    folder: TempDir,
    relays: Vec<Relay>,
    /// Tor processes that are no authorities: onion service, bridge and client.
    others: Vec<Relay>,
    authorities: String,
}

#[derive(Debug)]
struct Relay {
    folder: PathBuf,
    address: Ipv4Addr,
    process: Option<Child>,
}

/// Fingerprints by which other processes know a relay.
struct Identity {
    v3ident: String,
    rsa: String,
    ed25519: String,
}

impl TorNetwork {
    /// Starts this many relays (at least three), and waits for their consensus.
    #[must_use]
    pub fn start(count: u8) -> Self {
        Self::voting(count, 10, "")
    }

    /// Starts a network in which clients can find onion services. In a testing network, tor rotates their descriptors'
    /// positions every 24 votes, here 6 minutes. The consensus parameter tells other clients so; they accept no less
    /// than five minutes, hence the longer voting interval.
    #[must_use]
    pub fn with_onions(count: u8) -> Self {
        Self::voting(count, 15, "ConsensusParams hsdir_interval=6\n")
    }

    fn voting(count: u8, every: u8, params: &str) -> Self {
        let folder = TempDir::with_prefix("regen-tor-").expect("a temporary folder");
        let relays: Vec<Relay> = (0..count)
            .map(|number| {
                let folder = folder.path().join(format!("relay{number}"));
                let address = Ipv4Addr::new(10, 10 + number, 0, 1);
                network::add_address(address);
                Relay { folder, address, process: None }
            })
            .collect();
        fs::write(folder.path().join("resolv.conf"), format!("nameserver {RESOLVER}\n")).expect("a file");
        let identities: Vec<Identity> = relays.iter().map(|relay| relay.make(every, params)).collect();
        // Without measured bandwidths, a relay's weight is what it has carried so far, and one that carried nothing is
        // never chosen.
        let weights = identities.iter().map(|identity| format!("node_id=${} bw=1000\n", identity.rsa));
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
        let measured = format!("{seconds}\n{}", weights.collect::<String>());
        fs::write(folder.path().join("measured"), measured).expect("a file");
        let authorities: String = relays
            .iter()
            .zip(&identities)
            .fold(String::new(), |all, (relay, identity)| all + &relay.authority(identity));
        for relay in &relays {
            let torrc = fs::read_to_string(relay.folder.join("torrc")).expect("its configuration");
            // The first DirAuthority line was only there to generate the keys.
            let (torrc, _) = torrc.split_once("DirAuthority").expect("an authority");
            fs::write(relay.folder.join("torrc"), format!("{torrc}{authorities}")).expect("its configuration");
        }
        let mut client = String::from("[tor_network]\nfallback_caches = [\n");
        for (relay, Identity { rsa, ed25519, .. }) in relays.iter().zip(&identities) {
            let address = relay.address;
            let _ = writeln!(
                client,
                "  {{ rsa_identity = \"{rsa}\", ed_identity = \"{ed25519}\", orports = [\"{address}:{OR_PORT}\"] }},"
            );
        }
        let idents: Vec<String> = identities.iter().map(|identity| format!("\"{}\"", identity.v3ident)).collect();
        let _ = writeln!(client, "]\n[tor_network.authorities]\nv3idents = [{}]", idents.join(", "));
        client += "[address_filter]\nallow_local_addrs = true\n[circuit_timing]\nrequest_timeout = \"12 seconds\"\n";
        fs::write(folder.path().join("tor.toml"), client).expect("the client's configuration");
        let mut network = Self { folder, relays, others: Vec::new(), authorities };
        network.revive();
        for relay in &network.relays {
            let consensus = relay.folder.join("cached-microdesc-consensus");
            let has_all = || fs::read_to_string(&consensus).is_ok_and(|text| exits_in(&text) == usize::from(count));
            within(AGREEMENT, || has_all().then_some(())).unwrap_or_else(|| panic!("no consensus: {}", relay.log()));
        }
        network
    }

    /// Returns the client configuration of this network, for `--tor-config`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tor.toml")
    }

    /// Starts an onion service for this server, and returns its name.
    pub fn onion(&mut self, server: SocketAddr) -> String {
        let service = format!("SocksPort 0\nHiddenServiceDir {{folder}}/service\nHiddenServicePort 80 {server}\n");
        let other = self.other("onion", Ipv4Addr::new(10, 60, 0, 1), &service);
        let name = other.join("service/hostname");
        within(AGREEMENT, || fs::read_to_string(&name).ok()).expect("its name").trim().to_owned()
    }

    /// Starts a bridge, which is in no consensus. Returns its address and the client configuration that uses it.
    pub fn bridge(&mut self) -> (Ipv4Addr, PathBuf) {
        let address = Ipv4Addr::new(10, 61, 0, 1);
        let bridge = format!(
            "SocksPort 0\nORPort {address}:{OR_PORT} IPv4Only\nBridgeRelay 1\nPublishServerDescriptor 0\nAssumeReachable 1\nExitRelay 0\n"
        );
        let folder = self.other("bridge", address, &bridge);
        let print = within(AGREEMENT, || {
            let of = |file: &str| fs::read_to_string(folder.join(file)).ok();
            of("fingerprint").zip(of("fingerprint-ed25519"))
        });
        let (rsa, ed25519) = print.expect("its fingerprints");
        let last = |text: &str| text.split_whitespace().last().expect("a word").to_owned();
        let line = format!("{address}:{OR_PORT} {} ed25519:{}", last(&rsa), last(&ed25519));
        let known = fs::read_to_string(self.config()).expect("the client's configuration");
        let config = self.folder.path().join("bridge.toml");
        fs::write(&config, format!("{known}[bridges]\nenabled = true\nbridges = [\"{line}\"]\n")).expect("a file");
        (address, config)
    }

    /// Starts a tor client, and returns the address of its SOCKS 5 port.
    pub fn socks(&mut self) -> SocketAddr {
        let address = Ipv4Addr::new(10, 62, 0, 1);
        let socks = SocketAddr::from((address, 9050));
        // The test's sites have private addresses, which tor refuses to ask an exit for by default.
        let what = format!(
            "SocksPort {socks}\nSocksPolicy accept *\nClientRejectInternalAddresses 0\nClientDNSRejectInternalAddresses 0\n"
        );
        self.other("client", address, &what);
        socks
    }

    /// Returns the logs of the onion service, the bridge and the client.
    #[must_use]
    pub fn log_of_others(&self) -> String {
        self.others.iter().map(Relay::log).collect()
    }

    /// Starts another tor process on this network, and returns its folder.
    fn other(&mut self, name: &str, address: Ipv4Addr, what: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("its folder");
        network::add_address(address);
        let shown = folder.display().to_string();
        let torrc = format!(
            "TestingTorNetwork 1\nNickname {name}\nDataDirectory {shown}\nLog notice stdout\nAddress {address}\n\
             OutboundBindAddress {address}\nDirAllowPrivateAddresses 1\nExtendAllowPrivateAddresses 1\n\
             EnforceDistinctSubnets 0\nPathsNeededToBuildCircuits 0.25\nShutdownWaitLength 0\n{}{}",
            what.replace("{folder}", &shown),
            self.authorities
        );
        fs::write(folder.join("torrc"), torrc).expect("its configuration");
        self.others.push(Relay { folder: folder.clone(), address, process: None });
        self.revive();
        folder
    }

    /// Returns whether an address belongs to an exit.
    #[must_use]
    pub fn is_exit(&self, address: IpAddr) -> bool {
        self.relays.iter().any(|relay| relay.address == address)
    }

    /// Stops (SIGSTOP) or continues every relay.
    pub fn pause(&self, silent: bool) {
        for process in self.relays.iter().filter_map(|relay| relay.process.as_ref()) {
            let pid = i32::try_from(process.id()).expect("a process id");
            process::signal(pid, if silent { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Kills every tor process.
    pub fn kill(&mut self) {
        for relay in self.relays.iter_mut().chain(&mut self.others) {
            relay.kill();
        }
    }

    /// Starts every tor process that does not run, with the keys and state that it had.
    pub fn revive(&mut self) {
        for relay in self.relays.iter_mut().chain(&mut self.others).filter(|relay| relay.process.is_none()) {
            let log = File::create(relay.folder.join("log")).expect("its log");
            let mut tor = relay.tor();
            tor.stdout(log).stderr(Stdio::null());
            relay.process = Some(tor.spawn().expect("tor"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
impl Relay {
    /// Creates the relay's keys, and a configuration that names no other relay yet.
    fn make(&self, every: u8, params: &str) -> Identity {
        let keys = self.folder.join("keys");
        fs::create_dir_all(&keys).expect("its folder");
        let certificate = keys.join("authority_certificate");
        let address = self.address;
        let mut gencert = Command::new("tor-gencert");
        gencert.args(["--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a"]);
        gencert.arg(format!("{address}:{DIR_PORT}")).current_dir(&keys).stdin(Stdio::null());
        let made = gencert.output().expect("tor-gencert");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificate = fs::read_to_string(certificate).expect("its certificate");
        let v3ident = certificate.lines().find_map(|line| line.strip_prefix("fingerprint ")).expect("its fingerprint");
        let v3ident = v3ident.trim().to_owned();
        let unknown = "0".repeat(40);
        let own = Identity { v3ident, rsa: unknown, ed25519: String::new() };
        fs::write(self.folder.join("torrc"), self.torrc(every) + params + &self.authority(&own))
            .expect("its configuration");
        let listed = self.tor().arg("--list-fingerprint").output().expect("tor");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stdout));
        let last_word = |file: &str| {
            let text = fs::read_to_string(self.folder.join(file)).expect("its fingerprint");
            text.split_whitespace().last().expect("a word").to_owned()
        };
        Identity { rsa: last_word("fingerprint"), ed25519: last_word("fingerprint-ed25519"), ..own }
    }

    fn tor(&self) -> Command {
        let mut tor = Command::new("tor");
        tor.arg("-f").arg(self.folder.join("torrc")).args(["--defaults-torrc", "/dev/null"]);
        tor
    }

    fn name(&self) -> String {
        self.folder.file_name().expect("a name").to_string_lossy().into_owned()
    }

    fn authority(&self, identity: &Identity) -> String {
        let (name, address, Identity { v3ident, rsa, .. }) = (self.name(), self.address, identity);
        format!("DirAuthority {name} orport={OR_PORT} no-v2 v3ident={v3ident} {address}:{DIR_PORT} {rsa}\n")
    }

    fn torrc(&self, every: u8) -> String {
        let (name, address, folder) = (self.name(), self.address, self.folder.display());
        let shared = self.folder.parent().unwrap_or(Path::new("/")).display();
        format!(
            "TestingTorNetwork 1
Nickname {name}
DataDirectory {folder}
Log notice stdout
SocksPort 0
Address {address}
OutboundBindAddress {address}
ORPort {address}:{OR_PORT} IPv4Only
DirPort {address}:{DIR_PORT} IPv4Only
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo nobody@regen.invalid
AuthDirMaxServersPerAddr 0
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
TestingAuthDirTimeToLearnReachability 0
ExitRelay 1
ExitPolicyRejectPrivate 0
ExitPolicy accept *:*
AssumeReachable 1
DirAllowPrivateAddresses 1
ExtendAllowPrivateAddresses 1
EnforceDistinctSubnets 0
PathsNeededToBuildCircuits 0.25
ServerDNSAllowBrokenConfig 1
ServerDNSDetectHijacking 0
ServerDNSTestAddresses
ServerDNSResolvConfFile {shared}/resolv.conf
V3BandwidthsFile {shared}/measured
ShutdownWaitLength 0
DirCache 1
RefuseUnknownExits 0
V3AuthVotingInterval {every}
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingV3AuthInitialVotingInterval {every}
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthNIntervalsValid 3
"
        )
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        process::kill(&mut self.process);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Counts the running exits in a consensus.
fn exits_in(consensus: &str) -> usize {
    let flags = consensus.lines().filter_map(|line| line.strip_prefix("s "));
    flags.filter(|flags| flags.contains("Exit") && flags.contains("Running")).count()
}
