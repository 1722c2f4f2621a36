//! The net-daemon: opens connections for the other processes, along the route that each grant names.
//!
//! For shields, it sees the URLs that pages request on every site. It must never see the session, the user's files or
//! the content of an encrypted page.

mod counted;
mod dns;
mod encrypted_hosts;
pub mod fuzzing;
mod http_client;
mod route;
mod server;
mod shields;
mod tls;
mod tor;
mod tunnel;
mod wireguard;

pub use server::run;
