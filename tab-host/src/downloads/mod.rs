//! Downloads. The engine writes into the bucket. The broker chooses the destination and sends a descriptor, to which
//! this host copies the bytes. This host never learns the path.

pub(crate) mod destination;
mod rest;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use regen_proto::kernel::v1::{Download as News, DownloadAnswer, DownloadState, Empty, page_event::Body};
use webkit2gtk::{
    Download, DownloadError, DownloadExt, URIRequest, URIRequestExt, URIResponse, URIResponseExt, WebContext,
    WebContextExt, WebView,
};

use self::destination::{folder, take_suggested};
use self::rest::{Begun, Rest};
use crate::display::ViewId;
use crate::sender::BrokerSender;

/// Interval between two progress reports.
const PROGRESS: Duration = Duration::from_millis(200);
/// Time within which the engine reports the download that a load became.
const DOWNLOAD: Duration = Duration::from_millis(700);
/// Maximum bytes that are copied to the destination at a time, on the main thread.
const AT_ONCE: u64 = 8 << 20;

/// A download.
struct Running {
    tab: ViewId,
    /// The engine's download; `None` for a file that this host made, which is complete.
    engine: Option<Download>,
    path: PathBuf,
    news: News,
    target: Option<File>,
    /// Bytes that an earlier attempt received.
    offset: u64,
    /// Bytes of this attempt that have been copied to the destination.
    copied: u64,
    finished: bool,
}

/// Finder of the tab of a web view.
type TabFinder = Box<dyn Fn(&WebView) -> Option<ViewId>>;

/// Downloads of this host. They continue when their tab navigates elsewhere or is closed.
pub(crate) struct Downloads {
    sender: BrokerSender,
    running: RefCell<HashMap<u64, Running>>,
    /// Tabs whose download has begun, but has no destination yet.
    beginning: RefCell<HashSet<ViewId>>,
    /// Tabs whose abandoned load has not been reported yet.
    abandoned: RefCell<HashSet<ViewId>>,
    /// Requests for the rest of a file that have not become a download yet, by download number.
    rests: RefCell<HashMap<u64, Rest>>,
    is_connected: Cell<bool>,
    tab_of: TabFinder,
}

impl Downloads {
    pub(crate) fn new(sender: BrokerSender, tab_of: impl Fn(&WebView) -> Option<ViewId> + 'static) -> Rc<Self> {
        Rc::new(Self {
            sender,
            running: RefCell::default(),
            beginning: RefCell::default(),
            abandoned: RefCell::default(),
            rests: RefCell::default(),
            is_connected: Cell::default(),
            tab_of: Box::new(tab_of),
        })
    }

    /// Registers once for the engine's downloads.
    pub(crate) fn connect(self: &Rc<Self>, context: &WebContext) {
        if self.is_connected.replace(true) {
            return;
        }
        let downloads = Rc::clone(self);
        context.connect_download_started(move |_, download| {
            // Tab 0 stands for a download without a page, or of a popup that has no tab yet.
            let tab = download.web_view().and_then(|web| (downloads.tab_of)(&web)).unwrap_or_default();
            downloads.started(tab, download);
        });
    }

    /// Reports that a tab's load yielded no page. If it became a download, that is reported first: without it, the
    /// broker would end this host.
    pub(crate) fn load_abandoned(self: &Rc<Self>, tab: ViewId) {
        self.abandoned.borrow_mut().insert(tab);
        let all = Rc::clone(self);
        // The engine reports the download after the end of the load.
        glib::timeout_add_local_once(DOWNLOAD, move || {
            if !all.beginning.borrow().contains(&tab) {
                all.tell_abandoned(tab);
            }
        });
    }

    fn has_begun(&self, tab: ViewId) {
        if self.beginning.borrow_mut().remove(&tab) {
            self.tell_abandoned(tab);
        }
    }

    fn tell_abandoned(&self, tab: ViewId) {
        if self.abandoned.borrow_mut().remove(&tab) {
            self.sender.page(tab, Body::LoadAbandoned(Empty {}));
        }
    }

    fn tell(&self, tab: ViewId, news: News) {
        self.sender.page(tab, Body::Download(news));
    }

