//! Reading of a file of settings. A mistake costs the setting that it is in, and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use toml_edit::{Document, Item, Table};

use crate::kind::Value;
use crate::table::{named, table};

/// Likeness from which a name is suggested in place of an unknown one.
const LIKE: f64 = 0.8;
/// Maximum number of mistakes that are named.
const MAX_PROBLEMS: usize = 20;

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1; 0 if it is not known.
    pub line: usize,
    /// The mistake, in words.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => out.write_str(&self.words),
            line => write!(out, "line {line}: {}", self.words),
        }
    }
}

/// Values of a file.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) values: BTreeMap<String, Value>,
    /// Values below `[defaults]`.
    pub(crate) defaults: BTreeMap<String, Value>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads a file. `has_defaults`: it may have a table `defaults` with further settings.
///
/// # Errors
/// Returns the mistake because of which the file is no TOML.
pub(crate) fn parse(text: &str, has_defaults: bool) -> Result<Parsed, Problem> {
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(text, span.start));
        Problem { line, words: error.message().to_owned() }
    })?;
    let mut parsed = Parsed::default();
    let mut reader = Reader { text, problems: Vec::new() };
    for (section, item) in document.as_table() {
        match item.as_table() {
            Some(inner) if has_defaults && section == "defaults" => {
                for (section, item) in inner {
                    reader.section(section, item, &mut parsed.defaults);
                }
            }
            _ => reader.section(section, item, &mut parsed.values),
        }
    }
    parsed.problems = reader.problems;
    Ok(parsed)
}

struct Reader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn section(&mut self, section: &str, item: &Item, values: &mut BTreeMap<String, Value>) {
        let Some(entries) = item.as_table_like() else {
            return self.problem(item, unknown(section));
        };
        for (key, item) in entries.iter() {
            let name = format!("{section}.{key}");
            match (named(&name), item.as_value()) {
                (Some(setting), Some(value)) => match setting.kind.read_toml(value) {
                    Ok(value) => drop(values.insert(name, value)),
                    Err(error) => self.problem(item, format!("{name}: {error}")),
                },
                (Some(_), None) => self.problem(item, format!("{name} is a table: give it a value")),
                (None, _) => self.problem(item, unknown(&name)),
            }
        }
    }

    fn problem(&mut self, item: &Item, words: String) {
        if self.problems.len() < MAX_PROBLEMS {
            let span = item.span().or_else(|| item.as_table().and_then(Table::span));
            let line = span.map_or(0, |span| line_of(self.text, span.start));
            self.problems.push(Problem { line, words });
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the words for a name that no setting has.
pub(crate) fn unknown(name: &str) -> String {
    let like = table().iter().map(|setting| (strsim::jaro_winkler(name, &setting.name), &setting.name));
    let like = like.filter(|(likeness, _)| *likeness >= LIKE).max_by(|a, b| a.0.total_cmp(&b.0));
    let meant = like.map(|(_, meant)| format!(": did you mean {meant}?")).unwrap_or_default();
    let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("there is no setting “{shown}”{meant}")
}
