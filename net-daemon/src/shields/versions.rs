//! Names and versions that rules and the content filter share.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Returns the registrable domain or host of a site.
pub(super) fn domain(site: &str) -> &str {
    site.split_once("://").map_or(site, |(_, domain)| domain)
}

/// Returns a version that depends on the content, and is never 0.
pub(super) fn version_of(what: &impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    let [.., a, b, c, d] = hasher.finish().to_be_bytes();
    u32::from_be_bytes([a, b, c, d]).max(1)
}
