//! The session: tabs, their histories and states. The broker is the only truth about it.
//!
//! [`reduce`] is a pure function of state and event: it has no clock, no process and no file. What must happen outside is
//! returned as [`Effect`]s. Nothing here believes a host: what a host says is checked against what the broker granted.

pub mod address;
mod bounds;
mod dialog;
mod history;
mod hsts;
mod leaving;
mod page;
mod private_network;
mod reduce;
mod saved;
mod secure;
mod state;
#[cfg(test)]
mod tests;
mod views;

pub use dialog::{Dialog, DialogKind};
pub use hsts::Hsts;
pub use private_network::Side;
pub use reduce::reduce;
pub use saved::{SavedSegment, SavedSnapshot, SavedTab};
pub use secure::HttpsOnly;
pub use state::{Effect, Event, HostKey, HostPhase, PageLoad, Phase, Segment, Session, Tab, TabId};
