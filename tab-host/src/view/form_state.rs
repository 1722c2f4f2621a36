//! State that a page is restored from: scroll position, typed text, storage and the engine's history.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::{PutSnapshot, Snapshot};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::{ChildToBroker, MAX_SNAPSHOT};
use regen_runtime::Sealed;
use webkit2gtk::WebViewExt;

use super::{View, restore, storage};

/// Delay between a change and the snapshot that saves it, with all changes until then.
const IDLE: Duration = Duration::from_millis(120);
/// Maximum size of a session history that is saved, in bytes.
const MAX_SESSION_STATE: usize = 2 << 20;

/// State of a view's page, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct FormState {
    /// Scroll position that the page-agent last reported.
    pub(super) scroll: Cell<(f64, f64)>,
    /// Edited controls by frame path, as the page-agent last reported them.
    pub(super) edits: RefCell<HashMap<String, serde_json::Value>>,
    is_snapshot_due: Cell<bool>,
    changed: Cell<bool>,
    /// Scripts that restore the page as it loads.
    pub(super) restore_scripts: RefCell<Vec<webkit2gtk::UserScript>>,
    /// Set while the page-agent has not answered a request to report.
    pub(super) is_reporting: Cell<bool>,
    /// Set if another report is to be requested after that.
    pub(super) reports_again: Cell<bool>,
    /// State to restore into a page that has not committed yet. A crash before the page has it must not lose it.
    pub(super) replayed: RefCell<Option<restore::Replayed>>,
    /// Number of replays that are finished or were discarded.
    pub(super) replays: Cell<u64>,
    pub(super) storage: RefCell<storage::Storage>,
    /// Session history as it was last serialised.
    serialised: RefCell<Option<Serialised>>,
}

/// A serialised session history, and the time that serialising took.
#[derive(Debug)]
struct Serialised {
    /// URL of the page at that time.
    url: String,
    state: Vec<u8>,
    at: Instant,
    cost: Duration,
}

impl View {
    /// Marks the page as changed, and schedules a snapshot.
    pub(super) fn touch(self: &Rc<Self>) {
        self.form_state.changed.set(true);
        if self.form_state.is_snapshot_due.replace(true) {
            return;
        }
        let view = Rc::downgrade(self);
        glib::timeout_add_local_once(IDLE, move || {
            if let Some(view) = view.upgrade() {
                view.form_state.is_snapshot_due.set(false);
                view.snapshot_if_changed();
            }
        });
    }

    pub(crate) fn snapshot_if_changed(&self) {
        if self.form_state.changed.get() {
            self.snapshot();
        }
    }

    /// Sends the broker a snapshot from which this view can be restored.
    pub(crate) fn snapshot(&self) {
        let site = Rc::clone(&self.site);
        // Before the first page there is nothing to restore.
        if self.id.get() == 0 || self.loader.has_left.get() || self.loader.committed.borrow().is_empty() {
            return;
        }
        // A popup with another site's page is not restored from a snapshot of this process.
        if self.is_popup && !site.site.may_show(&self.loader.committed.borrow()) {
            return;
        }
        self.form_state.changed.set(false);
        let Some(mut snapshot) = self.take_snapshot() else { return };
        let tab = self.id.get();
        let mut encoded = prost::Message::encode_to_vec(&snapshot);
        if encoded.len() as u64 > MAX_SNAPSHOT {
            tracing::warn!("form data of a page is not saved: its snapshot exceeds {MAX_SNAPSHOT} bytes");
            snapshot.form.clear();
            encoded = prost::Message::encode_to_vec(&snapshot);
        }
        if encoded.len() <= MAX_INLINE {
            let put = PutSnapshot { tab, snapshot: Some(snapshot), payload_size: 0 };
            site.sender.send(ChildToBroker::PutSnapshot(put));
            return;
        }
        match Sealed::new(&encoded).and_then(|sealed| sealed.as_fd().try_clone_to_owned()) {
            Ok(fd) => {
                let put = PutSnapshot { tab, snapshot: None, payload_size: encoded.len() as u64 };
                site.sender.send_with(ChildToBroker::PutSnapshot(put), vec![fd]);
            }
            Err(error) => tracing::error!("cannot send a snapshot: {error}"),
        }
    }

    /// Returns the serialised session history; empty if it is too large to send, so that the page is restored by its
    /// URL. A page can make serialising slow (`history.pushState`), so a result for the same URL is reused for twenty
    /// times its cost.
    fn session_state(&self) -> Option<Vec<u8>> {
        let mut cached = self.form_state.serialised.borrow_mut();
        let url = self.loader.committed.borrow();
        if let Some(cached) =
            cached.as_ref().filter(|cached| cached.url == *url && cached.at.elapsed() < cached.cost * 20)
        {
            return Some(cached.state.clone());
        }
        let at = Instant::now();
        let state = crate::busy::while_busy(|| Some(self.web.session_state()?.serialize()?.to_vec()))?;
        let cost = at.elapsed();
        let is_large = state.len() > MAX_SESSION_STATE;
        if is_large {
            tracing::info!("session history of a page is not saved: {} KB are too large", state.len() >> 10);
        }
        let state = if is_large { Vec::new() } else { state };
        *cached = Some(Serialised { url: url.clone(), state: state.clone(), at: Instant::now(), cost });
        Some(state)
    }

    fn take_snapshot(&self) -> Option<Snapshot> {
        let session_state = self.session_state()?;
        let (scroll_x, scroll_y) = self.form_state.scroll.get();
        let mut kept = self.form_state.edits.borrow().clone();
        if let Some(storage) = self.storage_to_keep() {
            kept.insert(storage::KEY.to_owned(), storage);
        }
        let form = if kept.is_empty() { Vec::new() } else { serde_json::to_vec(&kept).ok()? };
        Some(Snapshot { session_state, scroll_x, scroll_y, form, zoom: self.web.zoom_level() })
    }
}
