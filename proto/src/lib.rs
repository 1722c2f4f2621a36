//! Every message that crosses a sandbox boundary, and the two channels that carry them.
//!
//! The schemas in `schema/` are the contract; this crate turns bytes into checked values and must never act on them.
//! Nothing here opens a socket by name, spawns, or knows what a message means to its receiver.

pub mod grpc;
pub mod kernel_channel;
pub mod role;
pub mod validate;
pub mod version;

pub use prost;

/// What the user's own rules are called among the filter lists.
pub const OWN_RULES: &str = "own";
/// What the request for a main frame is for, as filter lists name it.
pub const DOCUMENT: &str = "document";
/// What a request can be for.
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
/// Where a web process finds whom to ask about a request, in its sandbox.
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
    /// The system-call table: broker ↔ child.
    kernel
);
schema!(
    /// Frames, input and questions: tab-host ↔ ui-shell.
    page
);
schema!(
    /// Tunnels: tab-host ↔ net-daemon.
    net
);
schema!(
    /// The control API: CLI ↔ broker.
    control
);
schema!(
    /// Broker ↔ launcher.
    launcher
);
