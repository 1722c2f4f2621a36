//! Addresses for other programs: `mailto:`, `tel:`, `magnet:` and so on. A page asks, the user decides, and the desktop
//! opens.
//!
//! See the [OpenURI portal](https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.OpenURI.html).

use std::collections::HashMap;

use url::Url;
use zbus::zvariant::{OwnedObjectPath, Value};
use zbus::{Connection, Proxy};

const DESTINATION: &str = "org.freedesktop.portal.Desktop";
const DESKTOP: &str = "/org/freedesktop/portal/desktop";
const OPEN_URI: &str = "org.freedesktop.portal.OpenURI";
/// Maximum length of an address, in bytes.
const MAX_ADDRESS: usize = 16 * 1024;
/// Schemes that a page may never have opened: those of a browser, and those that reach files and scripts.
const NEVER: [&str; 14] = [
    "http",
    "https",
    "ws",
    "wss",
    "ftp",
    "file",
    "data",
    "blob",
    "javascript",
    "about",
    "view-source",
    "filesystem",
    "regen",
    "jar",
];

/// Reason that an address is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// A scheme that no page may have opened.
    #[error("“{0}:” addresses are not handed to other programs")]
    Never(String),
    /// An invalid address, or one that is too long.
    #[error("this is not an address that another program could open")]
    NoAddress,
    /// A failure of the session bus or the portal, or no program for such addresses.
    #[error("the desktop did not open it ({0}): install xdg-desktop-portal and a program for such addresses")]
    NoPortal(#[from] zbus::Error),
}

/// Open question. There is one at a time, so that a page cannot pile them up.
#[derive(Debug, Default)]
pub struct Outside {
    asked: Option<String>,
}

impl Outside {
    /// Takes a page's request to open an address. Returns the address as it is to be shown and opened.
    ///
    /// # Errors
    /// Returns an error if no page may have such an address opened.
    pub fn ask(&mut self, url: &str) -> Result<String, OutsideError> {
        let parsed = Url::parse(url).ok().filter(|_| url.len() <= MAX_ADDRESS).ok_or(OutsideError::NoAddress)?;
        if NEVER.contains(&parsed.scheme()) {
            return Err(OutsideError::Never(parsed.scheme().to_owned()));
        }
        let url = String::from(parsed);
        self.asked = Some(url.clone());
        Ok(url)
    }

    /// Takes the user's consent. Returns the address if it is the one that was asked about.
    pub fn agree(&mut self, url: &str) -> Option<String> {
        self.asked.take_if(|asked| asked == url)
    }
}

/// Asks the desktop to open an address.
///
/// # Errors
/// Returns an error if the desktop refuses or cannot be reached.
pub async fn open(url: &str) -> Result<(), OutsideError> {
    let bus = Connection::session().await?;
    let portal = Proxy::new(&bus, DESTINATION, DESKTOP, OPEN_URI).await?;
    let options: HashMap<&str, Value<'_>> = HashMap::from([("ask", true.into())]);
    portal.call::<_, _, OwnedObjectPath>("OpenURI", &("", url, options)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_about_is_opened_and_only_once() {
        let mut outside = Outside::default();
        assert_eq!(outside.ask("MailTo:a@b.test?subject=x y").unwrap(), "mailto:a@b.test?subject=x%20y");
        assert_eq!(outside.agree("tel:1"), None);
        assert!(outside.agree("mailto:a@b.test?subject=x%20y").is_some());
        assert_eq!(outside.agree("mailto:a@b.test?subject=x%20y"), None);
    }

    #[test]
    fn no_file_and_no_script_is_handed_on() {
        let mut outside = Outside::default();
        for url in ["file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "https://a.test/", "regen:x"] {
            assert!(matches!(outside.ask(url), Err(OutsideError::Never(_))), "{url}");
        }
        let long = format!("tel:{}", "1".repeat(MAX_ADDRESS));
        assert!(matches!(outside.ask("no address"), Err(OutsideError::NoAddress)));
        assert!(matches!(outside.ask(&long), Err(OutsideError::NoAddress)));
    }
}
