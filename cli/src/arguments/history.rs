//! Arguments of `regen history`.

use clap::{Args, Subcommand};

use crate::moment::Moment;

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// List visits, newest first; with words, those whose title or address contains all of them
    List {
        #[command(flatten)]
        conditions: VisitConditions,
        /// Maximum number of visits to list
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: u32,
    },
    /// Delete visits that meet all conditions; `undo` restores them within one minute
    Delete {
        #[command(flatten)]
        conditions: VisitConditions,
        /// Delete the whole history if there is no other condition
        #[arg(long)]
        all: bool,
    },
    /// Restore the visits of the last deletion
    Undo,
}

/// Conditions that a visit must all meet.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct VisitConditions {
    /// Words in the title or address
    pub(crate) words: Vec<String>,
    /// Only this site, with its subdomains
    #[arg(long, value_name = "SITE")]
    pub(crate) site: Option<String>,
    /// Only this address
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Only this workspace
    #[arg(long, value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// Only from this time on: a date, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Only before this time: a date, or an age such as 30d
    #[arg(long, value_name = "TIME", visible_alias = "older-than")]
    pub(crate) until: Option<Moment>,
}
