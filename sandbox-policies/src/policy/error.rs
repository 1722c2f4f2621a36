//! Errors of policies.

use super::place::Place;

/// Reason why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// No role has this name.
    #[error("there is no policy for the role “{role}”; use one of {roles}")]
    UnknownRole { role: String, roles: String },
    /// The file is not TOML, or has an unknown or missing key.
    #[error("cannot parse {file}: {error}")]
    Syntax { file: String, error: Box<toml::de::Error> },
    /// A rule is invalid.
    #[error("{place}: {what}")]
    Rule { place: Place, what: String },
    /// An administrator's file allows more than the policy that it replaces.
    #[error("cannot use {file}: it would allow more than the shipped policy ({}); remove it", .what.join("; "))]
    Looser { file: String, what: Vec<String> },
    /// A file cannot be read.
    #[error("cannot read {file}: {error}")]
    Io { file: String, error: std::io::Error },
}
