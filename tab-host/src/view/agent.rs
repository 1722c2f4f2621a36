//! The page-agent's script half: runs in a world of its own in every frame, and reports what the engine does not keep —
//! typed text, scroll position, and what a form is about to send. It never reports passwords or card fields.

use std::rc::Rc;

use serde::Deserialize;
use webkit2gtk::gio::Cancellable;
use webkit2gtk::{
    UserContentInjectedFrames, UserContentManagerExt, UserScript, UserScriptInjectionTime, WebView, WebViewExt,
};

use super::error_page::Stage;
use super::navigation::SubmittedForm;
use super::shields::{self, Seen};
use super::{View, held_picture};

/// The script world that pages cannot reach into.
pub(super) const WORLD: &str = "regen";
/// Asks the page, without leaving it, if it would object to being left.
pub(super) const OBJECTS: &str = "globalThis.objects?.() ?? false";
/// Makes the main frame's script report what it would report a moment later.
pub(super) const REPORT_NOW: &str = "globalThis.reportNow?.()";
/// Makes it report what was typed, and the state of the history entry.
pub(super) const REPORT_MOVE: &str = "globalThis.reportMove?.()";
/// Makes it report the state of the history entry.
pub(super) const REPORT_STATE: &str = "globalThis.reportState?.()";
const SCRIPT: &str = include_str!("agent.js");
const HANDLER: &str = "regen";
/// Where the state of the main frame's history entry is kept beside what was typed in each frame: no frame has this path.
const STATE: &str = "state";
/// Longest report that is looked at.
const MAX_REPORT: usize = 48 * 1024 * 1024;
/// Longest report on edited controls that is kept.
const MAX_FORM: usize = 3 << 20;

/// What the script says.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Report {
    /// The edited controls of a frame.
    Form { frame: String, edits: serde_json::Value },
    /// The main frame was scrolled.
    Scroll { x: f64, y: f64 },
    /// `history.state` of the main frame, as JSON.
    State { url: String, state: String },
    /// All of a document's `sessionStorage`, as JSON: a list of keys and values.
    Storage { origin: String, items: String },
    /// A form of any frame is about to be sent.
    Submit(SubmittedForm),
    /// What is to be hidden of a document.
    Style { url: String, css: String },
    /// Whether a document has what most have; 0: it has not.
    Common { url: String, version: u32, filter: u32 },
    /// A document has grown.
    Seen(Seen),
    /// The page's icon, which the engine does not draw: pixels row by row, in base64.
    Icon { side: u32, rgba: String },
    /// The page used a key that the browser would have used.
    Key {},
    /// A page that came back is as it was.
    Back {},
    /// The page did not use a turn of the wheel while Control was held.
    Wheel { down: bool },
}

/// The page that a report is about, by the engine's number.
#[derive(Debug, Default, Deserialize)]
struct SaidBy {
    #[serde(default)]
    page: u64,
}

pub(super) fn connect(view: &Rc<View>) {
    let Some(manager) = view.web.user_content_manager() else { return };
    manager.register_script_message_handler_in_world(HANDLER, WORLD);
    let weak = Rc::downgrade(view);
    manager.connect_script_message_received(Some(HANDLER), move |_, message| {
        if let (Some(view), Some(value)) = (weak.upgrade(), message.js_value()) {
            view.route_report(&javascript_text(&value));
        }
    });
    for source in [SCRIPT, shields::SCRIPT] {
        manager.add_script(&script(source, UserScriptInjectionTime::Start));
    }
}

/// A script for every frame, in the page-agent's world.
pub(super) fn script(source: &str, time: UserScriptInjectionTime) -> UserScript {
    UserScript::for_world(source, UserContentInjectedFrames::AllFrames, time, WORLD, &[], &[])
}

/// Evaluates an expression in the main frame, in the page-agent's world, as text.
pub(super) fn evaluate(web: &WebView, source: &str, done: impl FnOnce(Result<String, String>) + 'static) {
    web.evaluate_javascript(source, Some(WORLD), None, None::<&Cancellable>, move |result| {
        done(result.map(|value| javascript_text(&value)).map_err(|error| error.to_string()));
    });
}

fn javascript_text(value: &javascriptcore::Value) -> String {
    javascriptcore::ValueExt::to_str(value).to_string()
}

impl View {
    /// Has the main frame's script report something. While it has not, what more is asked for becomes one more report.
    pub(super) fn ask_to_report(self: &Rc<Self>, what: &str) {
        if self.is_reporting.replace(true) {
            self.reports_again.set(true);
            return;
        }
        let view = Rc::downgrade(self);
        evaluate(&self.web, what, move |_| {
            if let Some(view) = view.upgrade() {
                view.is_reporting.set(false);
                if view.reports_again.take() {
                    view.ask_to_report(REPORT_MOVE);
                }
            }
        });
    }

    /// A window that a page opened speaks through its opener's view.
    fn route_report(self: &Rc<Self>, text: &str) {
        if text.len() > MAX_REPORT {
            return;
        }
        let said: SaidBy = serde_json::from_str(text).unwrap_or_default();
        if said.page == 0 || said.page == self.web.page_id() {
            self.report(text);
        } else if let Some(view) = self.host().and_then(|host| host.view_of_page(said.page)) {
            view.report(text);
        }
    }

    fn report(self: &Rc<Self>, text: &str) {
        let report = serde_json::from_str(text);
        // An error page stands in the place of a page that may come back with what it had.
        let is_of_page = matches!(report, Ok(Report::Form { .. } | Report::Scroll { .. } | Report::State { .. }));
        if is_of_page && self.error_page.get() != Stage::None {
            return;
        }
        match report {
            Ok(Report::Back {}) => self.show_picture_after(held_picture::DRAWN),
            Ok(Report::Form { frame, edits }) => {
                // A page with endless frames must not fill the store.
                if self.forms.borrow().len() < 100 && text.len() < MAX_FORM {
                    self.forms.borrow_mut().insert(frame, edits);
                    self.touch();
                }
            }
            Ok(Report::Scroll { x, y }) => {
                self.scroll.set((x, y));
                self.touch();
            }
            Ok(Report::State { url, state }) => {
                self.forms.borrow_mut().insert(STATE.to_owned(), serde_json::json!({ "url": url, "state": state }));
                self.touch();
            }
            Ok(Report::Storage { origin, items }) => self.storage_reported(origin, &items),
            Ok(Report::Submit(form)) => {
                self.last_form.replace(Some(form));
            }
            Ok(Report::Style { url, css }) => self.add_style(&url, &css),
            Ok(Report::Common { url, version, filter }) => {
                self.common(&url, version);
                if let Some(host) = self.host() {
                    host.filter_is(filter);
                }
            }
            Ok(Report::Seen(seen)) => self.seen(seen),
            Ok(Report::Icon { side, rgba }) => self.drawn_icon(side, &rgba),
            Ok(Report::Key {}) => self.key_was_used(),
            Ok(Report::Wheel { down }) => self.wheel_was_not_used(down),
            Err(error) => tracing::debug!("page-agent: {error}"),
        }
    }
}
