//! Unit tests of the values.

use std::path::Path;

use regen_commands::CommandId;

use super::*;
use crate::file::SettingsFile;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_change_keeps_what_the_user_wrote_beside_it() {
    let text = "# mine\n[tabs]\nsleep-after = 30 # half an hour\n\n[other]\nthing = 1\n";
    let mut settings = Settings::new(text, "");
    assert_eq!(settings.number("tabs.sleep-after"), 30.0);
    assert_eq!(settings.problems(), ["settings.toml, line 6: there is no setting “other.thing”"]);
    settings.set("tabs.sleep-after", &texts(&["0.5"])).unwrap();
    settings.set("search.engine", &texts(&["w"])).unwrap();
    let text = settings.to_text();
    assert!(text.starts_with("# mine\n[tabs]\nsleep-after = 0.5 # half an hour\n"), "{text}");
    assert!(text.contains("[other]\nthing = 1\n") && text.contains("[search]\nengine = \"w\"\n"), "{text}");
    let again = Settings::new(&text, "");
    assert_eq!((again.number("tabs.sleep-after"), again.text("search.engine")), (0.5, "w".to_owned()));
    settings.reset("tabs.sleep-after").unwrap();
    assert_eq!(settings.number("tabs.sleep-after"), 60.0);
    assert!(!settings.to_text().contains("sleep-after"));
}

#[test]
fn a_mistake_costs_one_setting_and_is_named_with_its_line() {
    let text =
        "[tabs]\nsleep-after = \"soon\"\n[history]\nrecord = false\nrecrod = true\n[search]\nengine = 'none-such'\n";
    let settings = Settings::new(text, "");
    assert_eq!(settings.number("tabs.sleep-after"), 60.0);
    assert!(!settings.is_on("history.record"));
    let problems = settings.problems().join("\n");
    assert!(problems.contains("line 2: tabs.sleep-after: the value has the wrong type: use a number"), "{problems}");
    assert!(
        problems.contains("line 5: there is no setting “history.recrod”: did you mean history.record?"),
        "{problems}"
    );
    assert!(problems.contains("there is no search engine “none-such”"), "{problems}");
    assert!(settings.default_engine().starts_with("https://duckduckgo.com/"));
}

#[test]
fn a_file_that_is_no_toml_is_not_overwritten() {
    let mut settings = Settings::new("[tabs\nsleep-after = 1\n", "");
    assert_eq!(settings.number("tabs.sleep-after"), 60.0);
    let error = settings.set("tabs.sleep-after", &texts(&["5"])).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
    assert!(settings.problems()[0].starts_with("settings.toml, line 1: "));
    let mut settings = Settings::new("tabs = 3\n", "");
    assert!(matches!(settings.set("tabs.sleep-after", &texts(&["5"])), Err(SettingError::Broken(_))));
    assert_eq!((settings.number("tabs.sleep-after"), settings.to_text()), (60.0, "tabs = 3\n".to_owned()));
}

#[test]
fn an_administrator_fixes_settings_and_changes_defaults() {
    let administrators =
        "[history]\nrecord = false\n[defaults.search]\nengine = \"startpage\"\n[defaults.tabs]\nsleep-after = 5\n";
    let mut settings = Settings::new("[history]\nrecord = true\n[tabs]\nsleep-after = 7\n", administrators);
    assert_eq!(settings.problems(), [""; 0]);
    assert!(!settings.is_on("history.record"));
    assert_eq!(settings.source("history.record"), Source::Administrator);
    assert_eq!(settings.set("history.record", &texts(&["on"])), Err(SettingError::Fixed("history.record".to_owned())));
    assert_eq!(settings.reset("history.record"), Err(SettingError::Fixed("history.record".to_owned())));
    assert!(settings.set_by_command_line("history.record", &texts(&["on"])).is_err());
    assert_eq!(settings.text("search.engine"), "startpage");
    assert_eq!(settings.source("search.engine"), Source::AdministratorsDefault);
    assert_eq!(settings.number("tabs.sleep-after"), 7.0);
    settings.reset("tabs.sleep-after").unwrap();
    assert_eq!(settings.number("tabs.sleep-after"), 5.0);
}

