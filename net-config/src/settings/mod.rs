//! Settings that the user chooses per site, workspace or for all: routes, shields levels, VPN profiles. The store writes
//! these types: change them only with a migration.

pub mod permissions;
pub mod routes;
pub mod scope;
pub mod shields;
pub mod vpn;
