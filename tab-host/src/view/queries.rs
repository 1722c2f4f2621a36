//! Questions of the broker to a page.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use gtk::prelude::*;
use regen_proto::kernel::v1::{Query, QueryKind, Reply};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::ChildToBroker;
use regen_runtime::Sealed;
use tokio::sync::oneshot;
use webkit2gtk::WebViewExt;

use super::{View, agent};
use crate::display::{DisplayCommand, Picture};

/// Timeout for a page to draw itself for a screenshot.
const PICTURE: Duration = Duration::from_secs(5);

impl View {
    pub(super) fn query(self: &Rc<Self>, query: &Query) {
        match query.kind() {
            QueryKind::Text => self.answer_text(query.request),
            QueryKind::Screenshot => self.answer_picture(query.request),
            QueryKind::Saved => {
                let (view, request) = (Rc::clone(self), query.request);
                agent::evaluate(&self.web, agent::REPORT_NOW, move |_| {
                    let site = Rc::clone(&view.site);
                    site.cookies.look(move || {
                        view.snapshot();
                        view.reply(Reply { request, ..Reply::default() });
                    });
                });
            }
            QueryKind::Objects => {
                let (view, request) = (Rc::clone(self), query.request);
                agent::evaluate(&self.web, agent::OBJECTS, move |answer| {
                    view.reply(Reply { request, text: answer.unwrap_or_default(), ..Reply::default() });
                });
            }
            QueryKind::Connection => self.answer_connection(query.request),
            QueryKind::Settled => self.answer_settled(query.request, query.events),
            QueryKind::Unspecified => {
                self.reply(Reply { request: query.request, error: "unknown kind of query".into(), ..Reply::default() });
            }
        }
    }

    pub(super) fn reply(&self, reply: Reply) {
        self.site.sender.send(ChildToBroker::Reply(reply));
    }

    fn reply_payload(&self, reply: Reply, payload: &[u8]) {
        let site = Rc::clone(&self.site);
        match Sealed::new(payload).and_then(|sealed| sealed.as_fd().try_clone_to_owned()) {
            Ok(fd) => {
                let reply = Reply { payload_size: payload.len() as u64, ..reply };
                site.sender.send_with(ChildToBroker::Reply(reply), vec![fd]);
            }
            Err(error) => self.reply(Reply { error: error.to_string(), ..reply }),
        }
    }

    fn answer_text(self: &Rc<Self>, request: u64) {
        let view = Rc::clone(self);
        // An SVG document has no `innerText`.
        let script = "(() => { const root = document.body || document.documentElement; return root?.innerText ?? root?.textContent ?? '' })()";
        agent::evaluate(&self.web, script, move |result| match result {
            Ok(text) if text.len() > MAX_INLINE / 2 => {
                view.reply_payload(Reply { request, ..Reply::default() }, text.as_bytes());
            }
            Ok(text) => view.reply(Reply { request, text, ..Reply::default() }),
            Err(error) => view.reply(Reply { request, error, ..Reply::default() }),
        });
    }

    /// Answers when the input before this query has reached the page. The engine hands keys to the page one by one,
    /// each after the last was handled. The messages here do the same, one for each event, so every key is handled
    /// before the last one.
    fn answer_settled(self: &Rc<Self>, request: u64, events: u32) {
        const MAX_COUNT: u32 = 4000;
        let site = Rc::clone(&self.site);
        let (done, delivered) = oneshot::channel();
        site.display.send(DisplayCommand::Delivered(self.id.get(), done));
        let view = Rc::clone(self);
        glib::MainContext::default().spawn_local_with_priority(glib::Priority::LOW, async move {
            // Fails only when the process is ending.
            let _ = delivered.await;
            for _ in 0..events.min(MAX_COUNT) + 2 {
                glib::timeout_future_with_priority(glib::Priority::LOW, Duration::ZERO).await;
                let (answered, answer) = oneshot::channel();
                // The web process answers a message that has no receiver. A script would consume user activation.
                let message = webkit2gtk::UserMessage::new("settled", None);
                view.web.send_message_to_page(&message, None::<&webkit2gtk::gio::Cancellable>, move |_| {
                    let _ = answered.send(());
                });
                // A destroyed view does not answer.
                if answer.await.is_err() {
                    break;
                }
            }
            view.reply(Reply { request, ..Reply::default() });
        });
    }

    fn answer_picture(self: &Rc<Self>, request: u64) {
        let site = Rc::clone(&self.site);
        let was_visible = self.surface.is_visible.get();
        if !was_visible {
            self.show(true);
        }
        // A page that is still loading has not drawn itself.
        self.web.queue_draw();
        let (answer, picture) = oneshot::channel::<Picture>();
        site.display.send(DisplayCommand::Capture(self.id.get(), answer));
        let view = Rc::clone(self);
        glib::MainContext::default().spawn_local(async move {
            let reply = Reply { request, ..Reply::default() };
            let drawn = tokio::select! {
                picture = picture => picture.ok(),
                () = glib::timeout_future(PICTURE) => None,
            };
            match drawn {
                Some(picture) => {
                    let reply = Reply { width: picture.width, height: picture.height, ..reply };
                    view.reply_payload(reply, &picture.bgra);
                }
                None => {
                    let error = "no screenshot: the page was not drawn within 5 s".to_owned();
                    view.reply(Reply { error, ..reply });
                }
            }
            if !was_visible {
                view.show(false);
            }
        });
    }
}
