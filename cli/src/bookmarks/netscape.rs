//! Netscape's bookmark file, which every browser reads and writes: nested lists in HTML that is never well-formed.
//!
//! The file is hostile input. It is read as a stream of tokens, so that its size and depth cost no more than its length.

use std::cell::RefCell;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    CharacterTokens, EndTag, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use regen_proto::places::v1::Bookmark;

/// Maximum length of a title that is read, in bytes; the broker shortens it further.
const MAX_TITLE: usize = 4096;

/// Returns the bookmarks of a file, each folder before what is in it. Folders have the identifiers by which their entries
/// name them.
pub(super) fn parse(html: &str) -> Vec<Bookmark> {
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.state.take().bookmarks
}

/// Writes bookmarks as a file. `bookmarks`: each folder before what is in it; `roots`: the folders that are always there.
pub(super) fn write(bookmarks: &[Bookmark], roots: &[(u64, &str)]) -> String {
    let mut html = String::from(
        "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; charset=UTF-8\">\n\
         <TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n",
    );
    for (id, title) in roots {
        let bar = if *id == 1 { " PERSONAL_TOOLBAR_FOLDER=\"true\"" } else { "" };
        html.push_str(&format!("<DT><H3{bar}>{title}</H3>\n<DL><p>\n"));
        write_folder(*id, bookmarks, &mut html);
        html.push_str("</DL><p>\n");
    }
    html.push_str("</DL><p>\n");
    html
}

