//! Plan of a campaign: which faults are injected, where and in which order. The same seed gives the same plan.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::read;
use crate::client::Failure;

/// Kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    /// Sends SIGKILL.
    Kill,
    /// Sends SIGSEGV.
    Segv,
    /// Sends SIGABRT.
    Abort,
    /// Sends SIGSTOP, without a SIGCONT.
    Stop,
    /// Sends SIGSTOP, and SIGCONT a moment later. No process may die.
    Pause,
    /// Makes the process exit with code 0 at an arbitrary moment.
    Exit,
    /// Lowers the limit of open descriptors to those in use.
    Descriptors,
    /// Makes the page allocate memory without end.
    Balloon,
    /// Kills the process, and its successor as soon as it exists.
    KillTwice,
    /// Kills the process while every processor is busy.
    Starve,
    /// Sends bytes that are not a valid message.
    Garbage,
    /// Sends half a message.
    Truncated,
    /// Sends more bytes than a message may have.
    Oversize,
    /// Sends a second Hello, with an unknown protocol version.
    Version,
    /// Sends messages as fast as possible.
    Flood,
    /// Sends descriptors with a message that takes none.
    StrayDescriptors,
    /// Kills the process while the session is being saved.
    KillSaving,
    /// Kills the process, and its successor while that restores the page.
    KillRestoring,
    /// Kills the process during a download.
    KillDownloading,
    /// Kills a site's process, and the broker while the spare takes its place.
    KillTaking,
    /// Kills the process and the net-daemon at the same moment.
    KillBoth,
    /// Kills the net-daemon, and the process while the net-daemon restarts.
    KillMeanwhile,
    /// Kills the process after its page has stored a megabyte of history state.
    LargeState,
    /// Kills the process after sixty more tabs of its site were opened.
    ManyTabs,
    /// Stops the test server from answering for a while.
    Stall,
    /// Makes a page look up hundreds of names with a name server that never answers.
    SilentNames,
    /// Stops the broker alone for seconds. No child may be taken for hung.
    Oversleep,
    /// Stops every process for a while, as when a laptop is suspended.
    Suspend,
    /// Makes the wall clock jump by hours in a running browser, and back for the next one.
    ClockJump,
    /// Makes disk writes fail with ENOSPC for a while.
    NoSpace,
    /// Makes disk writes fail with EIO for a while.
    IoError,
    /// Kills the browser, and erases the last bytes that it wrote.
    TornRecord,
    /// Kills the browser, and flips a bit in its store.
    FlippedBit,
    /// Kills the browser, and marks some of its records as written by a later version.
    ForeignVersion,
    /// Kills the browser, rewrites its records in the first version's format, and kills the next browser while it reads
    /// them.
    OldVersion,
}

/// Target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Target {
    TabHost,
    /// Tab-host kept ready for the next site.
    Spare,
    WebProcess,
    NetworkProcess,
    NetDaemon,
    AgentDaemon,
    Jail,
    Launcher,
    Broker,
    /// Store of the browser and the disk below it.
    Store,
    /// Machine: every process of the browser, or the clock.
    Machine,
    /// Window, in a campaign that has one.
    UiShell,
}

/// Fault at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) fault: Fault,
    pub(super) role: Target,
    /// Index of the site, for targets that belong to one.
    #[serde(default)]
    pub(super) site: usize,
    /// Delay before the fault, in milliseconds. Some faults also derive their timing or variant from it.
    #[serde(default)]
    pub(super) after_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Name in reports.
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// Time after which no further step starts.
    pub(super) duration: Option<Duration>,
}

/// Number of sites that a browser under test has open.
pub(super) const SITES: usize = 4;

/// Faults that are possible at each target. Those of the window need a campaign with a window.
const POSSIBLE: &[(&[Target], &[Fault])] = {
    use Fault::*;
    use Target::*;
    &[
        (
            &[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Jail, Launcher, Broker, UiShell],
            &[Kill],
        ),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Launcher, Broker, UiShell], &[Abort]),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, Broker, UiShell], &[Segv]),
        (&[TabHost, Spare, WebProcess, NetworkProcess, NetDaemon, AgentDaemon, UiShell], &[Pause]),
        (&[TabHost, Spare, NetDaemon, AgentDaemon, UiShell], &[Stop, Exit, Garbage]),
        (&[TabHost, Spare, NetDaemon, UiShell], &[KillTwice, Version, StrayDescriptors]),
        (&[TabHost, NetDaemon, AgentDaemon, UiShell], &[Flood]),
        (&[TabHost, NetDaemon, UiShell], &[Truncated, Oversize]),
        (&[TabHost, NetDaemon], &[Starve, KillDownloading]),
        (&[TabHost, Broker], &[KillSaving]),
        (&[TabHost], &[Descriptors, Balloon, KillRestoring, KillBoth, KillMeanwhile, LargeState, ManyTabs]),
        (&[Spare], &[KillTaking]),
        (&[NetDaemon], &[Stall, SilentNames]),
        (&[Broker], &[Oversleep]),
        (&[Store], &[NoSpace, IoError, TornRecord, FlippedBit, ForeignVersion, OldVersion]),
        (&[Machine], &[Suspend, ClockJump]),
    ]
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: Option<String>,
    step: Vec<FileStep>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    fault: Fault,
    role: Target,
    #[serde(default)]
    site: usize,
    #[serde(default)]
    after_ms: u64,
    /// Number of repetitions.
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

