//! Signals of the engine about a page, reported to the broker as events.

use std::rc::Rc;

use gtk::cairo;
use gtk::prelude::{ObjectExt, ToValue, WidgetExt};
use regen_proto::kernel::v1::{
    Empty, Favicon, LoadFinished, LoadStarted, NavigationCommitted, TlsState, page_event::Body,
};
use regen_proto::page::v1::{HoverLink, KeyAnswer, WheelUnused, from_page};
use regen_proto::validate::MAX_HEADER;
use webkit2gtk::{HitTestResultExt, LoadEvent, URIResponseExt, WebResourceExt, WebView, WebViewExt};

use super::View;
use super::agent::{REPORT_MOVE, REPORT_STATE};
use super::error_page::Stage;

/// Side of a favicon that is sent to the broker, in pixels.
const ICON: i32 = 32;

pub(super) fn connect(view: &Rc<View>) {
    let web = &view.web;
    let weak = Rc::downgrade(view);
    web.connect_load_changed(move |_, event| {
        if let Some(view) = weak.upgrade() {
            view.load_changed(event);
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_uri_notify(move |web| {
        if let Some(view) = weak.upgrade()
            && !web.is_loading()
        {
            view.moved_within_document();
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_title_notify(move |web| {
        if let Some(view) = weak.upgrade()
            && view.error.stage.get() == Stage::None
        {
            let title = web.title().map(|title| title.chars().take(1000).collect()).unwrap_or_default();
            view.tell(Body::Title(title));
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_estimated_load_progress_notify(move |web| {
        if let Some(view) = weak.upgrade() {
            view.tell(Body::Progress(web.estimated_load_progress()));
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_is_playing_audio_notify(move |web| {
        if let Some(view) = weak.upgrade() {
            view.tell(Body::Audible(web.is_playing_audio()));
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_is_web_process_responsive_notify(move |web| {
        if let Some(view) = weak.upgrade() {
            // A script that waits for the answer to a dialog is not unresponsive.
            view.tell(Body::Unresponsive(!web.is_web_process_responsive() && !view.waits_for_answer()));
        }
    });
    for full_screen in [true, false] {
        let weak = Rc::downgrade(view);
        let tell = move |_: &webkit2gtk::WebView| {
            if let Some(view) = weak.upgrade() {
                view.surface.is_full_screen.set(full_screen);
                view.tell(Body::FullScreen(full_screen));
            }
            // Let the engine handle the signal as well.
            false
        };
        if full_screen {
            web.connect_enter_fullscreen(tell)
        } else {
            web.connect_leave_fullscreen(tell)
        };
    }
    let weak = Rc::downgrade(view);
    web.connect_favicon_notify(move |web| {
        if let (Some(view), Some(icon)) = (weak.upgrade(), web.favicon().and_then(|surface| small(&surface))) {
            view.tell(Body::Favicon(icon));
        }
    });
    let weak = Rc::downgrade(view);
    // wry destroys a web view on `close`, before later handlers of that signal run.
    web.connect_destroy(move |_| {
        if let Some(view) = weak.upgrade().filter(|view| !view.closing.is_destroyed.get()) {
            view.closing.question.set(0);
            view.tell(Body::CloseRequested(Empty {}));
        }
    });
    let weak = Rc::downgrade(view);
    web.connect_web_process_terminated(move |_, why| {
        if let Some(view) = weak.upgrade() {
            view.site.sender.exit(format!("the web process ended: {why:?}"));
        }
    });
    connect_hover(view, web);
    let weak = Rc::downgrade(view);
    // The engine passes a key that the page did not use on to the window around it.
    view.surface.window.connect_local("key-press-event", true, move |arguments| {
        let event = arguments.get(1).and_then(|event| event.get::<gtk::gdk::Event>().ok());
        if let (Some(view), Some(keycode)) = (weak.upgrade(), event.and_then(|event| event.keycode())) {
            let answer = KeyAnswer { used: false, keycode: keycode.into() };
            view.tell_window(from_page::Body::KeyAnswer(answer));
        }
        Some(false.to_value())
    });
}

/// Tells the window the address of the link under the pointer.
pub(super) fn connect_hover(view: &Rc<View>, web: &WebView) {
    let weak = Rc::downgrade(view);
    web.connect_mouse_target_changed(move |_, target, _| {
        if let Some(view) = weak.upgrade() {
            let url = if target.context_is_link() { target.link_uri() } else { None };
            let url = url.map(Into::into).unwrap_or_default();
            view.tell_window(from_page::Body::HoverLink(HoverLink { url }));
        }
    });
}

impl View {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the page-agent handles redirects")]
    fn load_changed(self: &Rc<Self>, event: LoadEvent) {
        // The first load starts helper processes.
        self.site.helpers.borrow_mut().look();
        if self.loader.has_left.get() {
            return;
        }
        let url = self.web.uri().map(String::from).unwrap_or_default();
        match event {
            LoadEvent::Started => {
                self.loader.loads.set(self.loader.loads.get() + 1);
                if self.error.stage.get() == Stage::Expected {
                    self.error.stage.set(Stage::Shown);
                    return;
                }
                self.error.stage.set(Stage::None);
                self.begins_anew();
                self.loader.started.borrow_mut().clone_from(&url);
                self.tell(Body::LoadStarted(LoadStarted {}));
            }
            LoadEvent::Committed if self.is_refused_port(&url) => {}
            // The engine may report the end of a load before it reports the failure, and then knows no address any more.
            LoadEvent::Finished if url.is_empty() && !self.is_popup && self.error.stage.get() == Stage::None => {}
            LoadEvent::Finished if self.is_refused_port(&url) => self.refuse_port(),
            LoadEvent::Committed => {
                self.forget_styles();
                self.committed(url, false);
            }
            LoadEvent::Finished if self.error.stage.get() == Stage::Shown => {
                self.show_picture();
                self.error_shown();
            }
            LoadEvent::Finished if self.error.stage.get() == Stage::None && !self.is_bootstrap(&url) => {
                self.moved_within_document();
                self.restored();
                self.tell(Body::LoadFinished(LoadFinished {}));
                self.ask_to_report(REPORT_STATE);
                self.touch();
            }
            _ => {}
        }
    }

    /// Forwards an icon that the page-agent has drawn. The broker would treat any other size as a protocol violation.
    pub(super) fn drawn_icon(&self, side: u32, rgba: &str) {
        let pixels = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, rgba).unwrap_or_default();
        if i64::from(side) == i64::from(ICON) && pixels.len() as u64 == u64::from(side) * u64::from(side) * 4 {
            self.tell(Body::Favicon(Favicon { width: side, height: side, rgba: pixels }));
        }
    }

    /// Reports a navigation within the document: a new fragment, or `pushState`.
    fn moved_within_document(self: &Rc<Self>) {
        let url = self.web.uri().map(String::from).unwrap_or_default();
        let moved = !self.loader.has_left.get()
            && *self.loader.committed.borrow() != url
            && !self.loader.committed.borrow().is_empty();
        if moved && self.error.stage.get() == Stage::None && !self.is_bootstrap(&url) {
            self.committed(url, true);
        }
    }

    fn committed(self: &Rc<Self>, url: String, same_document: bool) {
        if self.error.stage.get() != Stage::None || self.is_bootstrap(&url) {
            return;
        }
        self.loader.bootstrapping.set(false);
        // Another view of a page is not shown under another address.
        self.show_page();
        if !same_document {
            self.forget_requests();
            self.forget_dialogs();
            let kept = self.form_state.replayed.take();
            self.form_state.scroll.set(kept.as_ref().map_or((0.0, 0.0), |kept| kept.scroll));
            self.form_state.edits.replace(kept.map(|kept| kept.forms).unwrap_or_default());
        }
        if same_document {
            // Earlier reports of the page-agent are for the old URL.
            self.ask_to_report(REPORT_MOVE);
        }
        self.picture_committed(&url);
        self.loader.committed.borrow_mut().clone_from(&url);
        self.loader.carried.take();
        self.tell_committed(url, same_document);
        self.touch();
    }

    /// Reports the present page again, such as for a popup whose first commit came before it had a tab.
    pub(super) fn commit_again(self: &Rc<Self>) {
        let url = self.loader.committed.borrow().clone();
        if !url.is_empty() {
            self.tell_committed(url, false);
            if !self.web.is_loading() {
                self.tell(Body::LoadFinished(LoadFinished {}));
            }
        }
    }

    fn tell_committed(&self, url: String, same_document: bool) {
        let tls = match self.web.tls_info() {
            Some((_, problems)) if problems.is_empty() => TlsState::Valid,
            Some(_) => TlsState::Broken,
            None => TlsState::None,
        };
        let header = || {
            let response = self.web.main_resource()?.response()?;
            Some(response.http_headers()?.one("Strict-Transport-Security")?.to_string())
        };
        let is_said = tls == TlsState::Valid && !same_document;
        let transport_security = is_said.then(header).flatten().filter(|text| text.len() <= MAX_HEADER);
        self.tell(Body::Committed(NavigationCommitted {
            transport_security: transport_security.unwrap_or_default(),
            url,
            can_go_back: self.web.can_go_back(),
            can_go_forward: self.web.can_go_forward(),
            tls: tls.into(),
            same_document,
        }));
    }

    /// Returns whether a URL is that of the bootstrap document, which is not reported as a page.
    pub(super) fn is_bootstrap(&self, url: &str) -> bool {
        let is_first = !self.is_popup && self.loader.committed.borrow().is_empty();
        (is_first || self.loader.bootstrapping.get()) && url.starts_with("about:")
    }

    /// Sends the window an event that only the window needs.
    pub(super) fn tell_window(&self, body: from_page::Body) {
        self.site.display.send(crate::display::DisplayCommand::TellWindow(self.id.get(), body));
    }

    /// Tells the window that the page used the last key that it was sent.
    pub(super) fn key_was_used(&self) {
        self.tell_window(from_page::Body::KeyAnswer(KeyAnswer { used: true, keycode: 0 }));
    }

    /// Tells the window that the page did not use a turn of the wheel while Control was held.
    pub(super) fn wheel_was_not_used(&self, down: bool) {
        self.tell_window(from_page::Body::WheelUnused(WheelUnused { down }));
    }
}

/// Converts a page's icon to raw pixels of a fixed size.
fn small(surface: &cairo::Surface) -> Option<Favicon> {
    let source = cairo::ImageSurface::try_from(surface.clone()).ok()?;
    let (width, height) = (source.width(), source.height());
    if width <= 0 || height <= 0 {
        return None;
    }
    let mut target = cairo::ImageSurface::create(cairo::Format::ARgb32, ICON, ICON).ok()?;
    {
        let painter = cairo::Context::new(&target).ok()?;
        painter.scale(f64::from(ICON) / f64::from(width), f64::from(ICON) / f64::from(height));
        painter.set_source_surface(&source, 0.0, 0.0).ok()?;
        painter.paint().ok()?;
    }
    target.flush();
    let data = target.data().ok()?;
    let rgba = data.chunks_exact(4).flat_map(straight).collect();
    let side = u32::try_from(ICON).ok()?;
    Some(Favicon { width: side, height: side, rgba })
}

/// Converts premultiplied BGRA to straight RGBA.
fn straight(pixel: &[u8]) -> [u8; 4] {
    let [b, g, r, a] = <[u8; 4]>::try_from(pixel).unwrap_or_default();
    let whole = |channel: u8| match a {
        0 => 0,
        a => u8::try_from((u32::from(channel) * 255 / u32::from(a)).min(255)).unwrap_or(255),
    };
    [whole(r), whole(g), whole(b), a]
}
