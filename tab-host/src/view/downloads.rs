//! Downloads: the engine writes into the bucket, the broker says where the file belongs, and its bytes go there through a
//! descriptor. This host never learns the place.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use regen_proto::kernel::v1::{Download as News, DownloadAnswer, DownloadState, page_event::Body};
use webkit2gtk::{Download, DownloadExt, URIRequestExt, URIResponseExt, WebContextExt, WebViewExt};

use super::View;
use crate::host::BUCKET;

static NEXT: AtomicU64 = AtomicU64::new(1);
/// How often the window learns of progress.
const PROGRESS: Duration = Duration::from_millis(200);

thread_local! {
    /// What pages would like their downloads to be called, until the engine has begun them.
    static SUGGESTED: RefCell<HashMap<u64, String>> = RefCell::default();
}

fn folder() -> PathBuf {
    PathBuf::from(BUCKET).join("downloads")
}

/// Puts a download into the bucket, under a number; its suggested name is for the broker to look at.
pub(super) fn choose_destination(destination: &mut PathBuf) -> bool {
    if let Err(error) = fs::create_dir_all(folder()) {
        tracing::error!("download: {error}");
        return false;
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let suggested = destination.file_name().unwrap_or_default().to_string_lossy().chars().take(200).collect();
    SUGGESTED.with_borrow_mut(|names| names.insert(id, suggested));
    *destination = folder().join(id.to_string());
    // A crash may have left one of this number.
    !destination.exists() || fs::remove_file(destination).is_ok()
}

/// One download.
pub(super) struct Running {
    engine: Download,
    path: PathBuf,
    news: News,
    target: Option<File>,
    finished: bool,
}

pub(super) fn connect(view: &Rc<View>) {
    let Some(context) = view.web.context() else { return };
    let weak = Rc::downgrade(view);
    context.connect_download_started(move |_, download| {
        let Some(view) = weak.upgrade() else { return };
        // The signal is the context's: every view hears of every download.
        if download.web_view().as_ref() == Some(&view.web) {
            view.download_started(download);
        }
    });
}

impl View {
    fn download_started(self: &Rc<Self>, download: &Download) {
        let key = Rc::new(Cell::new(0));
        let (weak, decided) = (Rc::downgrade(self), Rc::clone(&key));
        download.connect_created_destination(move |download, destination| {
            let id = destination.rsplit('/').next().and_then(|name| name.parse().ok());
            if let (Some(view), Some(id)) = (weak.upgrade(), id) {
                decided.set(id);
                view.download_decided(id, download);
            }
        });
        let weak = Rc::downgrade(self);
        let (last, id) = (Cell::new(Instant::now()), Rc::clone(&key));
        download.connect_received_data(move |download, _| {
            if last.get().elapsed() >= PROGRESS
                && let Some(view) = weak.upgrade()
            {
                last.set(Instant::now());
                view.download_news(id.get(), DownloadState::Running, download.received_data_length(), "");
            }
        });
        let (weak, id) = (Rc::downgrade(self), Rc::clone(&key));
        download.connect_failed(move |_, error| {
            if let Some(view) = weak.upgrade() {
                view.download_ended(id.get(), Some(error.message()));
            }
        });
        let (weak, id) = (Rc::downgrade(self), key);
        download.connect_finished(move |_| {
            if let Some(view) = weak.upgrade() {
                view.download_ended(id.get(), None);
            }
        });
    }

    fn download_decided(&self, id: u64, download: &Download) {
        let url = download.request().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        let news = News {
            download: id,
            url,
            suggested_name: SUGGESTED.with_borrow_mut(|names| names.remove(&id)).unwrap_or_default(),
            received: 0,
            total: download.response().map_or(0, |response| response.content_length()),
            state: DownloadState::Wanted.into(),
            error: String::new(),
        };
        self.tell(Body::Download(news.clone()));
        let path = folder().join(id.to_string());
        let running = Running { engine: download.clone(), path, news, target: None, finished: false };
        self.downloads.borrow_mut().insert(id, running);
    }

    fn download_news(&self, id: u64, state: DownloadState, received: u64, error: &str) {
        if let Some(running) = self.downloads.borrow_mut().get_mut(&id) {
            running.news.received = received;
            let error = error.to_owned();
            self.tell(Body::Download(News { state: state.into(), error, ..running.news.clone() }));
        }
    }

    /// The broker has opened the place where the file belongs, or the user does not want it.
    pub(super) fn download_answered(self: &Rc<Self>, answer: &DownloadAnswer, descriptors: Vec<OwnedFd>) {
        let mut downloads = self.downloads.borrow_mut();
        let Some(running) = downloads.get_mut(&answer.download) else { return };
        if answer.refused {
            running.engine.cancel();
            return;
        }
        running.target = descriptors.into_iter().next().map(File::from);
        let finished = running.finished;
        drop(downloads);
        if finished {
            self.download_deliver(answer.download);
        }
    }

    fn download_ended(self: &Rc<Self>, id: u64, error: Option<&str>) {
        let mut downloads = self.downloads.borrow_mut();
        let Some(running) = downloads.get_mut(&id) else { return };
        if let Some(error) = error {
            let error = error.to_owned();
            if let Some(running) = downloads.remove(&id) {
                drop(downloads);
                self.download_over(&running, DownloadState::Failed, &error);
            }
            return;
        }
        running.finished = true;
        let has_target = running.target.is_some();
        drop(downloads);
        if has_target {
            self.download_deliver(id);
        }
    }

    /// Everything is here: copies it to its place, on a thread of its own.
    fn download_deliver(self: &Rc<Self>, id: u64) {
        let Some(mut running) = self.downloads.borrow_mut().remove(&id) else { return };
        let Some(mut target) = running.target.take() else { return };
        let path = running.path.clone();
        let view = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let copied = webkit2gtk::gio::spawn_blocking(move || {
                let size = io::copy(&mut File::open(&path)?, &mut target)?;
                target.sync_all()?;
                io::Result::Ok(size)
            });
            match copied.await {
                Ok(Ok(size)) => {
                    running.news.received = size;
                    view.download_over(&running, DownloadState::Done, "");
                }
                Ok(Err(error)) => view.download_over(&running, DownloadState::Failed, &error.to_string()),
                Err(_) => view.download_over(&running, DownloadState::Failed, "the copy failed"),
            }
        });
    }

    fn download_over(&self, running: &Running, state: DownloadState, error: &str) {
        if let Err(error) = fs::remove_file(&running.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("download: {error}");
        }
        let error = error.to_owned();
        self.tell(Body::Download(News { state: state.into(), error, ..running.news.clone() }));
    }
}
