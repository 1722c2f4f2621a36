//! Positions of rules in their files.

use std::ops::Deref;

use serde::Serialize;

/// Position of a rule: file and line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A rule with its position.
#[derive(Debug, Clone, Serialize)]
pub struct RuleAt<T> {
    /// The rule itself.
    #[serde(flatten)]
    pub rule: T,
    /// Position of the rule.
    #[serde(rename = "at_line")]
    pub place: Place,
}

impl<T> Deref for RuleAt<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rule
    }
}
