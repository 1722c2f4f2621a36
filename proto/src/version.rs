//! The handshake: protocol versions that a build speaks, and the agreement of two builds.

pub use crate::kernel::v1::Hello;

use crate::kernel::v1 as wire;
use crate::role::Role;

/// Oldest and newest `regen.kernel.v1` revision that this build speaks.
pub const SUPPORTED: (u32, u32) = (1, 1);

/// Version of this build, named by both ends of a refused handshake.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Reason that a peer's Hello was refused. The text names both sides.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HelloError {
    /// Version ranges without overlap.
    #[error("the {peer} speaks protocol {peer_min}..={peer_max} (build {peer_build}); this build {BUILD} speaks {}..={}: install both from one release", SUPPORTED.0, SUPPORTED.1)]
    NoCommonVersion { peer: String, peer_min: u32, peer_max: u32, peer_build: String },
    /// A peer of another build, whose schemas may differ.
    #[error("the {peer} is build {peer_build}, this is build {BUILD}: install both from one release")]
    OtherBuild { peer: String, peer_build: String },
    /// A role other than the expected one.
    #[error("expected the role {expected}, got {got}")]
    WrongRole { expected: String, got: String },
}

/// Returns the Hello of a child.
#[must_use]
pub fn hello(role: Role) -> Hello {
    hello_as(role.into())
}

/// Returns the broker's Hello.
#[must_use]
pub fn broker_hello() -> Hello {
    hello_as(wire::Role::Broker)
}

fn hello_as(role: wire::Role) -> Hello {
    Hello { min_protocol: SUPPORTED.0, max_protocol: SUPPORTED.1, role: role.into(), build: BUILD.to_owned() }
}

/// Checks a child's Hello. Returns the newest version that both speak.
///
/// # Errors
/// Returns an error if the ranges do not overlap, the builds differ, or the role is not the expected one.
pub fn agree(theirs: &Hello, expected: Role) -> Result<u32, HelloError> {
    agree_with(theirs, expected.into(), expected.name())
}

/// Checks the broker's Hello. Returns the newest version that both speak.
///
/// # Errors
/// Returns an error if the ranges do not overlap, the builds differ, or the peer is not a broker.
pub fn agree_with_broker(theirs: &Hello) -> Result<u32, HelloError> {
    agree_with(theirs, wire::Role::Broker, "broker")
}

fn agree_with(theirs: &Hello, expected: wire::Role, peer: &str) -> Result<u32, HelloError> {
    let peer = peer.to_owned();
    let newest = SUPPORTED.1.min(theirs.max_protocol);
    if newest < SUPPORTED.0.max(theirs.min_protocol) {
        return Err(HelloError::NoCommonVersion {
            peer,
            peer_min: theirs.min_protocol,
            peer_max: theirs.max_protocol,
            peer_build: theirs.build.clone(),
        });
    }
    if theirs.build != BUILD {
        return Err(HelloError::OtherBuild { peer, peer_build: theirs.build.clone() });
    }
    if theirs.role() != expected {
        return Err(HelloError::WrongRole { expected: peer, got: theirs.role().as_str_name().to_owned() });
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_build_agrees_on_the_newest_version() {
        assert_eq!(agree(&hello(Role::TabHost), Role::TabHost), Ok(SUPPORTED.1));
    }

    #[test]
    fn ranges_without_overlap_are_refused_with_both_named() {
        let theirs =
            Hello { min_protocol: 7, max_protocol: 9, role: wire::Role::TabHost.into(), build: "9.9.9".into() };
        let error = agree(&theirs, Role::TabHost).unwrap_err().to_string();
        assert!(error.contains("7..=9") && error.contains("9.9.9") && error.contains(BUILD), "{error}");
    }

    #[test]
    fn another_build_is_refused_with_both_named() {
        let theirs = Hello { build: "0.0.9".into(), ..hello(Role::TabHost) };
        let error = agree(&theirs, Role::TabHost).unwrap_err().to_string();
        assert!(error.contains("0.0.9") && error.contains(BUILD), "{error}");
    }

    #[test]
    fn a_child_cannot_claim_another_role() {
        assert!(matches!(agree(&hello(Role::UiShell), Role::TabHost), Err(HelloError::WrongRole { .. })));
        assert!(matches!(agree(&broker_hello(), Role::TabHost), Err(HelloError::WrongRole { .. })));
        assert!(matches!(
            agree(&Hello { role: 0, ..hello(Role::TabHost) }, Role::TabHost),
            Err(HelloError::WrongRole { .. })
        ));
    }

    #[test]
    fn a_child_takes_orders_from_a_broker_alone() {
        assert_eq!(agree_with_broker(&broker_hello()), Ok(SUPPORTED.1));
        assert!(matches!(agree_with_broker(&hello(Role::TabHost)), Err(HelloError::WrongRole { .. })));
    }
}
