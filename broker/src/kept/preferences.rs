//! The settings on their way to the user's file, and to the components that follow them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regen_session::address::Searches;
use regen_settings::{Kind, Setting, SettingError, Settings, SettingsFile, Source, Value, named, table};
use tokio::sync::oneshot;

/// Name of the setting that an earlier version kept in the store.
pub const RESTORE_SESSION: &str = "startup.restore-session";

/// Question about the settings, or a change of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// List settings.
    List {
        /// Words that must each be in the name, the words, the help or the values.
        words: String,
        /// Name; `None`: any.
        name: Option<String>,
    },
    /// Change a setting.
    Set {
        /// Name.
        name: String,
        /// One text, or those of a list.
        values: Vec<String>,
    },
    /// Take a setting back.
    Reset {
        /// Name.
        name: String,
    },
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The setting.
    pub setting: &'static Setting,
    /// Value.
    pub value: Value,
    /// Origin of the value.
    pub source: Source,
    /// Values to choose from, each with its words; none: they are not listed.
    pub choices: Vec<(String, String)>,
}

/// Answer to a [`Query`].
#[derive(Debug, Default)]
pub struct Reply {
    /// The list; after a change, the setting that was changed.
    pub rows: Vec<Row>,
    /// Mistakes in the files, in words.
    pub problems: Vec<String>,
    /// Set if a setting has changed: told once the file is on the disk, or cannot be.
    pub saved: Option<oneshot::Receiver<io::Result<()>>>,
}

/// Settings that components follow at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Time after which a host that nobody looks at sleeps; `None`: never.
    pub sleep_after: Option<Duration>,
    /// The last session comes back by itself.
    pub restores: bool,
    /// Visits are recorded.
    pub records_visits: bool,
    /// Time for which visits are kept; `None`: for ever.
    pub keeps_visits: Option<Duration>,
}

/// The settings.
#[derive(Debug)]
pub struct Preferences {
    settings: Settings,
    file: SettingsFile,
    searches: Searches,
    /// Number of the last text that was written, so that no older one follows it.
    written: Arc<Mutex<u64>>,
    changes: u64,
}

impl Preferences {
    /// Returns the settings of the start.
    #[must_use]
    pub fn new(settings: Settings, file: SettingsFile) -> Self {
        let searches = searches(&settings);
        Self { settings, file, searches, written: Arc::default(), changes: 0 }
    }

    /// Returns the search engines.
    #[must_use]
    pub fn searches(&self) -> &Searches {
        &self.searches
    }

    /// Returns the values.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns what components follow at once.
    #[must_use]
    pub fn followed(&self) -> Followed {
        let after = |name: &str, seconds: f64| {
            let number = self.settings.number(name);
            (number > 0.0).then(|| Duration::from_secs_f64(number * seconds))
        };
        Followed {
            sleep_after: after("tabs.sleep-after", 60.0),
            restores: self.settings.is_on(RESTORE_SESSION),
            records_visits: self.settings.is_on("history.record"),
            keeps_visits: after("history.keep-for", 24.0 * 3600.0),
        }
    }

    /// Answers a question, or makes a change and has it written.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if a change is refused.
    pub fn ask(&mut self, query: Query) -> Result<Reply, SettingError> {
        let is_change = !matches!(query, Query::List { .. });
        let reply = self.change_unsaved(query)?;
        Ok(if is_change { Reply { saved: Some(self.write()), ..reply } } else { reply })
    }

    /// Answers a question, or makes a change that the caller writes.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if a change is refused.
    pub fn change_unsaved(&mut self, query: Query) -> Result<Reply, SettingError> {
        let name = match query {
            Query::List { words, name } => return Ok(self.list(&words, name.as_deref())),
            Query::Set { name, values } => {
                are_there(&name, &values)?;
                self.settings.set(&name, &values)?;
                name
            }
            Query::Reset { name } => {
                self.settings.reset(&name)?;
                name
            }
        };
        self.searches = searches(&self.settings);
        Ok(self.list("", Some(&name)))
    }

