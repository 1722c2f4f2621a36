//! Addresses that a user types, and addresses that a page claims to have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_session::address;
use regen_net_config::site::Site;

fuzz_target!(|text: &str| {
    let engines = vec![("w".to_owned(), "https://wiki.test/?s=%s".to_owned())];
    let searches = address::Searches { default: "https://a.test/?q=%s".to_owned(), engines };
    let _ = address::to_url(text, &searches);
    if let Ok(site) = Site::of(text) {
        assert!(site.may_show(text), "{text} does not belong to its own site {site}");
        assert!(!site.folder().contains('/') && site.folder() != "..", "{text}");
    }
});
