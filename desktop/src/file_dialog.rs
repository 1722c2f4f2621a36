//! The desktop's file dialog. The user picks in a process of the desktop's, and the broker is Regen's only process that
//! learns a path. The window, which a page's pixels might compromise, does not.
//!
//! See the [file chooser portal](https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.FileChooser.html).

use std::collections::HashMap;
use std::path::PathBuf;

use regen_net_config::site::Site;
use tokio::sync::oneshot;
use tokio_stream::StreamExt;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, Proxy};

const DESTINATION: &str = "org.freedesktop.portal.Desktop";
const DESKTOP: &str = "/org/freedesktop/portal/desktop";
const FILE_CHOOSER: &str = "org.freedesktop.portal.FileChooser";
const REQUEST: &str = "org.freedesktop.portal.Request";
/// Response code of a dialog in which files were picked. Any other code means that it was cancelled or closed.
const PICKED: u32 = 0;

/// Failure of a file dialog.
#[derive(Debug, thiserror::Error)]
pub enum DialogError {
    /// A missing session bus or portal.
    #[error(
        "no file dialog can be shown ({0}): install xdg-desktop-portal and a backend for your desktop, such as xdg-desktop-portal-gtk"
    )]
    NoPortal(#[from] zbus::Error),
    /// A portal that ended while the dialog was open.
    #[error("the desktop's file dialog ended without an answer")]
    Ended,
    /// A URL that is not a file of this machine.
    #[error("“{0}” is not a file of this machine")]
    NotAFile(String),
}

/// Open dialogs, by the number of the request.
#[derive(Debug, Default)]
pub struct FileDialogs {
    open: HashMap<u64, oneshot::Sender<()>>,
}

impl FileDialogs {
    /// Opens a dialog, and calls `done` with the picked paths, or with none if the user cancelled. `done` is not called
    /// after [`Self::close`].
    pub fn open<F>(&mut self, request: u64, site: &Site, multiple: bool, done: F)
    where
        F: FnOnce(Result<Vec<PathBuf>, DialogError>) + Send + 'static,
    {
        let (close, closed) = oneshot::channel();
        self.open.insert(request, close);
        let title = title(site, multiple);
        tokio::spawn(async move {
            if let Some(picked) = pick(&title, multiple, closed).await.transpose() {
                done(picked);
            }
        });
    }

    /// Closes a dialog, if it is open.
    pub fn close(&mut self, request: u64) {
        // Dropping the sender notifies the receiver.
        self.open.remove(&request);
    }
}

/// Returns the title. The site comes first, because a long title is cut at its end.
fn title(site: &Site, multiple: bool) -> String {
    let host = site.host();
    if multiple { format!("{host} asks for files") } else { format!("{host} asks for a file") }
}

/// Returns the picked paths, or `None` for a dialog that was closed by [`FileDialogs::close`].
async fn pick(
    title: &str,
    multiple: bool,
    mut closed: oneshot::Receiver<()>,
) -> Result<Option<Vec<PathBuf>>, DialogError> {
    let bus = Connection::session().await?;
    let token = format!("regen_{:016x}", fastrand::u64(..));
    let own = bus.unique_name().map(|name| name.trim_start_matches(':').replace('.', "_")).unwrap_or_default();
    // Subscribe first: the answer may come before the call returns.
    let path = format!("{DESKTOP}/request/{own}/{token}");
    let request = Proxy::new(&bus, DESTINATION, path, REQUEST).await?;
    let mut answers = request.receive_signal("Response").await?;
    let portal = Proxy::new(&bus, DESTINATION, DESKTOP, FILE_CHOOSER).await?;
    let options: HashMap<&str, Value<'_>> =
        HashMap::from([("handle_token", Value::from(token)), ("multiple", multiple.into()), ("modal", true.into())]);
    // The first call may start the portal, so only its loss counts as its end.
    let mut gone = portal.receive_owner_changed().await?.filter(Option::is_none);
    // A portal that does not answer delays only this task.
    let arguments = ("", title, options);
    let opened = portal.call::<_, _, OwnedObjectPath>("OpenFile", &arguments);
    tokio::select! {
        opened = opened => drop(opened?),
        _ = &mut closed => {
            request.call_noreply("Close", &()).await?;
            return Ok(None);
        }
    }
    tokio::select! {
        answer = answers.next() => {
            let answer = answer.ok_or(DialogError::Ended)?;
            let (code, mut results): (u32, HashMap<String, OwnedValue>) =
                answer.body().deserialize()?;
            let uris = results.remove("uris").filter(|_| code == PICKED);
            let uris: Vec<String> = uris.and_then(|uris| uris.try_into().ok()).unwrap_or_default();
            uris.into_iter().map(|uri| path_of(&uri)).collect::<Result<_, _>>().map(Some)
        }
        _ = gone.next() => Err(DialogError::Ended),
        _ = &mut closed => {
            request.call_noreply("Close", &()).await?;
            Ok(None)
        }
    }
}

/// Returns the path of a `file:` URL, whose bytes need not be UTF-8.
fn path_of(uri: &str) -> Result<PathBuf, DialogError> {
    let not_a_file = || DialogError::NotAFile(uri.to_owned());
    let path = url::Url::parse(uri).ok().filter(|url| url.scheme() == "file").ok_or_else(not_a_file)?;
    path.to_file_path().map_err(|()| not_a_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_taken_byte_for_byte_and_only_of_this_machine() {
        let path = path_of("file:///srv/caf%E9%20%231.txt").unwrap();
        assert_eq!(path.as_os_str().as_bytes(), b"/srv/caf\xe9 #1.txt");
        for other in ["https://a.test/x", "file://other.test/x", "notes.txt", ""] {
            assert!(matches!(path_of(other), Err(DialogError::NotAFile(_))), "{other}");
        }
    }

    #[test]
    fn the_title_begins_with_the_host_that_asks() {
        let site = Site::of("https://www.example.org/upload").unwrap();
        assert!(title(&site, false).starts_with(site.host()), "{}", title(&site, false));
    }
}