impl Plan {
    pub(super) fn of_file(path: &Path) -> Result<Self, Failure> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let file: File = toml::from_str(text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        let mut steps = Vec::new();
        for step in &file.step {
            let FileStep { fault, role, site, after_ms, times } = *step;
            if !pairs().any(|pair| pair == (role, fault)) {
                let names: Vec<String> = possible(role).map(|fault| word(&fault)).collect();
                let what = format!("{name}: {} is not possible for a {}; possible: ", word(&fault), word(&role));
                return Err(Failure::Usage(what + &names.join(", ")));
            }
            if site >= SITES {
                return Err(Failure::Usage(format!("{name}: there is no such site: use 0 to {}", SITES - 1)));
            }
            steps.extend(std::iter::repeat_n(Step { fault, role, site, after_ms }, times));
        }
        Ok(Self { name: file.name.unwrap_or_else(|| name.to_owned()), steps, duration: None })
    }

    pub(super) fn random(
        seed: u64,
        faults: usize,
        roles: &[String],
        window: bool,
        duration: Option<Duration>,
    ) -> Result<Self, Failure> {
        let wanted = roles.iter().map(|role| target(role)).collect::<Result<Vec<_>, _>>()?;
        if wanted.contains(&Target::UiShell) && !window {
            return Err(Failure::Usage("the role ui-shell needs --window".to_owned()));
        }
        let is_wanted = |role: &Target| {
            if wanted.is_empty() { window || *role != Target::UiShell } else { wanted.contains(role) }
        };
        let all: Vec<(Target, Fault)> = pairs().filter(|(role, _)| is_wanted(role)).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        // Use every pair once before repeating any, for the widest coverage with few faults.
        let mut deck = Vec::new();
        let mut draw = || {
            if deck.is_empty() {
                deck.clone_from(&all);
                random.shuffle(&mut deck);
            }
            let (role, fault) = deck.pop()?;
            Some(Step { fault, role, site: random.usize(0..SITES), after_ms: random.u64(0..200) })
        };
        let steps = (0..faults).map_while(|_| draw()).collect();
        Ok(Self { name: format!("seed {seed}"), steps, duration })
    }
}

fn pairs() -> impl Iterator<Item = (Target, Fault)> {
    POSSIBLE.iter().flat_map(|(roles, faults)| roles.iter().flat_map(|role| faults.iter().map(|fault| (*role, *fault))))
}

fn possible(role: Target) -> impl Iterator<Item = Fault> {
    pairs().filter(move |(other, _)| *other == role).map(|(_, fault)| fault)
}

fn target(name: &str) -> Result<Target, Failure> {
    let roles: BTreeSet<Target> = pairs().map(|(role, _)| role).collect();
    roles.iter().copied().find(|role| word(role) == name).ok_or_else(|| {
        let names: Vec<String> = roles.iter().map(word).collect();
        Failure::Usage(format!("there is no role “{name}”: use one of {}", names.join(", ")))
    })
}

/// Returns the name used in scenarios and reports.
pub(super) fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| Plan::random(seed, 200, &[], false, None).unwrap();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7).steps, plan(8).steps);
        let pairs = pairs().filter(|(role, _)| *role != Target::UiShell).count();
        let seen: std::collections::HashSet<_> = plan(1).steps.iter().map(|step| (step.role, step.fault)).collect();
        assert_eq!(seen.len(), pairs, "200 faults cover every pair");
        assert!(Plan::random(1, 5, &["tabhost".to_owned()], false, None).is_err());
    }

    #[test]
    fn a_scenario_says_what_happens_or_where_it_is_wrong() {
        let plan = Plan::parse("x", "[[step]]\nfault = 'kill'\nrole = 'tab-host'\nsite = 2\ntimes = 3\n").unwrap();
        assert_eq!(plan.steps.len(), 3);
        let wrong = |text: &str| Plan::parse("x.toml", text).unwrap_err().to_string();
        assert!(
            wrong("[[step]]\nfault = 'balloon'\nrole = 'broker'")
                .contains("possible: kill, abort, segv, kill-saving, oversleep")
        );
        assert!(wrong("[[step]]\nfault = 'kil'\nrole = 'broker'").contains("line 2"));
        assert!(wrong("[[step]]\nfault = 'kill'\nrole = 'tab-host'\nsite = 9").contains("0 to 3"));
    }
}
