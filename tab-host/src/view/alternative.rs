//! Another view of a page: its article alone, or its source. It is shown by a web view of its own in place of the page,
//! which stays as it is, with all that was typed into it.
//!
//! The page wrote what is shown. So nothing in it is executed, and a click on a link is the page's navigation.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::rc::Rc;

use dom_smoothie::{Article, Readability, ReadabilityError};
use glib::object::Cast;
use gtk::prelude::{ContainerExt, StackExt, WidgetExt};
use regen_proto::kernel::v1::page_event::Body;
use webkit2gtk::{
    AuthenticationRequestExt, LoadEvent, NavigationPolicyDecision, NavigationPolicyDecisionExt, NavigationType,
    PolicyDecision, PolicyDecisionExt, SettingsExt, URIRequestExt, URIResponseExt, WebResourceExt, WebView, WebViewExt,
    gio,
};
use wry::WebViewExtUnix;

use super::navigation::{is_for_others, opens_tab};
use super::{View, agent};
use crate::web_view::{build_web, configure};

const READER: &str = include_str!("reader.html");
const SOURCE: &str = include_str!("source.html");
/// Expression of a page's document as text; empty if its elements are nested more deeply than the search can follow.
const PAGE_TEXT: &str = include_str!("page_text.js");
/// Largest page whose article is searched, in bytes.
const MAX_PAGE: usize = 20 << 20;
/// Largest number of lines that are numbered: each number is an element.
const MAX_NUMBERED: usize = 50_000;

/// Kind of another view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The article alone.
    Reader,
    /// The source.
    Source,
}

struct ShownView {
    kind: Kind,
    /// Keeps the web view alive: wry destroys it on drop.
    _wry: wry::WebView,
    web: WebView,
}

/// Another view of a page, if one is shown.
pub(super) struct Alternative {
    stack: gtk::Stack,
    shown: RefCell<Option<ShownView>>,
    /// Kind that was asked for, until it is shown.
    asked: Cell<Option<Kind>>,
}

impl Alternative {
    /// `stack` holds the page.
    pub(super) fn new(stack: gtk::Stack) -> Self {
        Self { stack, shown: RefCell::default(), asked: Cell::default() }
    }
}

impl View {
    /// Returns the web view that the user sees.
    pub(super) fn shown_web(&self) -> WebView {
        self.alternative.shown.borrow().as_ref().map_or_else(|| self.web.clone(), |shown| shown.web.clone())
    }

    /// Shows the page.
    pub(super) fn show_page(&self) {
        self.alternative.asked.set(None);
        let Some(shown) = self.alternative.shown.take() else { return };
        self.alternative.stack.set_visible_child(&self.web);
        self.alternative.stack.remove(&shown.web);
        self.finder.forget();
        self.web.grab_focus();
    }

    /// Shows another view of the page, or the page if that view is shown.
    pub(super) fn toggle_alternative(self: &Rc<Self>, kind: Kind) {
        let before = self.alternative.shown.borrow().as_ref().map(|shown| shown.kind).or(self.alternative.asked.get());
        self.show_page();
        if before == Some(kind) {
            return;
        }
        self.alternative.asked.set(Some(kind));
        match kind {
            Kind::Reader => self.find_article(),
            Kind::Source => self.fetch_source(),
        }
    }

    fn find_article(self: &Rc<Self>) {
        let view = Rc::clone(self);
        agent::evaluate(&self.web, PAGE_TEXT, move |page| {
            let page = page.map_err(ArticleError::Unread);
            view.make_alternative(Kind::Reader, |url| reader(page.and_then(|page| article(&page, url))));
        });
    }

    fn fetch_source(self: &Rc<Self>) {
        let Some(resource) = self.web.main_resource() else { return };
        let charset = resource.response().and_then(|response| response.http_headers()).and_then(|headers| {
            let kind = headers.one("Content-Type")?.to_ascii_lowercase();
            Some(kind.split_once("charset=")?.1.trim_matches(['"', ' ', ';']).to_owned())
        });
        let view = Rc::clone(self);
        resource.data(gio::Cancellable::NONE, move |data| {
            view.make_alternative(Kind::Source, move |url| match data {
                Ok(data) => source(&decoded(&data, charset.as_deref()), url),
                Err(error) => source(&format!("The source is no longer in memory ({error}). Reload the page."), url),
            });
        });
    }

