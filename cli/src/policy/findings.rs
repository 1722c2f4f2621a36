//! Findings of `regen policy probe`: what was tried in which role, and what came of it.

use serde::Serialize;

/// Role in whose sandbox the dumper is probed: the one that runs untrusted pages.
pub(super) const BESIDE: &str = "tab-host";

/// Escape attempt.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Attempt {
    pub(super) area: String,
    pub(super) name: String,
    /// Roles that need this for their task, each with the reason.
    #[serde(skip)]
    pub(super) by_nature: Vec<(String, String)>,
    /// Set if the attempt succeeds outside a sandbox.
    pub(super) proven: bool,
}

impl Attempt {
    pub(super) fn found(&self, role: &str, (contained, detail): (bool, String)) -> Finding {
        let nature = self.by_nature.iter().find(|(other, _)| other == role);
        let (verdict, detail) = match (contained, nature) {
            (false, Some((_, why))) => (Verdict::ByNature, why.clone()),
            (false, None) => (Verdict::Escaped, detail),
            (true, _) if self.proven => (Verdict::Contained, detail),
            (true, _) => (Verdict::NotProven, detail),
        };
        Finding { attempt: self.clone(), verdict, detail }
    }
}

/// Result of an attempt in one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// The attempt failed, and succeeds outside a sandbox.
    Contained,
    /// The attempt succeeded, and the role needs this for its task.
    ByNature,
    /// The attempt failed, but also fails outside a sandbox on this kernel.
    NotProven,
    /// The attempt succeeded.
    Escaped,
}

/// Finding of one attempt in one role.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    #[serde(flatten)]
    pub(super) attempt: Attempt,
    pub(super) verdict: Verdict,
    /// Error of the kernel, or the reason why the role needs it.
    pub(super) detail: String,
}

/// Findings of one role.
#[derive(Debug, Serialize)]
pub(super) struct RoleFindings {
    pub(super) role: String,
    pub(super) findings: Vec<Finding>,
    /// Number of system calls made: as each rule allows them, as each condition forbids them, and all that no rule
    /// mentions.
    pub(super) calls_made: usize,
    /// Descriptions of the calls whose result violates the policy.
    pub(super) calls_wrong: Vec<String>,
}

impl RoleFindings {
    pub(super) fn holds(&self) -> bool {
        self.calls_wrong.is_empty() && self.findings.iter().all(|finding| finding.verdict != Verdict::Escaped)
    }
}
