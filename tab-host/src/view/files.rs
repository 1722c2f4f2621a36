//! File inputs. The user picks files, and the broker puts exactly those into a directory of this sandbox, read-only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use regen_proto::kernel::v1::{FileChooser, FilesChosen, page_event::Body};
use webkit2gtk::{FileChooserRequest, FileChooserRequestExt, WebViewExt};

use super::View;

/// Directory in which the broker puts the files that the user picked.
const FOLDER: &str = "/chosen";

/// File inputs that wait for the user, by number.
#[derive(Debug, Default)]
pub(super) struct Choosers(RefCell<HashMap<u64, FileChooserRequest>>);

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_run_file_chooser(move |_, request| {
        let Some(view) = weak.upgrade() else { return false };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        view.choosers.0.borrow_mut().insert(id, request.clone());
        view.tell(Body::FileChooser(FileChooser { request: id, multiple: request.selects_multiple() }));
        true
    });
}

impl View {
    pub(super) fn files_chosen(&self, chosen: &FilesChosen) {
        let Some(request) = self.choosers.0.borrow_mut().remove(&chosen.request) else { return };
        if chosen.names.is_empty() {
            request.cancel();
            return;
        }
        let paths: Vec<String> = chosen.names.iter().map(|name| format!("{FOLDER}/{name}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        request.select_files(&paths);
    }
}
