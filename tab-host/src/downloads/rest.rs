//! Resumption of a download that an earlier connection, or an earlier process of this site, did not finish.
//!
//! The engine cannot resume a download. A hidden view requests the file with `Range` and `If-Range`, under the site's
//! cookies and rules, and the response becomes a download.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use glib::variant::ToVariant;
use gtk::prelude::*;
use regen_proto::kernel::v1::{Download as News, DownloadState, GoOnDownload, page_event::Body};
use webkit2gtk::{
    AuthenticationRequestExt, PolicyDecision, PolicyDecisionExt, PolicyDecisionType, ResponsePolicyDecision,
    ResponsePolicyDecisionExt, URIRequest, URIRequestExt, URIResponse, URIResponseExt, UserMessage, WebView,
    WebViewExt,
};
use wry::WebViewExtUnix;

use super::Downloads;
use crate::site_context::SiteContext;
use crate::web_view::build_hidden;

/// Timeout for a response to become a download.
const BEGINS: Duration = Duration::from_secs(10);

/// A request for the rest of a file.
pub(super) struct Rest {
    wanted: GoOnDownload,
    file: File,
    web: WebView,
    window: gtk::Window,
    /// Set once the server has answered and the load becomes a download.
    is_answered: bool,
    /// Keeps the web view alive: wry destroys it on drop.
    _wry: wry::WebView,
}

/// A resumed download: its number, and the file that it continues.
pub(super) struct Begun {
    pub(super) number: u64,
    pub(super) file: File,
    /// Bytes that the file already has.
    pub(super) offset: u64,
}

/// Reason why a server's response cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the file on the server has changed")]
    Changed,
    #[error("the server answers {0}")]
    Status(u32),
    #[error(transparent)]
    File(#[from] io::Error),
}

impl Downloads {
    /// Requests the rest of a file.
    pub(crate) fn go_on(self: &Rc<Self>, site: &SiteContext, wanted: GoOnDownload, descriptors: Vec<OwnedFd>) {
        let number = wanted.download;
        let Some(file) = descriptors.into_iter().next().map(File::from) else { return };
        if let Err(error) = self.ask(site, wanted, file) {
            self.unobtainable(number, &error.to_string(), true, false);
        }
    }

