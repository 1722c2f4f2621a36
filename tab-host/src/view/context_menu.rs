//! The engine's context menu. Entries that would open a window open a background tab instead.

use std::rc::{Rc, Weak};

use webkit2gtk::gio::SimpleAction;
use webkit2gtk::{
    ContextMenu, ContextMenuAction, ContextMenuExt, ContextMenuItem, ContextMenuItemExt, HitTestResult,
    HitTestResultExt, WebViewExt,
};

use super::View;

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_context_menu(move |_, menu, _, target| {
        adapt(menu, target, &weak);
        false
    });
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other entry stays as it is")]
fn adapt(menu: &ContextMenu, target: &HitTestResult, view: &Weak<View>) {
    for (index, item) in (0..).zip(menu.items()) {
        let (label, url) = match item.stock_action() {
            ContextMenuAction::OpenLinkInNewWindow => ("Open Link in New _Tab", target.link_uri()),
            ContextMenuAction::OpenImageInNewWindow => ("Open _Image in New Tab", target.image_uri()),
            ContextMenuAction::OpenVideoInNewWindow => ("Open _Video in New Tab", target.media_uri()),
            ContextMenuAction::OpenAudioInNewWindow => ("Open _Audio in New Tab", target.media_uri()),
            // Regen does not show a frame without its page.
            ContextMenuAction::OpenFrameInNewWindow => ("", None),
            _ => continue,
        };
        menu.remove(&item);
        // `blob:` and `data:` URLs belong to their page's process.
        let url = url.filter(|url| url.starts_with("http:") || url.starts_with("https:"));
        let action = SimpleAction::new("open-in-new-tab", None);
        action.set_enabled(url.is_some());
        let view = Weak::clone(view);
        action.connect_activate(move |_, _| {
            if let (Some(view), Some(url)) = (view.upgrade(), &url) {
                view.open_tab(url.to_string(), true);
            }
        });
        if !label.is_empty() {
            menu.insert(&ContextMenuItem::from_gaction(&action, label, None), index);
        }
    }
}
