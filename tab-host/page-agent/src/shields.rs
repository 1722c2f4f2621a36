//! Asks for a verdict before a request of a page is sent. The engine blocks meanwhile.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use prost::Message;
use regen_proto::kernel_channel::{self, ChannelError, Datagram};
use regen_proto::net::v1::{
    CheckRequest, DocumentRequest, DocumentRules, PageAnswer, PageQuestion, Verdict, VerdictAnswer,
    VerdictChannelRequest, page_answer, page_question,
};
use regen_proto::{DOCUMENT, SHIELDS_PLACE};
use regen_runtime::read_sealed;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Timeout for an answer of the tab-host; longer than the tab-host's own timeouts.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout for a verdict of the net-daemon. The first verdict waits until the filter lists are loaded.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of a URL that is sent for a verdict, in bytes. Filter rules are about the beginning of a URL.
const MAX_ADDRESS: usize = 8000;
/// Maximum verdicts that are remembered.
const REMEMBERED: usize = 4096;

/// Maximum size of a document's rules, in bytes.
const MAX_RULES: u64 = 16 << 20;

/// Page, kind, method and URL of a request.
type Question = [String; 4];

/// Connections for verdicts of this process, and the verdicts that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Shields {
    /// Connection to the tab-host.
    connection: Option<OwnedFd>,
    /// Verdict channel to the net-daemon, which avoids a detour for each request.
    verdict_channel: Option<OwnedFd>,
    /// Time that the last verdict took.
    waited: Duration,
    /// Verdicts that are remembered: the engine requests many URLs twice.
    answers: HashMap<Question, Verdict>,
}

/// Rule of a verdict that blocks a request because the net-daemon could not be asked.
pub(crate) const UNANSWERED: &str = "unanswered";

impl Shields {
    /// Clears the verdicts when another page begins, because the user may have changed rules.
    pub(crate) fn forget(&mut self) {
        self.answers.clear();
    }

    /// Returns the verdict on a request. Without an answer, the request is blocked.
    pub(crate) fn check(&mut self, page: u64, mut request: CheckRequest) -> Verdict {
        let key = [&request.page, &request.kind, &request.method, &request.url].map(Clone::clone);
        if let Some(verdict) = self.answers.get(&key) {
            return verdict.clone();
        }
        let is_cut = shorten(&mut request.url) | shorten(&mut request.page);
        request.waited_us = u32::try_from(self.waited.as_micros()).unwrap_or(u32::MAX);
        let asked = Instant::now();
        let answer = self.verdict(&request);
        self.waited = asked.elapsed();
        // A missing verdict is not remembered.
        let Some(mut verdict) = answer else {
            return Verdict { blocked: true, rule: UNANSWERED.to_owned(), ..Verdict::default() };
        };
        if verdict.blocked {
            self.tell(page, page_question::Body::Blocked(1));
        }
        if is_cut {
            verdict.rewritten_url.clear();
        }
        if self.answers.len() >= REMEMBERED {
            self.answers.clear();
        }
        self.answers.insert(key, verdict.clone());
        verdict
    }

    /// Returns the rules for a document that begins; none if the tab-host cannot be asked.
    pub(crate) fn begin(&mut self, page: u64, mut request: DocumentRequest) -> DocumentRules {
        shorten(&mut request.url);
        shorten(&mut request.page);
        let rules = match self.ask(page, page_question::Body::Begin(request)) {
            Some((page_answer::Body::RulesSize(size), Some(sealed))) => read_sealed(&sealed, size, MAX_RULES).ok(),
            _ => None,
        };
        rules.and_then(|rules| DocumentRules::decode(rules.as_slice()).ok()).unwrap_or_default()
    }

    /// Asks the net-daemon. If it has died, asks its successor.
    fn verdict(&mut self, request: &CheckRequest) -> Option<Verdict> {
        let had_channel = self.verdict_channel.is_some();
        let answer = match self.ask_on_line(request) {
            Err(ChannelError::Closed) if had_channel => self.ask_on_line(request),
            answer => answer,
        };
        answer.ok()
    }

