//! The session: tabs, their histories and states. The broker's copy is authoritative.
//!
//! [`reduce`] is a pure function of state and event, without clock, process or file. It returns everything that must
//! happen outside as [`Effect`]s. It trusts no host: a host's claim is checked against what the broker granted.

pub mod address;
mod bounds;
mod consent;
mod dialog;
mod dialogs;
mod events;
mod history;
mod hosts;
mod hsts;
mod https;
mod ids;
mod leaving;
mod navigation;
mod networks;
mod page;
mod private_network;
mod reduce;
mod revive;
mod rules;
mod saved;
mod secure;
mod state;
mod stretches;
mod strip;
mod tab;
mod tabs;
#[cfg(test)]
mod tests;
mod views;

pub use dialog::{Dialog, DialogKind};
pub use events::{Effect, Event, PageRequest};
pub use hsts::Hsts;
pub use https::HttpsOnly;
pub use ids::{HostKey, TabId};
pub use networks::Side;
pub use reduce::reduce;
pub use saved::{SavedSegment, SavedSnapshot, SavedTab};
pub use state::{HostPhase, Session};
pub use tab::{PageLoad, Phase, Segment, Tab};
