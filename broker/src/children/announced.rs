//! Payloads that hosts announce, and the events that they become once they are read.

use std::io;
use std::os::fd::OwnedFd;

use regen_proto::validate::{MAX_BODY, MAX_COOKIES, MAX_SNAPSHOT};
use regen_session::{HostKey, Load, SavedSnapshot, TabId};

use super::events::Event;
use super::payloads::{Payload, Subject};
use crate::codec::page;
use crate::message::ChildId;

fn words<T>(read: io::Result<T>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

/// Returns the payload of a form that a tab takes to another site.
#[must_use]
pub fn form(
    child: ChildId,
    tab: TabId,
    load: Load,
    content_type: String,
    memory: OwnedFd,
    size: u64,
) -> Payload<Event> {
    let finish = Box::new(move |read| Event::Form { child, tab, load, content_type, body: words(read) });
    Payload { subject: Subject::Form { tab }, memory, size, limit: MAX_BODY, finish }
}

/// Returns the payload of a snapshot. `url`: address of the page when the snapshot was announced.
#[must_use]
pub fn snapshot(child: ChildId, host: HostKey, tab: TabId, url: String, memory: OwnedFd, size: u64) -> Payload<Event> {
    let finish = Box::new(move |read: io::Result<Vec<u8>>| {
        let snapshot = words(read).and_then(|bytes| {
            let snapshot = page::snapshot_in(&bytes).map_err(|error| error.to_string())?;
            Ok(SavedSnapshot { url, ..snapshot })
        });
        Event::Snapshot { child, host, tab, snapshot }
    });
    Payload { subject: Subject::Snapshot { tab }, memory, size, limit: MAX_SNAPSHOT, finish }
}

/// Returns the payload of a host's session cookies.
#[must_use]
pub fn cookies(child: ChildId, host: HostKey, memory: OwnedFd, size: u64) -> Payload<Event> {
    let finish = Box::new(move |read| Event::Cookies { child, host, cookies: words(read) });
    Payload { subject: Subject::Cookies, memory, size, limit: MAX_COOKIES, finish }
}
