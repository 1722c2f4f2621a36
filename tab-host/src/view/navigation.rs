//! Navigation. The broker decides which process shows which site. This side carries that out, and hands over
//! navigations to other sites with their method, body, referrer and initiator, so that the web's own rules still hold
//! there.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use glib::object::Cast;
use glib::variant::{FromVariant, ToVariant};
use regen_proto::kernel::v1::{Load, NewTab, PageEvent, page_event::Body};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::{ChildToBroker, MAX_BODY, MAX_URL};
use regen_runtime::Sealed;
use serde::{Deserialize, Serialize};
use webkit2gtk::{
    NavigationAction, NavigationPolicyDecision, NavigationPolicyDecisionExt, NavigationType, PolicyDecision,
    PolicyDecisionExt, PolicyDecisionType, ResponsePolicyDecision, ResponsePolicyDecisionExt, URIRequestExt,
    UserMessage, UserMessageExt, WebViewExt,
};

use super::View;
use super::address::without_fragment;
use super::error_page::SEND_AGAIN;

const BOOTSTRAP: &str = include_str!("bootstrap.html");
/// Maximum navigations that are remembered with their method.
const MAX_ASKED: usize = 16;
const MIDDLE_BUTTON: u32 = 2;
/// GDK's Control modifier.
const CONTROL: u32 = 1 << 2;

/// A form that was just submitted, as the page-agent reported it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct SubmittedForm {
    pub(super) action: String,
    pub(super) enctype: String,
    pub(super) entries: serde_json::Value,
    /// Set if the form holds more than can be carried to another site.
    #[serde(default, skip_serializing)]
    pub(super) incomplete: bool,
}

/// Reads a large body from the last descriptor.
pub(super) fn fill_in_body(load: &mut Load, descriptors: &[OwnedFd]) -> std::io::Result<()> {
    if load.body_size > 0 {
        let payload = descriptors.last().ok_or_else(|| std::io::Error::other("the body has no descriptor"))?;
        load.body = regen_runtime::read_sealed(payload, load.body_size, MAX_BODY)?.into();
    }
    Ok(())
}

pub(super) fn connect(view: &Rc<View>) {
    super::error_page::connect(view);
    let weak = Rc::downgrade(view);
    view.web
        .connect_decide_policy(move |_, decision, kind| weak.upgrade().is_some_and(|view| view.decide(decision, kind)));
    let weak = Rc::downgrade(view);
    view.web.connect_user_message_received(move |_, message| {
        weak.upgrade().is_some_and(|view| view.agent_message(message))
    });
}

