//! Values of all settings, by who set them.

use std::collections::BTreeMap;

use regen_commands::{Chord, CommandId, Shortcuts};
use toml_edit::{DocumentMut, Item, Table};

use crate::engines::{ENGINES, Engine, KnownEngine};
use crate::kind::{Kind, Value, ValueError};
use crate::parse::{Parsed, Problem, parse, unknown};
use crate::table::{Setting, named, table};

/// Origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The table.
    Default,
    /// The table of an administrator, which users may change.
    AdministratorsDefault,
    /// The user's file.
    User,
    /// An option of this start.
    CommandLine,
    /// An administrator, who fixed it.
    Administrator,
}

/// Reason why a setting stays as it is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// No setting has this name.
    #[error("{0}")]
    Unknown(String),
    /// The value is refused.
    #[error("{name}: {error}")]
    Value {
        /// Name of the setting.
        name: String,
        /// Reason.
        error: ValueError,
    },
    /// A file or folder is not there.
    #[error("{name}: {path} is not there")]
    Missing {
        /// Name of the setting.
        name: String,
        /// Path that was given.
        path: String,
    },
    /// An administrator fixed it.
    #[error("{0} is fixed by this machine's administrator, in /etc/regen/settings.toml")]
    Fixed(String),
    /// The command line of this start decides.
    #[error("{0} is set by an option of this start: end the browser, and start it without the option")]
    CommandLine(String),
    /// The file cannot be changed without losing what is in it.
    #[error("settings.toml has a mistake and stays as it is: {0}. Correct it first")]
    Broken(Problem),
    /// No search engine has this keyword.
    #[error("there is no search engine “{0}”: use one of {known}, or add it to search.engines", known = known_engines())]
    Engine(String),
}

fn known_engines() -> String {
    let keywords: Vec<&str> = ENGINES.iter().map(KnownEngine::keyword).collect();
    keywords.join(", ")
}

/// Values of all settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    document: DocumentMut,
    /// Mistake because of which the user's file is not read.
    broken: Option<Problem>,
    problems: Vec<String>,
    fixed: BTreeMap<String, Value>,
    command_line: BTreeMap<String, Value>,
    user: BTreeMap<String, Value>,
    defaults: BTreeMap<String, Value>,
}

impl Settings {
    /// Returns the settings of the texts of two files: the user's and the administrators'.
    #[must_use]
    pub fn new(user: &str, administrators: &str) -> Self {
        let mut settings = Self::default();
        match parse(administrators, true) {
            Ok(Parsed { values, defaults, problems }) => {
                settings.fixed = values;
                settings.defaults = defaults;
                settings.note("/etc/regen/settings.toml", &problems);
            }
            Err(problem) => settings.note("/etc/regen/settings.toml", &[problem]),
        }
        match parse(user, false) {
            Ok(Parsed { values, problems, .. }) => {
                settings.user = values;
                settings.note("settings.toml", &problems);
                // Valid, as it has just been read.
                settings.document = user.parse().unwrap_or_default();
            }
            Err(problem) => {
                settings.note("settings.toml", std::slice::from_ref(&problem));
                settings.broken = Some(problem);
            }
        }
        let engine = settings.text("search.engine");
        if settings.engine(&engine).is_none() {
            settings.problems.push(format!("search.engine: {}", SettingError::Engine(engine)));
        }
        settings
    }

    fn note(&mut self, file: &str, problems: &[Problem]) {
        self.problems.extend(problems.iter().map(|problem| format!("{file}, {problem}")));
    }

