//! View of one tab: a GTK window with a web view in it, on this process's own display.

mod address;
mod agent;
mod alternative;
mod closing;
mod connection;
mod context_menu;
mod dialogs;
mod error_page;
mod files;
mod find;
mod form_state;
mod generic_rules;
mod held_picture;
mod loader;
mod navigation;
mod page_rules;
mod permissions;
mod popups;
mod print;
mod queries;
mod restore;
mod shields;
mod signals;
mod storage;
mod surface;
mod tools;

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};

use gtk::prelude::*;
use regen_proto::kernel::v1::host_command::Body as Command;
use regen_proto::kernel::v1::{Load, OpenView, page_event};
use regen_proto::page::v1::{Edit, ToPage, to_page};
use webkit2gtk::{UserContentManager, WebContextExt, WebView, WebViewExt};
use wry::WebViewExtUnix;

use crate::display::{VIEW_TITLE, ViewId};
use crate::downloads::Downloads;
use crate::filter::Filter;
use crate::site_context::SiteContext;
use crate::web_view::{build_web, configure};
use closing::Closing;
use form_state::FormState;
use loader::Loader;
use surface::Surface;

/// View of a tab.
pub(crate) struct View {
    id: Cell<ViewId>,
    host: Weak<dyn ViewHost>,
    site: Rc<SiteContext>,
    /// Keeps the web view alive: wry destroys it on drop.
    _wry: wry::WebView,
    web: WebView,
    /// Set for a popup, whose page lives in its opener's host and may be of any site.
    is_popup: bool,
    surface: Surface,
    loader: Loader,
    form_state: FormState,
    error: error_page::ErrorState,
    closing: Closing,
    dialogs: dialogs::Dialogs,
    choosers: files::Choosers,
    page_rules: page_rules::PageRules,
    requests: permissions::PageRequests,
    finder: find::Finder,
    alternative: alternative::Alternative,
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
        let stack = gtk::Stack::new();
        window.add(&stack);
        let wry = build_web(&site, &stack, opener)?;
        let web = wry.webview();
        configure(&web, site.site.as_str());
        site.device.set_up(&web, &site.languages);
        site.filter.add_to(&web);
        let view = Rc::new(Self {
            id: Cell::new(id),
            host: Rc::downgrade(host),
            site,
            _wry: wry,
            web,
            is_popup: opener.is_some(),
            surface: Surface::new(window),
            loader: Loader::default(),
            form_state: FormState::default(),
            error: error_page::ErrorState::default(),
            closing: Closing::default(),
            dialogs: dialogs::Dialogs::default(),
            choosers: files::Choosers::default(),
            page_rules: page_rules::PageRules::default(),
            requests: permissions::PageRequests::default(),
            finder: find::Finder::default(),
            alternative: alternative::Alternative::new(stack),
        });
        signals::connect(&view);
        agent::connect(&view);
        popups::connect(&view);
        navigation::connect(&view);
        find::connect(&view, &view.web);
        files::connect(&view);
        dialogs::connect(&view);
        permissions::connect(&view);
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
        self.surface.window.set_title(&format!("{VIEW_TITLE}{id}"));
        if self.hand_over_postponed() {
            return;
        }
        self.show(true);
        self.commit_again();
        if self.waits_for_answer() {
            self.tell_dialog();
        }
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
        self.shown_web().execute_editing_command(name);
        true
    }

    pub(crate) fn command(self: &Rc<Self>, command: Command, descriptors: Vec<OwnedFd>) {
        match command {
            Command::Navigate(mut load) => match navigation::fill_in_body(&mut load, &descriptors) {
                Ok(()) => {
                    self.dismiss_dialogs();
                    self.show_page();
                    self.forget_replay();
                    self.load(&load);
                }
                Err(error) => tracing::error!("navigation dropped: the body of its form cannot be read: {error}"),
            },
            Command::GoHistory(delta) => {
                self.dismiss_dialogs();
                self.show_page();
                self.forget_replay();
                if delta >= 0 {
                    self.web.go_forward();
                } else if !self.step_back_from_question() {
                    self.web.go_back();
                }
            }
            Command::Reload(reload) => {
                self.dismiss_dialogs();
                self.show_page();
                self.reload(reload.bypass_cache);
            }
            Command::Dialog(answer) => {
                if self.answer_dialog(&answer) {
                    self.expect_close();
                }
            }
            Command::UseTool(used) => self.use_tool(&used),
            Command::Stop(_) => {
                self.dismiss_dialogs();
                self.loader.is_stopped.set(true);
                self.web.stop_loading();
            }
            Command::SetVisible(visible) => self.show(visible),
            Command::Zoom(zoom) => {
                for web in [&self.web, &self.shown_web()] {
                    web.set_zoom_level(zoom.clamp(0.25, 5.0));
                }
            }
            Command::Mute(muted) => {
                for web in [&self.web, &self.shown_web()] {
                    web.set_is_muted(muted);
                }
            }
            Command::Find(find) => self.find(&find),
            Command::Query(query) => self.query(&query),
            Command::FilesChosen(chosen) => self.files_chosen(&chosen),
            Command::Permission(answer) => self.permission_answered(answer),
            Command::NotificationClicked(number) => self.notification_clicked(number),
            Command::Open(_)
            | Command::Download(_)
            | Command::GoOnDownload(_)
            | Command::Close(_)
            | Command::Input(_)
            | Command::AdoptPopup(_) => {}
        }
    }
}
