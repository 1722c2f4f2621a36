//! HTTPS for the test's own site: just enough HTTP over rustls to serve a page.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::site::{Answer, Handler, Request};

/// A certificate authority of the test's own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// An authority of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate") }
    }

    /// A certificate and its key for these names (PEM).
    #[must_use]
    pub fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("usable names");
        change(&mut parameters);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Its own certificate (PEM).
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }
}

pub(crate) fn config(certificate: &str, key: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a usable certificate")
}

pub(crate) fn serve(
    listener: &TcpListener,
    host: &str,
    config: &Arc<ServerConfig>,
    handler: &Arc<Handler>,
    requests: &Arc<Mutex<Vec<Request>>>,
) {
    for stream in listener.incoming().flatten() {
        let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
        let (host, handler, requests) = (host.to_owned(), Arc::clone(handler), Arc::clone(requests));
        // An engine opens connections before it has anything to ask: none may hold up another.
        std::thread::spawn(move || answer(StreamOwned::new(connection, stream), host, &*handler, &requests));
    }
}

fn answer(
    stream: StreamOwned<ServerConnection, TcpStream>,
    host: String,
    handler: &Handler,
    requests: &Mutex<Vec<Request>>,
) {
    let Ok(from) = stream.sock.peer_addr().map(|address| address.ip()) else { return };
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // A client that refuses the certificate hangs up here.
        if stream.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let Some(first) = head.first() else { return };
    let mut words = first.split(' ').map(str::to_owned);
    let headers: std::collections::HashMap<String, String> = head
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = String::new();
    let _ = stream.by_ref().take(length).read_to_string(&mut body);
    let request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        host,
        from,
        headers,
        body,
    };
    requests.lock().expect("the list").push(request.clone());
    let answer = handler(&request).unwrap_or_else(|| Answer { status: 404, ..Answer::page("not found") });
    let mut text =
        format!("HTTP/1.1 {} x\r\nContent-Length: {}\r\nConnection: close\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let stream = stream.get_mut();
    // The page may be gone.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.write_all(&answer.body));
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
