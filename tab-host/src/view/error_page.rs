//! The error page, which takes the place of a page that failed to load. It names the host and the reason, and has a
//! button to retry.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use glib::object::ObjectExt;

use regen_proto::kernel::v1::{LoadFailed, page_event::Body};
use std::sync::PoisonError;
use webkit2gtk::{
    BackForwardListExt, BackForwardListItem, BackForwardListItemExt, LoadEvent, NetworkError, PolicyError, SettingsExt,
    WebViewExt, gio,
};

use super::View;
use super::address::without_fragment;

/// Stage of the error page in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// No error page.
    #[default]
    None,
    /// The next load is the error page's.
    Expected,
    /// The error page is in the view.
    Shown,
}

/// Error page of a view, and why it is there.
#[derive(Debug, Default)]
pub(super) struct ErrorState {
    pub(super) stage: Cell<Stage>,
    failed_load: RefCell<Option<LoadFailed>>,
    /// Set if the page failed to load because there was no net-daemon.
    pub(super) is_unanswered: Cell<bool>,
    /// Set if a net-daemon came back before the error page was shown, which then retries.
    tries_when_shown: Cell<bool>,
}

/// Time within which the load begins that supersedes another one.
const SUPERSEDED: Duration = Duration::from_millis(300);
const BLANK: &str = "about:blank";
/// Target of the button that sends a form again.
pub(super) const SEND_AGAIN: &str = "about:send-again";
const PAGE: &str = include_str!("error_page.html");

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_load_failed(move |_, event, url, error| {
        let Some(view) = weak.upgrade() else { return false };
        if is_no_failure(error) {
            let is_superseded = error.matches(NetworkError::Cancelled) || error.matches(gio::IOErrorEnum::Cancelled);
            let is_superseded = is_superseded && !view.loader.is_stopped.take();
            if is_superseded && view.loader.committed.borrow().is_empty() {
                view.check_superseded(url);
            }
            view.load_abandoned(is_superseded);
            return true;
        }
        view.failed(event, url, error);
        true
    });
    let weak = Rc::downgrade(view);
    view.web.connect_load_failed_with_tls_errors(move |_, url, certificate, problems| {
        let Some(view) = weak.upgrade() else { return false };
        let reason = describe_tls(problems | by_the_clock(certificate));
        view.show_failure(url, url, "The connection is not secure", &reason, true);
        true
    });
}

/// Returns whether a load ended without a failure: it was stopped or replaced, or became a download.
fn is_no_failure(error: &glib::Error) -> bool {
    error.matches(NetworkError::Cancelled)
        || error.matches(PolicyError::FrameLoadInterruptedByPolicyChange)
        || error.matches(gio::IOErrorEnum::Cancelled)
}

impl View {
    fn failed(self: &Rc<Self>, _event: LoadEvent, url: &str, error: &glib::Error) {
        let host = host_of(url);
        let failures = self.site.tunnel.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let known = failures.get(&host).cloned();
        drop(failures);
        let without_network = known.as_ref().and_then(|known| known.without_network);
        if let Some(since) = without_network.filter(|_| self.only_asks(url)) {
            self.error.is_unanswered.set(true);
            // A new net-daemon may be available already.
            let is_back = self.site.network_back.get().is_some_and(|back| back > since);
            self.error.tries_when_shown.set(is_back);
        }
        // A failure that only the engine reports, such as a closed connection or no TLS, is the host's own.
        let is_its_own = known.as_ref().is_none_or(|known| known.is_its_own);
        let reason = known.map_or_else(|| error.message().to_owned(), |known| known.why);
        let title = if host.is_empty() { "This address cannot be opened" } else { "This page cannot be reached" };
        self.show_failure(url, url, title, &sentence(&reason), is_its_own);
    }

    /// Returns whether the engine has refused the port of a URL. It then shows an empty document, without an error.
    pub(super) fn is_refused_port(&self, url: &str) -> bool {
        let started = self.loader.started.borrow();
        // Before the bootstrap document, the engine may show the empty document that replaced the last page.
        let is_stale = self.loader.bootstrapping.get()
            && self.loader.carried.borrow().as_deref() != Some(without_fragment(&started));
        let is_wanted = self.loader.wants_blank.get() && !self.loader.bootstrapping.get();
        self.error.stage.get() == Stage::None && url == BLANK && started.starts_with("http") && !is_stale && !is_wanted
    }