impl View {
    /// Loads what the broker requests.
    pub(super) fn load(self: &Rc<Self>, load: &Load) {
        self.loader.has_left.set(false);
        self.error.is_unanswered.set(false);
        // The page-agent reports the URL in this form.
        let plain = without_credentials(&load.url);
        self.loader.carried.replace(Some(without_fragment(&plain).to_owned()));
        self.loader.bootstrapping.set(!load.initiator.is_empty());
        if load.initiator.is_empty() {
            if plain != load.url {
                // In the URL, credentials would stay in the engine's history.
                let message = UserMessage::new("credentials", Some(&(load.url.as_str(),).to_variant()));
                self.web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, |_| {});
            }
            self.web.load_uri(&plain);
            return;
        }
        // A plain load would look as if the user had typed the address, which allows CSRF. A bootstrap document of an
        // opaque origin navigates instead, and the page-agent sets the headers of the initiator.
        let redirected = if load.redirected { "redirected" } else { "" };
        let words =
            (load.url.as_str(), load.initiator.as_str(), load.referrer.as_str(), load.method.as_str(), redirected);
        let message = UserMessage::new("handover", Some(&words.to_variant()));
        self.web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, |_| {});
        let form: Option<SubmittedForm> = serde_json::from_slice(&load.body).ok();
        let data = serde_json::json!({ "url": load.url, "method": load.method, "form": form });
        // Escape `<`, which could end the script element.
        let page = BOOTSTRAP.replace("\"$LOAD\"", &data.to_string().replace('<', "\\u003c"));
        self.web.load_html(&page, Some("about:blank"));
    }

    /// Returns whether the last navigation to a URL may be repeated without asking. A form is sent again by its user
    /// only, and a replayed navigation from another site would look like this site's own.
    pub(super) fn only_asks(&self, url: &str) -> bool {
        let asked = self.loader.requested.borrow();
        let last = asked.iter().rev().find(|(asked, _)| without_fragment(asked) == without_fragment(url));
        last.is_some_and(|(_, is_get)| *is_get) && !self.loader.bootstrapping.get()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "new windows are decided when they are created")]
    fn decide(self: &Rc<Self>, decision: &PolicyDecision, kind: PolicyDecisionType) -> bool {
        match kind {
            PolicyDecisionType::NavigationAction => decision
                .downcast_ref::<NavigationPolicyDecision>()
                .is_some_and(|navigation| self.decide_navigation(navigation)),
            PolicyDecisionType::Response => decision.downcast_ref::<ResponsePolicyDecision>().is_some_and(|response| {
                let shown = response.is_mime_type_supported();
                if !shown {
                    response.download();
                }
                !shown
            }),
            _ => false,
        }
    }

    fn decide_navigation(self: &Rc<Self>, decision: &NavigationPolicyDecision) -> bool {
        let Some(action) = decision.navigation_action() else { return false };
        let url = action.request().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        if url == SEND_AGAIN && self.loader.unsent.borrow().is_some() {
            decision.ignore();
            self.send_again();
            return true;
        }
        if is_for_others(&url) {
            // Keep the page, with what was typed into it.
            decision.ignore();
            if action.is_user_gesture() {
                self.tell(Body::Outside(url));
            }
            return true;
        }
        self.loader.wants_blank.set(url.starts_with("about:blank"));
        let method = action.request().and_then(|request| request.http_method());
        let mut asked = self.loader.requested.borrow_mut();
        asked.push_back((url.clone(), method.is_none_or(|method| method == "GET")));
        if asked.len() > MAX_ASKED {
            asked.pop_front();
        }
        drop(asked);
        match sends_again(&action, self.loader.is_coming_back.take()) {
            Again::No => self.loader.may_send_again.set(false),
            _ if self.loader.may_send_again.take() => {}
            Again::Yes => {
                decision.ignore();
                self.ask_before_sending(&url);
                return true;
            }
            Again::UnlessCached => {
                let message = UserMessage::new("unless-cached", Some(&(url.as_str(),).to_variant()));
                self.web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, |_| {});
            }
        }
        let new_tab = opens_tab(&action);
        if new_tab && action.is_user_gesture() && (url.starts_with("http:") || url.starts_with("https:")) {
            decision.ignore();
            self.open_tab(url, true);
            return true;
        }
        self.allow_autoplay(decision)
    }

    /// Opens another tab with this page as its initiator.
    pub(super) fn open_tab(&self, url: String, background: bool) {
        if url.len() > MAX_URL {
            tracing::info!("a new tab was not opened: its address is longer than {} KB", MAX_URL / 1024);
            return;
        }
        let initiator = self.origin();
        let load = Load { url, referrer: self.referrer(), initiator, user_gesture: true, ..Load::default() };
        self.tell(Body::NewTab(NewTab { load: Some(load), background, user_gesture: true }));
    }

    /// Returns the origin of the page that is shown.
    pub(super) fn origin(&self) -> String {
        let url = url::Url::parse(&self.loader.committed.borrow()).ok();
        url.map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// Returns the referrer that another site gets: this page's origin.
    fn referrer(&self) -> String {
        let origin = self.origin();
        if origin.is_empty() || origin == "null" { String::new() } else { format!("{origin}/") }
    }

    /// Handles a message of the page-agent, which has stopped a load of the main frame.
    fn agent_message(self: &Rc<Self>, message: &UserMessage) -> bool {
        match message.name().as_deref() {
            Some("handover") => self.stopped_on_its_way(message),
            Some("again") => {
                let url = message.parameters().and_then(|words| <(String,)>::from_variant(&words));
                url.iter().for_each(|(url,)| self.ask_before_sending(url));
                url.is_some()
            }
            Some("blocked") => self.stopped_by_shields(message, true),
            Some("unanswered") => self.stopped_by_shields(message, false),
            _ => false,
        }
    }

    /// Hands over a navigation of the main frame to another site.
    fn stopped_on_its_way(self: &Rc<Self>, message: &UserMessage) -> bool {
        let Some((url, method, referrer, first)) =
            message.parameters().and_then(|words| <(String, String, String, String)>::from_variant(&words))
        else {
            return false;
        };
        if url.len() > MAX_URL {
            let reason = format!("The address is longer than {} KB.", MAX_URL / 1024);
            self.show_error(
                url.get(..url.floor_char_boundary(MAX_URL)).unwrap_or_default(),
                "This address cannot be opened",
                &reason,
            );
            return true;
        }
        // The engine is about to replace the page of a stopped load by an empty document: save the page now.
        self.snapshot();
        self.hold_until_first_page();
        self.loader.has_left.set(true);
        let continues = self.loader.carried.borrow().as_deref() == Some(first.as_str());
        let redirected = continues || first != without_fragment(&url);
        let initiator = [self.origin(), self.loader.opener_origin.borrow().clone(), self.site_origin()];
        let initiator = initiator.into_iter().find(|origin| !origin.is_empty()).unwrap_or_default();
        let form = self.loader.last_form.take();
        let form = form.filter(|form| method == "POST" && without_fragment(&form.action) == first && !form.incomplete);
        let body = form.and_then(|form| serde_json::to_vec(&form).ok()).unwrap_or_default();
        let load = Load { url, method, referrer, initiator, redirected, continues, ..Load::default() };
        self.hand_over(load, body);
        true
    }

    /// Hands a navigation over to the broker. A popup that has no tab yet does so as soon as it has one.
    fn hand_over(&self, mut load: Load, body: Vec<u8>) {
        if self.id.get() == 0 {
            self.loader.postponed.replace(Some((load, body)));
            return;
        }
        let site = Rc::clone(&self.site);
        let mut descriptors = Vec::new();
        if body.len() > MAX_INLINE / 2 {
            match Sealed::new(&body).and_then(|sealed| sealed.as_fd().try_clone_to_owned()) {
                Ok(payload) => {
                    load.body_size = body.len() as u64;
                    descriptors.push(payload);
                }
                // The broker refuses a form without its body, and tells the user.
                Err(error) => tracing::error!("cannot hand over the body of a form: {error}"),
            }
        } else {
            load.body = body.into();
        }
        let event = PageEvent { tab: self.id.get(), body: Some(Body::Handover(load)) };
        site.sender.send_with(ChildToBroker::PageEvent(event), descriptors);
    }

    /// Sends the handover that waited for the popup's tab. Returns whether there was one.
    pub(super) fn hand_over_postponed(&self) -> bool {
        let postponed = self.loader.postponed.take();
        let is_leaving = postponed.is_some();
        if let Some((load, body)) = postponed {
            self.hand_over(load, body);
        }
        is_leaving
    }

    fn site_origin(&self) -> String {
        self.site.site.as_str().to_owned()
    }
}

