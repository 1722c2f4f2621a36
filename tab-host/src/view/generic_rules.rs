//! Generic rules: selectors that filter lists hide in most documents. All documents of a view share one style sheet,
//! except those for which a list has an exception. A sheet per document would make the engine process all frames again
//! for each.

use std::collections::BTreeSet;

use regen_proto::net::v1::CommonRules;
use webkit2gtk::{UserContentInjectedFrames, UserContentManagerExt, UserStyleLevel, UserStyleSheet, WebViewExt};

use super::View;
use super::shields::pattern_of;

/// Maximum documents of a page that may be exceptions.
const MAX_EXCEPTIONS: usize = 100;

/// Generic rules of the present page.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// Version in effect; 0: no document has asked for one yet.
    version: u32,
    sheet: Option<UserStyleSheet>,
    /// URL patterns of the exceptions.
    exceptions: BTreeSet<String>,
}

impl View {
    /// Records that a document uses a version of the generic rules, or (0) is an exception.
    pub(super) fn common(&self, url: &str, version: u32) {
        {
            let mut common = self.page_rules.common.borrow_mut();
            if version == 0 {
                let is_new = common.exceptions.len() < MAX_EXCEPTIONS
                    && pattern_of(url).is_some_and(|one| common.exceptions.insert(one));
                if !is_new || common.version == 0 {
                    return;
                }
            } else if common.version == version {
                return;
            } else {
                common.version = version;
            }
        }
        self.show_common();
    }

    fn show_common(&self) {
        let site = &self.site;
        let is_known = site.generic_rules.borrow().version == self.page_rules.common.borrow().version;
        if is_known { self.hide_common(&site.generic_rules.borrow()) } else { site.ask_generic_rules() }
    }

    /// Applies the rules, if the page has documents that use this version.
    pub(crate) fn hide_common(&self, rules: &CommonRules) {
        if rules.version == 0 || rules.version != self.page_rules.common.borrow().version {
            return;
        }
        let Some(manager) = self.web.user_content_manager() else { return };
        let mut common = self.page_rules.common.borrow_mut();
        // Each document parses the sheet: one rule of many selectors is parsed faster than many rules. A selector that
        // the engine cannot parse would invalidate its whole rule, so all but plain ones get a rule of their own.
        let (plain, others): (Vec<&str>, Vec<&str>) =
            rules.selectors.iter().map(String::as_str).partition(|one| is_plain(one));
        let plain = plain.join(",\n");
        let rule = |selectors: &str| format!("{selectors} {{ display: none !important }}\n");
        let css: String = others.into_iter().chain((!plain.is_empty()).then_some(plain.as_str())).map(rule).collect();
        let except: Vec<&str> = common.exceptions.iter().map(String::as_str).collect();
        let (frames, level) = (UserContentInjectedFrames::AllFrames, UserStyleLevel::User);
        let sheet = UserStyleSheet::new(&css, frames, level, &[], &except);
        manager.add_style_sheet(&sheet);
        if let Some(old) = common.sheet.replace(sheet) {
            manager.remove_style_sheet(&old);
        }
    }
}

/// Returns whether a selector has only elements, classes, IDs, attributes and combinators, which every engine parses.
fn is_plain(selector: &str) -> bool {
    selector.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.#[]=\"^$*~> ".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn what_every_engine_reads_is_plain() {
        assert!(is_plain("a[href^=\"ads\"] > .banner#top") && !is_plain(".a:has(.b)") && !is_plain(".a, .b"));
    }
}
