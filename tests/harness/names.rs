//! A DNS server: a real BIND that answers over UDP, TCP, TLS and HTTPS, with DNSSEC signatures.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{eventually, network, process};

/// Address of the DNS server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 82, 0, 53);
/// Host name that its certificate must be valid for.
pub const SERVER_NAME: &str = "names.test";

/// A running DNS server. It ends when this is dropped.
#[derive(Debug)]
pub struct NameServer {
    process: Option<Child>,
    folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "a test starts processes")]
impl NameServer {
    /// Starts a server with these names (A) and aliases (CNAME), and this certificate and key (PEM). Its root zone is
    /// signed; the zone `plain` is not.
    #[must_use]
    pub fn start(names: &[(&str, Ipv4Addr)], others: &[(&str, &str)], certificate: &str, key: &str) -> Self {
        let folder = TempDir::with_prefix("regen-names-").expect("a temporary folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        network::add_address(SERVER);
        write("certificate.pem", certificate);
        write("key.pem", key);
        let zone = |suffix: &str, extra: &str| {
            let is_here = |name: &&(&str, Ipv4Addr)| name.0.ends_with(".plain") == (suffix == "plain.");
            let records = names.iter().filter(is_here).map(|(name, address)| format!("{name}. A {address}\n"));
            let records: String = records.collect();
            format!("$TTL 60\n{suffix} SOA ns. admin. 1 3600 600 86400 60\n{suffix} NS ns.\n{extra}{records}")
        };
        let others: String = others.iter().map(|(name, of)| format!("{name}. CNAME {of}.\n")).collect();
        write("root.zone", &zone(".", &format!("ns. A {SERVER}\nplain. NS ns.\n{others}")));
        write("plain.zone", &zone("plain.", ""));
        write(
            "named.conf",
            &format!(
                "tls own {{ cert-file \"certificate.pem\"; key-file \"key.pem\"; }};
                options {{
                    directory \"{}\"; recursion no; pid-file none; session-keyfile none; listen-on-v6 {{ none; }};
                    listen-on {{ {SERVER}; }}; listen-on tls own {{ {SERVER}; }}; listen-on tls own http default {{ {SERVER}; }};
                }};
                controls {{ }};
                zone \".\" {{ type primary; file \"root.zone\"; dnssec-policy default; inline-signing yes; }};
                zone \"plain\" {{ type primary; file \"plain.zone\"; }};",
                folder.path().display()
            ),
        );
        let mut process = Command::new("named");
        process.args(["-g", "-c", "named.conf"]).current_dir(folder.path());
        process.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { process: Some(process.spawn().expect("named")), folder };
        eventually("the DNS server", || {
            let listens = [53, 853, 443].into_iter().all(|port| TcpStream::connect((SERVER, port)).is_ok());
            (listens && server.key().is_some()).then_some(())
        });
        server
    }

    fn key(&self) -> Option<String> {
        let files = fs::read_dir(self.folder.path()).expect("its folder").flatten();
        let key =
            files.map(|file| file.path()).find(|path| path.extension().is_some_and(|extension| extension == "key"));
        fs::read_to_string(key?).ok().filter(|text| text.contains("DNSKEY"))
    }

    /// Returns the root zone's DNSKEY in zone file format.
    #[must_use]
    pub fn anchors(&self) -> String {
        self.key().expect("its key")
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        process::kill(&mut self.process);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.kill();
    }
}
