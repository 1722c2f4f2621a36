//! The broker: the kernel of Regen and nothing else. It spawns, grants, supervises and restores; it opens no internet socket,
//! links no engine, toolkit or TLS, and parses no web content.
//!
//! [`event_loop`] receives everything and hands it to its owner; each component owns its state, takes events and returns
//! actions. The program is `regen-broker`; the command line uses the launcher, the options and the formats of files.

mod actions;
pub mod answer;
pub mod broker;
pub mod broker_setup;
#[cfg(test)]
mod broker_tests;
pub mod children;
pub mod codec;
pub mod configuration;
pub mod control;
mod control_commands;
mod error;
pub mod event_loop;
mod forgetting;
pub mod grants;
pub mod health;
mod host_grants;
mod host_reports;
pub mod kept;
pub mod launcher;
mod lookup;
pub mod message;
pub mod network;
mod network_actions;
pub mod observe;
pub mod page_events;
mod page_queries;
mod permission_actions;
pub mod permissions;
pub mod persistence;
pub mod profile;
pub mod site_data;
mod site_orders;
pub mod site_report;
pub mod startup;
pub mod window;
mod window_actions;
mod window_feed;
mod workspace_orders;
pub mod workspaces;
