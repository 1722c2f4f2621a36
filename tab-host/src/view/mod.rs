//! View of one tab: a GTK window with a web view in it, on this process's own display.

mod address;
mod agent;
mod context_menu;
mod dialogs;
mod error_page;
mod files;
mod generic_rules;
mod held_picture;
mod navigation;
mod popups;
mod print;
mod restore;
mod shields;
mod signals;
mod storage;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use gtk::prelude::*;
use regen_proto::kernel::v1::host_command::Body as Command;
use regen_proto::kernel::v1::{
    Empty, Find, Load, LoadFailed, OpenView, PutSnapshot, Query, QueryKind, Reply, Snapshot, page_event,
};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::page::v1::{Edit, ToPage, to_page};
use regen_proto::validate::{ChildToBroker, MAX_SNAPSHOT};
use regen_runtime::Sealed;
use tokio::sync::oneshot;
use webkit2gtk::{FindControllerExt, FindOptions, UserContentManager, WebContextExt, WebView, WebViewExt};
use wry::WebViewExtUnix;

use crate::display::{DisplayCommand, Picture, VIEW_TITLE, ViewId};
use crate::downloads::Downloads;
use crate::filter::Filter;
use crate::site_context::SiteContext;
use crate::web_view::{build_web, configure};

/// Delay between a change and the snapshot that saves it, with all changes until then.
const IDLE: Duration = Duration::from_millis(120);
/// Time that a page has to answer whether it may be closed.
const CLOSE_ANSWER: Duration = Duration::from_millis(1500);
/// Maximum size of a session history that is saved, in bytes.
const MAX_SESSION_STATE: usize = 2 << 20;
/// Timeout for a page to draw itself for a screenshot.
const PICTURE: Duration = Duration::from_secs(5);

/// View of a tab.
pub(crate) struct View {
    id: Cell<ViewId>,
    host: Weak<dyn ViewHost>,
    site: Rc<SiteContext>,
    window: gtk::Window,
    /// Keeps the web view alive: wry destroys it on drop.
    _wry: wry::WebView,
    web: WebView,
    visible: Cell<bool>,
    /// Set for a popup, whose page lives in its opener's host and may be of any site.
    is_popup: bool,
    /// URL of the last commit that was reported to the broker.
    committed: RefCell<String>,
    /// URL that began to load last.
    started: RefCell<String>,
    /// Scroll position that the page-agent last reported.
    scroll: Cell<(f64, f64)>,
    /// Edited controls by frame path, as the page-agent last reported them.
    forms: RefCell<HashMap<String, serde_json::Value>>,
    pending_snapshot: Cell<bool>,
    changed: Cell<bool>,
    error_page: Cell<error_page::Stage>,
    failure: RefCell<Option<LoadFailed>>,
    /// Set once the page has left for another site. The broker then removes this view.
    left: Cell<bool>,
    /// Set once this host destroys the view.
    ended: Cell<bool>,
    /// Number of the close request that the page has not answered; 0: none.
    close_asked: Cell<u64>,
    /// Number of close requests so far.
    closes: Cell<u64>,
    dialogs: dialogs::Dialogs,
    /// Set while an element is in full screen.
    full_screen: Cell<bool>,
    held_picture: held_picture::HeldPicture,
    last_form: RefCell<Option<navigation::SubmittedForm>>,
    /// URL that the broker had this view load, until a page commits.
    carried: RefCell<Option<String>>,
    /// Origin of the page that opened this window.
    opener_origin: RefCell<String>,
    /// Handover of a popup that has no tab yet.
    postponed: RefCell<Option<(Load, Vec<u8>)>>,
    /// Set while the view has the bootstrap document, which replays a navigation from another site.
    bootstrapping: Cell<bool>,
    choosers: RefCell<HashMap<u64, webkit2gtk::FileChooserRequest>>,
    /// URLs to which the page's frames navigated last, and whether by GET.
    asked: RefCell<VecDeque<(String, bool)>>,
    /// Set if the page failed to load because there was no net-daemon.
    is_unanswered: Cell<bool>,
    /// Set if a net-daemon came back before the error page was shown, which then retries.
    tries_when_shown: Cell<bool>,
    restore_scripts: RefCell<Vec<webkit2gtk::UserScript>>,
    /// Set while the page-agent has not answered a request to report.
    is_reporting: Cell<bool>,
    /// Set if another report is to be requested after that.
    reports_again: Cell<bool>,
    /// State to restore into a page that has not committed yet. A crash before the page has it must not lose it.
    replayed: RefCell<Option<restore::Replayed>>,
    /// Number of replays that are finished or were discarded.
    replays: Cell<u64>,
    /// Hashes of the style sheets that hide parts of this page.
    styles: RefCell<HashSet<u64>>,
    common: RefCell<generic_rules::Common>,
    /// Number of documents that the main frame has had.
    documents: Cell<u64>,
    /// Number of this page's requests that shields blocked.
    blocked: Cell<u32>,
    /// Set if the next navigation restores a snapshot.
    is_coming_back: Cell<bool>,
    /// Set if the last navigation of a frame was to `about:blank`.
    wants_blank: Cell<bool>,
    /// Set if the user stopped the load.
    is_stopped: Cell<bool>,
    storage: RefCell<storage::Storage>,
    /// History entry that sends a form again, if the user agrees.
    unsent: RefCell<Option<webkit2gtk::BackForwardListItem>>,
    /// Set once the user has agreed to send the form again.
    may_send_again: Cell<bool>,
    /// Set while the number of matches of a new search has not been reported.
    counts_matches: Cell<bool>,
    /// Session history as it was last serialised.
    serialised: RefCell<Option<Serialised>>,
}

