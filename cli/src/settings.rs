//! `regen settings`: lists and changes settings, of a running browser or of a profile that none uses. `regen command`: runs
//! a command in the window.

use std::path::Path;

use regen_broker::profile::Profile;
use regen_proto::control::v1::RunCommandRequest;
use regen_proto::settings::v1::settings_request::Action;
use regen_proto::settings::v1::{Setting, SettingChange, SettingFilter, SettingSource, SettingsReply, SettingsRequest};
use regen_settings::commands::COMMANDS;
use regen_settings::{ADMINISTRATORS_FILE, SettingsFile};
use serde_json::json;

use crate::arguments::{Output, SettingsCommand};
use crate::client::{Client, Failure};
use crate::render::print_json;

pub(crate) async fn run(profile: Option<&Path>, command: SettingsCommand, output: Output) -> Result<(), Failure> {
    let only_changed = matches!(command, SettingsCommand::List { changed: true, .. });
    let is_get = matches!(command, SettingsCommand::Get { .. });
    let reply = match Client::connect(profile).await {
        Ok(mut client) => client.api.settings(request(command)).await?.into_inner(),
        Err(Failure::NotRunning(_)) => of_profile(profile, command)?,
        Err(other) => return Err(other),
    };
    for problem in &reply.problems {
        eprintln!("regen: {problem}");
    }
    let is_shown = |setting: &&Setting| !only_changed || setting.source() != SettingSource::Default;
    let settings: Vec<&Setting> = reply.settings.iter().filter(is_shown).collect();
    if output == Output::Json {
        let settings: Vec<_> = settings.into_iter().map(to_json).collect();
        print_json(&json!({ "settings": settings, "problems": reply.problems }));
    } else if is_get {
        settings.iter().flat_map(|setting| &setting.values).for_each(|value| println!("{value}"));
    } else {
        settings.into_iter().for_each(print);
    }
    Ok(())
}

fn request(command: SettingsCommand) -> SettingsRequest {
    let action = match command {
        SettingsCommand::List { words, .. } => {
            Action::List(SettingFilter { words: words.join(" "), name: String::new() })
        }
        SettingsCommand::Get { name } => Action::List(SettingFilter { words: String::new(), name }),
        SettingsCommand::Set { name, values } => Action::Set(SettingChange { name, values: value(values) }),
        SettingsCommand::Reset { name } => Action::Reset(name),
    };
    SettingsRequest { action: Some(action) }
}

/// Returns the texts of a value: no value stands for an empty one.
fn value(values: Vec<String>) -> Vec<String> {
    if values.is_empty() { vec![String::new()] } else { values }
}

/// Lists or changes the settings of a profile that no browser uses; its lock keeps one from starting meanwhile.
fn of_profile(profile: Option<&Path>, command: SettingsCommand) -> Result<SettingsReply, Failure> {
    let profile = Profile::find(profile)?;
    let file = SettingsFile::of(profile.root());
    let changes = matches!(command, SettingsCommand::Set { .. } | SettingsCommand::Reset { .. });
    let _locked = if changes { Some(profile.lock()?) } else { None };
    let settings = file.load(Path::new(ADMINISTRATORS_FILE))?;
    let mut preferences = regen_broker::kept::preferences::Preferences::new(settings, file.clone());
    let query = regen_broker::codec::settings::query(request(command));
    let query = query.ok_or_else(|| Failure::Other("a request about settings without an action".to_owned()))?;
    let refused = |error: regen_settings::SettingError| Failure::Other(error.to_string());
    let reply = preferences.change_unsaved(query).map_err(refused)?;
    if changes {
        file.save(&preferences.settings().to_text())?;
    }
    Ok(regen_broker::codec::settings::reply(reply))
}

fn to_json(setting: &Setting) -> serde_json::Value {
    json!({
        "name": setting.name,
        "words": setting.words,
        "help": setting.help,
        "values": setting.values,
        "default": setting.defaults,
        "source": source(setting),
        "at_next_start": setting.at_next_start,
    })
}

fn source(setting: &Setting) -> &'static str {
    match setting.source() {
        SettingSource::Default | SettingSource::Unspecified => "default",
        SettingSource::AdministratorsDefault => "administrator's default",
        SettingSource::User => "user",
        SettingSource::CommandLine => "command line",
        SettingSource::Administrator => "administrator",
    }
}

fn print(setting: &Setting) {
    let values = setting.values.iter().filter(|value| !value.is_empty()).cloned().collect::<Vec<_>>().join(", ");
    let values = if values.is_empty() { "–".to_owned() } else { values };
    let unit = if setting.unit.is_empty() { String::new() } else { format!(" {}", setting.unit) };
    let from =
        if setting.source() == SettingSource::Default { String::new() } else { format!("  ({})", source(setting)) };
    println!("{:<32} {values}{unit}{from}", setting.name);
    println!("{:<32} {}", "", setting.words);
}

/// Runs a command in the window; without a name, lists them.
pub(crate) async fn run_command(profile: Option<&Path>, name: Option<String>, output: Output) -> Result<(), Failure> {
    if let Some(name) = name {
        Client::connect(profile).await?.api.run_command(RunCommandRequest { name }).await?;
        return Ok(());
    }
    if output == Output::Json {
        let commands: Vec<_> =
            COMMANDS.iter().map(|one| json!({ "name": one.name, "words": one.words, "keys": one.keys })).collect();
        print_json(&json!({ "commands": commands }));
        return Ok(());
    }
    for command in &COMMANDS {
        println!("{:<24} {:<36} {}", command.name, command.words, command.keys.join(", "));
    }
    Ok(())
}
