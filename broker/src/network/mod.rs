//! The network: the user's settings of routes, name servers, shields and VPN profiles, and the broker's client of the net-daemon.
//!
//! The component opens no connection to the network itself, and knows no page.

mod admin;
pub mod events;
pub mod tor;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use regen_audit_log::AuditLog;
use regen_net_config::dns::DnsSettings;
use regen_net_config::route::{Hop, Route};
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::scope::Scope;
use regen_net_config::settings::shields::{Level, ShieldsSettings, TooManySites};
use regen_net_config::settings::vpn::{VpnChange, VpnError, VpnSettings};
use regen_session::{HostKey, Hsts, Session};
use regen_store::{SessionSettings, Settings, Store};
use tokio::sync::mpsc;

pub use admin::{BlockedRequest, Event, NetAdmin};
pub use events::{Action, Command};

use crate::answer::answer;
use crate::message::ChildId;
use crate::window::commands::VpnAnswer;
use admin::Connection;
use events::VpnQuestion;
use tor::{TorState, TorStatus};

/// Maximum length of a message about Tor's status, characters.
const MAX_MESSAGE: usize = 500;

/// Error of the network component.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The broker's own connection to a net-daemon cannot be used.
    #[error("the net-daemon cannot be asked: {0}")]
    Connection(#[from] std::io::Error),
}

/// Options of the start that the net-daemon is told.
#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// Hosts of sites whose pages reach private addresses, wherever they come from.
    pub reach_private: Vec<String>,
    /// DNSKEY records whose signatures count; empty: the root's own.
    pub dns_anchors: String,
    /// Changes of Tor's configuration, TOML.
    pub tor_config: String,
}

/// Settings of the network that the store keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Routes.
    pub routes: RouteSettings,
    /// Name servers.
    pub dns: DnsSettings,
    /// Shields.
    pub shields: ShieldsSettings,
    /// VPN profiles.
    pub vpn: VpnSettings,
}

impl NetworkSettings {
    /// Returns everything that a store which has lost it must be given again, but for the settings of sessions.
    #[must_use]
    pub fn to_keep(&self, session: &Session) -> Settings {
        Settings {
            shields: self.shields.clone(),
            routes: self.routes.clone(),
            vpn: self.vpn.clone(),
            dns: self.dns.clone(),
            https_only: session.https_only.clone(),
            hsts: session.hsts.clone(),
            zooms: session.zooms.clone(),
            workspaces: session.workspaces.clone(),
            // The broker adds them: they are of another component.
            permissions: PermissionSettings::default(),
            session: SessionSettings::default(),
        }
    }
}

/// The network as the broker sees it.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    options: NetworkOptions,
    connection: Option<Connection>,
    /// Profiles that the window asks about.
    vpn_questions: BTreeSet<String>,
    tor: TorStatus,
    store: Store,
    audit: AuditLog,
    events: mpsc::Sender<Event>,
}

impl Network {
    /// Returns a network without a net-daemon.
    #[must_use]
    pub fn new(
        settings: NetworkSettings,
        options: NetworkOptions,
        store: Store,
        audit: AuditLog,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (vpn_questions, tor) = (BTreeSet::new(), TorStatus::default());
        Self { settings, options, connection: None, vpn_questions, tor, store, audit, events }
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// Returns the options of the start.
    #[must_use]
    pub fn options(&self) -> &NetworkOptions {
        &self.options
    }

    /// Connects to a net-daemon that is up. `socket`: the broker's end of the grant.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn connect(&mut self, net: ChildId, socket: OwnedFd, hsts: &Hsts) -> Result<(), NetworkError> {
        self.tor = TorStatus::default();
        self.connection = Some(Connection::open(net, socket, &self.settings.vpn, hsts, self.events.clone())?);
        Ok(())
    }

    /// Notes that the net-daemon is gone, and its Tor with it.
    pub fn disconnected(&mut self) {
        (self.connection, self.tor) = (None, TorStatus::default());
    }

