//! Settings: the window's and the control API's messages.

use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::kernel::v1::{CommandKeys, SettingsAnswer, WindowSettings};
use regen_proto::settings::v1::settings_request::Action;
use regen_proto::settings::v1::{
    Setting as WireSetting, SettingChange, SettingChoice, SettingFilter, SettingKind, SettingSource, SettingsReply,
    SettingsRequest,
};
use regen_settings::commands::COMMANDS;
use regen_settings::{Effect, Kind, SettingError, Settings, Source};

use crate::kept::preferences::{Query, RESTORE_SESSION, Reply, Row};
use crate::message::{ChildId, Outgoing};

/// Returns what a request asks; `None` for nothing.
#[must_use]
pub fn query(request: SettingsRequest) -> Option<Query> {
    Some(match request.action? {
        Action::List(SettingFilter { words, name }) => Query::List { words, name: (!name.is_empty()).then_some(name) },
        Action::Set(SettingChange { name, values }) => Query::Set { name, values },
        Action::Reset(name) => Query::Reset { name },
    })
}

/// Returns the answer to a request.
#[must_use]
pub fn reply(reply: Reply) -> SettingsReply {
    let settings = reply.rows.into_iter().map(row).collect();
    SettingsReply { settings, problems: reply.problems, error: String::new() }
}

fn row(Row { setting, value, source, choices }: Row) -> WireSetting {
    let mut wire = WireSetting {
        name: setting.name.clone(),
        section: setting.section().to_owned(),
        words: setting.words.to_owned(),
        help: setting.help.to_owned(),
        values: value.texts(),
        defaults: setting.kind.default().texts(),
        source: match source {
            Source::Default => SettingSource::Default,
            Source::AdministratorsDefault => SettingSource::AdministratorsDefault,
            Source::User => SettingSource::User,
            Source::CommandLine => SettingSource::CommandLine,
            Source::Administrator => SettingSource::Administrator,
        }
        .into(),
        choices: choices.into_iter().map(|(value, words)| SettingChoice { value, words }).collect(),
        at_next_start: setting.effect == Effect::NextStart,
        ..WireSetting::default()
    };
    let kind = match setting.kind {
        Kind::Switch(_) => SettingKind::Switch,
        Kind::Choice(_) | Kind::Engine(_) => SettingKind::Choice,
        Kind::Number { min, max, unit, .. } => {
            (wire.min, wire.max, wire.unit) = (min, max, unit.to_owned());
            SettingKind::Number
        }
        Kind::Memory | Kind::Path | Kind::Page | Kind::Size(_) => SettingKind::Text,
        Kind::Paths | Kind::Sites | Kind::Engines => SettingKind::List,
        Kind::Keys(_) => SettingKind::Keys,
    };
    wire.kind = kind.into();
    wire
}

/// Returns the update that answers the window's question.
#[must_use]
pub fn answer(window: ChildId, request: u64, answer: Result<Reply, SettingError>) -> Outgoing {
    let reply = match answer {
        Ok(answered) => reply(answered),
        Err(error) => SettingsReply { error: error.to_string(), ..SettingsReply::default() },
    };
    super::window_updates::update(window, Body::Settings(SettingsAnswer { request, reply: Some(reply) }))
}

/// Returns the update with the settings that the window itself follows.
#[must_use]
pub fn for_window(window: ChildId, settings: &Settings) -> Outgoing {
    let shortcuts = settings.shortcuts();
    let keys = COMMANDS.iter().map(|command| CommandKeys {
        command: command.name.to_owned(),
        keys: shortcuts.keys(command.id).iter().map(ToString::to_string).collect(),
    });
    let settings = WindowSettings {
        home: settings.text("startup.home"),
        restore_session: settings.is_on(RESTORE_SESSION),
        bookmarks_bar: settings.is_on("appearance.bookmarks-bar"),
        keys: keys.collect(),
    };
    super::window_updates::update(window, Body::WindowSettings(settings))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use regen_proto::prost::Message;
    use regen_settings::{SettingsFile, table};

    use super::*;
    use crate::kept::preferences::Preferences;

    #[test]
    fn all_settings_fit_in_one_message_however_much_is_in_them() {
        let mut settings = Settings::default();
        for setting in table().iter().filter(|setting| setting.name != "search.engine") {
            for length in (0..12).rev().map(|power| 1_usize << power) {
                let padding = "x".repeat(length);
                let texts: Vec<String> = if matches!(setting.kind, Kind::Keys(_)) {
                    (1..=8).map(|key| format!("Ctrl+Alt+Shift+F{key}")).collect()
                } else if matches!(setting.kind, Kind::Engines) {
                    vec![format!("k=https://a.test/?q=%s&{padding}"); 200]
                } else if matches!(setting.kind, Kind::Sites) {
                    vec![format!("https://a.test/{padding}"); 200]
                } else {
                    vec![format!("/{padding}"); if setting.kind.is_list() { 200 } else { 1 }]
                };
                if settings.set(&setting.name, &texts).is_ok() {
                    break;
                }
            }
        }
        let mut preferences = Preferences::new(settings, SettingsFile::of(Path::new("/nonexistent")));
        let all = preferences.ask(Query::List { words: String::new(), name: None }).unwrap();
        assert_eq!(all.rows.len(), table().len());
        let size = reply(all).encoded_len();
        assert!((20_000..60_000).contains(&size), "{size} bytes");
    }
}