    fn started(self: &Rc<Self>, tab: ViewId, download: &Download) {
        let rest = download.web_view().and_then(|web| self.take_rest(&web));
        if rest.is_none() {
            self.beginning.borrow_mut().insert(tab);
        }
        let rest = RefCell::new(rest);
        let key = Rc::new(Cell::new(0));
        let (all, decided) = (Rc::clone(self), Rc::clone(&key));
        download.connect_created_destination(move |download, destination| {
            let id = destination.rsplit('/').next().and_then(|name| name.parse().ok());
            if let Some(id) = id {
                decided.set(id);
                all.decided(tab, id, download, rest.take());
            }
        });
        let (all, is_due, id) = (Rc::clone(self), Rc::new(Cell::new(false)), Rc::clone(&key));
        download.connect_received_data(move |download, _| {
            // Report after the interval, so that the last bytes before a pause are included.
            if is_due.replace(true) {
                return;
            }
            let (all, is_due, id, download) = (Rc::clone(&all), Rc::clone(&is_due), Rc::clone(&id), download.clone());
            glib::timeout_add_local_once(PROGRESS, move || {
                is_due.set(false);
                all.news(id.get(), DownloadState::Running, download.received_data_length(), "");
                all.copy_what_is_there(id.get());
            });
        });
        let (all, id) = (Rc::clone(self), Rc::clone(&key));
        download.connect_failed(move |_, error| {
            all.copy_what_is_there(id.get());
            all.ended(id.get(), Some(error));
            all.has_begun(tab);
        });
        let (all, id) = (Rc::clone(self), key);
        download.connect_finished(move |_| all.ended(id.get(), None));
    }

    fn decided(&self, tab: ViewId, id: u64, download: &Download, rest: Option<Begun>) {
        let request = download.request();
        let url = request.as_ref().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        let response = download.response();
        // The length of a compressed response is not that of the file.
        let plain = response.filter(|response| header(response, "Content-Encoding").is_none());
        let length = plain.as_ref().map_or(0, URIResponseExt::content_length);
        let (number, target, offset) = match rest {
            Some(rest) => (rest.number, Some(rest.file), rest.offset),
            None => (id, None, 0),
        };
        let is_rest = target.is_some();
        let news = News {
            download: number,
            url,
            suggested_name: take_suggested(id),
            received: 0,
            total: if length > 0 { offset + length } else { 0 },
            state: DownloadState::Wanted.into(),
            can_go_on: request.as_ref().is_some_and(can_be_had_again),
            validator: plain.as_ref().and_then(validator).unwrap_or_default(),
            referrer: request.and_then(|request| referrer(&request)).unwrap_or_default(),
            ..News::default()
        };
        // The broker requested the rest of a file itself, and has sent its destination.
        if !is_rest {
            self.tell(tab, news.clone());
        }
        let path = folder().join(id.to_string());
        let engine = Some(download.clone());
        let running = Running { tab, engine, path, news, target, offset, copied: 0, finished: false };
        self.running.borrow_mut().insert(id, running);
        self.has_begun(tab);
    }

    /// Offers a file of this number, which this host made, for saving like a download.
    pub(crate) fn made(&self, tab: ViewId, id: u64, url: &str, name: &str) {
        let path = folder().join(id.to_string());
        let size = fs::metadata(&path).map_or(0, |file| file.len());
        let news = News { received: size, total: size, ..wanted(id, url, name) };
        let running =
            Running { tab, engine: None, path, news: news.clone(), target: None, offset: 0, copied: 0, finished: true };
        self.running.borrow_mut().insert(id, running);
        self.tell(tab, news);
    }

    /// Tells the user why a file of this number, which this host was to make, was not made.
    pub(crate) fn not_made(&self, tab: ViewId, id: u64, url: &str, name: &str, error: String) {
        tracing::warn!("{name:?} was not made: {error}");
        let news = wanted(id, url, name);
        self.tell(tab, news.clone());
        self.tell(tab, News { state: DownloadState::Failed.into(), error, ..news });
    }

    fn news(&self, id: u64, state: DownloadState, received: u64, error: &str) {
        if let Some(running) = self.running.borrow_mut().get_mut(&id) {
            running.news.received = running.offset + received;
            let error = error.to_owned();
            self.tell(running.tab, News { state: state.into(), error, ..running.news.clone() });
        }
    }

    /// Copies the bytes received so far to the destination, so that they survive the end of this process.
    fn copy_what_is_there(&self, id: u64) {
        let mut all = self.running.borrow_mut();
        let Some(running) = all.get_mut(&id) else { return };
        let Running { path, target: Some(target), offset, copied, .. } = running else { return };
        // The engine's name for an incomplete file.
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(".wkdownload");
        let more = File::open(unfinished).and_then(|mut source| {
            source.seek(SeekFrom::Start(*copied))?;
            // A failed copy may have moved the file position.
            target.seek(SeekFrom::Start(*offset + *copied))?;
            io::copy(&mut source.take(AT_ONCE), target)
        });
        match more {
            Ok(more) => *copied += more,
            Err(error) => tracing::debug!("download: nothing to copy yet: {error}"),
        }
    }

