//! Notifications of the desktop.
//!
//! See the [notifications specification](https://specifications.freedesktop.org/notification-spec/latest/).

use std::collections::HashMap;

use tokio_stream::StreamExt;
use zbus::zvariant::Value;
use zbus::{Connection, Proxy};

const SERVICE: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// Name of the action that a click on the notification itself is.
const CLICK: &str = "default";
/// Lets the desktop choose how long a notification is shown.
const USUAL_TIME: i32 = -1;

/// Reason that a notification is not shown.
#[derive(Debug, thiserror::Error)]
#[error("no notification can be shown ({0}): the desktop has no notification service")]
pub struct NotificationError(#[from] zbus::Error);

/// End of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The user clicked it.
    Clicked,
    /// Closed by the user, by the desktop, or after a while.
    Closed,
}

/// Shows a notification, and waits for its end. `from` is named above the text.
///
/// # Errors
/// Returns an error if the desktop shows no notifications.
pub async fn show(from: &str, title: &str, body: &str) -> Result<Ended, NotificationError> {
    let bus = Connection::session().await?;
    let service = Proxy::new(&bus, SERVICE, PATH, SERVICE).await?;
    // Before the notification is there, so that no signal is missed.
    let mut clicks = service.receive_signal("ActionInvoked").await?;
    let mut closings = service.receive_signal("NotificationClosed").await?;
    // Servers read markup in the body.
    let body = match body {
        "" => escape(from),
        body => format!("{}\n{}", escape(from), escape(body)),
    };
    let hints: HashMap<&str, Value<'_>> = HashMap::from([("desktop-entry", Value::from("org.regen.Regen"))]);
    let actions: &[&str] = &[CLICK, "Open"];
    let shown = ("Regen", 0_u32, "", title, body.as_str(), actions, hints, USUAL_TIME);
    let id: u32 = service.call("Notify", &shown).await?;
    loop {
        tokio::select! {
            Some(click) = clicks.next() => {
                if click.body().deserialize::<(u32, String)>().is_ok_and(|(its, action)| its == id && action == CLICK) {
                    return Ok(Ended::Clicked);
                }
            }
            Some(closing) = closings.next() => {
                if closing.body().deserialize::<(u32, u32)>().is_ok_and(|(its, _)| its == id) {
                    return Ok(Ended::Closed);
                }
            }
            else => return Ok(Ended::Closed),
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_cannot_add_markup() {
        assert_eq!(escape("<b>a</b> & <a href='x'>"), "&lt;b&gt;a&lt;/b&gt; &amp; &lt;a href='x'&gt;");
    }
}