/// A serialised session history, and the time that serialising took.
struct Serialised {
    /// URL of the page at that time.
    url: String,
    state: Vec<u8>,
    at: Instant,
    cost: Duration,
}

/// The host, as its views see it.
pub(crate) trait ViewHost {
    /// Keeps a popup until the broker has assigned it a tab.
    fn keep_popup(&self, token: u64, popup: Rc<View>);

    /// Returns the view of a page by the engine's page ID, including popups that have no tab yet.
    fn view_of_page(&self, page: u64) -> Option<Rc<View>>;

    /// Returns the host's downloads.
    fn downloads(&self) -> Rc<Downloads>;
}

impl View {
    /// Creates a view for a tab, and restores or loads what the broker requests.
    pub(crate) fn open(
        host: Rc<dyn ViewHost>,
        site: Rc<SiteContext>,
        id: ViewId,
        open: OpenView,
        descriptors: Vec<OwnedFd>,
    ) -> anyhow::Result<Rc<Self>> {
        let view = Self::build(&host, site, id, None)?;
        if let Some(manager) = view.web.context().and_then(|context| context.cookie_manager()) {
            view.site.cookies.attach(&manager);
        }
        view.show(open.visible);
        let mut open = open;
        if let Some(load) = &mut open.load {
            navigation::fill_in_body(load, &descriptors)?;
        }
        let snapshot = match (open.snapshot, descriptors.first()) {
            (Some(snapshot), _) => Some(snapshot),
            (None, Some(payload)) if open.snapshot_size > 0 => Some(restore::read(payload, open.snapshot_size)?),
            (None, _) => None,
        };
        match snapshot {
            Some(snapshot) => {
                let fallback = Load { url: open.fallback_url, ..Load::default() };
                view.restore(&snapshot, open.load.as_ref(), &fallback);
            }
            None => {
                if let Some(load) = &open.load {
                    if !load.initiator.is_empty() {
                        view.hold_until_first_page();
                    }
                    view.load(load);
                }
            }
        }
        Ok(view)
    }

