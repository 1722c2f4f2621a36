//! Shields as a page meets them: what its script finds to be hidden becomes a style sheet of the user's, which no page can see or undo;
//! and how many of its requests were stopped.

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

/// Runs in every frame.
pub(super) const SCRIPT: &str = include_str!("shields.js");
/// So many style sheets are kept of one page.
const MAX_STYLES: usize = 500;
/// Above the reason why a page was not opened.
const TITLE: &str = "Shields did not open this page";

/// Classes and ids that have appeared.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    url: String,
    classes: Vec<String>,
    ids: Vec<String>,
    exceptions: Vec<String>,
}

impl View {
    /// Another page: what was hidden of the last one is not its business.
    pub(super) fn forget_styles(&self) {
        self.styles.borrow_mut().clear();
        self.common.take();
        if let Some(manager) = self.web.user_content_manager() {
            manager.remove_all_style_sheets();
        }
        self.documents.set(self.documents.get().wrapping_add(1));
        if self.blocked.replace(0) != 0 {
            self.tell(Body::Blocked(0));
        }
    }

    pub(super) fn add_style(&self, url: &str, css: &str) {
        let Some(pattern) = pattern_of(url) else { return };
        let mut styles = self.styles.borrow_mut();
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

    /// Asks what of it is to be hidden, and hides it.
    pub(super) fn seen(self: &Rc<Self>, seen: Seen) {
        let Some(host) = self.host() else { return };
        let (runtime, asker) = &host.asker;
        let Seen { url, classes, ids, exceptions } = seen;
        let request = HideRequest { url: url.clone(), classes, ids, exceptions };
        let (answer, selectors) = oneshot::channel();
        let hidden = asker.clone().hidden(request);
        runtime.spawn(async move {
            let _ = answer.send(hidden.await);
        });
        let (weak, page) = (Rc::downgrade(self), self.documents.get());
        glib::MainContext::default().spawn_local(async move {
            let selectors = selectors.await.unwrap_or_default();
            // It may be gone, or show another page.
            let Some(view) = weak.upgrade().filter(|view| view.documents.get() == page) else { return };
            if !selectors.is_empty() {
                let rules: Vec<String> =
                    selectors.iter().map(|one| format!("{one} {{ display: none !important }}")).collect();
                view.add_style(&url, &rules.join("\n"));
            }
        });
    }

    /// A list has something against the page itself.
    pub(super) fn stopped_by_shields(self: &Rc<Self>, message: &UserMessage, is_answered: bool) -> bool {
        let words = message.parameters().and_then(|words| <(String, String)>::from_variant(&words));
        let Some((url, method)) = words else { return false };
        if !is_answered {
            // A form is sent once more by its user only; and another site's navigation would look like this site's own.
            self.is_unanswered.set(method == "GET" && !self.bootstrapping.get());
            let nobody = "Nobody could be asked whether it may be opened, for Regen's network process is not there at the moment";
            self.show_error(&url, "This page cannot be reached", &format!("{nobody}. Nothing was sent to it."));
            return true;
        }
        // Which rule is told to the user, by the log, and not to a page's processes.
        let because = "A filter list or a rule of your own is against it, and `regen shields log` names the rule";
        // What is to be copied into a shell must not be of the page's making.
        let is_plain = |site: &str| site.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:/[]".contains(&byte));
        let site = Site::of(&url).map(|site| site.as_str().to_owned()).ok().filter(|site| is_plain(site));
        let command = site.map(|site| format!(": regen shields level off --site {site}")).unwrap_or_default();
        let instead = "To open it all the same, turn shields off for its site";
        self.show_error(&url, TITLE, &format!("{because}. Nothing was sent to it. {instead}{command}"));
        true
    }

    /// More of its requests were stopped.
    pub(crate) fn count_blocked(&self, more: u32) {
        self.blocked.set(self.blocked.get().saturating_add(more));
        self.tell(Body::Blocked(self.blocked.get()));
    }

    /// Whether this is what the engine calls a page by this number.
    pub(crate) fn is_page(&self, page: u64) -> bool {
        self.web.page_id() == page
    }
}

/// The pages of a document's host, as the engine wants it said.
pub(super) fn pattern_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!("{}://{}/*", url.scheme(), url.host_str()?))
}
