//! Messages of every child: what children say, and what all of them are told.

use std::io;
use std::os::fd::OwnedFd;

use regen_net_config::route::Route;
use regen_net_config::settings::shields::Level;
use regen_net_config::site::Site;
use regen_proto::kernel::v1::{
    Grant as WireGrant, Heartbeat, NetworkSide, PrivateNetwork, Reply, Revoke, Service as WireService, SessionCookies,
    ShowSite, Shutdown,
};
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use regen_proto::version::{self, Hello};
use regen_runtime::Sealed;
use regen_session::{SavedSnapshot, Side, TabId};

use super::page::{self, PageReport};
use super::{configure, user_commands};
use crate::control::questions::PageReply;
use crate::grants::grant::{Grant, Service};
use crate::message::{Attachment, ChildId, Outgoing};
use crate::window::commands::UserCommand;

/// Message of a child.
#[derive(Debug)]
pub enum ChildMessage {
    /// First message of a child.
    Hello(Hello),
    /// The child takes commands.
    Ready,
    /// The child ends, for this reason.
    Exit { reason: String },
    /// The child started a helper process; its pidfd comes along.
    Helper { name: String },
    /// Event of a page; the body of a form may come along.
    Page { tab: TabId, report: PageReport },
    /// A snapshot of a page.
    Snapshot { tab: TabId, snapshot: SnapshotData },
    /// Session cookies of the site: so many bytes in a descriptor; none without one.
    Cookies { size: u64 },
    /// Answer to a question.
    Reply(PageReply),
    /// The user did something in the window.
    UserCommand(UserCommand),
    /// The network of a grant's site.
    SiteFound { grant: u64, side: Side },
}

/// Place of a snapshot.
#[derive(Debug)]
pub enum SnapshotData {
    /// In the message.
    Inline(SavedSnapshot),
    /// In a descriptor, of this many bytes.
    InMemory(u64),
}

/// Returns a child's message; `None` for one that asks for nothing.
pub fn child_message(message: ChildToBroker) -> Option<ChildMessage> {
    Some(match message {
        // The reader of the channel takes heartbeats.
        ChildToBroker::Heartbeat(_) => return None,
        ChildToBroker::Hello(hello) => ChildMessage::Hello(hello),
        ChildToBroker::Ready(_) => ChildMessage::Ready,
        ChildToBroker::Exit(exit) => ChildMessage::Exit { reason: exit.reason },
        ChildToBroker::Helper(helper) => ChildMessage::Helper { name: helper.name },
        ChildToBroker::PageEvent(event) => ChildMessage::Page { tab: event.tab, report: page::report(event.body?)? },
        ChildToBroker::PutSnapshot(put) => {
            let snapshot = match put.snapshot {
                Some(snapshot) => SnapshotData::Inline(page::snapshot(snapshot)),
                None => SnapshotData::InMemory(put.payload_size),
            };
            ChildMessage::Snapshot { tab: put.tab, snapshot }
        }
        ChildToBroker::PutCookies(put) => ChildMessage::Cookies { size: put.payload_size },
        ChildToBroker::Reply(Reply { request, error, text, payload_size, width, height }) => {
            ChildMessage::Reply(PageReply { request, error, text, payload_size, width, height })
        }
        ChildToBroker::UserCommand(command) => ChildMessage::UserCommand(user_commands::user_command(command.body?)?),
        ChildToBroker::SiteFound(found) => {
            let side = match found.side() {
                NetworkSide::Public => Side::Public,
                NetworkSide::Private => Side::Private,
                NetworkSide::Unspecified => return None,
            };
            ChildMessage::SiteFound { grant: found.grant, side }
        }
    })
}

/// Returns the broker's Hello.
#[must_use]
pub fn hello(to: ChildId) -> Outgoing {
    Outgoing::new(to, BrokerToChild::Hello(version::broker_hello()))
}

/// Returns a heartbeat, to be answered.
#[must_use]
pub fn heartbeat(to: ChildId) -> Outgoing {
    Outgoing::new(to, BrokerToChild::Heartbeat(Heartbeat {}))
}

/// Returns the request to end.
#[must_use]
pub fn shutdown(to: ChildId) -> Outgoing {
    Outgoing::new(to, BrokerToChild::Shutdown(Shutdown {}))
}

/// Returns the site of a prelaunched host.
#[must_use]
pub fn show_site(to: ChildId, site: &Site, level: Level) -> Outgoing {
    let level = configure::level(level);
    Outgoing::new(to, BrokerToChild::Site(ShowSite { site: site.as_str().to_owned(), level: level.into() }))
}

/// Returns the session cookies of a host's site.
///
/// # Errors
/// When the system refuses memory for them.
pub fn cookies(to: ChildId, cookies: &[u8]) -> io::Result<Outgoing> {
    let message = BrokerToChild::Cookies(SessionCookies { payload_size: cookies.len() as u64 });
    Ok(Outgoing { to, message, attachments: vec![Attachment::Payload(Sealed::new(cookies)?)] })
}

/// Returns one end of a grant, with its socket. `serve`: this end serves.
#[must_use]
pub fn grant(to: ChildId, grant: &Grant, serve: bool, socket: OwnedFd) -> Outgoing {
    let service = match grant.service {
        Service::Tunnel => WireService::Tunnel,
        Service::NetAdmin => WireService::NetAdmin,
        Service::Surface => WireService::Surface,
        Service::VerdictChannels => WireService::VerdictChannels,
    };
    let private_network = match grant.private_network {
        None => PrivateNetwork::Unspecified,
        Some(true) => PrivateNetwork::Allowed,
        Some(false) => PrivateNetwork::Refused,
    };
    let message = BrokerToChild::Grant(WireGrant {
        service: service.into(),
        serve,
        grant: grant.number,
        host: grant.host.unwrap_or(0),
        partition: grant.partition.clone(),
        route: grant.route.as_ref().map(Route::to_string).unwrap_or_default(),
        site: grant.site.clone(),
        private_network: private_network.into(),
    });
    Outgoing { to, message, attachments: vec![Attachment::Fd(socket)] }
}

/// Returns the end of a grant.
#[must_use]
pub fn revoke(to: ChildId, grant: u64) -> Outgoing {
    Outgoing::new(to, BrokerToChild::Revoke(Revoke { grant }))
}