    /// Creates a view without a page. With an `opener`, it shares the opener's web process.
    fn build(
        host: &Rc<dyn ViewHost>,
        site: Rc<SiteContext>,
        id: ViewId,
        opener: Option<&WebView>,
    ) -> anyhow::Result<Rc<Self>> {
        let window = gtk::Window::new(gtk::WindowType::Toplevel);
        window.set_title(&format!("{VIEW_TITLE}{id}"));
        window.set_decorated(false);
        window.set_default_size(i32::try_from(site.size.0)?, i32::try_from(site.size.1)?);
        window.fullscreen();
        let wry = build_web(&site, &window, opener)?;
        let web = wry.webview();
        configure(&web, site.site.as_str());
        site.device.set_up(&web, &site.languages);
        site.filter.add_to(&web);
        let view = Rc::new(Self {
            id: Cell::new(id),
            host: Rc::downgrade(host),
            site,
            window,
            _wry: wry,
            web,
            visible: Cell::new(false),
            is_popup: opener.is_some(),
            committed: RefCell::default(),
            started: RefCell::default(),
            scroll: Cell::default(),
            forms: RefCell::default(),
            pending_snapshot: Cell::default(),
            changed: Cell::default(),
            error_page: Cell::default(),
            failure: RefCell::default(),
            left: Cell::default(),
            ended: Cell::default(),
            close_asked: Cell::default(),
            closes: Cell::default(),
            dialogs: dialogs::Dialogs::default(),
            full_screen: Cell::default(),
            held_picture: held_picture::HeldPicture::default(),
            last_form: RefCell::default(),
            carried: RefCell::default(),
            opener_origin: RefCell::default(),
            postponed: RefCell::default(),
            bootstrapping: Cell::default(),
            choosers: RefCell::default(),
            asked: RefCell::default(),
            is_unanswered: Cell::default(),
            tries_when_shown: Cell::default(),
            restore_scripts: RefCell::default(),
            is_reporting: Cell::default(),
            reports_again: Cell::default(),
            replayed: RefCell::default(),
            replays: Cell::default(),
            styles: RefCell::default(),
            common: RefCell::default(),
            documents: Cell::default(),
            blocked: Cell::default(),
            is_coming_back: Cell::default(),
            wants_blank: Cell::default(),
            is_stopped: Cell::default(),
            storage: RefCell::default(),
            unsent: RefCell::default(),
            may_send_again: Cell::default(),
            counts_matches: Cell::default(),
            serialised: RefCell::default(),
        });
        signals::connect(&view);
        agent::connect(&view);
        popups::connect(&view);
        navigation::connect(&view);
        files::connect(&view);
        dialogs::connect(&view);
        print::connect(&view);
        context_menu::connect(&view);
        if let Some(context) = view.web.context() {
            host.downloads().connect(&context);
        }
        Ok(view)
    }

    fn host(&self) -> Option<Rc<dyn ViewHost>> {
        self.host.upgrade()
    }

    pub(crate) fn content_manager(&self) -> Option<UserContentManager> {
        self.web.user_content_manager()
    }

    pub(crate) fn shows_in(&self, web: &WebView) -> Option<ViewId> {
        (self.web == *web).then(|| self.id.get())
    }

    pub(crate) fn shows_page(&self, page: u64) -> bool {
        self.web.page_id() == page
    }

    pub(crate) fn add_filter(&self, filter: &Filter) {
        filter.add_to(&self.web);
    }

    /// Sends the broker an event about this tab.
    fn tell(&self, event: page_event::Body) {
        self.site.sender.page(self.id.get(), event);
    }

    /// Assigns a popup its tab.
    pub(crate) fn adopt(self: &Rc<Self>, id: ViewId) {
        self.id.set(id);
        self.window.set_title(&format!("{VIEW_TITLE}{id}"));
        if self.hand_over_postponed() {
            return;
        }
        self.show(true);
        self.commit_again();
        if self.waits_for_answer() {
            self.tell_dialog();
        }
    }

    pub(crate) fn destroy(&self) {
        self.ended.set(true);
        self.dismiss_dialogs();
        self.web.stop_loading();
        self.window.hide();
        self.window.close();
    }

    /// Asks the page whether it may be closed. Its consent destroys the web view. A page that does not answer within
    /// [`CLOSE_ANSWER`] does not object.
    pub(crate) fn try_close(self: &Rc<Self>) {
        self.dismiss_dialogs();
        // If the page consents, the view is gone.
        self.snapshot_if_changed();
        self.expect_close();
        self.web.try_close();
    }

    /// Reports the page as closed after [`CLOSE_ANSWER`], unless it objects or is closed before. The engine does not close a page
    /// whose answer to an earlier question comes after the next question was put.
    fn expect_close(self: &Rc<Self>) {
        let question = self.closes.get() + 1;
        self.closes.set(question);
        self.close_asked.set(question);
        let weak = Rc::downgrade(self);
        glib::timeout_add_local_once(CLOSE_ANSWER, move || {
            if let Some(view) = weak.upgrade().filter(|view| view.close_asked.get() == question && !view.ended.get()) {
                view.close_asked.set(0);
                view.tell(page_event::Body::CloseRequested(Empty {}));
            }
        });
    }

    /// Executes an editing command of the engine. Returns whether the input was one.
    pub(crate) fn edit(&self, input: &ToPage) -> bool {
        let Some(to_page::Body::EditCommand(edit)) = &input.body else { return false };
        let name = match edit.edit() {
            Edit::Copy => "Copy",
            Edit::Cut => "Cut",
            Edit::SelectAll => "SelectAll",
            Edit::Undo => "Undo",
            Edit::Redo => "Redo",
            Edit::Unspecified => return true,
        };
        self.web.execute_editing_command(name);
        true
    }

