//! File inputs: the user picks, the broker opens, and the page gets exactly those files under their names.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use regen_proto::kernel::v1::{FileChooser, FilesChosen, page_event::Body};
use webkit2gtk::{FileChooserRequestExt, WebViewExt};

use super::View;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_run_file_chooser(move |_, request| {
        let Some(view) = weak.upgrade() else { return false };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mime_types = request.mime_types().iter().map(ToString::to_string).collect();
        view.choosers.borrow_mut().insert(id, request.clone());
        view.tell(Body::FileChooser(FileChooser { request: id, multiple: request.selects_multiple(), mime_types }));
        true
    });
}

impl View {
    pub(super) fn files_chosen(&self, chosen: FilesChosen, descriptors: Vec<OwnedFd>) {
        let Some(request) = self.choosers.borrow_mut().remove(&chosen.request) else { return };
        let mut paths = Vec::new();
        for (name, fd) in chosen.names.iter().zip(descriptors) {
            match named(chosen.request, name, fd) {
                Ok(path) => paths.push(path),
                Err(error) => tracing::error!("cannot hand a file to the page: {error}"),
            }
        }
        if paths.is_empty() {
            request.cancel();
            return;
        }
        let paths: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
        request.select_files(&paths);
    }
}

/// A path with the file's own name that leads to its descriptor. The engine's helpers, in this same sandbox, read it from
/// there; it stays open for as long as the page may want to send it.
fn named(request: u64, name: &str, fd: OwnedFd) -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(format!("/tmp/chosen/{request}-{}", fd.as_raw_fd()));
    std::fs::create_dir_all(&folder)?;
    let name: String = name.chars().filter(|c| *c != '/' && !c.is_control()).collect();
    let path = folder.join(if name.is_empty() { "file" } else { &name });
    std::os::unix::fs::symlink(format!("/proc/{}/fd/{}", std::process::id(), fd.into_raw_fd()), &path)?;
    Ok(path)
}
