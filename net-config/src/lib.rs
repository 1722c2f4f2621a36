//! Parsers of what a user writes about the network (sites, routes, name servers, proxies and WireGuard profiles), and the
//! settings made of them.
//!
//! Every process reads these in the same way, because it uses the same parser. Nothing here opens a socket or a file.

pub mod dns;
pub mod host;
pub mod proxy;
pub mod route;
pub mod settings;
pub mod site;
pub mod special_purpose;
pub mod text;
pub mod wireguard;