    /// Makes the document of another view on a thread of its own, and shows it.
    fn make_alternative(self: &Rc<Self>, kind: Kind, make: impl FnOnce(&str) -> String + Send + 'static) {
        let view = Rc::clone(self);
        let url = self.loader.committed.borrow().clone();
        glib::MainContext::default().spawn_local(async move {
            let address = url.clone();
            match gio::spawn_blocking(move || make(&address)).await {
                Ok(html) => view.show_alternative(kind, &html, &url),
                Err(_) => tracing::error!("another view of {url} was not made: its thread panicked"),
            }
        });
    }

    fn show_alternative(self: &Rc<Self>, kind: Kind, html: &str, url: &str) {
        // The page may have gone elsewhere meanwhile, or its user may want to see it again.
        if *self.loader.committed.borrow() != url || self.alternative.asked.take() != Some(kind) {
            return;
        }
        let wry = match build_web(&self.site, &self.alternative.stack, None) {
            Ok(wry) => wry,
            Err(error) => {
                tracing::error!("another view of a page cannot be shown: {error}");
                return;
            }
        };
        let web = wry.webview();
        configure(&web, self.site.site.as_str());
        if let Some(settings) = WebViewExt::settings(&web) {
            settings.set_enable_javascript_markup(false);
        }
        self.site.filter.add_to(&web);
        super::find::connect(self, &web);
        super::signals::connect_hover(self, &web);
        // The engine would draw its own question over the page's area.
        web.connect_authenticate(|_, request| {
            request.cancel();
            true
        });
        let is_loaded = Rc::new(Cell::new(false));
        let loaded = Rc::clone(&is_loaded);
        web.connect_load_changed(move |_, event| loaded.set(loaded.get() || event == LoadEvent::Committed));
        let weak = Rc::downgrade(self);
        web.connect_decide_policy(move |_, decision, _| {
            let is_followed = weak.upgrade().is_some_and(|view| view.follow(decision));
            // The document is loaded once. Whatever it wants to load besides, such as by `<meta http-equiv=refresh>`, would
            // be shown under the page's address.
            let is_refused = is_followed || is_loaded.get();
            if is_refused {
                decision.ignore();
            }
            is_refused
        });
        let weak = Rc::downgrade(self);
        web.connect_web_process_terminated(move |_, _| {
            let weak = weak.clone();
            // The view is not destroyed within its own signal.
            glib::idle_add_local_once(move || weak.upgrade().into_iter().for_each(|view| view.show_page()));
        });
        web.set_zoom_level(self.web.zoom_level());
        web.set_is_muted(self.web.is_muted());
        web.load_html(html, Some(url));
        web.show();
        self.alternative.stack.set_visible_child(&web);
        web.grab_focus();
        self.alternative.shown.replace(Some(ShownView { kind, _wry: wry, web }));
    }

    /// Has the page follow a link of another view. Returns whether the decision is about one.
    fn follow(self: &Rc<Self>, decision: &PolicyDecision) -> bool {
        let Some(action) = decision
            .downcast_ref::<NavigationPolicyDecision>()
            .and_then(NavigationPolicyDecisionExt::navigation_action)
            .filter(|action| action.navigation_type() == NavigationType::LinkClicked)
        else {
            return false;
        };
        let url = action.request().and_then(|request| request.uri()).map(String::from).unwrap_or_default();
        let is_web = url.starts_with("http:") || url.starts_with("https:");
        if opens_tab(&action) && is_web {
            self.open_tab(url, true);
            return true;
        }
        let view = Rc::clone(self);
        glib::idle_add_local_once(move || {
            if is_for_others(&url) {
                view.tell(Body::Outside(url));
                return;
            }
            view.show_page();
            if is_web {
                // As if the user had clicked on the page's own link.
                agent::evaluate(&view.web, &format!("location.assign({})", serde_json::json!(url)), |_| {});
            }
        });
        true
    }
}

