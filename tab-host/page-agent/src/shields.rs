//! Asks, before a request of a page is sent, whether it may be. The engine stands still meanwhile.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use prost::Message;
use regen_proto::kernel_channel;
use regen_proto::net::v1::{CheckAnswer, CheckRequest, Verdict};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Where the tab-host listens, in the sandbox of both.
const PLACE: &str = "/tmp/regen-shields";
/// Longer than the tab-host takes to say no.
const PATIENCE: Duration = Duration::from_secs(15);
/// Filter rules are about the beginning of an address; of a longer one, so much is asked about, in characters.
const LONGEST: usize = 8000;
/// So many answers are remembered.
const REMEMBERED: usize = 4096;

/// One page's questions and answers.
#[derive(Debug, Default)]
pub(crate) struct Shields {
    connection: Option<OwnedFd>,
    /// By what it is for, and the address: the engine asks for much twice.
    answers: HashMap<(String, String), Verdict>,
}

impl Shields {
    /// Another page begins: its user may have changed their mind.
    pub(crate) fn forget(&mut self) {
        self.answers.clear();
    }

    /// Whether a request may be sent. Without an answer it may not.
    pub(crate) fn check(&mut self, request: CheckRequest) -> Verdict {
        let key = (request.kind.clone(), request.url.clone());
        if let Some(verdict) = self.answers.get(&key) {
            return verdict.clone();
        }
        let Some(verdict) = self.ask(request) else {
            self.connection = None;
            return Verdict { blocked: true, ..Verdict::default() };
        };
        if self.answers.len() >= REMEMBERED {
            self.answers.clear();
        }
        self.answers.insert(key, verdict.clone());
        verdict
    }

    fn ask(&mut self, mut request: CheckRequest) -> Option<Verdict> {
        for text in [&mut request.url, &mut request.page] {
            if text.len() > LONGEST {
                *text = text.chars().take(LONGEST).collect();
            }
        }
        if self.connection.is_none() {
            self.connection = connect().ok();
        }
        let connection = self.connection.as_ref()?.as_raw_fd();
        kernel_channel::send_now(connection, &request.encode_to_vec(), &[]).ok()?;
        let answer = kernel_channel::receive_now(connection).ok()?;
        CheckAnswer::decode(answer.bytes.as_slice()).ok()?.verdict
    }
}

fn connect() -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(PLACE)?)?;
    Ok(socket)
}

/// What a request is for, as filter lists name it. The engine says it where an address is trustworthy; elsewhere it shows in
/// what is accepted, and else in the address.
pub(crate) fn kind(destination: &str, accept: &str, url: &str) -> &'static str {
    match destination {
        "script" | "worker" | "sharedworker" | "serviceworker" | "audioworklet" | "paintworklet" => return "script",
        "style" | "xslt" => return "stylesheet",
        "image" => return "image",
        "font" => return "font",
        "audio" | "video" | "track" => return "media",
        "iframe" | "frame" | "document" => return "subdocument",
        "object" | "embed" => return "object",
        "report" => return "ping",
        "empty" => return "xmlhttprequest",
        _ => {}
    }
    if accept.starts_with("text/html") {
        return "subdocument";
    } else if accept.starts_with("text/css") {
        return "stylesheet";
    } else if accept.starts_with("image/") {
        return "image";
    } else if accept.starts_with("video/") || accept.starts_with("audio/") {
        return "media";
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end) {
        Some("js" | "mjs") => "script",
        Some("woff" | "woff2" | "ttf" | "otf") => "font",
        Some("mp4" | "webm" | "mp3" | "ogg" | "m4a") => "media",
        _ => "xmlhttprequest",
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn what_a_request_is_for_is_said_or_shows() {
        assert_eq!(kind("script", "*/*", "https://a.test/x"), "script");
        assert_eq!(kind("empty", "*/*", "https://a.test/x.js"), "xmlhttprequest");
        assert_eq!(kind("", "text/css,*/*;q=0.1", "http://a.test/x"), "stylesheet");
        assert_eq!(kind("", "image/png,image/*;q=0.8,*/*;q=0.5", "http://a.test/x"), "image");
        assert_eq!(kind("", "*/*", "http://a.test/ads.js?n=1.css"), "script");
        assert_eq!(kind("", "*/*", "http://a.test/font.woff2#x"), "font");
        assert_eq!(kind("", "*/*", "http://a.test/collect"), "xmlhttprequest");
        assert_eq!(kind("", "*/*", ""), "xmlhttprequest");
    }
}
