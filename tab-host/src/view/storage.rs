//! `sessionStorage`. It lives as long as the tab, but the engine keeps it only as long as its process. It is saved in
//! snapshots, and put back before the first script of a document of its origin runs.

use std::collections::BTreeMap;
use std::rc::Rc;

use regen_proto::kernel::v1::Snapshot;
use serde_json::Value;
use webkit2gtk::{UserContentManagerExt, UserScript, UserScriptInjectionTime, WebViewExt};

use super::View;
use super::agent;

/// Key of the storage in a snapshot, beside the paths of frames: no frame has this path.
pub(super) const KEY: &str = "storage";
/// Maximum size of the storage of all origins of a page, in bytes of JSON.
const MAX_STORAGE: usize = 2 << 20;
const SCRIPT: &str = r#"
(() => {
  try {
    const kept = ("$STORAGE")[location.origin];
    if (kept && !sessionStorage.length) for (const [key, value] of kept) sessionStorage.setItem(key, value);
  } catch {
    // A document with an opaque origin has no storage.
  }
})();"#;

/// Session storage of a tab, by origin.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Items of each origin, as a list of keys and values.
    known: BTreeMap<String, Value>,
    /// Items that no document of this view has yet.
    absent: BTreeMap<String, Value>,
    script: Option<UserScript>,
}

impl Storage {
    fn size(&self) -> usize {
        self.known.values().map(|items| items.to_string().len()).sum()
    }
}

impl View {
    /// Restores the storage of a snapshot into documents of its origins as they load.
    pub(super) fn put_back_storage(&self, snapshot: &Snapshot) {
        let Ok(Value::Object(mut kept)) = serde_json::from_slice(&snapshot.form) else { return };
        let Some(Value::Object(origins)) = kept.remove(KEY) else { return };
        {
            let mut storage = self.form_state.storage.borrow_mut();
            storage.known = origins.into_iter().collect();
            storage.absent = storage.known.clone();
        }
        self.renew_storage_script();
    }

    /// Records the storage of a document. The engine keeps it from then on, so it is no longer put back.
    pub(super) fn storage_reported(self: &Rc<Self>, origin: String, items: &str) {
        let Ok(items) = serde_json::from_str(items) else { return };
        let was_absent = {
            let mut storage = self.form_state.storage.borrow_mut();
            let was_absent = storage.absent.remove(&origin).is_some();
            storage.known.insert(origin.clone(), items);
            if storage.size() > MAX_STORAGE {
                tracing::info!(
                    "session storage of {origin} is not saved: the page has more than {MAX_STORAGE} bytes of it"
                );
                storage.known.remove(&origin);
            }
            was_absent
        };
        if was_absent {
            self.renew_storage_script();
        }
        self.touch();
    }

    /// Returns the storage for a snapshot; `None` if there is none.
    pub(super) fn storage_to_keep(&self) -> Option<Value> {
        let storage = self.form_state.storage.borrow();
        let kept = storage.known.iter().filter(|(_, items)| items.as_array().is_some_and(|items| !items.is_empty()));
        let kept: serde_json::Map<String, Value> =
            kept.map(|(origin, items)| (origin.clone(), items.clone())).collect();
        (!kept.is_empty()).then_some(Value::Object(kept))
    }

    fn renew_storage_script(&self) {
        let Some(manager) = self.web.user_content_manager() else { return };
        let mut storage = self.form_state.storage.borrow_mut();
        if let Some(old) = storage.script.take() {
            manager.remove_script(&old);
        }
        if storage.absent.is_empty() {
            return;
        }
        let Ok(absent) = serde_json::to_string(&storage.absent) else { return };
        let script = agent::script(&SCRIPT.replace("\"$STORAGE\"", &absent), UserScriptInjectionTime::Start);
        manager.add_script(&script);
        storage.script = Some(script);
    }
}