    fn ask(self: &Rc<Self>, site: &SiteContext, wanted: GoOnDownload, file: File) -> anyhow::Result<()> {
        let window = gtk::Window::new(gtk::WindowType::Toplevel);
        let wry = build_hidden(site, &window)?;
        let web = wry.webview();
        if let Some(context) = web.context() {
            self.connect(&context);
        }
        let request = URIRequest::new(&wanted.url);
        if let Some(headers) = request.http_headers() {
            if !wanted.referrer.is_empty() {
                headers.replace("Referer", &wanted.referrer);
            }
            if wanted.from > 0 && !wanted.validator.is_empty() {
                headers.replace("Range", &format!("bytes={}-", wanted.from));
                // The range counts bytes of the file, not of a compressed response.
                headers.replace("Accept-Encoding", "identity");
            }
        }
        let message = UserMessage::new("rest", Some(&(wanted.validator.as_str(),).to_variant()));
        web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, |_| {});
        let number = wanted.download;
        let all = Rc::downgrade(self);
        web.connect_decide_policy(move |_, decision, kind| {
            let all = all.upgrade();
            all.is_some_and(|all| all.decide(number, decision, kind))
        });
        let all = Rc::downgrade(self);
        web.connect_load_failed(move |_, _, _, error| {
            if let Some(all) = all.upgrade()
                && !all.is_answered(number)
            {
                all.unobtainable(number, error.message(), true, false);
            }
            true
        });
        let all = Rc::downgrade(self);
        web.connect_load_failed_with_tls_errors(move |_, _, _, _| {
            if let Some(all) = all.upgrade() {
                all.unobtainable(number, "the server's certificate is not valid", true, false);
            }
            true
        });
        let all = Rc::downgrade(self);
        web.connect_web_process_terminated(move |_, _| {
            if let Some(all) = all.upgrade() {
                all.unobtainable(number, "the page's process ended", true, false);
            }
        });
        // The view is hidden: the user cannot be asked for a password.
        web.connect_authenticate(|_, request| {
            request.cancel();
            true
        });
        web.load_request(&request);
        self.rests.borrow_mut().insert(number, Rest { wanted, file, web, window, is_answered: false, _wry: wry });
        Ok(())
    }

    fn is_answered(&self, number: u64) -> bool {
        self.rests.borrow().get(&number).is_some_and(|rest| rest.is_answered)
    }

    fn decide(self: &Rc<Self>, number: u64, decision: &PolicyDecision, kind: PolicyDecisionType) -> bool {
        let Some(response) = decision.downcast_ref::<ResponsePolicyDecision>() else {
            // Redirects are followed; windows are not opened.
            if kind == PolicyDecisionType::NewWindowAction {
                decision.ignore();
            }
            return kind == PolicyDecisionType::NewWindowAction;
        };
        let answer = {
            let mut rests = self.rests.borrow_mut();
            let (Some(rest), Some(response)) = (rests.get_mut(&number), response.response()) else { return false };
            rest.answered(&response)
        };
        match answer {
            Ok(()) => {
                decision.download();
                let all = Rc::downgrade(self);
                glib::timeout_add_local_once(BEGINS, move || {
                    if let Some(all) = all.upgrade() {
                        all.unobtainable(number, "the engine did not begin the download", true, false);
                    }
                });
            }
            Err(error) => {
                decision.ignore();
                let status = if let Unusable::Status(status) = error { status } else { 0 };
                let try_again = matches!(status, 408 | 429 | 500..) || matches!(error, Unusable::Changed);
                self.unobtainable(number, &error.to_string(), try_again, matches!(error, Unusable::Changed));
            }
        }
        true
    }

    /// Takes the request of the hidden view whose download has begun.
    pub(super) fn take_rest(&self, web: &WebView) -> Option<Begun> {
        let mut rests = self.rests.borrow_mut();
        let number = rests.iter().find(|(_, rest)| rest.web == *web).map(|(number, _)| *number)?;
        let rest = rests.remove(&number)?;
        let begun = Begun { number, file: rest.file.try_clone().ok()?, offset: rest.wanted.from };
        drop_later(rest);
        Some(begun)
    }

    /// Cancels a request for the rest of a file that the user no longer wants.
    pub(super) fn cancel_rest(&self, number: u64) {
        self.unobtainable(number, "", false, false);
    }

    fn unobtainable(&self, number: u64, error: &str, try_again: bool, changed: bool) {
        // A request that became a download is no longer listed, and the end of its load is no failure.
        let Some(rest) = self.rests.borrow_mut().remove(&number) else { return };
        let news = News {
            download: number,
            state: DownloadState::Failed.into(),
            error: error.to_owned(),
            can_go_on: try_again,
            changed,
            ..News::default()
        };
        self.sender.page(0, Body::Download(news));
        drop_later(rest);
    }
}

/// Closes the view later: the engine may still be in one of its signals.
fn drop_later(rest: Rest) {
    glib::idle_add_local_once(move || rest.window.close());
}

impl Rest {
    /// Checks the server's response, and prepares the file for it.
    fn answered(&mut self, response: &URIResponse) -> Result<(), Unusable> {
        match response.status_code() {
            206 => {
                let header = response.http_headers().and_then(|headers| headers.one("Content-Range"));
                let range = header.as_deref().and_then(content_range).ok_or(Unusable::Changed)?;
                let is_whole = range.1.is_none_or(|total| self.wanted.total == 0 || total == self.wanted.total);
                if range.0 != self.wanted.from || !is_whole {
                    return Err(Unusable::Changed);
                }
            }
            200 => {
                self.wanted.from = 0;
                self.file.set_len(0)?;
                self.file.seek(SeekFrom::Start(0))?;
            }
            416 => return Err(Unusable::Changed),
            status => return Err(Unusable::Status(status)),
        }
        self.is_answered = true;
        Ok(())
    }
}

/// Returns the first byte and the total size in a `Content-Range` such as `bytes 5-9/10`.
fn content_range(header: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = header.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_says_where_the_rest_begins() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for odd in ["", "bytes", "bytes */10", "items 5-9/10", "bytes x-9/10", "bytes 5-9"] {
            assert_eq!(content_range(odd), None, "{odd}");
        }
    }
}
