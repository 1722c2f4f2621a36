//! Kinds of settings, and their values.

use regen_commands::{Chord, ChordError, CommandId, MAX_KEYS};
use toml_edit::{Array, Item, Value as Toml};
use url::Url;

use crate::engines::{self, EngineError};

/// Maximum length of a text, in bytes.
const MAX_TEXT: usize = 1024;
/// Maximum length of a list's texts, in bytes: all settings travel in one message.
const MAX_LIST: usize = 8 * 1024;
/// Maximum number of entries of a list.
const MAX_ENTRIES: usize = 200;
/// Smallest memory limit, in bytes.
const MIN_MEMORY: u64 = 64 << 20;

/// Kind of a setting, with its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// On or off.
    Switch(bool),
    /// One of these values; each with its words. The first is the default.
    Choice(&'static [(&'static str, &'static str)]),
    /// A number in a range, and its unit.
    Number {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Default.
        default: f64,
        /// Unit, in words.
        unit: &'static str,
    },
    /// An amount of memory, such as `800M`; empty: no limit.
    Memory,
    /// A file or folder; empty: none, or the usual one.
    Path,
    /// Files.
    Paths,
    /// Addresses of sites.
    Sites,
    /// The address of a page; empty: the built-in start page.
    Page,
    /// Width and height in pixels, such as `1280x800`.
    Size(&'static str),
    /// The keyword of a search engine.
    Engine(&'static str),
    /// The user's own search engines, each as `KEYWORD=URL`.
    Engines,
    /// Keys of a command.
    Keys(CommandId),
}

/// Value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

/// Reason why a value is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// Neither on nor off.
    #[error("“{0}” is neither on nor off")]
    Switch(String),
    /// None of the choices.
    #[error("“{0}” is not one of {1}")]
    Choice(String, String),
    /// No number of the range.
    #[error("“{text}” is not a number from {min} to {max}")]
    Number {
        /// Text that was given.
        text: String,
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// No amount of memory.
    #[error("“{0}” is not an amount of memory: use a size such as 800M or 2G, at least 64M")]
    Memory(String),
    /// No size of a page.
    #[error("“{0}” is not a size: use WIDTHxHEIGHT, such as 1280x800, each from 64 to 8192")]
    Size(String),
    /// A path does not begin at the root.
    #[error("“{0}” is not a full path: begin it with /")]
    Path(String),
    /// An address is none.
    #[error("“{0}” is not an address: use one such as https://example.org/")]
    Address(String),
    /// A search engine is not what it should be.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Keys are not what they should be.
    #[error(transparent)]
    Keys(#[from] ChordError),
    /// One value is needed.
    #[error("one value is needed, and {0} were given")]
    Count(usize),
    /// A text or a list is too long.
    #[error("the value is too long")]
    TooLong,
    /// The file has a value of another type.
    #[error("the value has the wrong type: use {0}")]
    Type(&'static str),
}

impl Kind {
    /// Returns the default.
    #[must_use]
    pub fn default(&self) -> Value {
        match self {
            Self::Switch(on) => Value::Switch(*on),
            Self::Choice(choices) => Value::Text(choices.first().map_or("", |(value, _)| value).to_owned()),
            Self::Number { default, .. } => Value::Number(*default),
            Self::Size(default) | Self::Engine(default) => Value::Text((*default).to_owned()),
            Self::Memory | Self::Path | Self::Page => Value::Text(String::new()),
            Self::Paths | Self::Sites | Self::Engines => Value::List(Vec::new()),
            Self::Keys(id) => Value::List(id.command().keys.iter().map(|keys| (*keys).to_owned()).collect()),
        }
    }

    /// Returns whether a value is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Paths | Self::Sites | Self::Engines | Self::Keys(_))
    }

    /// Reads a value that a person gave: one text, or several for a list.
    ///
    /// # Errors
    /// Returns an error in words that name what is allowed.
    pub fn read(&self, texts: &[String]) -> Result<Value, ValueError> {
        let length: usize = texts.iter().map(String::len).sum();
        if texts.len() > MAX_ENTRIES || length > MAX_LIST || texts.iter().any(|text| text.len() > MAX_TEXT) {
            return Err(ValueError::TooLong);
        }
        if self.is_list() {
            let given = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
            return given.map(|text| self.entry(text)).collect::<Result<Vec<_>, _>>().and_then(|list| self.list(list));
        }
        let [text] = texts else { return Err(ValueError::Count(texts.len())) };
        self.one(text.trim())
    }

    fn one(&self, text: &str) -> Result<Value, ValueError> {
        let owned = || text.to_owned();
        match self {
            Self::Switch(_) => match text.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" => Ok(Value::Switch(true)),
                "off" | "false" | "no" => Ok(Value::Switch(false)),
                _ => Err(ValueError::Switch(owned())),
            },
            Self::Choice(choices) if choices.iter().any(|(value, _)| *value == text) => Ok(Value::Text(owned())),
            Self::Choice(choices) => {
                let known: Vec<&str> = choices.iter().map(|(value, _)| *value).collect();
                Err(ValueError::Choice(owned(), known.join(", ")))
            }
            Self::Number { min, max, .. } => {
                let number = text.parse().ok().filter(|number| (*min..=*max).contains(number));
                number.map(Value::Number).ok_or(ValueError::Number { text: owned(), min: *min, max: *max })
            }
            Self::Memory if text.is_empty() || bytes(text).is_some() => Ok(Value::Text(owned())),
            Self::Memory => Err(ValueError::Memory(owned())),
            Self::Size(_) if pixels(text).is_some() => Ok(Value::Text(owned())),
            Self::Size(_) => Err(ValueError::Size(owned())),
            Self::Path if text.is_empty() || text.starts_with('/') => Ok(Value::Text(owned())),
            Self::Path => Err(ValueError::Path(owned())),
            Self::Page if text.is_empty() => Ok(Value::Text(owned())),
            Self::Page => Ok(Value::Text(address(text)?)),
            Self::Engine(_) => Ok(Value::Text(engines::keyword(text)?.to_owned())),
            Self::Paths | Self::Sites | Self::Engines | Self::Keys(_) => self.list(vec![self.entry(text)?]),
        }
    }

    /// Reads an entry of a list.
    fn entry(&self, text: &str) -> Result<String, ValueError> {
        match self {
            Self::Sites => address(text),
            Self::Engines => Ok(engines::Engine::parse(text)?.to_string()),
            Self::Keys(_) => Ok(text.parse::<Chord>()?.to_string()),
            Self::Paths if text.starts_with('/') => Ok(text.to_owned()),
            Self::Paths
            | Self::Switch(_)
            | Self::Choice(_)
            | Self::Number { .. }
            | Self::Memory
            | Self::Path
            | Self::Page
            | Self::Size(_)
            | Self::Engine(_) => Err(ValueError::Path(text.to_owned())),
        }
    }

    fn list(&self, list: Vec<String>) -> Result<Value, ValueError> {
        let max = if matches!(self, Self::Keys(_)) { MAX_KEYS } else { MAX_ENTRIES };
        if list.len() > max { Err(ValueError::TooLong) } else { Ok(Value::List(list)) }
    }

    /// Reads a value of a file.
    pub(crate) fn read_toml(&self, toml: &Toml) -> Result<Value, ValueError> {
        let text = |value: &Toml| value.as_str().map(str::to_owned);
        match (self, toml) {
            (Self::Switch(_), Toml::Boolean(on)) => Ok(Value::Switch(*on.value())),
            (Self::Switch(_), _) => Err(ValueError::Type("true or false")),
            (Self::Number { .. }, Toml::Integer(number)) => self.read(&[number.value().to_string()]),
            (Self::Number { .. }, Toml::Float(number)) => self.read(&[number.value().to_string()]),
            (Self::Number { .. }, _) => Err(ValueError::Type("a number")),
            (_, Toml::Array(array)) if self.is_list() => {
                let texts: Option<Vec<String>> = array.iter().map(text).collect();
                self.read(&texts.ok_or(ValueError::Type("a list of texts"))?)
            }
            (_, toml) => {
                let wrong = ValueError::Type(if self.is_list() { "a list of texts" } else { "a text" });
                self.read(&[text(toml).ok_or(wrong)?])
            }
        }
    }
}

impl Value {
    /// Returns the value in texts: one, or those of a list.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Switch(on) => vec![if *on { "on" } else { "off" }.to_owned()],
            Self::Number(number) => vec![number.to_string()],
            Self::Text(text) => vec![text.clone()],
            Self::List(list) => list.clone(),
        }
    }

    pub(crate) fn to_toml(&self) -> Item {
        toml_edit::value(match self {
            Self::Switch(on) => Toml::from(*on),
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in the range of its kind")]
            Self::Number(number) if number.fract() == 0.0 => Toml::from(*number as i64),
            Self::Number(number) => Toml::from(*number),
            Self::Text(text) => Toml::from(text.as_str()),
            Self::List(list) => Toml::Array(list.iter().map(String::as_str).collect::<Array>()),
        })
    }
}

/// Returns the bytes of a text such as `800M`; `None` if it is none, or too small to run a page in.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit: u64 = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes >= MIN_MEMORY)
}

/// Returns the width and height of a text such as `1280x800`.
#[must_use]
pub fn pixels(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (64..=8192).contains(side));
    Some((side(width)?, side(height)?))
}

fn address(text: &str) -> Result<String, ValueError> {
    let is_host = |url: &Url| ["http", "https", "file"].contains(&url.scheme());
    let url = Url::parse(text).ok().filter(is_host);
    let url = url.or_else(|| Url::parse(&format!("https://{text}")).ok().filter(|_| text.contains('.')));
    url.map(String::from).ok_or_else(|| ValueError::Address(text.to_owned()))
}
