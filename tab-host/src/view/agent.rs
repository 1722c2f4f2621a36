//! The page-agent's script half. It runs in a script world of its own in every frame, and reports what the engine does
//! not keep: typed text, scroll position, and the data of a form that is submitted. It never reports passwords or card
//! fields.

use std::rc::Rc;

use serde::Deserialize;
use webkit2gtk::gio::Cancellable;
use webkit2gtk::{
    UserContentInjectedFrames, UserContentManagerExt, UserScript, UserScriptInjectionTime, WebView, WebViewExt,
};

use super::error_page::Stage;
use super::navigation::SubmittedForm;
use super::shields::{self, Selectors};
use super::{View, held_picture};

/// Name of the script world, which pages cannot reach.
pub(super) const WORLD: &str = "regen";
/// Expression that tells whether the page would object to being left.
pub(super) const OBJECTS: &str = "globalThis.objects?.() ?? false";
/// Expression that makes the main frame's script send all pending reports.
pub(super) const REPORT_NOW: &str = "globalThis.reportNow?.()";
/// Expression that makes it report the typed text and the state of the history entry.
pub(super) const REPORT_MOVE: &str = "globalThis.reportMove?.()";
/// Expression that makes it report the state of the history entry.
pub(super) const REPORT_STATE: &str = "globalThis.reportState?.()";
const SCRIPT: &str = include_str!("agent.js");
const HANDLER: &str = "regen";
/// Key of the main frame's history state, beside the paths of frames: no frame has this path.
const STATE: &str = "state";
/// Maximum length of a report that is parsed, in bytes.
const MAX_REPORT: usize = 48 * 1024 * 1024;
/// Maximum length of a report of edited controls that is kept, in bytes.
const MAX_FORM: usize = 3 << 20;

/// Report of the script.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Report {
    /// Edited controls of a frame.
    Form { frame: String, edits: serde_json::Value },
    /// Scroll position of the main frame.
    Scroll { x: f64, y: f64 },
    /// `history.state` of the main frame, as JSON.
    State { url: String, state: String },
    /// Complete `sessionStorage` of a document, as JSON: a list of keys and values.
    Storage { origin: String, items: String },
    /// Form of any frame that is about to be submitted.
    Submit(SubmittedForm),
    /// Style sheet that hides parts of a document.
    Style { url: String, css: String },
    /// Versions of the generic rules (0: the document is an exception) and of the content filter.
    Common { url: String, version: u32, filter: u32 },
    /// New classes and IDs of a document.
    Selectors(Selectors),
    /// Page icon that the engine does not draw: pixels row by row, in base64.
    Icon { side: u32, rgba: String },
    /// Sent when the page used a key that the browser would have used.
    Key {},
    /// Sent when a restored page is drawn as it was.
    Back {},
    /// Sent when the page did not use a turn of the wheel while Control was held.
    Wheel { down: bool },
}

/// Page that a report is about, by the engine's ID; 0: unknown.
#[derive(Debug, Default, Deserialize)]
struct ReportedPage {
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

/// Returns a script for every frame, in the page-agent's world.
pub(super) fn script(source: &str, time: UserScriptInjectionTime) -> UserScript {
    UserScript::for_world(source, UserContentInjectedFrames::AllFrames, time, WORLD, &[], &[])
}

/// Evaluates an expression in the main frame, in the page-agent's world. Passes the result to `done` as text.
pub(super) fn evaluate(web: &WebView, source: &str, done: impl FnOnce(Result<String, String>) + 'static) {
    web.evaluate_javascript(source, Some(WORLD), None, None::<&Cancellable>, move |result| {
        done(result.map(|value| javascript_text(&value)).map_err(|error| error.to_string()));
    });
}

fn javascript_text(value: &javascriptcore::Value) -> String {
    javascriptcore::ValueExt::to_str(value).to_string()
}

impl View {
    /// Asks the main frame's script to report. Requests before it has done so are merged into one more report.
    pub(super) fn ask_to_report(self: &Rc<Self>, what: &str) {
        if self.form_state.is_reporting.replace(true) {
            self.form_state.reports_again.set(true);
            return;
        }
        let view = Rc::downgrade(self);
        evaluate(&self.web, what, move |_| {
            if let Some(view) = view.upgrade() {
                view.form_state.is_reporting.set(false);
                if view.form_state.reports_again.take() {
                    view.ask_to_report(REPORT_MOVE);
                }
            }
        });
    }

    /// Passes a report to its view: a popup reports through its opener's view.
    fn route_report(self: &Rc<Self>, text: &str) {
        if text.len() > MAX_REPORT {
            return;
        }
        let said: ReportedPage = serde_json::from_str(text).unwrap_or_default();
        if said.page == 0 || said.page == self.web.page_id() {
            self.report(text);
        } else if let Some(view) = self.host().and_then(|host| host.view_of_page(said.page)) {
            view.report(text);
        }
    }

    fn report(self: &Rc<Self>, text: &str) {
        let report = serde_json::from_str(text);
        // An error page must not replace the state of the page that failed, which may come back.
        let is_of_page = matches!(report, Ok(Report::Form { .. } | Report::Scroll { .. } | Report::State { .. }));
        if is_of_page && self.error.stage.get() != Stage::None {
            return;
        }
        match report {
            Ok(Report::Back {}) => self.show_picture_after(held_picture::DRAWN),
            Ok(Report::Form { frame, edits }) => {
                // A page with many frames must not fill the store.
                if self.form_state.edits.borrow().len() < 100 && text.len() < MAX_FORM {
                    self.form_state.edits.borrow_mut().insert(frame, edits);
                    self.touch();
                }
            }
            Ok(Report::Scroll { x, y }) => {
                self.form_state.scroll.set((x, y));
                self.touch();
            }
            Ok(Report::State { url, state }) => {
                self.form_state
                    .edits
                    .borrow_mut()
                    .insert(STATE.to_owned(), serde_json::json!({ "url": url, "state": state }));
                self.touch();
            }
            Ok(Report::Storage { origin, items }) => self.storage_reported(origin, &items),
            Ok(Report::Submit(form)) => {
                self.loader.last_form.replace(Some(form));
            }
            Ok(Report::Style { url, css }) => self.add_style(&url, &css),
            Ok(Report::Common { url, version, filter }) => {
                self.common(&url, version);
                self.site.filter_is(filter);
            }
            Ok(Report::Selectors(seen)) => self.seen(seen),
            Ok(Report::Icon { side, rgba }) => self.drawn_icon(side, &rgba),
            Ok(Report::Key {}) => self.key_was_used(),
            Ok(Report::Wheel { down }) => self.wheel_was_not_used(down),
            Err(error) => tracing::debug!("page-agent: cannot parse a report: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_that_the_scripts_send_is_known() {
        let kinds = |script: &'static str| script.split("kind: \"").skip(1).filter_map(|rest| rest.split('"').next());
        let sent: Vec<&str> = kinds(SCRIPT).chain(kinds(shields::SCRIPT)).chain(["back"]).collect();
        assert!(sent.len() > 10, "the control: {sent:?}");
        for kind in sent {
            let report = serde_json::from_str::<Report>(&format!("{{\"kind\":\"{kind}\"}}"));
            let error = report.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("unknown variant"), "{error}");
        }
    }
}
