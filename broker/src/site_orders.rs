//! Orders about a site from the window's panel. Each takes time, and ends with an event for the window.

use regen_net_config::site::Site;
use regen_session::HostKey;
use tokio::sync::{mpsc, oneshot};

use crate::answer::CommandError;
use crate::network::NetAdmin;
use crate::site_data::Removed;
use crate::site_report::SiteQuery;
use crate::window::Event;

/// Reports on a site.
pub(crate) fn report(query: SiteQuery, request: u64, events: mpsc::Sender<Event>) {
    tokio::spawn(async move {
        let report = query.gather().await;
        // The event loop may have ended meanwhile.
        let _ = events.send(Event::SiteReported { request, report }).await;
    });
}

/// Tells the user when the data of a site is gone.
pub(crate) fn tell_when_cleared(
    host: HostKey,
    told: oneshot::Receiver<Result<Removed, CommandError>>,
    events: mpsc::Sender<Event>,
) {
    tokio::spawn(async move {
        let text = match told.await {
            Ok(Ok(removed)) => match removed.await {
                Ok(()) => format!("The data of {} is gone: cookies, storage and caches.", host.site.host()),
                // The browser is ending.
                Err(_) => return,
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => return,
        };
        let _ = events.send(Event::SiteChanged { text }).await;
    });
}

/// Adds a rule with which the pages of a site may load an address.
pub(crate) fn allow(mut admin: NetAdmin, site: Site, url: &str, events: mpsc::Sender<Event>) {
    let Some(rule) = rule(&site, url) else { return };
    tokio::spawn(async move {
        let text = match admin.allow(rule.clone()).await {
            Ok(()) => format!("Allowed by your rule {rule}. Reload the page to see it."),
            Err(error) => format!("The rule was not added: {error}"),
        };
        let _ = events.send(Event::SiteChanged { text }).await;
    });
}

/// Returns the rule: for the address without its query, which differs from load to load.
fn rule(site: &Site, url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#', '$', ',', '*', '|', '^', ' ']).next().filter(|path| !path.is_empty())?;
    Some(format!("@@||{path}$domain={}", site.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_one_address_on_one_site() {
        let site = Site::of("https://www.news.test/").unwrap();
        let of = |url: &str| rule(&site, url);
        assert_eq!(of("https://ads.test/a.js?n=1#x"), Some("@@||ads.test/a.js$domain=news.test".to_owned()));
        // An address cannot add options to the rule, nor widen it.
        assert_eq!(of("https://ads.test/a$domain=other.test"), Some("@@||ads.test/a$domain=news.test".to_owned()));
        assert_eq!(of("https://ads.test/*"), Some("@@||ads.test/$domain=news.test".to_owned()));
        assert_eq!((of("no address"), of("https://*")), (None, None));
    }
}
