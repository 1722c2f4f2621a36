//! Health of the browser, as the chrome has it.

use regen_proto::health::v1::{HealthLine, HealthState};
use regen_proto::kernel::v1::HealthAnswer;
use serde::Serialize;

use super::ToChrome;

/// Line of one part of the browser.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeHealth {
    pub(super) part: String,
    /// `good`, `off`, `busy` or `trouble`.
    pub(super) state: &'static str,
    pub(super) words: String,
    pub(super) value: f64,
    /// Unit of the value; empty: it says nothing.
    pub(super) unit: String,
}

/// Returns the report for the chrome.
pub(super) fn report(answer: &HealthAnswer) -> ToChrome {
    let line = |line: &HealthLine| ChromeHealth {
        part: line.part.clone(),
        state: match line.state() {
            HealthState::Good => "good",
            HealthState::Off | HealthState::Unspecified => "off",
            HealthState::Busy => "busy",
            HealthState::Trouble => "trouble",
        },
        words: line.words.clone(),
        value: line.value,
        unit: line.unit.clone(),
    };
    let lines = answer.report.iter().flat_map(|report| report.lines.iter().map(line)).collect();
    ToChrome::Health { request: answer.request, lines }
}
