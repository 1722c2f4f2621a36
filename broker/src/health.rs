//! Health of the browser: a line for each of its parts, with a word, a number and a state.

use std::time::Duration;

use regen_net_config::settings::shields::Level;
use regen_net_config::settings::vpn::VpnSettings;

use crate::children::{proportional_kb, resident_kb};
use crate::network::NetAdmin;
use crate::network::tor::{TorState, TorStatus};

/// Timeout of the net-daemon's answers.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// State of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// In order.
    Good,
    /// Not in use, or not configured.
    Off,
    /// Starting, or catching up.
    Busy,
    /// Something is wrong.
    Trouble,
}

/// Line of one part.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthLine {
    /// Name of the part.
    pub part: &'static str,
    /// State.
    pub state: HealthState,
    /// State in words.
    pub words: String,
    /// Number, in the unit.
    pub value: f64,
    /// Unit of the number; empty: there is none.
    pub unit: &'static str,
}

/// Everything that the lines are made of, off the event loop.
#[derive(Debug)]
pub struct HealthQuery {
    /// Time since the start.
    pub uptime: Duration,
    /// Number of tabs.
    pub tabs: usize,
    /// Processes of the browser, with helpers.
    pub pids: Vec<i32>,
    /// Restarts of processes so far.
    pub restarts: u32,
    /// Trouble with the store.
    pub store_trouble: Option<String>,
    /// Tabs that the store does not have as they are now.
    pub unsaved: usize,
    /// Level of the shields.
    pub shields: Level,
    /// Tor.
    pub tor: TorStatus,
    /// VPN profiles.
    pub vpn: VpnSettings,
    /// Client of the net-daemon; `None`: it does not run.
    pub admin: Option<NetAdmin>,
}

impl HealthQuery {
    /// Makes the lines. Takes time, and more with `is_exact`: then memory that processes share counts once.
    pub async fn gather(self, is_exact: bool) -> Vec<HealthLine> {
        let (pids, measure) = (self.pids.clone(), if is_exact { proportional_kb } else { resident_kb });
        let memory = tokio::task::spawn_blocking(move || pids.into_iter().map(measure).sum::<u64>());
        let words = if is_exact { "in use" } else { "in use; what processes share counts for each of them" };
        let admin = self.admin.clone();
        let blocked = async {
            let counts = admin?.counts();
            tokio::time::timeout(ANSWER_TIMEOUT, counts).await.ok().flatten()
        };
        let (memory, blocked) = tokio::join!(memory, blocked);
        vec![
            line("uptime", HealthState::Good, "running", self.uptime.as_secs_f64(), "s"),
            line("tabs", HealthState::Good, "open", count(self.tabs), "tabs"),
            self.processes(),
            match memory {
                Ok(kb) => line("memory", HealthState::Good, words, count_of(kb / 1024), "MB"),
                Err(error) => line("memory", HealthState::Trouble, &error.to_string(), 0.0, ""),
            },
            self.store(),
            self.shields(blocked),
            self.tor(),
            self.vpn(),
            line("queue", HealthState::Off, "not there yet: Regen runs no agents", 0.0, ""),
            line("redis", HealthState::Off, "not configured", 0.0, ""),
            line("workers", HealthState::Off, "not there yet: Regen runs no agents", 0.0, ""),
        ]
    }

    fn processes(&self) -> HealthLine {
        let words = match self.restarts {
            0 => "none had to be restarted".to_owned(),
            1 => "one was restarted".to_owned(),
            restarts => format!("{restarts} restarts"),
        };
        line("processes", HealthState::Good, &words, count(self.pids.len()), "processes")
    }

    fn store(&self) -> HealthLine {
        let (unsaved, unit) = (count(self.unsaved), "tabs");
        match &self.store_trouble {
            Some(trouble) => line("store", HealthState::Trouble, trouble, unsaved, unit),
            None if self.unsaved == 0 => line("store", HealthState::Good, "everything is saved", unsaved, unit),
            None => line("store", HealthState::Good, "waiting to be saved", unsaved, unit),
        }
    }

    fn shields(&self, blocked: Option<u64>) -> HealthLine {
        let (level, unit) = (self.shields.to_string(), "blocked");
        match (blocked, self.shields) {
            (Some(blocked), Level::Off) => line("shields", HealthState::Off, &level, count_of(blocked), unit),
            (Some(blocked), _) => line("shields", HealthState::Good, &level, count_of(blocked), unit),
            (None, _) => line("shields", HealthState::Busy, "the network process does not answer yet", 0.0, ""),
        }
    }

    fn tor(&self) -> HealthLine {
        let TorStatus { state, percent, message, open, .. } = &self.tor;
        let percent = f64::from(*percent);
        match state {
            TorState::Off => line("tor", HealthState::Off, "starts when a route needs it", 0.0, ""),
            TorState::Starting => line("tor", HealthState::Busy, "starting", percent, "%"),
            TorState::Ready => line("tor", HealthState::Good, "ready", f64::from(*open), "connections"),
            TorState::Failing => line("tor", HealthState::Trouble, message, percent, "%"),
        }
    }

    fn vpn(&self) -> HealthLine {
        let all = self.vpn.profiles.len();
        let up = self.vpn.profiles.values().filter(|choice| choice.up).count();
        match (all, up) {
            (0, _) => line("vpn", HealthState::Off, "not configured", 0.0, ""),
            (_, 0) => line("vpn", HealthState::Off, "no profile is on", count(all), "profiles"),
            (_, up) => {
                line("vpn", HealthState::Good, "on: its tunnel opens when a route needs it", count(up), "profiles")
            }
        }
    }
}

fn line(part: &'static str, state: HealthState, words: &str, value: f64, unit: &'static str) -> HealthLine {
    HealthLine { part, state, words: words.to_owned(), value, unit }
}

fn count(number: usize) -> f64 {
    count_of(number as u64)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count_of(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> HealthQuery {
        HealthQuery {
            uptime: Duration::from_secs(90),
            tabs: 3,
            pids: vec![i32::try_from(std::process::id()).unwrap()],
            restarts: 0,
            store_trouble: None,
            unsaved: 0,
            shields: Level::Balanced,
            tor: TorStatus::default(),
            vpn: VpnSettings::default(),
            admin: None,
        }
    }

    async fn states(query: HealthQuery) -> Vec<(&'static str, HealthState)> {
        query.gather(true).await.into_iter().map(|line| (line.part, line.state)).collect()
    }

    #[tokio::test]
    async fn what_is_not_configured_is_no_trouble_and_what_fails_is() {
        let quiet = states(query()).await;
        assert!(quiet.iter().all(|(_, state)| *state != HealthState::Trouble), "{quiet:?}");
        for part in ["tor", "vpn", "redis", "queue", "workers"] {
            assert!(quiet.contains(&(part, HealthState::Off)), "{part}");
        }
        let tor =
            TorStatus { state: TorState::Failing, message: "no relay answers".to_owned(), ..TorStatus::default() };
        let troubled = HealthQuery { store_trouble: Some("the disk is full".to_owned()), tor, ..query() };
        let lines = troubled.gather(true).await;
        let trouble: Vec<_> = lines.iter().filter(|line| line.state == HealthState::Trouble).collect();
        let words: Vec<&str> = trouble.iter().map(|line| line.words.as_str()).collect();
        assert_eq!(words, ["the disk is full", "no relay answers"]);
        let memory = lines.iter().find(|line| line.part == "memory").unwrap();
        assert!(memory.value > 1.0 && memory.unit == "MB");
    }
}
