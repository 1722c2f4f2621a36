//! Messages that cross a sandbox boundary, and the two channels that carry them.
//!
//! The schemas in `schema/` are the contract. This crate turns bytes into checked values and must never act on them. It
//! opens no socket by name, spawns nothing, and does not know what a message means to its receiver.

pub mod grpc;
pub mod kernel_channel;
pub mod role;
pub mod validate;
pub mod version;

pub use prost;

/// Name of the user's own rules among the filter lists.
pub const OWN_RULES: &str = "own";
/// Kind of a main frame's request, in the terms of filter lists.
pub const DOCUMENT: &str = "document";
/// Kinds of requests, in the terms of filter lists.
pub const KINDS: [&str; 12] = [
    DOCUMENT,
    "script",
    "image",
    "stylesheet",
    "font",
    "media",
    "object",
    "subdocument",
    "xmlhttprequest",
    "websocket",
    "ping",
    "other",
];
/// Path in the sandbox of the socket on which a web process asks about requests.
pub const SHIELDS_PLACE: &str = "/tmp/regen-shields";

macro_rules! schema {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[allow(
            missing_debug_implementations,
            unreachable_pub,
            rust_2018_idioms,
            clippy::all,
            clippy::indexing_slicing,
            clippy::unwrap_used,
            clippy::expect_used,
            clippy::panic,
            clippy::allow_attributes_without_reason,
            reason = "generated from the schema"
        )]
        pub mod $name {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/regen.", stringify!($name), ".v1.rs"));
            }
        }
    };
}

schema!(
    /// Kernel channel: broker ↔ child.
    kernel
);
schema!(
    /// Surface channel: tab-host ↔ ui-shell.
    page
);
schema!(
    /// Tunnels, shields and network administration: tab-host and broker ↔ net-daemon.
    net
);
schema!(
    /// History: CLI and ui-shell ↔ broker.
    places
);
schema!(
    /// Downloads: CLI and ui-shell ↔ broker.
    downloads
);
schema!(
    /// Settings: CLI and ui-shell ↔ broker.
    settings
);
schema!(
    /// Workspaces: CLI and ui-shell ↔ broker.
    workspaces
);
schema!(
    /// Permissions of sites: tab-host, CLI and ui-shell ↔ broker.
    permissions
);
schema!(
    /// Health of the browser: CLI and ui-shell ← broker.
    health
);
schema!(
    /// Control API: CLI ↔ broker.
    control
);
schema!(
    /// Launcher's channel: broker ↔ launcher.
    launcher
);
