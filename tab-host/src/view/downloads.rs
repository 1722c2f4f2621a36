//! Downloads: the engine writes into the bucket, the broker says where the file belongs, and its bytes go there through a
//! descriptor. This host never learns the place.

use std::cell::Cell;
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
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let weak = Rc::downgrade(self);
        download.connect_decide_destination(move |download, suggested| {
            let Some(view) = weak.upgrade() else { return false };
            if let Err(error) = view.download_decided(id, download, suggested) {
                tracing::error!("download: {error}");
                download.cancel();
            }
            true
        });
        let weak = Rc::downgrade(self);
        let last = Cell::new(Instant::now());
        download.connect_received_data(move |download, _| {
            if last.get().elapsed() >= PROGRESS
                && let Some(view) = weak.upgrade()
            {
                last.set(Instant::now());
                view.download_news(id, DownloadState::Running, download.received_data_length(), "");
            }
        });
        let weak = Rc::downgrade(self);
        download.connect_failed(move |_, error| {
            if let Some(view) = weak.upgrade() {
                view.download_ended(id, Some(error.message()));
            }
        });
        let weak = Rc::downgrade(self);
        download.connect_finished(move |_| {
            if let Some(view) = weak.upgrade() {
                view.download_ended(id, None);
            }
        });
    }

    fn download_decided(&self, id: u64, download: &Download, suggested: &str) -> io::Result<()> {
        let folder = PathBuf::from(BUCKET).join("downloads");
        fs::create_dir_all(&folder)?;
        let path = folder.join(id.to_string());
        let stale = fs::remove_file(&path);
        if let Err(error) = stale
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let uri = glib::filename_to_uri(&path, None).map_err(io::Error::other)?;
        download.set_destination(&uri);
        let url = download.request().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        let news = News {
            download: id,
            url,
            suggested_name: suggested.chars().take(200).collect(),
            received: 0,
            total: download.response().map_or(0, |response| response.content_length()),
            state: DownloadState::Wanted.into(),
            error: String::new(),
        };
        self.tell(Body::Download(news.clone()));
        let running = Running { engine: download.clone(), path, news, target: None, finished: false };
        self.downloads.borrow_mut().insert(id, running);
        Ok(())
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
