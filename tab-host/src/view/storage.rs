//! `sessionStorage`: it lives as long as the tab, but the engine keeps it only as long as its process. It travels with the
//! snapshots, and is put back before the first script of a document of its origin runs.

use std::collections::BTreeMap;
use std::rc::Rc;

use regen_proto::kernel::v1::Snapshot;
use serde_json::Value;
use webkit2gtk::{UserContentManagerExt, UserScript, UserScriptInjectionTime, WebViewExt};

use super::View;
use super::agent;

/// Its place in a snapshot, beside what was typed in each frame: no frame has this path.
pub(super) const KEY: &str = "storage";
/// Of all origins of a page, in bytes of JSON.
const MAX_STORAGE: usize = 2 << 20;
const SCRIPT: &str = r#"
(() => {
  try {
    const kept = ("$STORAGE")[location.origin];
    if (kept && !sessionStorage.length) for (const [key, value] of kept) sessionStorage.setItem(key, value);
  } catch {
    // A document without an origin of its own has none.
  }
})();"#;

/// The session storage of a tab, by origin.
#[derive(Debug, Default)]
pub(super) struct Storage {
    /// Origin → its items, a list of keys and values.
    known: BTreeMap<String, Value>,
    /// Those that no document of this view has yet.
    absent: BTreeMap<String, Value>,
    script: Option<UserScript>,
}

impl Storage {
    fn size(&self) -> usize {
        self.known.values().map(|items| items.to_string().len()).sum()
    }
}

impl View {
    /// Has documents get what their origin had when the snapshot was taken.
    pub(super) fn put_back_storage(&self, snapshot: &Snapshot) {
        let Ok(Value::Object(mut kept)) = serde_json::from_slice(&snapshot.form) else { return };
        let Some(Value::Object(origins)) = kept.remove(KEY) else { return };
        {
            let mut storage = self.storage.borrow_mut();
            storage.known = origins.into_iter().collect();
            storage.absent = storage.known.clone();
        }
        self.renew_storage_script();
    }

    /// A document says what it has. From now on it is the engine's.
    pub(super) fn storage_reported(self: &Rc<Self>, origin: String, items: &str) {
        let Ok(items) = serde_json::from_str(items) else { return };
        let was_absent = {
            let mut storage = self.storage.borrow_mut();
            let was_absent = storage.absent.remove(&origin).is_some();
            storage.known.insert(origin.clone(), items);
            if storage.size() > MAX_STORAGE {
                tracing::info!(
                    "a page keeps more in its session storage than a snapshot holds; that of {origin} is not kept"
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

    /// As it stands in a snapshot; nothing where there is none.
    pub(super) fn storage_to_keep(&self) -> Option<Value> {
        let storage = self.storage.borrow();
        let kept = storage.known.iter().filter(|(_, items)| items.as_array().is_some_and(|items| !items.is_empty()));
        let kept: serde_json::Map<String, Value> =
            kept.map(|(origin, items)| (origin.clone(), items.clone())).collect();
        (!kept.is_empty()).then_some(Value::Object(kept))
    }

    fn renew_storage_script(&self) {
        let Some(manager) = self.web.user_content_manager() else { return };
        let mut storage = self.storage.borrow_mut();
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