fn write_folder(folder: u64, bookmarks: &[Bookmark], html: &mut String) {
    for Bookmark { id, url, title, tags, added, .. } in bookmarks.iter().filter(|one| one.parent == folder) {
        let title = escape(title);
        match url {
            Some(url) => {
                let tags =
                    if tags.is_empty() { String::new() } else { format!(" TAGS=\"{}\"", escape(&tags.join(","))) };
                html.push_str(&format!("<DT><A HREF=\"{}\" ADD_DATE=\"{added}\"{tags}>{title}</A>\n", escape(url)));
            }
            None => {
                html.push_str(&format!("<DT><H3 ADD_DATE=\"{added}\">{title}</H3>\n<DL><p>\n"));
                write_folder(*id, bookmarks, html);
                html.push_str("</DL><p>\n");
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Entry whose title is being read.
#[derive(Debug)]
enum Reading {
    Page { url: String, tags: Vec<String>, added: u64 },
    Folder { added: u64 },
}

#[derive(Debug, Default)]
struct State {
    bookmarks: Vec<Bookmark>,
    reading: Option<Reading>,
    title: String,
    /// Folder whose list comes next.
    named: Option<u64>,
    /// Folders whose lists are open; 0 for a list without a name.
    open: Vec<u64>,
}

#[derive(Debug, Default)]
struct Reader {
    state: RefCell<State>,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        // Comments, document types and errors of syntax mean nothing here.
        if let TagToken(tag) = token {
            state.tag(&tag);
        } else if let CharacterTokens(text) = token
            && state.reading.is_some()
            && state.title.len() < MAX_TITLE
        {
            state.title.push_str(&text);
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn tag(&mut self, tag: &Tag) {
        match (tag.kind, tag.name.as_ref()) {
            (StartTag, "a") => {
                self.finish();
                let tags = attribute(tag, "tags").split(',').filter(|tag| !tag.trim().is_empty()).map(str::to_owned);
                self.reading = Some(Reading::Page {
                    url: attribute(tag, "href").trim().to_owned(),
                    tags: tags.collect(),
                    added: added(tag),
                });
            }
            (StartTag, "h3") => {
                self.finish();
                self.reading = Some(Reading::Folder { added: added(tag) });
            }
            (EndTag, "a" | "h3") => self.finish(),
            (StartTag, "dl") => {
                self.finish();
                let parent = self.parent();
                self.open.push(self.named.take().unwrap_or(parent));
            }
            (EndTag, "dl") => {
                self.finish();
                self.open.pop();
            }
            (StartTag, "dt") => self.finish(),
            _ => {}
        }
    }

    fn parent(&self) -> u64 {
        self.open.last().copied().unwrap_or(0)
    }

    /// Ends the entry that is being read.
    fn finish(&mut self) {
        let Some(reading) = self.reading.take() else { return };
        let title = std::mem::take(&mut self.title).trim().to_owned();
        let (id, parent) = (self.bookmarks.len() as u64 + 1, self.parent());
        match reading {
            Reading::Page { url, .. } if !is_kept(&url) => {}
            Reading::Page { url, tags, added } => {
                let title = if title.is_empty() { url.clone() } else { title };
                self.bookmarks.push(Bookmark { id, parent, url: Some(url), title, tags, added });
            }
            Reading::Folder { added } => {
                self.named = Some(id);
                self.bookmarks.push(Bookmark { id, parent, url: None, title, tags: Vec::new(), added });
            }
        }
    }
}

/// Returns whether an address can be bookmarked: not a query of Firefox's library, nor a script.
fn is_kept(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    ["http://", "https://", "file://", "ftp://"].iter().any(|scheme| lower.starts_with(scheme))
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> &'a str {
    tag.attrs.iter().find(|one| &*one.name.local == name).map_or("", |one| &one.value)
}

fn added(tag: &Tag) -> u64 {
    attribute(tag, "add_date").trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = r#"<!DOCTYPE NETSCAPE-Bookmark-file-1>
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE><H1>Bookmarks Menu</H1>
<DL><p>
    <DT><A HREF="https://a.test/?x=1&amp;y=2" ADD_DATE="1700000000" TAGS="one,two" ICON="data:image/png;base64,AAAA">A &amp; &lt;B&gt;</A>
    <DD>A description
    <DT><H3 ADD_DATE="1700000001" PERSONAL_TOOLBAR_FOLDER="true">Toolbar</H3>
    <DL><p>
        <DT><A HREF="place:sort=8">Most visited</A>
        <DT><A HREF="javascript:alert(1)">A script</A>
        <DT><A HREF="https://b.test/">B</A>
        <DT><H3>Empty</H3>
        <DL><p></DL><p>
    </DL><p>
    <HR>
    <DT><A HREF="https://c.test/"></A>
</DL>"#;

    fn shown(bookmarks: &[Bookmark]) -> Vec<(u64, u64, &str, &str)> {
        bookmarks.iter().map(|one| (one.id, one.parent, one.url.as_deref().unwrap_or(""), one.title.as_str())).collect()
    }

    #[test]
    fn a_file_of_firefox_is_read_with_its_folders() {
        let bookmarks = parse(FIREFOX);
        assert_eq!(
            shown(&bookmarks),
            [
                (1, 0, "https://a.test/?x=1&y=2", "A & <B>"),
                (2, 0, "", "Toolbar"),
                (3, 2, "https://b.test/", "B"),
                (4, 2, "", "Empty"),
                (5, 0, "https://c.test/", "https://c.test/"),
            ]
        );
        assert_eq!(
            (bookmarks[0].tags.as_slice(), bookmarks[0].added),
            (&["one".to_owned(), "two".to_owned()][..], 1_700_000_000)
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut bookmarks = parse(FIREFOX);
        // In Regen, what is in no folder is in one that is always there.
        bookmarks.iter_mut().filter(|one| one.parent == 0).for_each(|one| one.parent = 100);
        let again = parse(&write(&bookmarks, &[(100, "Other bookmarks")]));
        assert_eq!(again[0].title, "Other bookmarks");
        let titles = |all: &[Bookmark]| {
            all.iter().map(|one| (one.title.clone(), one.url.clone(), one.tags.clone())).collect::<Vec<_>>()
        };
        assert_eq!(titles(&again[1..]), titles(&bookmarks));
    }

    #[test]
    fn hostile_files_cost_no_more_than_their_length() {
        let deep = "<DL><DT><H3>x</H3>".repeat(100_000);
        assert_eq!(parse(&deep).len(), 100_000);
        let unended = format!("<A HREF='https://a.test/'>{}", "title ".repeat(1_000_000));
        assert_eq!(parse(&format!("{unended}</DL></DL></A>")).len(), 1);
        assert!(parse("</DL></A></H3><DT><A>").is_empty());
    }
}
