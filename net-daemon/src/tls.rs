//! TLS of this process's own, to proxies, name servers and where filter lists come from; that of pages is the engine's.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

/// This machine's certificate authorities, and the profile's.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The SHA-256 of a public key.
pub(crate) type Pin = [u8; 32];

/// Believes whom the authorities vouch for, or with a pin whoever has that key, and nobody else.
pub(crate) fn client(pin: Option<Pin>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous();
    let verifier: Arc<dyn ServerCertVerifier> = match pin {
        Some(pin) => Arc::new(OneKey { pin, algorithms: provider.signature_verification_algorithms }),
        None => authorities(provider)?,
    };
    Ok(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Believes nobody: no key has this hash.
pub(crate) fn with_nobody() -> Result<Arc<ClientConfig>, String> {
    client(Some(Pin::default()))
}

/// They are read once.
fn authorities(provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    static READ: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let roots = READ.get_or_init(|| read(Path::new(AUTHORITIES)).map(Arc::new)).clone()?;
    WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let failed = |why: String| format!("the certificate authorities in {} cannot be read: {why}", path.display());
    let all = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(all.flatten());
    if roots.is_empty() { Err(failed("there are none".to_owned())) } else { Ok(roots) }
}

/// The one key that somebody may have: whoever signs with it is it, whatever its certificate says of names and dates.
#[derive(Debug)]
struct OneKey {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        if Sha256::digest(&key).as_slice() == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("it has another key than the one that was pinned".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