/// Returns whether a URL is not for the engine, such as `mailto:`.
pub(super) fn is_for_others(url: &str) -> bool {
    const OURS: [&str; 8] = ["http", "https", "about", "data", "blob", "javascript", "file", "webkit-pdfjs-viewer"];
    url.split_once(':').is_some_and(|(scheme, _)| !OURS.contains(&scheme.to_ascii_lowercase().as_str()))
}

/// Returns whether the user wants a link in a tab of its own: by the middle button, or with Control.
pub(super) fn opens_tab(action: &NavigationAction) -> bool {
    action.mouse_button() == MIDDLE_BUTTON || action.modifiers() & CONTROL != 0
}

/// Answer to whether a navigation sends a form that was sent before.
enum Again {
    No,
    Yes,
    /// A step in the history. The engine may still have the page; if not, the page-agent stops the form.
    UnlessCached,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other way sends something new")]
fn sends_again(action: &NavigationAction, is_coming_back: bool) -> Again {
    let is_post = action.request().and_then(|request| request.http_method()).is_some_and(|method| method == "POST");
    match action.clone().navigation_type() {
        NavigationType::BackForward if is_post => Again::UnlessCached,
        NavigationType::FormResubmitted | NavigationType::Reload if is_post => Again::Yes,
        NavigationType::Other if is_post && is_coming_back => Again::Yes,
        _ => Again::No,
    }
}

/// Returns a URL without its user name and password, which travel in a header.
fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Neither call fails for a URL that has credentials.
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}
