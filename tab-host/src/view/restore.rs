//! Restoration of a page: the engine's own session history, then the scroll position and typed text, which it does not
//! keep.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use glib::translate::{ToGlibPtr, from_glib_full};
use prost::Message;
use regen_proto::kernel::v1::{Load, Snapshot};
use regen_proto::validate::MAX_SNAPSHOT;
use webkit2gtk::{BackForwardListExt, UserContentManagerExt, UserScriptInjectionTime, WebViewExt, WebViewSessionState};

use super::View;
use super::agent;

const SCRIPT: &str = include_str!("restore.js");
/// Script that restores `history.state` before the page reads it; the engine does not restore it.
const STATE_SCRIPT: &str = r#"
(() => {
  const kept = ("$FORMS").state;
  if (window === window.top && kept && kept.url === location.href && history.state === null) {
    history.replaceState(JSON.parse(kept.state), "");
  }
})();"#;
/// Time after a restore in which frames that the page adds are filled in.
const LATE_FRAMES: Duration = Duration::from_secs(20);
/// Expression that tells the restore script that the page has loaded.
const LOADED: &str = "globalThis.loaded?.()";

/// Reads a snapshot that was too large for a datagram.
pub(super) fn read(payload: &OwnedFd, size: u64) -> anyhow::Result<Snapshot> {
    let bytes = regen_runtime::read_sealed(payload, size, MAX_SNAPSHOT)?;
    Ok(Snapshot::decode(bytes.as_slice())?)
}

/// Parses the engine's session history; `None` if another version of the engine wrote it, or it is damaged.
#[expect(unsafe_code, reason = "the binding does not check for null")]
fn session_state(bytes: &[u8]) -> Option<WebViewSessionState> {
    let bytes = glib::Bytes::from(bytes);
    // SAFETY: the bytes are valid for the call. The result is null, or a list that the caller owns.
    unsafe {
        let state = webkit2gtk::ffi::webkit_web_view_session_state_new(bytes.to_glib_none().0);
        (!state.is_null()).then(|| from_glib_full(state))
    }
}

/// State that a page had, until the page reports its own.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) forms: HashMap<String, serde_json::Value>,
    pub(super) scroll: (f64, f64),
}

impl View {
    /// Restores a snapshot. Loads `load` on top, which is given if the snapshot is older than the last commit. Loads
    /// `fallback` if the snapshot cannot be restored.
    pub(super) fn restore(self: &Rc<Self>, snapshot: &Snapshot, load: Option<&Load>, fallback: &Load) {
        self.put_back_storage(snapshot);
        let Some(state) = session_state(&snapshot.session_state) else {
            if !snapshot.session_state.is_empty() {
                tracing::warn!("snapshot not restored: the engine cannot read it; the address is loaded instead");
            }
            if load.is_none() {
                self.replay(snapshot);
            }
            self.load(load.unwrap_or(fallback));
            return;
        };
        self.web.restore_session_state(&state);
        if snapshot.zoom > 0.0 {
            self.web.set_zoom_level(snapshot.zoom);
        }
        if let Some(load) = load {
            self.load(load);
            return;
        }
        self.replay(snapshot);
        let current = self.web.back_forward_list().and_then(|list| list.current_item());
        match current {
            Some(item) => {
                self.hold_until_restored(&fallback.url);
                self.loader.is_coming_back.set(true);
                self.web.go_to_back_forward_list_item(&item);
            }
            None => self.load(fallback),
        }
    }

    /// Puts the state that the page-agent reported into the page as it loads.
    fn replay(&self, snapshot: &Snapshot) {
        let forms = std::str::from_utf8(&snapshot.form).ok().filter(|form| !form.is_empty()).unwrap_or("{}");
        let scroll = format!("[{}, {}]", snapshot.scroll_x, snapshot.scroll_y);
        // An earlier process wrote this JSON from reports of the page-agent.
        let mut known: HashMap<String, serde_json::Value> = serde_json::from_str(forms).unwrap_or_default();
        known.remove(super::storage::KEY);
        self.form_state
            .replayed
            .replace(Some(Replayed { forms: known, scroll: (snapshot.scroll_x, snapshot.scroll_y) }));
        let scripts = [
            agent::script(&fill_in(STATE_SCRIPT, forms, &scroll), UserScriptInjectionTime::Start),
            agent::script(&fill_in(SCRIPT, forms, &scroll), UserScriptInjectionTime::End),
        ];
        if let Some(manager) = self.web.user_content_manager() {
            scripts.iter().for_each(|script| manager.add_script(script));
            self.form_state.restore_scripts.replace(scripts.into());
        }
    }

    /// Finishes a restore. A frame that the page adds a little later gets its state, too.
    pub(super) fn restored(self: &Rc<Self>) {
        if self.form_state.restore_scripts.borrow().is_empty() {
            return;
        }
        agent::evaluate(&self.web, LOADED, |_| {});
        let weak = Rc::downgrade(self);
        let number = self.form_state.replays.get();
        glib::timeout_add_local_once(LATE_FRAMES, move || {
            if let Some(view) = weak.upgrade().filter(|view| view.form_state.replays.get() == number) {
                view.remove_scripts();
            }
        });
    }

    /// Ends the replay when another load begins, which must not get the state of the restored page.
    pub(super) fn begins_anew(&self) {
        if self.form_state.replayed.borrow().is_none() {
            self.remove_scripts();
        }
    }

    /// Discards the replay, because another page takes the place of the one to restore.
    pub(super) fn forget_replay(&self) {
        self.form_state.replayed.take();
        self.remove_scripts();
    }

    fn remove_scripts(&self) {
        self.form_state.replays.set(self.form_state.replays.get() + 1);
        let scripts = self.form_state.restore_scripts.take();
        let manager = self.web.user_content_manager().filter(|_| !scripts.is_empty());
        scripts.iter().for_each(|script| manager.iter().for_each(|manager| manager.remove_script(script)));
    }
}

/// Returns the script with the state filled in as JSON, which is also JavaScript. The typed text is filled in last, so
/// that no placeholder is replaced in it.
fn fill_in(script: &str, forms: &str, scroll: &str) -> String {
    script.replace("\"$SCROLL\"", scroll).replace("\"$FORMS\"", forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_text_that_looks_like_a_placeholder_stays_as_it_is() {
        let forms = r#"{"main":{"0":"$SCROLL \"$SCROLL\" $FORMS"},"x":"$SCROLL"}"#;
        let script = fill_in(SCRIPT, forms, "[1, 2]");
        assert!(script.contains(forms), "{script}");
        assert!(script.contains("= [1, 2];"), "{script}");
    }
}
