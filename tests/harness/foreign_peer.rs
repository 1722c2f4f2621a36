//! A browser whose tab-hosts are a program that asks the network for what the address says (`probes/network_child.rs`).

use std::time::Duration;

use tempfile::TempDir;

use crate::{Browser, programs, programs_with, within};

const DEADLINE: Duration = Duration::from_secs(60);

/// It, running.
#[derive(Debug)]
pub struct ForeignPeer {
    /// The browser.
    pub browser: Browser,
    _programs: TempDir,
}

impl ForeignPeer {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let program = std::fs::read(programs().join("regen-network-child")).expect("the program");
        let folder = programs_with("tab-host", &program);
        let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
        browser.start();
        Self { browser, _programs: folder }
    }

    /// Has it ask; the tab where it does.
    #[must_use]
    pub fn open(&self, url: &str) -> u64 {
        self.browser.json(&["tab", "open", url])["id"].as_u64().expect("a number")
    }

    /// What it says when it has.
    #[must_use]
    pub fn says(&self, tab: u64) -> String {
        let title = || self.browser.tab(tab)["title"].as_str().unwrap_or_default().to_owned();
        let said = within(DEADLINE, || Some(title()).filter(|title| !title.is_empty()));
        said.unwrap_or_else(|| panic!("it says nothing: {}", self.browser.log()))
    }
}