    /// Handles the broker's answer: a descriptor of the destination, or the user's refusal.
    pub(crate) fn answered(self: &Rc<Self>, answer: &DownloadAnswer, descriptors: Vec<OwnedFd>) {
        let mut downloads = self.running.borrow_mut();
        let found = downloads.iter_mut().find(|(_, running)| running.news.download == answer.download);
        let Some((id, running)) = found.map(|(id, running)| (*id, running)) else {
            drop(downloads);
            self.cancel_rest(answer.download);
            return;
        };
        if answer.refused {
            if let Some(engine) = running.engine.clone() {
                // The engine reports the end from within this call, which borrows the downloads again.
                drop(downloads);
                engine.cancel();
            } else if let Some(made) = downloads.remove(&id) {
                drop(downloads);
                self.over(&made, DownloadState::Cancelled, "");
            }
            return;
        }
        running.target = descriptors.into_iter().next().map(File::from);
        let finished = running.finished;
        drop(downloads);
        if finished {
            self.deliver(id);
        }
    }

    fn ended(self: &Rc<Self>, id: u64, error: Option<&glib::Error>) {
        let mut downloads = self.running.borrow_mut();
        let Some(running) = downloads.get_mut(&id) else { return };
        if let Some(error) = error {
            // A full disk stays full, and a download that the user stopped stays stopped.
            let try_again = error.kind::<DownloadError>() == Some(DownloadError::Network);
            if let Some(mut running) = downloads.remove(&id) {
                drop(downloads);
                running.news.can_go_on &= try_again;
                self.over(&running, DownloadState::Failed, error.message());
            }
            return;
        }
        // The engine takes a cut connection for the end of the file.
        let received = running.engine.as_ref().map(|engine| engine.received_data_length() + running.offset);
        if received.is_some_and(|received| received < running.news.total) {
            let cut = downloads.remove(&id);
            drop(downloads);
            cut.into_iter().for_each(|cut| self.over(&cut, DownloadState::Failed, "the connection was cut"));
            return;
        }
        running.finished = true;
        let has_target = running.target.is_some();
        drop(downloads);
        if has_target {
            self.deliver(id);
        }
    }

    /// Copies a complete file to its destination, on a thread of its own.
    fn deliver(self: &Rc<Self>, id: u64) {
        let Some(mut running) = self.running.borrow_mut().remove(&id) else { return };
        let Some(mut target) = running.target.take() else { return };
        let (path, offset, copied) = (running.path.clone(), running.offset, running.copied);
        let all = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let copied = webkit2gtk::gio::spawn_blocking(move || {
                let mut source = File::open(&path)?;
                source.seek(SeekFrom::Start(copied))?;
                target.seek(SeekFrom::Start(offset + copied))?;
                let size = copied + io::copy(&mut source, &mut target)?;
                target.sync_all()?;
                io::Result::Ok(size)
            });
            match copied.await {
                Ok(Ok(size)) => {
                    running.news.received = running.offset + size;
                    all.over(&running, DownloadState::Done, "");
                }
                Ok(Err(error)) => {
                    running.news.can_go_on = false;
                    all.over(&running, DownloadState::Failed, &error.to_string());
                }
                Err(_) => all.over(&running, DownloadState::Failed, "the file was not copied to its destination"),
            }
        });
    }

    fn over(&self, running: &Running, state: DownloadState, error: &str) {
        if let Err(error) = fs::remove_file(&running.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("download: cannot remove the temporary file: {error}");
        }
        let error = error.to_owned();
        self.tell(running.tab, News { state: state.into(), error, ..running.news.clone() });
    }
}

/// Returns the offer of a file that this host makes itself.
fn wanted(id: u64, url: &str, name: &str) -> News {
    let suggested_name = name.chars().take(250).collect();
    News { download: id, url: url.to_owned(), suggested_name, state: DownloadState::Wanted.into(), ..News::default() }
}

/// Returns whether a request can be repeated without side effects: a GET over HTTP or HTTPS.
fn can_be_had_again(request: &URIRequest) -> bool {
    let is_web = request.uri().is_some_and(|url| url.starts_with("http://") || url.starts_with("https://"));
    is_web && request.http_method().is_none_or(|method| method == "GET")
}

/// Returns the validator of a file for `If-Range`: a strong `ETag`, or `Last-Modified`.
fn validator(response: &URIResponse) -> Option<String> {
    let tag = header(response, "ETag").filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| header(response, "Last-Modified")).filter(|value| value.len() < 256)
}

fn header(response: &URIResponse, name: &str) -> Option<String> {
    response.http_headers()?.one(name).map(String::from)
}

fn referrer(request: &URIRequest) -> Option<String> {
    request.http_headers()?.one("Referer").map(String::from)
}
