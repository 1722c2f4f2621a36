//! Selection of visits, for listing and for deleting.

use memchr::memmem::Finder;
use regen_net_config::site::Site;

use crate::page::Page;
use crate::visit::VisitId;

/// Conditions that a visit must all meet. The default selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words, each of which must be in the page's title or address; upper and lower case are the same.
    pub words: String,
    /// Registrable domain, such as `example.org`; pages of its subdomains belong to it.
    pub domain: Option<String>,
    /// Address of the page.
    pub url: Option<String>,
    /// Workspace.
    pub workspace: Option<String>,
    /// Earliest time, in seconds since 1970.
    pub since: Option<u64>,
    /// Time after the latest one, in seconds since 1970.
    pub until: Option<u64>,
    /// These visits only; empty: all.
    pub visits: Vec<VisitId>,
}

/// A filter's conditions on pages, prepared for many pages.
#[derive(Debug)]
pub(crate) struct PageFilter<'a> {
    words: Vec<Finder<'static>>,
    domain: Option<(Finder<'static>, &'a str)>,
    url: Option<&'a str>,
}

impl<'a> PageFilter<'a> {
    pub(crate) fn new(filter: &'a Filter) -> Self {
        Self {
            words: words(&filter.words),
            domain: filter.domain.as_deref().map(|domain| (Finder::new(domain).into_owned(), domain)),
            url: filter.url.as_deref(),
        }
    }

    pub(crate) fn selects(&self, page: &Page) -> bool {
        self.url.is_none_or(|url| *page.url == *url)
            && has_all(&self.words, page.lower())
            // A search of the text is much faster than parsing the address, and excludes most pages.
            && self.domain.as_ref().is_none_or(|(finder, domain)| {
                finder.find(page.lower().as_bytes()).is_some()
                    && Site::of(&page.url).is_ok_and(|site| site.host() == *domain)
            })
    }
}

/// Returns searchers for the words of a text, in lower case.
pub(crate) fn words(text: &str) -> Vec<Finder<'static>> {
    text.to_lowercase().split_whitespace().map(|word| Finder::new(word).into_owned()).collect()
}

pub(crate) fn has_all(words: &[Finder<'static>], lower: &str) -> bool {
    words.iter().all(|word| word.find(lower.as_bytes()).is_some())
}
