//! TLS to proxies, name servers and servers of filter lists. The engine does the TLS of pages.

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

/// Certificate authorities of this machine and of the profile (`--extra-ca`).
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// SHA-256 of a public key.
pub(crate) type Pin = [u8; 32];

/// Returns a configuration that trusts the certificate authorities or, with a pin, that key only.
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

/// Returns a configuration that trusts no server: no key has an all-zero hash.
pub(crate) fn with_nobody() -> Result<Arc<ClientConfig>, String> {
    client(Some(Pin::default()))
}

/// Returns a verifier that trusts the certificate authorities, which are read once.
fn authorities(provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    static READ: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    let roots = READ.get_or_init(|| read(Path::new(AUTHORITIES)).map(Arc::new)).clone()?;
    WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let failed = |why: String| format!("cannot read certificate authorities in {}: {why}", path.display());
    let all = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(all.flatten());
    if roots.is_empty() { Err(failed("it contains no certificates".to_owned())) } else { Ok(roots) }
}

/// A verifier that accepts one public key, whatever the certificate says about names and dates.
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
            Err(Error::General("the server has another key than the pinned one".to_owned()))
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