    pub(super) fn refuse_port(self: &Rc<Self>) {
        let reason = "Its port is reserved for another service than the web. Regen does not open pages there.";
        // The engine does not show an error page under such a URL either, so it is shown under `about:blank`.
        self.show_failure(BLANK, &self.loader.started.take(), "This address cannot be opened", reason, false);
    }

    /// Checks that a first load, which the engine cancelled, makes way for another one. The engine also cancels a load whose
    /// certificate is not valid, if that is found at an unlucky moment: it is tried once more, and then has failed.
    fn check_superseded(self: &Rc<Self>, url: &str) {
        let (weak, loads, url) = (Rc::downgrade(self), self.loader.loads.get(), url.to_owned());
        glib::timeout_add_local_once(SUPERSEDED, move || {
            let Some(view) = weak.upgrade() else { return };
            let has_other = view.loader.loads.get() != loads || view.web.is_loading() || view.loader.has_left.get();
            let has_page = !view.loader.committed.borrow().is_empty() || view.error.stage.get() != Stage::None;
            if has_other || has_page {
                return;
            }
            if view.only_asks(&url) && !view.loader.is_retried.replace(true) {
                view.web.load_uri(&url);
            } else {
                view.show_error(
                    &url,
                    "This page cannot be reached",
                    "The connection was given up before the page began.",
                );
            }
        });
    }

    /// Handles a load that yielded no page: keeps the present page, or reports the load as abandoned if there is none.
    fn load_abandoned(self: &Rc<Self>, is_superseded: bool) {
        if self.error.stage.get() != Stage::None {
            return;
        }
        if !self.loader.committed.borrow().is_empty() {
            self.commit_again();
        } else if let Some(host) = self.host().filter(|_| !is_superseded) {
            host.downloads().load_abandoned(self.id.get());
        }
    }

    /// Shows the error page in place of `url`, so that a reload tries it again.
    pub(super) fn show_error(self: &Rc<Self>, url: &str, title: &str, reason: &str) {
        self.show_failure(url, url, title, reason, false);
    }

    fn show_failure(self: &Rc<Self>, address: &str, url: &str, title: &str, reason: &str, is_its_own: bool) {
        self.show_page();
        self.error.stage.set(Stage::Expected);
        self.web.load_alternate_html(&page(url, title, reason, url, "Retry"), address, None);
        let reason = format!("{title}: {reason}");
        self.error.failed_load.replace(Some(LoadFailed { url: url.to_owned(), reason, is_its_own }));
    }

    /// Asks the user whether to send a form again, which is needed to show its response again.
    pub(super) fn ask_before_sending(self: &Rc<Self>, url: &str) {
        self.show_page();
        let title = "This page is the response to a form";
        let reason = "To show it again, the form must be sent again. That may repeat an order, a payment or a message.";
        let list = self.web.back_forward_list();
        let is_it = |item: &BackForwardListItem| item.uri().is_some_and(|uri| uri == url);
        let near = list.into_iter().flat_map(|list| {
            let around = list.back_list_with_limit(1).into_iter().chain(list.forward_list_with_limit(1));
            list.current_item().into_iter().chain(around).collect::<Vec<_>>()
        });
        self.loader.unsent.replace(near.into_iter().find(is_it));
        // The engine must not show the form's response from its page cache instead.
        self.keep_pages_in_memory(false);
        self.error.stage.set(Stage::Expected);
        self.web.load_alternate_html(&page(url, title, reason, SEND_AGAIN, "Send again"), url, None);
        let reason = format!("{title}: {reason}");
        self.error.failed_load.replace(Some(LoadFailed { url: url.to_owned(), reason, is_its_own: false }));
    }

    fn keep_pages_in_memory(&self, keeps: bool) {
        if let Some(settings) = WebViewExt::settings(&self.web) {
            settings.set_enable_page_cache(keeps);
        }
    }

