//! Arguments of `regen settings`.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use regen_settings::commands::COMMANDS;
use regen_settings::table;

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// List settings with their values, and where each value comes from
    List {
        /// Words that must each be in a setting's name, description or value
        words: Vec<String>,
        /// List only settings whose value is not the default
        #[arg(long)]
        changed: bool,
    },
    /// Print the value of a setting; a list one entry per line
    Get {
        /// Name, such as tabs.sleep-after
        #[arg(value_name = "NAME", value_parser = names())]
        name: String,
    },
    /// Change a setting
    Set {
        /// Name, such as tabs.sleep-after
        #[arg(value_name = "NAME", value_parser = names())]
        name: String,
        /// Value; several for a list, none for an empty one
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        values: Vec<String>,
    },
    /// Take a setting back to its default
    Reset {
        /// Name, such as tabs.sleep-after
        #[arg(value_name = "NAME", value_parser = names())]
        name: String,
    },
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(table().iter().map(|setting| setting.name.as_str()))
}

/// Returns the names of the browser's commands.
pub(super) fn commands() -> PossibleValuesParser {
    PossibleValuesParser::new(COMMANDS.iter().map(|command| command.name))
}
