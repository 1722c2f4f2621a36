//! Addresses that a user types, and addresses that a page claims to have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_session::address;
use regen_net_config::site::Site;

fuzz_target!(|text: &str| {
    let _ = address::to_url(text);
    if let Ok(site) = Site::of(text) {
        assert!(site.may_show(text), "{text} does not belong to its own site {site}");
        assert!(!site.folder().contains('/') && site.folder() != "..", "{text}");
    }
});
