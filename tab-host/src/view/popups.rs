//! Windows that a page opens. One that keeps its opener lives in its opener's host. Any other is a tab of its own, in
//! the host of its site.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use glib::object::Cast;
use regen_proto::kernel::v1::{PopupOpened, page_event::Body};
use webkit2gtk::{NavigationAction, NavigationType, URIRequestExt, UserMessage, WebViewExt};

use super::View;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_create(move |_, action| weak.upgrade()?.opened_window(&mut action.clone()));
}

impl View {
    fn opened_window(self: &Rc<Self>, action: &mut NavigationAction) -> Option<gtk::Widget> {
        let url = action.request().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        if !action.is_user_gesture() {
            return None;
        }
        // A link to a new window has no opener (`noopener` is the default since 2021); a script's window has one. A
        // `blob:` URL exists only in its page's process.
        if action.navigation_type() == NavigationType::LinkClicked && !url.starts_with("blob:") {
            self.open_tab(url, false);
            return None;
        }
        let host = self.host()?;
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        let popup = match Self::build(&host, Rc::clone(&self.site), 0, Some(&self.web)) {
            Ok(popup) => popup,
            Err(error) => {
                tracing::error!("cannot create a popup: {error}");
                return None;
            }
        };
        let exempt = UserMessage::new("popup", None);
        popup.web.send_message_to_page(&exempt, None::<&webkit2gtk::gio::Cancellable>, |_| {});
        popup.loader.opener_origin.replace(self.origin());
        // A form that targets the new window was submitted by this page.
        popup.loader.last_form.replace(self.loader.last_form.take());
        let widget: gtk::Widget = popup.web.clone().upcast();
        host.keep_popup(token, popup);
        self.tell(Body::PopupOpened(PopupOpened { token, url, user_gesture: true }));
        Some(widget)
    }
}