    pub(crate) fn command(self: &Rc<Self>, command: Command, descriptors: Vec<OwnedFd>) {
        match command {
            Command::Navigate(mut load) => match navigation::fill_in_body(&mut load, &descriptors) {
                Ok(()) => {
                    self.dismiss_dialogs();
                    self.forget_replay();
                    self.load(&load);
                }
                Err(error) => tracing::error!("navigation dropped: the body of its form cannot be read: {error}"),
            },
            Command::GoHistory(delta) => {
                self.dismiss_dialogs();
                self.forget_replay();
                if delta >= 0 {
                    self.web.go_forward();
                } else if !self.step_back_from_question() {
                    self.web.go_back();
                }
            }
            Command::Reload(reload) => {
                self.dismiss_dialogs();
                self.reload(reload.bypass_cache);
            }
            Command::Dialog(answer) => {
                if self.answer_dialog(&answer) {
                    self.expect_close();
                }
            }
            Command::Print(_) => self.print(),
            Command::Stop(_) => {
                self.dismiss_dialogs();
                self.is_stopped.set(true);
                self.web.stop_loading();
            }
            Command::SetVisible(visible) => self.show(visible),
            Command::Zoom(zoom) => self.web.set_zoom_level(zoom.clamp(0.25, 5.0)),
            Command::Mute(muted) => self.web.set_is_muted(muted),
            Command::Find(find) => self.find(&find),
            Command::Query(query) => self.query(&query),
            Command::FilesChosen(chosen) => self.files_chosen(&chosen),
            Command::Open(_)
            | Command::Download(_)
            | Command::GoOnDownload(_)
            | Command::Close(_)
            | Command::Input(_)
            | Command::AdoptPopup(_) => {}
        }
    }

    fn show(&self, visible: bool) {
        self.visible.set(visible);
        if visible {
            self.window.show_all();
            self.web.grab_focus();
        } else {
            self.snapshot_if_changed();
            if self.full_screen.get() {
                // A page in the background leaves full screen, so that the tab comes back with the window's bars.
                agent::evaluate(&self.web, "document.exitFullscreen().catch(() => {})", |_| {});
            }
            self.window.hide();
        }
    }

    fn find(&self, find: &Find) {
        const MAX_COUNT: u32 = 10_000;
        let Some(controller) = self.web.find_controller() else { return };
        if find.text.is_empty() {
            controller.search_finish();
        } else if find.next && controller.search_text().as_deref() == Some(&find.text) {
            if find.forward { controller.search_next() } else { controller.search_previous() }
        } else {
            let mut options = FindOptions::CASE_INSENSITIVE | FindOptions::WRAP_AROUND;
            options.set(FindOptions::BACKWARDS, !find.forward);
            // The search counts and highlights the matches. A separate count would remove the highlights.
            self.counts_matches.set(true);
            controller.search(&find.text, options.bits(), MAX_COUNT);
        }
    }

    fn query(self: &Rc<Self>, query: &Query) {
        match query.kind() {
            QueryKind::Text => self.answer_text(query.request),
            QueryKind::Screenshot => self.answer_picture(query.request),
            QueryKind::Saved => {
                let (view, request) = (Rc::clone(self), query.request);
                agent::evaluate(&self.web, agent::REPORT_NOW, move |_| {
                    let site = Rc::clone(&view.site);
                    site.cookies.look(move || {
                        view.snapshot();
                        view.reply(Reply { request, ..Reply::default() });
                    });
                });
            }
            QueryKind::Objects => {
                let (view, request) = (Rc::clone(self), query.request);
                agent::evaluate(&self.web, agent::OBJECTS, move |answer| {
                    view.reply(Reply { request, text: answer.unwrap_or_default(), ..Reply::default() });
                });
            }
            QueryKind::Settled => self.answer_settled(query.request, query.events),
            QueryKind::Unspecified => {
                self.reply(Reply { request: query.request, error: "unknown kind of query".into(), ..Reply::default() });
            }
        }
    }

    fn reply(&self, reply: Reply) {
        self.site.sender.send(ChildToBroker::Reply(reply));
    }

    fn reply_payload(&self, reply: Reply, payload: &[u8]) {
        let site = Rc::clone(&self.site);
        match Sealed::new(payload).and_then(|sealed| sealed.as_fd().try_clone_to_owned()) {
            Ok(fd) => {
                let reply = Reply { payload_size: payload.len() as u64, ..reply };
                site.sender.send_with(ChildToBroker::Reply(reply), vec![fd]);
            }
            Err(error) => self.reply(Reply { error: error.to_string(), ..reply }),
        }
    }

