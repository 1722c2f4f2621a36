//! Search engines: those that Regen knows, and the user's own.
//!
//! A search begins with a bang (`!w rust`, `rust !w`) or goes to the default engine. Bangs are looked up here, so that no
//! engine learns of a search that was meant for another.

use std::fmt;

use url::Url;

/// A search engine that Regen knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEngine {
    /// Keywords; the first is its value of the setting.
    pub keywords: &'static [&'static str],
    /// Name.
    pub name: &'static str,
    /// Address of a search; `%s` stands for the words.
    pub url: &'static str,
}

impl KnownEngine {
    /// Returns the keyword that the setting has.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        self.keywords.first().copied().unwrap_or_default()
    }
}

const fn known(keywords: &'static [&'static str], name: &'static str, url: &'static str) -> KnownEngine {
    KnownEngine { keywords, name, url }
}

/// Search engines that Regen knows; the first is the default.
pub const ENGINES: [KnownEngine; 36] = [
    known(&["duckduckgo", "d", "ddg"], "DuckDuckGo", "https://duckduckgo.com/?q=%s"),
    known(&["brave", "b"], "Brave Search", "https://search.brave.com/search?q=%s"),
    known(&["startpage", "sp"], "Startpage", "https://www.startpage.com/sp/search?query=%s"),
    known(&["qwant", "q"], "Qwant", "https://www.qwant.com/?q=%s"),
    known(&["mojeek", "mj"], "Mojeek", "https://www.mojeek.com/search?q=%s"),
    known(&["ecosia", "ec"], "Ecosia", "https://www.ecosia.org/search?q=%s"),
    known(&["google", "g"], "Google", "https://www.google.com/search?q=%s"),
    known(&["bing"], "Bing", "https://www.bing.com/search?q=%s"),
    known(&["marginalia", "mar"], "Marginalia", "https://search.marginalia.nu/search?query=%s"),
    known(&["wikipedia", "w"], "Wikipedia", "https://en.wikipedia.org/w/index.php?search=%s"),
    known(&["wde"], "Wikipedia (German)", "https://de.wikipedia.org/w/index.php?search=%s"),
    known(&["wfr"], "Wikipedia (French)", "https://fr.wikipedia.org/w/index.php?search=%s"),
    known(&["wes"], "Wikipedia (Spanish)", "https://es.wikipedia.org/w/index.php?search=%s"),
    known(&["wiktionary", "wt"], "Wiktionary", "https://en.wiktionary.org/w/index.php?search=%s"),
    known(&["wikidata", "wd"], "Wikidata", "https://www.wikidata.org/w/index.php?search=%s"),
    known(&["archive", "ia"], "Internet Archive", "https://archive.org/search?query=%s"),
    known(&["wayback", "wa"], "Wayback Machine", "https://web.archive.org/web/*/%s"),
    known(&["openstreetmap", "osm"], "OpenStreetMap", "https://www.openstreetmap.org/search?query=%s"),
    known(&["github", "gh"], "GitHub", "https://github.com/search?type=repositories&q=%s"),
    known(&["gitlab", "gl"], "GitLab", "https://gitlab.com/search?search=%s"),
    known(&["codeberg", "cb"], "Codeberg", "https://codeberg.org/explore/repos?q=%s"),
    known(&["stackoverflow", "so"], "Stack Overflow", "https://stackoverflow.com/search?q=%s"),
    known(&["crates", "rs"], "crates.io", "https://crates.io/search?q=%s"),
    known(&["docsrs", "docs"], "docs.rs", "https://docs.rs/releases/search?query=%s"),
    known(&["rust"], "Rust standard library", "https://doc.rust-lang.org/std/?search=%s"),
    known(&["mdn"], "MDN", "https://developer.mozilla.org/en-US/search?q=%s"),
    known(&["npm"], "npm", "https://www.npmjs.com/search?q=%s"),
    known(&["pypi"], "PyPI", "https://pypi.org/search/?q=%s"),
    known(&["python", "py"], "Python documentation", "https://docs.python.org/3/search.html?q=%s"),
    known(&["debian", "deb"], "Debian packages", "https://packages.debian.org/search?keywords=%s"),
    known(&["archlinux", "aw"], "Arch wiki", "https://wiki.archlinux.org/index.php?search=%s"),
    known(&["man"], "Debian manual pages", "https://manpages.debian.org/jump?q=%s"),
    known(&["arxiv", "ax"], "arXiv", "https://arxiv.org/search/?searchtype=all&query=%s"),
    known(&["scholar", "gs"], "Google Scholar", "https://scholar.google.com/scholar?q=%s"),
    known(&["hackernews", "hn"], "Hacker News", "https://hn.algolia.com/?q=%s"),
    known(&["youtube", "yt"], "YouTube", "https://www.youtube.com/results?search_query=%s"),
];

/// Maximum length of a keyword.
const MAX_KEYWORD: usize = 32;

/// Reason why a text names no search engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A keyword has characters that cannot be typed after a bang.
    #[error("“{0}” is not a keyword: use up to 32 letters, digits, - or _")]
    Keyword(String),
    /// The text does not consist of a keyword and an address.
    #[error(
        "“{0}” is not a search engine: use KEYWORD=URL with %s for the words, such as wiki=https://wiki.example/?q=%s"
    )]
    Parts(String),
    /// The address cannot be opened, or has no place for the words.
    #[error("“{0}” is not the address of a search: use http or https, with %s for the words")]
    Url(String),
}

/// A search engine of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Keyword.
    pub keyword: String,
    /// Address of a search; `%s` stands for the words.
    pub url: String,
}

impl Engine {
    /// Reads `KEYWORD=URL`.
    ///
    /// # Errors
    /// Returns an error if the text has another form, or the address no place for the words.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        let (name, url) = text.split_once('=').ok_or_else(|| EngineError::Parts(text.to_owned()))?;
        let (name, url) = (keyword(name.trim())?, url.trim());
        // The words must not choose the server.
        let is_search = Url::parse(&url.replace("%s", "x")).is_ok_and(|parsed| {
            ["http", "https"].contains(&parsed.scheme()) && {
                let other = Url::parse(&url.replace("%s", "y"));
                other.is_ok_and(|other| other.origin() == parsed.origin())
            }
        });
        if !is_search || !url.contains("%s") {
            return Err(EngineError::Url(url.to_owned()));
        }
        Ok(Self { keyword: name.to_owned(), url: url.to_owned() })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.keyword, self.url)
    }
}

/// Returns a keyword as it was given, if it can be one.
pub(crate) fn keyword(text: &str) -> Result<&str, EngineError> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_keyword = !text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(is_part);
    if is_keyword { Ok(text) } else { Err(EngineError::Keyword(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_known_engine_could_be_a_users_own_and_keywords_are_there_once() {
        let mut keywords = BTreeSet::new();
        for engine in ENGINES {
            for keyword in engine.keywords {
                assert!(keywords.insert(*keyword), "{keyword} twice");
                assert_eq!(Engine::parse(&format!("{keyword}={}", engine.url)).unwrap().url, engine.url);
            }
        }
    }

    #[test]
    fn an_engine_that_searches_nothing_is_refused() {
        for text in ["x", "=https://a.test/?q=%s", "a b=https://a.test/?q=%s"] {
            assert!(Engine::parse(text).is_err(), "{text}");
        }
        for url in
            ["https://a.test/", "javascript:alert('%s')", "file:///%s", "https://%s/", "https://%s.a.test/", "%s"]
        {
            assert!(matches!(Engine::parse(&format!("k={url}")), Err(EngineError::Url(_))), "{url}");
        }
    }
}
