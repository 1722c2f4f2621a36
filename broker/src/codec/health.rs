//! Health of the browser, as the window and the control API are told of it.

use regen_proto::health::v1::{HealthLine as WireLine, HealthReport, HealthState as WireState};
use regen_proto::kernel::v1::HealthAnswer;
use regen_proto::kernel::v1::shell_update::Body;

use crate::health::{HealthLine, HealthState};

/// Returns the lines as they are sent.
#[must_use]
pub fn lines(lines: Vec<HealthLine>) -> Vec<WireLine> {
    let one = |HealthLine { part, state, words, value, unit }| {
        let state = match state {
            HealthState::Good => WireState::Good,
            HealthState::Off => WireState::Off,
            HealthState::Busy => WireState::Busy,
            HealthState::Trouble => WireState::Trouble,
        };
        WireLine { part: part.to_owned(), state: state.into(), words, value, unit: unit.to_owned() }
    };
    lines.into_iter().map(one).collect()
}

/// Returns the answer to the window's question.
#[must_use]
pub(super) fn answer(request: u64, report: Vec<HealthLine>) -> Body {
    Body::Health(HealthAnswer { request, report: Some(HealthReport { lines: lines(report) }) })
}