    fn answer_text(self: &Rc<Self>, request: u64) {
        let view = Rc::clone(self);
        // An SVG document has no `innerText`.
        let script = "(() => { const root = document.body || document.documentElement; return root?.innerText ?? root?.textContent ?? '' })()";
        agent::evaluate(&self.web, script, move |result| match result {
            Ok(text) if text.len() > MAX_INLINE / 2 => {
                view.reply_payload(Reply { request, ..Reply::default() }, text.as_bytes());
            }
            Ok(text) => view.reply(Reply { request, text, ..Reply::default() }),
            Err(error) => view.reply(Reply { request, error, ..Reply::default() }),
        });
    }

    /// Answers when the input before this query has reached the page. The engine hands keys to the page one by one,
    /// each after the last was handled. The messages here do the same, one for each event, so every key is handled
    /// before the last one.
    fn answer_settled(self: &Rc<Self>, request: u64, events: u32) {
        const MAX_COUNT: u32 = 4000;
        let site = Rc::clone(&self.site);
        let (done, delivered) = oneshot::channel();
        site.display.send(DisplayCommand::Delivered(self.id.get(), done));
        let view = Rc::clone(self);
        glib::MainContext::default().spawn_local_with_priority(glib::Priority::LOW, async move {
            // Fails only when the process is ending.
            let _ = delivered.await;
            for _ in 0..events.min(MAX_COUNT) + 2 {
                glib::timeout_future_with_priority(glib::Priority::LOW, Duration::ZERO).await;
                let (answered, answer) = oneshot::channel();
                // The web process answers a message that has no receiver. A script would consume user activation.
                let message = webkit2gtk::UserMessage::new("settled", None);
                view.web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, move |_| {
                    let _ = answered.send(());
                });
                // A destroyed view does not answer.
                if answer.await.is_err() {
                    break;
                }
            }
            view.reply(Reply { request, ..Reply::default() });
        });
    }

    fn answer_picture(self: &Rc<Self>, request: u64) {
        let site = Rc::clone(&self.site);
        let was_visible = self.visible.get();
        if !was_visible {
            self.show(true);
        }
        // A page that is still loading has not drawn itself.
        self.web.queue_draw();
        let (answer, picture) = oneshot::channel::<Picture>();
        site.display.send(DisplayCommand::Capture(self.id.get(), answer));
        let view = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let reply = Reply { request, ..Reply::default() };
            let drawn = tokio::select! {
                picture = picture => picture.ok(),
                () = glib::timeout_future(PICTURE) => None,
            };
            match drawn {
                Some(picture) => {
                    let reply = Reply { width: picture.width, height: picture.height, ..reply };
                    view.reply_payload(reply, &picture.bgra);
                }
                None => {
                    let error = "no screenshot: the page was not drawn within 5 s".to_owned();
                    view.reply(Reply { error, ..reply });
                }
            }
            if !was_visible {
                view.show(false);
            }
        });
    }

    /// Marks the page as changed, and schedules a snapshot.
    fn touch(self: &Rc<Self>) {
        self.changed.set(true);
        if self.pending_snapshot.replace(true) {
            return;
        }
        let view = Rc::downgrade(self);
        glib::timeout_add_local_once(IDLE, move || {
            if let Some(view) = view.upgrade() {
                view.pending_snapshot.set(false);
                view.snapshot_if_changed();
            }
        });
    }

    pub(crate) fn snapshot_if_changed(&self) {
        if self.changed.get() {
            self.snapshot();
        }
    }

    /// Sends the broker a snapshot from which this view can be restored.
    pub(crate) fn snapshot(&self) {
        let site = Rc::clone(&self.site);
        // Before the first page there is nothing to restore.
        if self.id.get() == 0 || self.left.get() || self.committed.borrow().is_empty() {
            return;
        }
        // A popup with another site's page is not restored from a snapshot of this process.
        if self.is_popup && !site.site.may_show(&self.committed.borrow()) {
            return;
        }
        self.changed.set(false);
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
        let mut cached = self.serialised.borrow_mut();
        let url = self.committed.borrow();
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
        let (scroll_x, scroll_y) = self.scroll.get();
        let mut kept = self.forms.borrow().clone();
        if let Some(storage) = self.storage_to_keep() {
            kept.insert(storage::KEY.to_owned(), storage);
        }
        let form = if kept.is_empty() { Vec::new() } else { serde_json::to_vec(&kept).ok()? };
        Some(Snapshot { session_state, scroll_x, scroll_y, form, zoom: self.web.zoom_level() })
    }
}