    fn list(&self, words: &str, name: Option<&str>) -> Reply {
        let words: Vec<String> = words.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let is_meant = |row: &Row| {
            let Setting { name, words: its, help, .. } = row.setting;
            let text = format!("{name} {its} {help} {}", row.value.texts().join(" ")).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let rows = table().iter().filter(|setting| name.is_none_or(|name| setting.name == name));
        let rows = rows.map(|setting| self.row(setting)).filter(is_meant).collect();
        Reply { rows, problems: self.settings.problems().to_vec(), saved: None }
    }

    fn row(&self, setting: &'static Setting) -> Row {
        let choices = if let Kind::Choice(choices) = setting.kind {
            choices.iter().map(|(value, words)| ((*value).into(), (*words).into())).collect()
        } else if matches!(setting.kind, Kind::Engine(_)) {
            self.settings.engine_choices()
        } else {
            Vec::new()
        };
        let (value, source) = (self.settings.value(setting), self.settings.source(&setting.name));
        Row { setting, value, source, choices }
    }

    /// Has the file written on a thread for blocking work.
    fn write(&mut self) -> oneshot::Receiver<io::Result<()>> {
        self.changes += 1;
        let (done, saved) = oneshot::channel();
        let (text, file, number) = (self.settings.to_text(), self.file.clone(), self.changes);
        let written = Arc::clone(&self.written);
        tokio::task::spawn_blocking(move || {
            let result = save(&file, &text, &written, number);
            if let Err(error) = &result {
                tracing::error!("{} cannot be written: {error}", file.path().display());
            }
            // The receiver may have gone.
            drop(done.send(result));
        });
        saved
    }

    /// Brings the last change to the disk, at the end of the browser. Blocks.
    pub fn flush(&self) {
        if let Err(error) = save(&self.file, &self.settings.to_text(), &self.written, self.changes) {
            tracing::error!("{} cannot be written: {error}", self.file.path().display());
        }
    }
}

/// Checks that the files and folders of a value are there: without one, the next start would fail.
fn are_there(name: &str, values: &[String]) -> Result<(), SettingError> {
    let is_path = |setting: &&Setting| matches!(setting.kind, Kind::Path | Kind::Paths);
    let paths = named(name).filter(is_path).map_or(&[][..], |_| values);
    let missing = paths.iter().map(|path| path.trim()).find(|path| !path.is_empty() && !Path::new(path).exists());
    missing.map_or(Ok(()), |path| Err(SettingError::Missing { name: name.to_owned(), path: path.to_owned() }))
}

/// Writes a text, unless a newer one has been written.
fn save(file: &SettingsFile, text: &str, written: &Mutex<u64>, number: u64) -> io::Result<()> {
    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
    if *written >= number {
        return Ok(());
    }
    file.save(text)?;
    *written = number;
    Ok(())
}

fn searches(settings: &Settings) -> Searches {
    Searches { default: settings.default_engine(), engines: settings.engines() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Query {
        Query::Set { name: name.to_owned(), values: vec![value.to_owned()] }
    }

    #[tokio::test]
    async fn a_change_is_followed_at_once_and_is_on_the_disk_when_it_says_so() {
        let profile = tempfile::tempdir().unwrap();
        let file = SettingsFile::of(profile.path());
        let mut preferences = Preferences::new(Settings::default(), file.clone());
        assert_eq!(preferences.followed().sleep_after, Some(Duration::from_secs(3600)));
        let reply = preferences.ask(set("tabs.sleep-after", "0")).unwrap();
        assert_eq!((reply.rows.len(), reply.rows[0].source), (1, Source::User));
        assert_eq!(preferences.followed().sleep_after, None);
        let newer = preferences.ask(set("search.engine", "w")).unwrap();
        assert!(preferences.searches().url("a b").starts_with("https://en.wikipedia.org/"));
        newer.saved.unwrap().await.unwrap().unwrap();
        reply.saved.unwrap().await.unwrap().unwrap();
        let saved = file.load(Path::new("/nonexistent")).unwrap();
        assert_eq!((saved.number("tabs.sleep-after"), saved.text("search.engine")), (0.0, "w".to_owned()));
        assert!(preferences.ask(set("tabs.sleep-after", "never")).is_err());
        let missing = preferences.ask(set("network.extra-ca", "/no/such.pem")).unwrap_err();
        assert!(missing.to_string().contains("/no/such.pem is not there"), "{missing}");
        assert_eq!(preferences.followed().sleep_after, None);
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_reported_and_the_change_holds_for_this_run() {
        let file = SettingsFile::of(Path::new("/nonexistent"));
        let mut preferences = Preferences::new(Settings::default(), file);
        let reply = preferences.ask(set("history.record", "off")).unwrap();
        assert!(reply.saved.unwrap().await.unwrap().is_err());
        assert!(!preferences.followed().records_visits);
    }

    #[test]
    fn settings_are_found_by_their_words_names_and_values() {
        let preferences = Preferences::new(Settings::default(), SettingsFile::of(Path::new("/nonexistent")));
        let names = |words: &str| -> Vec<&str> {
            preferences.list(words, None).rows.iter().map(|row| row.setting.name.as_str()).collect()
        };
        assert_eq!(names("KEYWORD engines"), ["search.engines"]);
        assert_eq!(names("ctrl+shift+b"), ["shortcuts.bookmarks-bar"]);
        assert!(names("").len() > 60);
        assert_eq!(names("nothing has these words"), [""; 0]);
    }
}
