//! The broker's parts, for its two programs: `regen-broker`, the kernel, and `regen`, the command line.

pub mod audit;
pub mod certificates;
pub mod control;
pub mod coverage;
pub mod crashes;
pub mod download_permissions;
pub mod file_choosers;
pub mod foreign_text;
pub mod kernel;
pub mod keyboard;
pub mod launcher;
pub mod locale;
pub mod logs;
pub mod options;
pub mod payloads;
pub mod pidfd;
pub mod profile;
pub mod refused_calls;
pub mod routes;
pub mod session;
pub mod shields;
pub mod slots;
pub mod start;
pub mod store;
pub mod supervisor;
pub mod vpn;