/// Reason that no article is shown.
#[derive(Debug, thiserror::Error)]
enum ArticleError {
    /// The page is too large to be searched.
    #[error("the page is larger than {} MB", MAX_PAGE >> 20)]
    TooLarge,
    /// The page's elements are nested too deeply to be searched.
    #[error("the elements of the page are nested too deeply")]
    TooDeep,
    /// Nothing on the page is an article.
    #[error(transparent)]
    NoArticle(#[from] ReadabilityError),
    /// The page's process did not hand over the page.
    #[error("the page cannot be read: {0}")]
    Unread(String),
}

/// Finds the article of a page.
fn article(page: &str, url: &str) -> Result<Article, ArticleError> {
    if page.is_empty() {
        return Err(ArticleError::TooDeep);
    }
    if page.len() > MAX_PAGE {
        return Err(ArticleError::TooLarge);
    }
    Ok(Readability::new(page, Some(url), None)?.parse()?)
}

/// Returns the document that shows an article.
fn reader(found: Result<Article, ArticleError>) -> String {
    let (title, about, content) = match found {
        Ok(article) => {
            let about: Vec<String> = [article.byline, article.site_name].into_iter().flatten().collect();
            (article.title, about.join(" · "), article.content.to_string())
        }
        Err(error) => {
            let words = "No article was found on this page";
            (words.to_owned(), String::new(), format!("<p>{}</p>", escaped(&error.to_string())))
        }
    };
    let (head, tail) = READER.split_once("$CONTENT").unwrap_or((READER, ""));
    let head = head.replace("$ABOUT", &escaped(&about)).replace("$TITLE", &escaped(&title));
    format!("{head}{content}{tail}")
}

/// Returns the document that shows the source of a page.
fn source(text: &str, url: &str) -> String {
    let mut content = String::with_capacity(text.len() * 2);
    let is_numbered = text.lines().count() <= MAX_NUMBERED;
    for line in text.lines() {
        let line = escaped(line);
        // Writing to a string does not fail.
        let _ = if is_numbered { write!(content, "<span>{line}</span>") } else { writeln!(content, "{line}") };
    }
    let (head, tail) = SOURCE.split_once("$CONTENT").unwrap_or((SOURCE, ""));
    format!("{}{content}{tail}", head.replace("$URL", &escaped(url)))
}

fn escaped(text: &str) -> String {
    glib::markup_escape_text(text).into()
}

/// Returns a page's bytes as text: by the server's word, or by a mark at its beginning.
fn decoded(bytes: &[u8], charset: Option<&str>) -> String {
    let said = charset.and_then(|charset| encoding_rs::Encoding::for_label(charset.as_bytes()));
    said.unwrap_or(encoding_rs::UTF_8).decode(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><head><title>A title</title></head><body><nav><a href='/x'>menu</a></nav><article><h1>A title</h1>\
        <p>The first paragraph of an article that is long enough to be one, with commas, and words, and more words.</p>\
        <p>The second paragraph, which is also long, so that nobody doubts that this is an article, as articles are.</p>\
        <p><img src='/p.png' onerror='alert(1)'><script>alert(2)</script> The third <a href='/next'>paragraph</a>, which \
        has a picture, a script and a link, so that it is seen what becomes of them, one by one.</p></article></body></html>";

    #[test]
    fn the_article_is_found_and_loses_its_scripts() {
        let found = article(PAGE, "https://a.test/path/").unwrap();
        let shown = reader(Ok(found));
        assert!(shown.contains("The second paragraph") && shown.contains("https://a.test/next"), "{shown}");
        assert!(!shown.contains("<script") && !shown.contains(">menu<"), "{shown}");
        let nothing = reader(article("<html><body></body></html>", "https://a.test/"));
        assert!(nothing.contains("No article was found"), "{nothing}");
    }

    #[test]
    fn titles_are_text() {
        let page = PAGE.replace("A title", "A &lt;img src=x onerror=alert(1)&gt; title");
        let shown = reader(article(&page, "https://a.test/"));
        assert!(!shown.contains("<img src=x"), "{shown}");
    }

    #[test]
    fn source_is_text_in_its_encoding() {
        let shown = source("<script>\n$CONTENT & more", "https://a.test/?<b>");
        assert!(shown.contains("<span>&lt;script&gt;</span><span>$CONTENT &amp; more</span>"), "{shown}");
        assert!(shown.contains("https://a.test/?&lt;b&gt;"), "{shown}");
        assert_eq!(decoded(b"f\xfcr", Some("iso-8859-1")), "für");
        assert_eq!(decoded("für".as_bytes(), None), "für");
        assert_eq!(decoded("\u{feff}für".as_bytes(), Some("no such")), "für");
    }
}
