//! `--extra-ca`: a bundle of the system's certificate authorities and the user's own, for one profile.

use std::fs;
use std::path::{Path, PathBuf};

/// Debian's bundle, the only one that the engine reads.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// Reason that a certificate file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file that cannot be read or written.
    #[error("--extra-ca {path}: {error}")]
    Io { path: String, error: std::io::Error },
    /// A file without a certificate.
    #[error("--extra-ca {0}: the file holds no certificate; use PEM (“{BEGIN}”)")]
    Empty(String),
}

/// Writes the profile's bundle. Returns its path and the number of added authorities; no path if there are none.
///
/// # Errors
/// Returns an error if a file cannot be read or holds no certificate.
pub fn bundle(files: &[PathBuf], profile: &Path) -> Result<(Option<PathBuf>, u32), CertificateError> {
    let path = profile.join("certificates.pem");
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |error| CertificateError::Io { path, error }
    };
    if files.is_empty() {
        return Ok((None, 0));
    }
    let mut bundle = fs::read_to_string(SYSTEM).unwrap_or_default();
    let mut added = 0_usize;
    for file in files {
        let text = fs::read_to_string(file).map_err(io(file))?;
        let count = text.matches(BEGIN).count();
        if count == 0 {
            return Err(CertificateError::Empty(file.display().to_string()));
        }
        added += count;
        bundle.push('\n');
        bundle.push_str(&text);
    }
    fs::write(&path, bundle).map_err(io(&path))?;
    use std::os::unix::fs::PermissionsExt;
    // Certificates are public, and the sandbox's user must read them.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(io(&path))?;
    Ok((Some(path), u32::try_from(added).unwrap_or(u32::MAX)))
}
