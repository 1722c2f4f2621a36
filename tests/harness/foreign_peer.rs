//! A browser whose tab-hosts are a probe that makes the network requests its address names (`probes/network_child.rs`).

use std::time::Duration;

use tempfile::TempDir;

use crate::{Browser, programs, programs_with, within};

const DEADLINE: Duration = Duration::from_secs(60);

/// A running browser with the probe as its tab-host.
#[derive(Debug)]
pub struct ForeignPeer {
    /// The browser.
    pub browser: Browser,
    _programs: TempDir,
}

impl ForeignPeer {
    /// Starts the browser.
    #[must_use]
    pub fn start() -> Self {
        let program = std::fs::read(programs().join("regen-network-child")).expect("the program");
        let folder = programs_with("tab-host", &program);
        let browser = Browser::not_started(&["--headless", "--spare", "off"]).with_programs(folder.path());
        browser.start();
        Self { browser, _programs: folder }
    }

    /// Makes the probe run the requests of this address, and returns its tab.
    #[must_use]
    pub fn open(&self, url: &str) -> u64 {
        self.browser.json(&["tab", "open", url])["id"].as_u64().expect("a number")
    }

    /// Waits for the probe's result, which is the tab's title, and returns it.
    #[must_use]
    pub fn says(&self, tab: u64) -> String {
        let title = || self.browser.tab(tab)["title"].as_str().unwrap_or_default().to_owned();
        let said = within(DEADLINE, || Some(title()).filter(|title| !title.is_empty()));
        said.unwrap_or_else(|| panic!("the probe reported no result: {}", self.browser.log()))
    }
}
