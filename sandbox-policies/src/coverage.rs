//! Coverage of a watched role's policy: the rules that it used, and the calls that would have been refused.
//!
//! A watched role's filter asks the broker about every call (`regen policy learn`). Calls that the policy allows are
//! allowed, calls that it refuses quietly are refused, and calls that it does not mention are allowed and recorded
//! here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::seccomp::{self, Decision};

/// Maximum number of recorded values per argument.
const MAX_VALUES: usize = 16;

/// Recorded calls of one role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// SHA-256 of the policy that was in force.
    pub sha256: String,
    /// Number of uses, by a rule's place and by call.
    pub used: BTreeMap<String, BTreeMap<String, u64>>,
    /// Calls that the policy does not mention, by name.
    pub wanted: BTreeMap<String, UnlistedCall>,
}

/// A call that would have been refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlistedCall {
    /// Number of calls.
    pub times: u64,
    /// Some of the values of each argument.
    pub arguments: [BTreeSet<u64>; 6],
}

impl Coverage {
    /// Returns an empty record for a policy.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self { sha256: policy.sha256.clone(), ..Self::default() }
    }

    /// Records a call and the policy's decision.
    pub fn note(&mut self, call: &str, arguments: &[u64; 6], decision: &Decision<'_>) {
        match decision {
            Decision::Allowed(place) | Decision::Refused { place, .. } => {
                *self.used.entry(place.to_string()).or_default().entry(call.to_owned()).or_default() += 1;
            }
            Decision::Notified => {
                let wanted = self.wanted.entry(call.to_owned()).or_default();
                wanted.times += 1;
                for (values, value) in wanted.arguments.iter_mut().zip(arguments) {
                    if values.len() < MAX_VALUES {
                        values.insert(*value);
                    }
                }
            }
        }
    }

    /// Adds the record of another run. A record under another policy replaces this one.
    pub fn add(&mut self, other: &Self) {
        if self.sha256 != other.sha256 {
            self.clone_from(other);
            return;
        }
        for (place, calls) in &other.used {
            for (call, times) in calls {
                *self.used.entry(place.clone()).or_default().entry(call.clone()).or_default() += times;
            }
        }
        for (call, wanted) in &other.wanted {
            let own = self.wanted.entry(call.clone()).or_default();
            own.times += wanted.times;
            for (values, more) in own.arguments.iter_mut().zip(&wanted.arguments) {
                values.extend(more.iter().take(MAX_VALUES.saturating_sub(values.len())));
            }
        }
    }

    /// Returns the calls of each rule that were never used, with the rule's place.
    #[must_use]
    pub fn unused(&self, policy: &Policy) -> Vec<(String, Vec<String>)> {
        let allowed = policy.allow.iter().map(|rule| (&rule.place, &rule.calls));
        let refused = policy.refuse.iter().map(|rule| (&rule.place, &rule.calls));
        let rules = allowed.chain(refused).filter_map(|(place, calls)| {
            let place = place.to_string();
            let used = self.used.get(&place);
            let is_used = |call: &str| {
                // `sendmsg` cannot be watched: the filter's listener is sent with it.
                call == "sendmsg" || used.is_some_and(|used| used.contains_key(call))
            };
            let here = |call: &&String| seccomp::number_of(call).is_some();
            let unused: Vec<String> = calls.iter().filter(here).filter(|call| !is_used(call)).cloned().collect();
            (!unused.is_empty()).then_some((place, unused))
        });
        rules.collect()
    }

    /// Returns rules that would allow the recorded calls, as text for a policy file. The author must fill in the
    /// reasons.
    #[must_use]
    pub fn proposal(&self) -> String {
        let rule = |(call, wanted): (&String, &UnlistedCall)| {
            let values: Vec<String> = wanted
                .arguments
                .iter()
                .enumerate()
                // Small numbers may select an operation; pointers and sizes make no conditions.
                .filter(|(_, values)| values.len() <= 4 && values.iter().all(|value| (1..0x1_0000).contains(value)))
                .map(|(n, values)| {
                    let values: Vec<String> = values.iter().map(|value| format!("{value:#x}")).collect();
                    format!("argument {n} was {}", values.join(" or "))
                })
                .collect();
            let seen = if values.is_empty() { String::new() } else { format!("; {}", values.join(", ")) };
            format!("# {} times{seen}\n[[allow]]\ncalls = [\"{call}\"]\nreason = \"\"\n", wanted.times)
        };
        self.wanted.iter().map(rule).collect::<Vec<_>>().join("\n")
    }

    /// Reads the record of earlier runs; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if there is a file that cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Returns an error if the file system refuses.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self).map_err(io::Error::other)?)?;
        fs::rename(new, path)
    }
}

/// Returns the path of a role's record in a profile.
#[must_use]
pub fn in_profile(profile: &Path, role: &str) -> PathBuf {
    profile.join(format!("watched-{role}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_were_used_are_not_unused_and_the_rest_is_proposed() {
        let policy = Policy::of("agent-worker").unwrap();
        let mut seen = Coverage::of(&policy);
        for call in ["read", "ptrace", "clone3"] {
            let arguments = [7, 0, 0, 0, 0, 0];
            seen.note(call, &arguments, &seccomp::decide(&policy, call, &arguments));
        }
        let unused: Vec<String> = seen.unused(&policy).into_iter().flat_map(|(_, calls)| calls).collect();
        assert!(!unused.contains(&"read".to_owned()) && unused.contains(&"write".to_owned()), "{unused:?}");
        assert!(!unused.contains(&"clone3".to_owned()), "a rule that refuses is used by refusing");
        let proposal = seen.proposal();
        assert!(proposal.contains("calls = [\"ptrace\"]") && proposal.contains("argument 0 was 0x7"), "{proposal}");
        let mut both = seen.clone();
        both.add(&seen);
        assert_eq!(both.wanted["ptrace"].times, 2);
        both.add(&Coverage { sha256: "another".into(), ..Coverage::default() });
        assert!(both.used.is_empty(), "another policy's rules are not these");
    }
}
