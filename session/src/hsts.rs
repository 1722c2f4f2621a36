//! HTTP Strict Transport Security (HSTS, RFC 6797), per workspace. The broker keeps it because a site's encrypted and
//! unencrypted pages are shown by different processes.

use std::collections::BTreeMap;
use std::time::Duration;

use regen_net_config::host::is_throw_away;
use regen_net_config::site::Site;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Maximum number of hosts; those that expire first make room.
const MAX_HOSTS: usize = 5000;
/// Maximum number of hosts of one site in a workspace, so that no site drives out others.
const MAX_HOSTS_OF_SITE: usize = 30;
/// Maximum length of a host name, in bytes.
const MAX_NAME: usize = 253;
/// Maximum lifetime of an entry.
const MAX_AGE: Duration = Duration::from_hours(24 * 730);

/// Known HSTS hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hsts {
    /// Entries by workspace and host.
    hosts: BTreeMap<(String, String), Entry>,
}

/// Entry of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Expiry, in seconds since 1970.
    until_s: u64,
    subdomains: bool,
}

impl Hsts {
    /// Forgets the hosts of a workspace. Returns whether that is a change.
    pub(super) fn forget_workspace(&mut self, workspace: &str) -> bool {
        let before = self.hosts.len();
        self.hosts.retain(|(its, _), _| its != workspace);
        self.hosts.len() != before
    }

    /// Returns those that may be saved: none of throw-away workspaces.
    #[must_use]
    pub fn to_save(&self) -> Self {
        let kept = self.hosts.iter().filter(|((workspace, _), _)| !is_throw_away(workspace));
        Self { hosts: kept.map(|(key, entry)| (key.clone(), *entry)).collect() }
    }

    /// Takes the `Strict-Transport-Security` header of an encrypted page. Returns whether the entry changed enough to
    /// be saved.
    pub fn hear(&mut self, workspace: &str, url: &str, header: &str, now_s: u64) -> bool {
        let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        let Some(Host::Domain(host)) = host else { return false };
        // A link may add the DNS root's dot to the same host.
        let host = host.trim_end_matches('.').to_owned();
        let site_of = |host: &str| Site::of(&format!("https://{host}/")).ok();
        let Some(site) = site_of(&host).filter(|_| host.len() <= MAX_NAME) else { return false };
        let Some((max_age, subdomains)) = read(header) else { return false };
        let key = (workspace.to_owned(), host);
        if max_age.is_zero() {
            return self.hosts.remove(&key).is_some();
        }
        self.hosts.retain(|_, said| said.until_s > now_s);
        if !self.hosts.contains_key(&key) {
            let is_its = |(its, name): &(String, String)| its == workspace && site_of(name).as_ref() == Some(&site);
            let its_own = self.hosts.keys().filter(|key| is_its(key)).count();
            if its_own >= MAX_HOSTS_OF_SITE {
                self.forget_first(is_its);
            } else if self.hosts.len() >= MAX_HOSTS {
                self.forget_first(|_| true);
            }
        }
        let said = Entry { until_s: now_s + max_age.min(MAX_AGE).as_secs(), subdomains };
        // The same header is not saved again for each page.
        let old = self.hosts.get(&key).copied();
        let is_news = old.is_none_or(|old| old.subdomains != subdomains || old.until_s.abs_diff(said.until_s) > 3600);
        if is_news {
            self.hosts.insert(key, said);
        }
        is_news
    }

    /// Removes the matching entry that expires first.
    fn forget_first(&mut self, which: impl Fn(&(String, String)) -> bool) {
        let first = self.hosts.iter().filter(|(key, _)| which(key)).min_by_key(|(_, said)| said.until_s);
        if let Some(first) = first.map(|(key, _)| key.clone()) {
            self.hosts.remove(&first);
        }
    }

    /// Removes expired entries.
    pub fn forget_old(&mut self, now_s: u64) {
        self.hosts.retain(|_, said| said.until_s > now_s);
    }

    /// Returns all entries: workspace, host, and whether the entry holds for subdomains.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.hosts.iter().map(|((workspace, host), said)| (workspace.as_str(), host.as_str(), said.subdomains))
    }

    /// Returns whether a host must be reached over HTTPS.
    pub(super) fn covers(&self, workspace: &str, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let parents = std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, parent)| parent));
        parents.filter(|parent| !parent.is_empty()).any(|parent| {
            let said = self.hosts.get(&(workspace.to_owned(), parent.to_owned()));
            said.is_some_and(|said| parent == host || said.subdomains)
        })
    }
}

/// Parses the header into `max-age` and `includeSubDomains`; `None` if it is invalid.
fn read(header: &str) -> Option<(Duration, bool)> {
    let mut max_age = None;
    let mut subdomains = false;
    for directive in header.split(';') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" if max_age.is_none() => max_age = Some(value.trim().trim_matches('"').parse::<u64>().ok()?),
            // A repeated directive makes the header invalid (RFC 6797, section 6.1).
            "max-age" => return None,
            "includesubdomains" => subdomains = true,
            _ => {}
        }
    }
    Some((Duration::from_secs(max_age?), subdomains))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_holds_for_its_time_in_its_workspace() {
        let mut hsts = Hsts::default();
        assert!(hsts.hear("", "https://a.test/x", "max-age=1000; includeSubDomains; preload", 10));
        assert!(!hsts.hear("", "https://a.test/y", "max-age=1000;includesubdomains", 11), "nothing new");
        assert!(hsts.hear("work", "https://www.b.test/", "max-age=\"50\"", 10));
        let covered = |hsts: &Hsts, workspace: &str, host: &str| hsts.covers(workspace, host);
        assert!(covered(&hsts, "", "a.test") && covered(&hsts, "", "x.y.a.test"));
        assert!(covered(&hsts, "", "a.test.") && covered(&hsts, "", "x.a.test."), "the root's dot makes no other host");
        assert!(!covered(&hsts, "work", "a.test") && !covered(&hsts, "", "nota.test"));
        assert!(covered(&hsts, "work", "www.b.test") && !covered(&hsts, "work", "x.www.b.test"));
        assert!(!covered(&hsts, "work", "b.test"));
        hsts.forget_old(61);
        assert!(!covered(&hsts, "work", "www.b.test") && covered(&hsts, "", "a.test"));
        assert!(hsts.hear("", "https://a.test/", "max-age=0", 62));
        assert_eq!(hsts, Hsts::default());
        for nothing in ["", "includeSubDomains", "max-age=x", "max-age=1; max-age=2", "max-age=-1"] {
            assert!(!hsts.hear("", "https://a.test/", nothing, 1), "{nothing}");
        }
        assert!(!hsts.hear("", "https://127.0.0.1/", "max-age=5", 1), "an address is no host of this kind");
        assert!(!hsts.hear("", &format!("https://{}.test/", "x".repeat(300)), "max-age=5", 1));
        // A site with very many hosts drives out only its own.
        assert!(hsts.hear("", "https://bank.test/", "max-age=100", 1));
        for host in 0..MAX_HOSTS_OF_SITE + 10 {
            hsts.hear("", &format!("https://{host}.evil.test/"), "max-age=99999", 1);
        }
        assert!(hsts.covers("", "bank.test"));
        assert_eq!(hsts.hosts.len(), MAX_HOSTS_OF_SITE + 1);
    }
}
