//! The net-daemon: opens connections for the other processes, along the route that each grant names.
//!
//! For shields, it sees the URLs that pages request on every site. It must never see the session, the user's files or
//! the content of an encrypted page.

mod counted;
mod dns;
mod egress;
mod encrypted_hosts;
mod error;
pub mod fuzzing;
mod http_client;
mod race;
mod route;
mod server;
mod shields;
mod tls;
mod tor;
mod tunnel;
mod wireguard;

pub use server::run;
