//! The page that stands where a page could not be had: which host, why, and a Retry that works.

use std::rc::Rc;

use glib::object::ObjectExt;

use regen_proto::kernel::v1::{LoadFailed, page_event::Body};
use std::sync::PoisonError;
use webkit2gtk::{LoadEvent, NetworkError, PolicyError, WebViewExt, gio};

use super::View;
use super::navigation::without_fragment;

/// Whether an error page is in the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// A page of the web.
    #[default]
    None,
    /// The next load is the error page's.
    Expected,
    /// The error page.
    Shown,
}

const BLANK: &str = "about:blank";
const PAGE: &str = include_str!("error_page.html");

pub(super) fn connect(view: &Rc<View>) {
    let weak = Rc::downgrade(view);
    view.web.connect_load_failed(move |_, event, url, error| {
        let Some(view) = weak.upgrade() else { return false };
        if is_no_failure(error) {
            view.load_abandoned();
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

/// The user stopped it, another load took its place, or it became a download.
fn is_no_failure(error: &glib::Error) -> bool {
    error.matches(NetworkError::Cancelled)
        || error.matches(PolicyError::FrameLoadInterruptedByPolicyChange)
        || error.matches(gio::IOErrorEnum::Cancelled)
}

impl View {
    fn failed(self: &Rc<Self>, _event: LoadEvent, url: &str, error: &glib::Error) {
        let host = host_of(url);
        let known = self
            .host()
            .and_then(|regen| regen.tunnel.failures.lock().unwrap_or_else(PoisonError::into_inner).get(&host).cloned());
        // What the engine alone knows of, a connection that ends, or is no TLS, is the host's.
        let is_its_own = known.as_ref().is_none_or(|known| known.is_its_own);
        let reason = known.map_or_else(|| error.message().to_owned(), |known| known.why);
        let title = if host.is_empty() { "This address cannot be opened" } else { "This page cannot be reached" };
        self.show_failure(url, url, title, &sentence(&reason), is_its_own);
    }

    /// An empty document in the place of a page of the web, without a word: that is how the engine refuses a port.
    pub(super) fn is_refused_port(&self, url: &str) -> bool {
        let started = self.started.borrow();
        // Before the document that replays a navigation, the engine may show the one that it put in the place of the last page.
        let is_stale = self.bootstrapping.get() && self.carried.borrow().as_deref() != Some(without_fragment(&started));
        self.error_page.get() == Stage::None && url == BLANK && started.starts_with("http") && !is_stale
    }

    pub(super) fn refuse_port(self: &Rc<Self>) {
        let reason = "Its port belongs to another service than the web: pages are not opened there.";
        // Nor is anything else shown under such an address.
        self.show_failure(BLANK, &self.started.take(), "This address cannot be opened", reason, false);
    }

    fn load_abandoned(self: &Rc<Self>) {
        if self.error_page.get() == Stage::None && !self.committed.borrow().is_empty() {
            self.commit_again();
        }
    }

    /// Shows the error page in the place of `url`, so that reloading tries it again.
    pub(super) fn show_error(self: &Rc<Self>, url: &str, title: &str, reason: &str) {
        self.show_failure(url, url, title, reason, false);
    }

    fn show_failure(self: &Rc<Self>, address: &str, url: &str, title: &str, reason: &str, is_its_own: bool) {
        self.error_page.set(Stage::Expected);
        let host = host_of(url);
        let page = PAGE
            .replace("{{title}}", &escape(title))
            .replace("{{host}}", &escape(&host))
            .replace("{{reason}}", &escape(reason))
            .replace("{{url}}", &escape(url));
        self.web.load_alternate_html(&page, address, None);
        let reason = format!("{title}: {reason}");
        self.failure.replace(Some(LoadFailed { url: url.to_owned(), reason, is_its_own }));
    }

    /// The error page is there to be read.
    pub(super) fn error_shown(self: &Rc<Self>) {
        if let Some(failure) = self.failure.take() {
            self.tell(Body::LoadFailed(failure));
        }
        if self.tries_when_shown.take() {
            self.try_again();
        }
    }

    /// There is a net-daemon again: a page that could not be had without one is asked for once more.
    pub(crate) fn try_again(self: &Rc<Self>) {
        if !self.is_unanswered.get() {
            return;
        }
        match self.error_page.get() {
            Stage::Shown => {
                self.is_unanswered.set(false);
                self.reload(false);
            }
            // The engine would load the page before it again.
            Stage::Expected => self.tries_when_shown.set(true),
            Stage::None => self.is_unanswered.set(false),
        }
    }

    pub(super) fn reload(self: &Rc<Self>, bypass_cache: bool) {
        if bypass_cache { self.web.reload_bypass_cache() } else { self.web.reload() }
    }
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

/// What the TLS library leaves in a general “not valid”: the dates.
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
