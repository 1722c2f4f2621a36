//! Shields of a page. Rules that the page-agent's script finds become user style sheets, which the page can neither see
//! nor undo. Blocked requests are counted.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use glib::variant::FromVariant;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::page_event::Body;
use regen_proto::net::v1::HideRequest;
use serde::Deserialize;
use tokio::sync::oneshot;
use url::Url;
use webkit2gtk::{
    UserContentInjectedFrames, UserContentManagerExt, UserMessage, UserMessageExt, UserStyleLevel, UserStyleSheet,
    WebViewExt,
};

use super::View;

/// Script that runs in every frame.
pub(super) const SCRIPT: &str = include_str!("shields.js");
/// Maximum style sheets of a page.
const MAX_STYLES: usize = 500;
/// Title of the error page for a blocked page.
const TITLE: &str = "Shields blocked this page";

/// Classes and IDs that have appeared in a document.
#[derive(Debug, Deserialize)]
pub(super) struct Selectors {
    url: String,
    classes: Vec<String>,
    ids: Vec<String>,
    exceptions: Vec<String>,
}

impl View {
    /// Removes the style sheets and the count of the previous page.
    pub(super) fn forget_styles(&self) {
        self.page_rules.styles.borrow_mut().clear();
        self.page_rules.common.take();
        if let Some(manager) = self.web.user_content_manager() {
            manager.remove_all_style_sheets();
        }
        self.page_rules.documents.set(self.page_rules.documents.get().wrapping_add(1));
        if self.page_rules.blocked.replace(0) != 0 {
            self.tell(Body::Blocked(0));
        }
    }

    pub(super) fn add_style(&self, url: &str, css: &str) {
        let Some(pattern) = pattern_of(url) else { return };
        let mut styles = self.page_rules.styles.borrow_mut();
        if styles.len() >= MAX_STYLES {
            return;
        }
        let mut hasher = DefaultHasher::new();
        (&pattern, css).hash(&mut hasher);
        if let (Some(manager), true) = (self.web.user_content_manager(), styles.insert(hasher.finish())) {
            let (frames, level) = (UserContentInjectedFrames::AllFrames, UserStyleLevel::User);
            manager.add_style_sheet(&UserStyleSheet::new(css, frames, level, &[&pattern], &[]));
        }
    }

    /// Asks the net-daemon what to hide for new classes and IDs, and hides it.
    pub(super) fn seen(self: &Rc<Self>, seen: Selectors) {
        let site = Rc::clone(&self.site);
        let (runtime, asker) = &site.shields;
        let Selectors { url, classes, ids, exceptions } = seen;
        let request = HideRequest { url: url.clone(), classes, ids, exceptions };
        let (answer, selectors) = oneshot::channel();
        let hidden = asker.clone().hidden(request);
        runtime.spawn(async move {
            let _ = answer.send(hidden.await);
        });
        let (weak, page) = (Rc::downgrade(self), self.page_rules.documents.get());
        glib::MainContext::default().spawn_local(async move {
            let selectors = selectors.await.unwrap_or_default();
            // The view may be gone, or show another page.
            let Some(view) = weak.upgrade().filter(|view| view.page_rules.documents.get() == page) else { return };
            if !selectors.is_empty() {
                let rules: Vec<String> =
                    selectors.iter().map(|one| format!("{one} {{ display: none !important }}")).collect();
                view.add_style(&url, &rules.join("\n"));
            }
        });
    }

    /// Shows an error page for a page that was blocked by a rule, or (not `is_answered`) for lack of a verdict.
    pub(super) fn stopped_by_shields(self: &Rc<Self>, message: &UserMessage, is_answered: bool) -> bool {
        let words = message.parameters().and_then(|words| <(String, String)>::from_variant(&words));
        let Some((url, method)) = words else { return false };
        if !is_answered {
            // A form is sent again by its user only, and a replayed navigation from another site would look like this
            // site's own.
            self.error.is_unanswered.set(method == "GET" && !self.loader.bootstrapping.get());
            let nobody = "Shields could not check it, because Regen's network process is not there at the moment";
            self.show_error(&url, "This page cannot be reached", &format!("{nobody}. Nothing was sent to it."));
            return true;
        }
        // The log tells the user which rule it was. Processes of a page are not told.
        let because = "A filter list or a rule of your own blocks it; `regen shields log` names the rule";
        // The page must not choose text that the user copies into a shell.
        let is_plain = |site: &str| site.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:/[]".contains(&byte));
        let site = Site::of(&url).map(|site| site.as_str().to_owned()).ok().filter(|site| is_plain(site));
        let command = site.map(|site| format!(": regen shields level off --site {site}")).unwrap_or_default();
        let instead = "To open it anyway, turn shields off for its site";
        self.show_error(&url, TITLE, &format!("{because}. Nothing was sent to it. {instead}{command}"));
        true
    }

    /// Adds to the count of blocked requests, and reports it.
    pub(crate) fn count_blocked(&self, more: u32) {
        self.page_rules.blocked.set(self.page_rules.blocked.get().saturating_add(more));
        self.tell(Body::Blocked(self.page_rules.blocked.get()));
    }

    /// Returns whether this view shows the page with the engine's ID.
    pub(crate) fn is_page(&self, page: u64) -> bool {
        self.web.page_id() == page
    }
}

/// Returns the engine's URL pattern for all pages of a document's host.
pub(super) fn pattern_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!("{}://{}/*", url.scheme(), url.host_str()?))
}