    /// Tells the net-daemon which hosts insist on encryption.
    pub fn tell_encrypted_hosts(&self, hsts: &Hsts) {
        if let Some(connection) = &self.connection {
            connection.tell_encrypted_hosts(hsts);
        }
    }

    /// Returns the client of a net-daemon that is up.
    #[must_use]
    pub fn admin(&self) -> Option<NetAdmin> {
        self.connection.as_ref().map(|connection| connection.admin.clone())
    }

    /// Takes an event of a net-daemon.
    pub fn event(&mut self, event: Event) -> Vec<Action> {
        let Event::Tor { status, .. } = event;
        // Sent before the net-daemon died.
        if self.connection.is_none() {
            return Vec::new();
        }
        let before = self.tor.state;
        let message = status.message.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect();
        self.tor = TorStatus { percent: status.percent.min(100), message, ..status };
        let trouble = self.tor_trouble().filter(|_| before != self.tor.state);
        let notice = trouble.map(|text| Action::Notice { level: "error", text });
        notice.into_iter().chain([Action::ShowLoadingTabs]).collect()
    }

    /// Carries out a command. `has_window`: there is a window that can ask the user.
    pub fn command(&mut self, command: Command, has_window: bool) -> Vec<Action> {
        match command {
            Command::Admin { answer: to } => {
                answer(to, Ok(self.admin()));
                Vec::new()
            }
            Command::Routes { answer: to } => {
                answer(to, Ok((self.settings.routes.clone(), self.tor.clone())));
                Vec::new()
            }
            Command::SetRoute { scope, route, answer: to } => {
                let actions = self.set_route(scope, route);
                answer(to, Ok(()));
                actions
            }
            Command::Shields { answer: to } => {
                answer(to, Ok(self.settings.shields.clone()));
                Vec::new()
            }
            Command::SetShields { scope, level, answer: to } => {
                let (actions, done) = match self.set_shields(&scope, level) {
                    Ok(actions) => (actions, Ok(())),
                    Err(error) => (Vec::new(), Err(error)),
                };
                answer(to, Ok(done));
                actions
            }
            Command::Dns { answer: to } => {
                answer(to, Ok(self.settings.dns.clone()));
                Vec::new()
            }
            Command::SetDns { settings, answer: to } => {
                let actions = self.set_dns(settings);
                answer(to, Ok(()));
                actions
            }
            Command::Vpn { answer: to } => {
                answer(to, Ok((self.settings.vpn.clone(), self.vpn_questions.clone())));
                Vec::new()
            }
            Command::ChangeVpn { change, answer: to } => {
                let (actions, changed) = self.change_vpn(change, has_window);
                answer(to, Ok(changed));
                actions
            }
        }
    }

    /// Takes the user's answer to a question about a VPN. An answer to nothing changes nothing.
    pub fn vpn_answered(&mut self, VpnAnswer { name, allow }: VpnAnswer, has_window: bool) -> Vec<Action> {
        if !self.vpn_questions.contains(&name) {
            return Vec::new();
        }
        let change = if allow { VpnChange::Up { name, allow } } else { VpnChange::Down(name) };
        let (mut actions, changed) = self.change_vpn(change, has_window);
        if let Err(error) = changed {
            actions.push(Action::Notice { level: "warning", text: error.to_string() });
        }
        actions
    }

    /// Returns the questions that are open, for a new window.
    #[must_use]
    pub fn vpn_questions(&self) -> Vec<VpnQuestion> {
        self.vpn_questions.iter().map(|name| self.vpn_question(name)).collect()
    }

    /// Returns the status of Tor.
    #[must_use]
    pub fn tor(&self) -> &TorStatus {
        &self.tor
    }

    /// Returns the trouble with Tor, where it was needed and does not work.
    #[must_use]
    pub fn tor_trouble(&self) -> Option<String> {
        (self.tor.state == TorState::Failing).then(|| self.tor.message.clone())
    }

