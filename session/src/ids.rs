//! Identifiers of tabs and hosts.

pub use regen_net_config::host::HostKey;

/// Identifier of a tab. It stays the same for the tab's whole life and across restarts.
pub type TabId = u64;