    fn ask_on_line(&mut self, request: &CheckRequest) -> Result<Verdict, ChannelError> {
        let channel = match self.verdict_channel.take() {
            Some(channel) => channel,
            None => self.new_verdict_channel(request.kind == DOCUMENT)?,
        };
        kernel_channel::send_now(channel.as_fd(), &request.encode_to_vec(), &[])?;
        let answer = next(channel.as_fd())?;
        let VerdictAnswer { verdict } = VerdictAnswer::decode(answer.bytes.as_slice()).map_err(io::Error::other)?;
        let verdict = verdict.ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
        // The channel is dropped after a timeout, because a late answer would be taken for the next one.
        self.verdict_channel = Some(channel);
        Ok(verdict)
    }

    fn new_verdict_channel(&mut self, is_page: bool) -> io::Result<OwnedFd> {
        let answer = self.ask(0, page_question::Body::VerdictChannel(VerdictChannelRequest { is_page }));
        let channel = answer.and_then(|(_, channel)| channel).ok_or(io::ErrorKind::NotFound)?;
        set_socket_timeout(&channel, Timeout::Recv, Some(VERDICT_TIMEOUT))?;
        Ok(channel)
    }

    /// Sends the tab-host a message that has no answer. Failures are ignored.
    fn tell(&mut self, page: u64, body: page_question::Body) {
        let Some(connection) = &self.connection else { return };
        let question = PageQuestion { page, body: Some(body) }.encode_to_vec();
        let _ = kernel_channel::send_now(connection.as_fd(), &question, &[]);
    }

    fn ask(&mut self, page: u64, body: page_question::Body) -> Option<(page_answer::Body, Option<OwnedFd>)> {
        let answer = self.exchange(&PageQuestion { page, body: Some(body) });
        if answer.is_none() {
            self.connection = None;
        }
        let (answer, descriptor) = answer?;
        Some((answer.body?, descriptor))
    }

    fn exchange(&mut self, question: &PageQuestion) -> Option<(PageAnswer, Option<OwnedFd>)> {
        if self.connection.is_none() {
            self.connection = connect().ok();
        }
        let connection = self.connection.as_ref()?.as_fd();
        kernel_channel::send_now(connection, &question.encode_to_vec(), &[]).ok()?;
        let answer = next(connection).ok()?;
        let descriptor = answer.descriptors.into_iter().next();
        Some((PageAnswer::decode(answer.bytes.as_slice()).ok()?, descriptor))
    }
}

/// Receives the next datagram.
fn next(connection: BorrowedFd<'_>) -> Result<Datagram, ChannelError> {
    loop {
        match kernel_channel::receive_now(connection) {
            // The engine stops its threads with a signal for garbage collection.
            Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Removes user information and fragment from a URL, and truncates it. Returns whether it was truncated.
fn shorten(url: &mut String) -> bool {
    *url = without_user(url);
    let is_long = url.len() > MAX_ADDRESS;
    url.truncate(url.floor_char_boundary(MAX_ADDRESS));
    is_long
}

/// Returns a URL without user information and fragment, with which a page could hide the rest from rules.
fn without_user(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn connect() -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(SHIELDS_PLACE)?)?;
    Ok(socket)
}

/// Returns the kind of a request, as filter lists name it. The engine sends a destination for trustworthy URLs only;
/// otherwise the kind is derived from the `Accept` header, or from the URL.
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
    use super::{kind, without_user};

    #[test]
    fn nothing_hides_the_host_and_the_path() {
        assert_eq!(without_user("https://u:p@a@b.test/x@y?z@#w"), "https://b.test/x@y?z@");
        assert_eq!(without_user("https://b.test?x@y"), "https://b.test?x@y");
        assert_eq!(without_user("https://b.test"), "https://b.test");
    }

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
