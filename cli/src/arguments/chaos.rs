//! Arguments of `regen chaos`.

use std::path::PathBuf;

use clap::Subcommand;

use super::seconds;

#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    /// Inject the faults that a scenario file lists
    Run {
        /// TOML file; each `[[step]]` has a `fault` and a `role`, and optionally `site`, `after_ms` and `times`
        scenario: PathBuf,
        #[command(flatten)]
        options: ChaosOptions,
    },
    /// Inject random faults; the same seed gives the same faults in the same order
    Random {
        /// Seed of the random number generator
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of faults to inject
        #[arg(long, default_value_t = 100)]
        faults: usize,
        /// Inject faults only into these roles, separated by commas
        #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
        roles: Vec<String>,
        /// Start no further fault after this many seconds
        #[arg(long, value_parser = seconds)]
        duration: Option<f64>,
        #[command(flatten)]
        options: ChaosOptions,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChaosOptions {
    /// Attack the browser running on this profile instead of starting a separate one
    #[arg(long, value_name = "DIR")]
    pub(crate) attack_profile: Option<PathBuf>,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Fail if recovery takes longer, such as p95=800ms or tab-host:max=2s (may be given more than once)
    #[arg(long, value_name = "BUDGET")]
    pub(crate) budget: Vec<String>,
    /// Record each fault in this file, and continue after the last fault recorded there
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Stop at the first violation
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Show a window on the current display, and inject faults into it, too
    #[arg(long)]
    pub(crate) window: bool,
    /// Memory limit of each site's processes; the `balloon` fault exceeds it
    #[arg(long, value_name = "SIZE", default_value = "2500M")]
    pub(crate) site_memory: String,
}