    /// Returns what a page of this host that loads waits for, as far as that is the network. `has_net`: the net-daemon is up.
    #[must_use]
    pub fn waits_for(&self, host: &HostKey, has_net: bool) -> Option<String> {
        if !has_net {
            return Some("Regen's network process is not there at the moment: it comes back".to_owned());
        }
        let takes_tor = self.settings.routes.of(host).hops().any(|hop| *hop == Hop::Tor);
        let wants_tor = takes_tor && self.tor.waiting > 0;
        match self.tor.state {
            TorState::Starting if wants_tor => {
                let TorStatus { percent, message, .. } = &self.tor;
                let why = if message.is_empty() { String::new() } else { format!(" ({message})") };
                Some(format!("Tor is starting: {percent} %{why}"))
            }
            TorState::Failing if takes_tor => self.tor_trouble(),
            TorState::Ready if wants_tor => Some("Tor is making a connection".to_owned()),
            TorState::Off | TorState::Starting | TorState::Ready | TorState::Failing => None,
        }
    }

    /// Forgets what the user chose for a workspace that is gone.
    pub fn forget_workspace(&mut self, workspace: &str) {
        if self.settings.routes.workspaces.remove(workspace).is_some() {
            self.store.put_routes(&self.settings.routes);
        }
        if self.settings.shields.workspaces.remove(workspace).is_some() {
            self.store.put_shields(self.settings.shields.clone());
        }
    }

    fn set_route(&mut self, scope: Scope, route: Option<Route>) -> Vec<Action> {
        let words = route.as_ref().map(Route::to_string);
        self.audit.record("route", serde_json::json!({ "scope": scope.to_string(), "route": words }));
        self.settings.routes.choose(scope, route);
        self.store.put_routes(&self.settings.routes);
        vec![Action::Configure, Action::RenewTunnels, Action::ShowTabs]
    }

    fn set_shields(&mut self, scope: &Scope, level: Option<Level>) -> Result<Vec<Action>, TooManySites> {
        let before = self.settings.shields.clone();
        self.settings.shields.choose(scope, level)?;
        self.store.put_shields(self.settings.shields.clone());
        let level = level.map(|level| level.to_string());
        self.audit.record("shields", serde_json::json!({ "scope": scope.to_string(), "level": level }));
        Ok(vec![Action::Configure, Action::ShieldsChanged { before }])
    }

    fn set_dns(&mut self, settings: DnsSettings) -> Vec<Action> {
        let (servers, dnssec) = (settings.servers.to_string(), settings.dnssec);
        self.audit.record("dns", serde_json::json!({ "servers": servers, "dnssec": dnssec }));
        self.settings.dns = settings;
        self.store.put_dns(self.settings.dns.clone());
        vec![Action::Configure]
    }

    fn change_vpn(&mut self, change: VpnChange, has_window: bool) -> (Vec<Action>, Result<(), VpnError>) {
        let (what, name) = change.words();
        let (name, entry) = (name.to_owned(), serde_json::json!({ "change": what, "profile": name }));
        match self.settings.vpn.change(change) {
            Err(VpnError::NotAllowed(name)) if has_window => {
                self.vpn_questions.insert(name.clone());
                let ask = Action::AskAboutVpn(self.vpn_question(&name));
                return (vec![ask], Err(VpnError::Asked(name)));
            }
            Err(error) => return (Vec::new(), Err(error)),
            Ok(()) => {}
        }
        // Any change of the profile answers the question about it.
        let was_asked = self.vpn_questions.remove(&name);
        self.audit.record("vpn", entry);
        self.store.put_vpn(self.settings.vpn.clone());
        if let Some(connection) = &self.connection {
            connection.tell_profiles(&self.settings.vpn);
        }
        let actions = if was_asked { vec![Action::AskAboutVpn(self.vpn_question(&name))] } else { Vec::new() };
        (actions, Ok(()))
    }

    fn vpn_question(&self, name: &str) -> VpnQuestion {
        let (peer, asked) = (self.settings.vpn.peers(name), self.vpn_questions.contains(name));
        VpnQuestion { name: name.to_owned(), peer, asked }
    }
}
