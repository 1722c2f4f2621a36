//! `regen://shell/…`: serves the chrome's own files, compiled in. Its policy must never allow other sources.

use std::borrow::Cow;

use wry::http::{Request, Response};

/// Address of the chrome's first document.
pub(crate) const START: &str = "regen://shell/index.html";
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! built {
    ($file:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/web/", $file))
    };
}

/// Files that `build.rs` has made of `web/`.
const FILES: [(&str, &str, &str); 4] = [
    ("/index.html", "text/html", built!("index.html")),
    ("/style.css", "text/css", built!("style.css")),
    ("/chrome.css", "text/css", built!("chrome.css")),
    ("/chrome.js", "text/javascript", built!("chrome.js")),
];

/// Answers one request from the chrome; any path that is not in [`FILES`] is a 404.
pub(crate) fn serve(request: &Request<Vec<u8>>) -> Response<Cow<'static, [u8]>> {
    let found = FILES.iter().find(|(path, _, _)| *path == request.uri().path());
    let (status, kind, body) = found.map_or((404, "text/plain", "not found"), |(_, kind, body)| (200, *kind, *body));
    let response = Response::builder()
        .status(status)
        .header("Content-Type", format!("{kind}; charset=utf-8"))
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .body(Cow::Borrowed(body.as_bytes()));
    response.unwrap_or_default()
}
