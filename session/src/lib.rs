//! The session: tabs, their histories and states, and the hosts that they want. The broker's copy is authoritative.
//!
//! [`reduce`] is a pure function of state and event, without clock, process or file. It returns everything that must
//! happen outside as [`Effect`]s. It trusts no host: a host's claim is checked against what the broker granted.

pub mod address;
mod bounds;
mod builtin;
mod clear;
mod consent;
mod dialog;
mod dialogs;
mod events;
mod history;
mod homes;
mod host_command;
mod hosts;
mod hsts;
mod https;
mod ids;
mod leaving;
mod load;
mod navigation;
mod networks;
mod page;
mod page_event;
mod private_network;
mod reduce;
mod revive;
mod rules;
mod saved;
mod secure;
mod segments;
mod state;

mod strip;
mod tab;
mod tabs;
#[cfg(test)]
mod tests;
mod views;
mod workspace_ends;
mod workspace_tabs;
pub mod workspaces;
mod zooming;
mod zooms;

pub use builtin::BUILTIN_PAGES;
pub use dialog::{Dialog, DialogAnswer, DialogKind};
pub use events::{Effect, Event};
pub use host_command::{HostCommand, OpenView};
pub use hsts::Hsts;
pub use https::HttpsOnly;
pub use ids::{HostKey, TabId};
pub use load::{Form, Load, Method, Origin};
pub use networks::Side;
pub use page_event::{Committed, Favicon, LoadFailed, NewTab, PageEvent, PopupOpened, TlsState};
pub use reduce::reduce;
pub use saved::{SavedSegment, SavedSnapshot, SavedTab};
pub use state::{HostPhase, Session};
pub use tab::{PageLoad, Phase, Segment, Tab};
pub use workspaces::Workspaces;
pub use zooms::Zooms;
