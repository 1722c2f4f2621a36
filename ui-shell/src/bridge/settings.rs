//! Settings, commands and entries of the command bar, as the chrome has them.

use regen_commands::{Applies, COMMANDS};
use regen_proto::kernel::v1::found_entry::Target;
use regen_proto::kernel::v1::{Found, FoundEntry, SettingsAnswer, WindowSettings};
use regen_proto::settings::v1::{Setting, SettingChoice, SettingKind, SettingSource};
use serde::{Deserialize, Serialize};

use super::ToChrome;

/// A command of the browser.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeCommand {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    /// Combinations of keys, such as `Ctrl+Shift+A`; the first is shown.
    pub(super) keys: Vec<String>,
    /// Does something only where a page of a site is shown.
    pub(super) in_pages: bool,
}

/// A value of a choice, with its words.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeSettingChoice {
    pub(super) value: String,
    pub(super) words: String,
}

/// Kind of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeSettingKind {
    Switch,
    Choice,
    Number,
    Text,
    List,
    Keys,
}

/// Origin of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeSettingSource {
    Default,
    AdministratorsDefault,
    User,
    CommandLine,
    Administrator,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeSetting {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) words: String,
    pub(super) help: String,
    pub(super) kind: ChromeSettingKind,
    /// One text, or those of a list.
    pub(super) values: Vec<String>,
    pub(super) defaults: Vec<String>,
    pub(super) choices: Vec<ChromeSettingChoice>,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) unit: String,
    pub(super) source: ChromeSettingSource,
    pub(super) at_next_start: bool,
}

/// Question about the settings, or a change of one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum ChromeSettingAction {
    List { words: String },
    Set { name: String, values: Vec<String> },
    Reset { name: String },
}

/// Kind of an entry of the command bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeFoundKind {
    Tab,
    Page,
    Bookmark,
    Command,
    Setting,
    Workspace,
}

/// Entry of the command bar.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeFound {
    pub(super) kind: ChromeFoundKind,
    /// Tab; 0 for other kinds.
    pub(super) tab: u64,
    /// Address, name of a command or a setting, or identifier of a workspace; empty for a tab.
    pub(super) target: String,
    pub(super) title: String,
    pub(super) detail: String,
    /// Characters of the title that match, counted from 0.
    pub(super) matched: Vec<u32>,
}

/// Returns the answer to a question about the settings.
pub(super) fn answer(answer: &SettingsAnswer) -> ToChrome {
    let reply = answer.reply.clone().unwrap_or_default();
    ToChrome::Settings {
        request: answer.request,
        settings: reply.settings.into_iter().map(setting).collect(),
        problems: reply.problems,
        error: reply.error,
    }
}

fn setting(wire: Setting) -> ChromeSetting {
    let choice = |SettingChoice { value, words }| ChromeSettingChoice { value, words };
    ChromeSetting {
        kind: match wire.kind() {
            SettingKind::Switch => ChromeSettingKind::Switch,
            SettingKind::Choice => ChromeSettingKind::Choice,
            SettingKind::Number => ChromeSettingKind::Number,
            SettingKind::List => ChromeSettingKind::List,
            SettingKind::Keys => ChromeSettingKind::Keys,
            SettingKind::Text | SettingKind::Unspecified => ChromeSettingKind::Text,
        },
        source: match wire.source() {
            SettingSource::Default | SettingSource::Unspecified => ChromeSettingSource::Default,
            SettingSource::AdministratorsDefault => ChromeSettingSource::AdministratorsDefault,
            SettingSource::User => ChromeSettingSource::User,
            SettingSource::CommandLine => ChromeSettingSource::CommandLine,
            SettingSource::Administrator => ChromeSettingSource::Administrator,
        },
        name: wire.name,
        section: wire.section,
        words: wire.words,
        help: wire.help,
        values: wire.values,
        defaults: wire.defaults,
        choices: wire.choices.into_iter().map(choice).collect(),
        min: wire.min,
        max: wire.max,
        unit: wire.unit,
        at_next_start: wire.at_next_start,
    }
}

/// Returns the settings that the chrome follows, with all commands.
pub(super) fn followed(settings: &WindowSettings) -> ToChrome {
    let keys = |name: &str| settings.keys.iter().find(|one| one.command == name).map(|one| one.keys.clone());
    let command = |command: &regen_commands::Command| ChromeCommand {
        name: command.name,
        words: command.words,
        keys: keys(command.name).unwrap_or_default(),
        in_pages: command.applies == Applies::Page,
    };
    ToChrome::Followed {
        home: settings.home.clone(),
        bookmarks_bar: settings.bookmarks_bar,
        restore_session: settings.restore_session,
        commands: COMMANDS.iter().map(command).collect(),
    }
}

/// Returns the entries of the command bar.
pub(super) fn found(found: &Found) -> ToChrome {
    let entry = |entry: &FoundEntry| {
        let (kind, tab, target) = match entry.target.clone()? {
            Target::Tab(tab) => (ChromeFoundKind::Tab, tab, String::new()),
            Target::Url(url) => (ChromeFoundKind::Page, 0, url),
            Target::Bookmark(url) => (ChromeFoundKind::Bookmark, 0, url),
            Target::Command(name) => (ChromeFoundKind::Command, 0, name),
            Target::Workspace(id) => (ChromeFoundKind::Workspace, 0, id),
            Target::Setting(name) => (ChromeFoundKind::Setting, 0, name),
        };
        let (title, detail, matched) = (entry.title.clone(), entry.detail.clone(), entry.matched.clone());
        Some(ChromeFound { kind, tab, target, title, detail, matched })
    };
    ToChrome::Found { request: found.request, entries: found.entries.iter().filter_map(entry).collect() }
}
