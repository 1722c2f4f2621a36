//! `regen chaos …`.

use std::path::PathBuf;

use clap::Subcommand;

use super::seconds;

#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    /// The steps of a scenario file
    Run {
        /// TOML: a `[[step]]` has `fault`, `role`, and may have `site`, `after_ms`, `times`
        scenario: PathBuf,
        #[command(flatten)]
        options: ChaosOptions,
    },
    /// Faults as they come; the same for the same seed
    Random {
        /// Where the order comes from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many
        #[arg(long, default_value_t = 100)]
        faults: usize,
        /// Only these roles
        #[arg(long, value_delimiter = ',', value_name = "ROLE,…")]
        roles: Vec<String>,
        /// Begin none after so many seconds
        #[arg(long, value_parser = seconds)]
        duration: Option<f64>,
        #[command(flatten)]
        options: ChaosOptions,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChaosOptions {
    /// Attack the browser that runs on this profile, instead of one of its own
    #[arg(long, value_name = "DIR")]
    pub(crate) attack_profile: Option<PathBuf>,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Fail when recovery takes longer, such as p95=800ms or tab-host:max=2s (may be given more than once)
    #[arg(long, value_name = "BUDGET")]
    pub(crate) budget: Vec<String>,
    /// Keep a line for each fault in this file, and go on after the last one that is there
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Stop at the first violation
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// With a window on this display, which then has its share of the faults
    #[arg(long)]
    pub(crate) window: bool,
    /// What a site's processes may use, so that a page that takes all it can get is found out, in bytes
    #[arg(long, default_value_t = 2500 << 20)]
    pub(crate) site_memory: u64,
}
