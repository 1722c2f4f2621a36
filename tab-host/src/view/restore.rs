//! Bringing a page back: the engine's own back/forward list, then what it does not keep — scroll and typed text.

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
/// Gives the page's history entry its state back before the page asks for it: the engine does not.
const STATE_SCRIPT: &str = r#"
(() => {
  const kept = ("$FORMS").state;
  if (window === window.top && kept && kept.url === location.href && history.state === null) {
    history.replaceState(JSON.parse(kept.state), "");
  }
})();"#;
/// Frames that a page adds within this time of its being back are filled in.
const LATE_FRAMES: Duration = Duration::from_secs(20);
/// Tells it that the page has loaded.
const LOADED: &str = "globalThis.loaded?.()";

/// A snapshot that was too large for a datagram.
pub(super) fn read(payload: &OwnedFd, size: u64) -> anyhow::Result<Snapshot> {
    let bytes = regen_runtime::read_sealed(payload, size, MAX_SNAPSHOT)?;
    Ok(Snapshot::decode(bytes.as_slice())?)
}

/// The engine's list of pages; nothing where it was written by another version of it, or is damaged.
#[expect(unsafe_code, reason = "the binding takes every answer for a list")]
fn session_state(bytes: &[u8]) -> Option<WebViewSessionState> {
    let bytes = glib::Bytes::from(bytes);
    // SAFETY: the bytes live through the call; the answer is null or a list that is ours.
    unsafe {
        let state = webkit2gtk::ffi::webkit_web_view_session_state_new(bytes.to_glib_none().0);
        (!state.is_null()).then(|| from_glib_full(state))
    }
}

/// What a page had, until it says itself what it has.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) forms: HashMap<String, serde_json::Value>,
    pub(super) scroll: (f64, f64),
}

impl View {
    /// Restores, and loads `load` on top where the snapshot is older than the last commit.
    pub(super) fn restore(self: &Rc<Self>, snapshot: &Snapshot, load: Option<&Load>, fallback: &Load) {
        self.put_back_storage(snapshot);
        let Some(state) = session_state(&snapshot.session_state) else {
            if !snapshot.session_state.is_empty() {
                tracing::warn!("the engine cannot read its own snapshot; the address is loaded instead");
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
                self.is_coming_back.set(true);
                self.web.go_to_back_forward_list_item(&item);
            }
            None => self.load(fallback),
        }
    }

    /// Puts what the page-agent knew into the page as it loads.
    fn replay(&self, snapshot: &Snapshot) {
        let forms = std::str::from_utf8(&snapshot.form).ok().filter(|form| !form.is_empty()).unwrap_or("{}");
        let scroll = format!("[{}, {}]", snapshot.scroll_x, snapshot.scroll_y);
        // What the page-agent reported once, it reads back.
        let mut known: HashMap<String, serde_json::Value> = serde_json::from_str(forms).unwrap_or_default();
        known.remove(super::storage::KEY);
        self.replayed.replace(Some(Replayed { forms: known, scroll: (snapshot.scroll_x, snapshot.scroll_y) }));
        let scripts = [
            agent::script(&fill_in(STATE_SCRIPT, forms, &scroll), UserScriptInjectionTime::Start),
            agent::script(&fill_in(SCRIPT, forms, &scroll), UserScriptInjectionTime::End),
        ];
        if let Some(manager) = self.web.user_content_manager() {
            scripts.iter().for_each(|script| manager.add_script(script));
            self.restore_scripts.replace(scripts.into());
        }
    }

    /// The page is back. A frame that it adds a little later gets what it had, too.
    pub(super) fn restored(self: &Rc<Self>) {
        if self.restore_scripts.borrow().is_empty() {
            return;
        }
        agent::evaluate(&self.web, LOADED, |_| {});
        let weak = Rc::downgrade(self);
        let number = self.replays.get();
        glib::timeout_add_local_once(LATE_FRAMES, move || {
            if let Some(view) = weak.upgrade().filter(|view| view.replays.get() == number) {
                view.remove_scripts();
            }
        });
    }

    /// Another load begins: it gets nothing of what the page had that is back.
    pub(super) fn begins_anew(&self) {
        if self.replayed.borrow().is_none() {
            self.remove_scripts();
        }
    }

    /// Another page takes the place of the one that was to come back, which could not be had.
    pub(super) fn forget_replay(&self) {
        self.replayed.take();
        self.remove_scripts();
    }

    fn remove_scripts(&self) {
        self.replays.set(self.replays.get() + 1);
        let scripts = self.restore_scripts.take();
        let manager = self.web.user_content_manager().filter(|_| !scripts.is_empty());
        scripts.iter().for_each(|script| manager.iter().for_each(|manager| manager.remove_script(script)));
    }
}

/// The script with what the page had: JSON, which is also JavaScript. What a user typed comes last: nothing is looked for in it.
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
