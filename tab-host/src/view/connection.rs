//! Connection of the page, as the engine knows it: its certificate, and the cookies that the site's server gets.

use std::rc::Rc;

use glib::object::ObjectExt;
use regen_proto::kernel::v1::Reply;
use serde::Serialize;
use webkit2gtk::{CookieManagerExt, WebContextExt, WebViewExt, gio};

use super::View;

/// Maximum number of cookies that are named.
const MAX_COOKIES: usize = 100;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 200;

/// A certificate. Times are in seconds since 1970.
#[derive(Debug, Serialize)]
struct Certificate {
    subject: String,
    issuer: String,
    from: i64,
    until: i64,
}

/// A cookie, without its value.
#[derive(Debug, Serialize)]
struct Cookie {
    name: String,
    bytes: usize,
    domain: String,
    /// Seconds since 1970; 0: with the session.
    expires: i64,
}

#[derive(Debug, Serialize)]
struct Connection {
    certificate: Option<Certificate>,
    cookies: Vec<Cookie>,
}

impl View {
    /// Answers with the certificate and the cookies of the page.
    pub(super) fn answer_connection(self: &Rc<Self>, request: u64) {
        let certificate = self.web.tls_info().map(|(certificate, _)| describe(&certificate));
        let url = self.loader.committed.borrow().clone();
        let view = Rc::clone(self);
        let answer = move |cookies: Vec<Cookie>| {
            let text = serde_json::to_string(&Connection { certificate, cookies });
            let (text, error) =
                text.map_or_else(|error| (String::new(), error.to_string()), |text| (text, String::new()));
            view.reply(Reply { request, text, error, ..Reply::default() });
        };
        let manager = self.web.context().and_then(|context| context.cookie_manager());
        let Some(manager) = manager.filter(|_| !url.is_empty()) else { return answer(Vec::new()) };
        manager.cookies(&url, gio::Cancellable::NONE, move |found| {
            let mut found = found.unwrap_or_default();
            answer(found.iter_mut().take(MAX_COOKIES).map(cookie).collect());
        });
    }
}

fn cut(text: Option<impl AsRef<str>>) -> String {
    text.map(|text| text.as_ref().chars().take(MAX_NAME).collect()).unwrap_or_default()
}

fn describe(certificate: &gio::TlsCertificate) -> Certificate {
    let text = |name: &str| cut(certificate.property::<Option<String>>(name));
    let time = |name: &str| certificate.property::<Option<glib::DateTime>>(name).map_or(0, |time| time.to_unix());
    Certificate {
        subject: text("subject-name"),
        issuer: text("issuer-name"),
        from: time("not-valid-before"),
        until: time("not-valid-after"),
    }
}

fn cookie(cookie: &mut soup::Cookie) -> Cookie {
    let (name, value) = (cookie.name(), cookie.value());
    let bytes = [&name, &value].into_iter().flatten().map(|text| text.len()).sum();
    Cookie {
        bytes,
        name: cut(name),
        domain: cut(cookie.domain()),
        expires: cookie.expires().map_or(0, |time| time.to_unix()),
    }
}