#[test]
fn the_command_line_wins_over_the_user() {
    let mut settings = Settings::new("[processes]\njit = true\n", "");
    settings.set_by_command_line("processes.jit", &texts(&["off"])).unwrap();
    assert!(!settings.is_on("processes.jit"));
    let error = settings.set("processes.jit", &texts(&["on"])).unwrap_err();
    assert_eq!(error, SettingError::CommandLine("processes.jit".to_owned()));
    assert!(settings.set_by_command_line("headless.size", &texts(&["1x1"])).is_err());
}

#[test]
fn values_are_checked_and_written_in_one_way() {
    let mut settings = Settings::default();
    for (name, given, kept) in [
        ("startup.home", vec!["example.org"], vec!["https://example.org/"]),
        ("network.reach-private", vec!["https://a.test", ""], vec!["https://a.test/"]),
        ("shortcuts.find", vec!["ctrl+shift+f", "F2"], vec!["Ctrl+Shift+F", "F2"]),
        ("processes.memory-limit", vec!["800M"], vec!["800M"]),
        ("search.engines", vec![" x = https://x.test/?q=%s"], vec!["x=https://x.test/?q=%s"]),
        ("history.record", vec!["FALSE"], vec!["off"]),
        ("network.extra-ca", vec![], vec![]),
    ] {
        settings.set(name, &texts(&given)).unwrap();
        assert_eq!(settings.value(named(name).unwrap()).texts(), texts(&kept), "{name}");
    }
    for (name, wrong) in [
        ("tabs.sleep-after", vec!["-1"]),
        ("tabs.sleep-after", vec!["NaN"]),
        ("tabs.sleep-after", vec!["1", "2"]),
        ("tabs.sleep-after", vec![]),
        ("startup.home", vec!["javascript:alert(1)"]),
        ("downloads.folder", vec!["relative"]),
        ("network.extra-ca", vec!["relative"]),
        ("processes.memory-limit", vec!["1M"]),
        ("shortcuts.find", vec!["f"]),
        ("shortcuts.find", vec!["Ctrl+1"; 9]),
        ("search.engine", vec!["nobody"]),
        ("headless.scale", vec!["3"]),
        ("no.such", vec!["x"]),
    ] {
        assert!(settings.set(name, &texts(&wrong)).is_err(), "{name} {wrong:?}");
    }
    assert!(settings.set("startup.home", &["x".repeat(5000)]).is_err());
    settings.set("search.engine", &texts(&["x"])).unwrap();
    assert_eq!(settings.default_engine(), "https://x.test/?q=%s");
}

#[test]
fn keys_of_the_user_are_those_of_the_command() {
    let mut settings = Settings::default();
    settings.set("shortcuts.find", &texts(&["Ctrl+T"])).unwrap();
    let shortcuts = settings.shortcuts();
    assert_eq!(shortcuts.command(&"Ctrl+T".parse().unwrap()), Some(CommandId::Find));
    assert_eq!(shortcuts.keys(CommandId::NewTab), []);
}

#[test]
fn files_come_back_as_they_were_saved_and_a_missing_one_is_empty() {
    let profile = tempfile::tempdir().unwrap();
    let (file, none) = (SettingsFile::of(profile.path()), Path::new("/nonexistent/settings.toml"));
    let mut settings = file.load(none).unwrap();
    settings.set("history.record", &texts(&["off"])).unwrap();
    file.save(&settings.to_text()).unwrap();
    assert!(!file.load(none).unwrap().is_on("history.record"));
    std::fs::write(file.path(), [0xff, 0xfe]).unwrap();
    assert!(file.load(none).unwrap_err().to_string().contains("settings.toml"));
    std::fs::write(file.path(), vec![b' '; 2 << 20]).unwrap();
    assert!(file.load(none).unwrap_err().to_string().contains("larger than 1 MB"));
}

proptest::proptest! {
    #[test]
    fn any_file_is_read_without_losing_it(user in "\\PC{0,60}", administrators in "[a-z\\[\\].=\"\n]{0,60}") {
        let settings = Settings::new(&user, &administrators);
        if settings.broken.is_none() {
            proptest::prop_assert_eq!(settings.to_text(), user);
        }
    }
}
