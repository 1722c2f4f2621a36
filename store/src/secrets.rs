//! Encryption of session cookies and VPN profiles at rest (XChaCha20-Poly1305). The key is kept in the user's Secret
//! Service if there is one, else in a file that only this user may read. A record is bound to its place: it cannot be
//! read as another site's.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use secret_service::{Collection, EncryptionType, SecretService};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec;

/// Timeout of the Secret Service; [`UNLOCK_TIMEOUT`] applies if the user may have to unlock it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(60);
const KEY: usize = 32;
const KEY_FILE: &str = "secret.key";
/// Attributes of the key in the Secret Service: one key for all of a user's profiles.
const ATTRIBUTES: [(&str, &str); 2] = [("application", "regen"), ("purpose", "saved sessions")];

/// Place of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The Secret Service: GNOME Keyring, KWallet, KeePassXC and others.
    SecretService,
    /// The file `secret.key` in the profile, mode 0600.
    KeyFile,
}

impl Source {
    /// Returns the name of the place for the status.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::SecretService => "the Secret Service",
            Self::KeyFile => "a key file",
        }
    }
}

/// An encrypted value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ciphertext {
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Ciphertext {
    /// Returns a unique name, derived from the nonce.
    pub(super) fn name(&self) -> String {
        codec::short_name(&self.nonce)
    }
}

/// Encrypts and decrypts records.
pub struct Vault {
    source: Source,
    cipher: XChaCha20Poly1305,
    /// Key file's cipher, which earlier runs used if the Secret Service was unavailable.
    earlier: Option<XChaCha20Poly1305>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the vault with the user's key, which is created if there is none. With `ask`, the user may be asked to
    /// unlock their keyring.
    ///
    /// # Errors
    /// Returns an error if neither the Secret Service nor the profile can hold a key.
    pub async fn open(profile: &Path, ask: bool) -> io::Result<Self> {
        let path = profile.join(KEY_FILE);
        let found =
            match tokio::time::timeout(if ask { UNLOCK_TIMEOUT } else { ANSWER_TIMEOUT }, key_of_service(ask)).await {
                Ok(Ok(key)) => Some(key),
                Ok(Err(error)) => {
                    tracing::debug!("no Secret Service: {error}");
                    None
                }
                Err(_) => {
                    tracing::warn!(
                        "the Secret Service does not answer: saved sessions are encrypted with the key in {}",
                        path.display()
                    );
                    None
                }
            };
        match found {
            Some(key) => {
                let earlier = if path.exists() { Some(key_of_file(&path)?) } else { None };
                let earlier = earlier.as_ref().map(cipher);
                Ok(Self { source: Source::SecretService, cipher: cipher(&key), earlier })
            }
            None => Self::of_profile(profile),
        }
    }

    /// Opens the vault with the profile's key file, even if there is a Secret Service.
    ///
    /// # Errors
    /// Returns an error if the key file cannot be read or written.
    pub fn of_profile(profile: &Path) -> io::Result<Self> {
        let key = key_of_file(&profile.join(KEY_FILE))?;
        Ok(Self { source: Source::KeyFile, cipher: cipher(&key), earlier: None })
    }

    /// Returns the place of the key.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Encrypts a value. The ciphertext is bound to `place` as associated data.
    pub(super) fn seal(&self, place: &str, secret: &impl Serialize) -> Ciphertext {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let plain = serde_json::to_vec(secret).unwrap_or_default();
        let payload = Payload { msg: &plain, aad: place.as_bytes() };
        // Encryption fails only for values over 256 GB.
        let ciphertext = self.cipher.encrypt(&nonce, payload).unwrap_or_default();
        Ciphertext { nonce: nonce.to_vec(), ciphertext }
    }

    /// Decrypts a value. Returns `None` if the key or the place differs, or the data was changed.
    pub(super) fn open_sealed<T: DeserializeOwned>(&self, place: &str, sealed: &Ciphertext) -> Option<T> {
        let nonce: [u8; 24] = sealed.nonce.as_slice().try_into().ok()?;
        let payload = || Payload { msg: sealed.ciphertext.as_slice(), aad: place.as_bytes() };
        let ciphers = std::iter::once(&self.cipher).chain(&self.earlier);
        let plain = ciphers.filter_map(|cipher| cipher.decrypt(&XNonce::from(nonce), payload()).ok()).next()?;
        serde_json::from_slice(&plain).ok()
    }
}

fn cipher(key: &[u8; KEY]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(key))
}

fn fresh_key() -> [u8; KEY] {
    XChaCha20Poly1305::generate_key(&mut OsRng).into()
}

/// Reads the key from the file, which is created if there is none.
fn key_of_file(path: &Path) -> io::Result<[u8; KEY]> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read(path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(key) => Ok(key),
            Err(_) => {
                // The first write was interrupted, so nothing was ever encrypted with this key.
                let aside: PathBuf = path.with_extension("key.unreadable");
                fs::rename(path, &aside).map_err(named)?;
                tracing::warn!("{} is not a key: moved to {}", path.display(), aside.display());
                key_of_file(path)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = fresh_key();
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(named)?;
            file.write_all(&key).and_then(|()| file.sync_all()).map_err(named)?;
            Ok(key)
        }
        Err(error) => Err(named(error)),
    }
}

async fn key_of_service(ask: bool) -> Result<[u8; KEY], secret_service::Error> {
    let service = SecretService::connect(EncryptionType::Dh).await?;
    let collection: Collection<'_> = service.get_default_collection().await?;
    if collection.is_locked().await? {
        if !ask {
            return Err(secret_service::Error::Locked);
        }
        collection.unlock().await?;
    }
    for item in collection.search_items(HashMap::from(ATTRIBUTES)).await? {
        if let Ok(key) = item.get_secret().await?.try_into() {
            return Ok(key);
        }
    }
    let key = fresh_key();
    let (label, kind) = ("Regen: key of saved sessions", "application/octet-stream");
    collection.create_item(label, HashMap::from(ATTRIBUTES), &key, false, kind).await?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::saved::Cookies;
    use super::*;

    #[test]
    fn cookies_are_read_only_in_their_place_and_with_their_key() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let vault = Vault::of_profile(one.path()).unwrap();
        let cookies = Cookies { workspace: String::new(), site: "https://a.example".into(), cookies: b"id=1".to_vec() };
        let sealed = vault.seal("session-1/cookies-a", &cookies);
        assert!(!sealed.ciphertext.windows(4).any(|window| window == b"id=1"));
        let again = Vault::of_profile(one.path()).unwrap();
        assert_eq!(again.open_sealed("session-1/cookies-a", &sealed), Some(cookies));
        assert_eq!(again.open_sealed::<Cookies>("session-1/cookies-b", &sealed), None);
        assert_eq!(
            Vault::of_profile(other.path()).unwrap().open_sealed::<Cookies>("session-1/cookies-a", &sealed),
            None
        );
        let mut torn = sealed;
        torn.ciphertext.pop();
        assert_eq!(again.open_sealed::<Cookies>("session-1/cookies-a", &torn), None);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(one.path().join(KEY_FILE)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