    /// Returns the mistakes of the files, in words.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Returns the text of the user's file.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.document.to_string()
    }

    /// Takes the value of an option of this start.
    ///
    /// # Errors
    /// Returns an error if an administrator fixed the setting, or the value is refused.
    pub fn set_by_command_line(&mut self, name: &str, texts: &[String]) -> Result<(), SettingError> {
        let setting = named(name).ok_or_else(|| SettingError::Unknown(unknown(name)))?;
        if self.fixed.contains_key(name) {
            return Err(SettingError::Fixed(name.to_owned()));
        }
        let error = |error| SettingError::Value { name: name.to_owned(), error };
        self.command_line.insert(name.to_owned(), setting.kind.read(texts).map_err(error)?);
        Ok(())
    }

    /// Changes a setting of the user's.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if there is no such setting, somebody else decides about it, or the value
    /// is refused.
    pub fn set(&mut self, name: &str, texts: &[String]) -> Result<(), SettingError> {
        let setting = self.may_change(name)?;
        let value = setting.kind.read(texts);
        let value = value.map_err(|error| SettingError::Value { name: name.to_owned(), error })?;
        if let (Kind::Engine(_), Value::Text(keyword)) = (setting.kind, &value)
            && self.engine(keyword).is_none()
        {
            return Err(SettingError::Engine(keyword.clone()));
        }
        let (section, key) = name.split_once('.').unwrap_or(("", name));
        let entries = self.document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        let Some(entries) = entries.as_table_like_mut() else {
            let words = format!("“{section}” is a value, and should be a table");
            return Err(SettingError::Broken(Problem { line: 0, words }));
        };
        // A comment beside the old value stays.
        let decor = entries.get(key).and_then(Item::as_value).map(|old| old.decor().clone());
        let mut item = value.to_toml();
        if let (Some(decor), Some(new)) = (decor, item.as_value_mut()) {
            *new.decor_mut() = decor;
        }
        entries.insert(key, item);
        self.user.insert(name.to_owned(), value);
        Ok(())
    }

    /// Takes a setting of the user's back.
    ///
    /// # Errors
    /// Returns an error if there is no such setting, or somebody else decides about it.
    pub fn reset(&mut self, name: &str) -> Result<(), SettingError> {
        self.may_change(name)?;
        let (section, key) = name.split_once('.').unwrap_or(("", name));
        if let Some(entries) = self.document.get_mut(section).and_then(Item::as_table_like_mut) {
            entries.remove(key);
        }
        self.user.remove(name);
        Ok(())
    }

    fn may_change(&self, name: &str) -> Result<&'static Setting, SettingError> {
        let setting = named(name).ok_or_else(|| SettingError::Unknown(unknown(name)))?;
        match self.source(name) {
            Source::Administrator => return Err(SettingError::Fixed(name.to_owned())),
            Source::CommandLine => return Err(SettingError::CommandLine(name.to_owned())),
            Source::Default | Source::AdministratorsDefault | Source::User => {}
        }
        self.broken.as_ref().map_or(Ok(setting), |problem| Err(SettingError::Broken(problem.clone())))
    }

    /// Returns who decides about a setting.
    #[must_use]
    pub fn source(&self, name: &str) -> Source {
        self.found(name).map_or(Source::Default, |(source, _)| source)
    }

    fn found(&self, name: &str) -> Option<(Source, &Value)> {
        let places = [
            (Source::Administrator, &self.fixed),
            (Source::CommandLine, &self.command_line),
            (Source::User, &self.user),
            (Source::AdministratorsDefault, &self.defaults),
        ];
        places.into_iter().find_map(|(source, values)| values.get(name).map(|value| (source, value)))
    }

    /// Returns the value of a setting of the table.
    #[must_use]
    pub fn value(&self, setting: &Setting) -> Value {
        self.found(&setting.name).map_or_else(|| setting.kind.default(), |(_, value)| value.clone())
    }

    fn of(&self, name: &str) -> Option<Value> {
        named(name).map(|setting| self.value(setting))
    }

    /// Returns whether a switch is on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.of(name), Some(Value::Switch(true)))
    }

    /// Returns a number; 0 for a setting that is none.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        if let Some(Value::Number(number)) = self.of(name) { number } else { 0.0 }
    }

    /// Returns a text; empty for a setting that is none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        if let Some(Value::Text(text)) = self.of(name) { text } else { String::new() }
    }

    /// Returns a list; empty for a setting that is none.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        if let Some(Value::List(list)) = self.of(name) { list } else { Vec::new() }
    }

    /// Returns the keys of all commands.
    #[must_use]
    pub fn shortcuts(&self) -> Shortcuts {
        let mut own: BTreeMap<CommandId, Vec<Chord>> = BTreeMap::new();
        for setting in table() {
            if let (Kind::Keys(command), Some((_, Value::List(keys)))) = (setting.kind, self.found(&setting.name)) {
                own.insert(command, keys.iter().filter_map(|keys| keys.parse().ok()).collect());
            }
        }
        Shortcuts::new(&own)
    }

    /// Returns the address of a search with the engine of this keyword, with `%s` for the words.
    #[must_use]
    pub fn engine(&self, keyword: &str) -> Option<String> {
        self.engines().into_iter().find(|(known, _)| known == keyword).map(|(_, url)| url)
    }

    /// Returns the keywords of all search engines with their addresses, the user's own first.
    #[must_use]
    pub fn engines(&self) -> Vec<(String, String)> {
        let own = self.list("search.engines");
        let own = own.iter().filter_map(|text| Engine::parse(text).ok()).map(|engine| (engine.keyword, engine.url));
        let known = ENGINES.iter().flat_map(|engine| engine.keywords.iter().map(move |word| (*word, engine.url)));
        own.chain(known.map(|(word, url)| (word.to_owned(), url.to_owned()))).collect()
    }

    /// Returns the engines to choose from, each by its keyword and name: the user's own, then those that Regen knows.
    #[must_use]
    pub fn engine_choices(&self) -> Vec<(String, String)> {
        let own = self.list("search.engines");
        let own = own.iter().filter_map(|text| Engine::parse(text).ok()).map(|own| (own.keyword.clone(), own.keyword));
        let known = ENGINES.iter().map(|engine| (engine.keyword().to_owned(), engine.name.to_owned()));
        let mut choices: Vec<(String, String)> = own.chain(known).collect();
        // Another keyword of an engine, or one that is gone.
        let chosen = self.text("search.engine");
        if choices.iter().all(|(keyword, _)| *keyword != chosen) {
            choices.insert(0, (chosen.clone(), chosen));
        }
        choices
    }

    /// Returns the address of a search with the engine that the user chose; with the first that Regen knows if that is
    /// gone.
    #[must_use]
    pub fn default_engine(&self) -> String {
        self.engine(&self.text("search.engine")).unwrap_or_else(|| ENGINES[0].url.to_owned())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