    /// Goes back from the question whether to send a form to the page before it. Returns whether it did.
    pub(super) fn step_back_from_question(&self) -> bool {
        let Some(unsent) = self.loader.unsent.borrow().clone().filter(|_| self.error.stage.get() == Stage::Shown)
        else {
            return false;
        };
        let back = self.web.back_forward_list().map(|list| list.back_list()).unwrap_or_default();
        let target = back.into_iter().find(|item| *item != unsent);
        target.iter().for_each(|target| self.web.go_to_back_forward_list_item(target));
        target.is_some()
    }

    /// Sends the form again, as the user has agreed.
    pub(super) fn send_again(&self) {
        if let Some(item) = self.loader.unsent.take().filter(|_| self.error.stage.get() == Stage::Shown) {
            self.loader.may_send_again.set(true);
            self.web.go_to_back_forward_list_item(&item);
        }
    }

    /// Reports the failure once the error page is shown.
    pub(super) fn error_shown(self: &Rc<Self>) {
        self.keep_pages_in_memory(true);
        if let Some(failure) = self.error.failed_load.take() {
            self.tell(Body::LoadFailed(failure));
        }
        if self.error.tries_when_shown.take() {
            self.try_again();
        }
    }

    /// Retries a page that failed for lack of a net-daemon, now that there is one again.
    pub(crate) fn try_again(self: &Rc<Self>) {
        if !self.error.is_unanswered.get() {
            return;
        }
        match self.error.stage.get() {
            Stage::Shown => {
                self.error.is_unanswered.set(false);
                self.reload(false);
            }
            // A reload would load the previous page.
            Stage::Expected => self.error.tries_when_shown.set(true),
            Stage::None => self.error.is_unanswered.set(false),
        }
    }

    pub(super) fn reload(self: &Rc<Self>, bypass_cache: bool) {
        if bypass_cache { self.web.reload_bypass_cache() } else { self.web.reload() }
    }
}

fn page(url: &str, title: &str, reason: &str, action: &str, label: &str) -> String {
    PAGE.replace("{{title}}", &escape(title))
        .replace("{{host}}", &escape(&host_of(url)))
        .replace("{{label}}", label)
        .replace("{{action}}", &escape(action))
        .replace("{{reason}}", &escape(reason))
}

fn host_of(url: &str) -> String {
    let url = url::Url::parse(url).ok();
    url.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    let mut text = text.trim_end_matches('.').to_owned();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// Returns problems with the validity dates, which the TLS library reports only as “not valid”.
fn by_the_clock(certificate: &gio::TlsCertificate) -> gio::TlsCertificateFlags {
    let Ok(now) = glib::DateTime::now_utc() else { return gio::TlsCertificateFlags::empty() };
    let date = |name: &str| certificate.property::<Option<glib::DateTime>>(name);
    if date("not-valid-after").is_some_and(|end| end < now) {
        gio::TlsCertificateFlags::EXPIRED
    } else if date("not-valid-before").is_some_and(|start| start > now) {
        gio::TlsCertificateFlags::NOT_ACTIVATED
    } else {
        gio::TlsCertificateFlags::empty()
    }
}

fn describe_tls(problems: gio::TlsCertificateFlags) -> String {
    let known = [
        (gio::TlsCertificateFlags::EXPIRED, "its certificate has expired"),
        (gio::TlsCertificateFlags::NOT_ACTIVATED, "its certificate is not valid yet"),
        (gio::TlsCertificateFlags::BAD_IDENTITY, "its certificate belongs to another host"),
        (
            gio::TlsCertificateFlags::UNKNOWN_CA,
            "its certificate was not issued by an authority that this profile trusts",
        ),
        (gio::TlsCertificateFlags::REVOKED, "its certificate was revoked"),
        (gio::TlsCertificateFlags::INSECURE, "its certificate uses an algorithm that is no longer secure"),
    ];
    let named: Vec<&str> = known.iter().filter(|(flag, _)| problems.contains(*flag)).map(|(_, text)| *text).collect();
    let list = if named.is_empty() { "its certificate is not valid".to_owned() } else { named.join(", and ") };
    sentence(&format!("{list}. Nothing was sent to it"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_address_becomes_markup() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(host_of("http://[::1]:80/x"), "::1");
        assert_eq!(sentence("no route."), "No route.");
    }
}
