//! The broker's own connection to the net-daemon, for what people ask.

use std::time::Duration;

use regen_net_config::dns::DnsSettings;
use regen_proto::grpc;
use regen_proto::kernel::v1::{self as wire, AnswerVpn, Configure, Grant, Role, Service, VpnQuestion, shell_update};
use regen_proto::net::v1::dns_admin_client::DnsAdminClient;
use regen_proto::net::v1::encryption_admin_client::EncryptionAdminClient;
use regen_proto::net::v1::shields_admin_client::ShieldsAdminClient;
use regen_proto::net::v1::tor_admin_client::TorAdminClient;
use regen_proto::net::v1::vpn_admin_client::VpnAdminClient;
use regen_proto::net::v1::{TorStatus, TorWatchRequest, VpnProfiles};
use regen_proto::validate::BrokerToChild;
use tokio::sync::{mpsc, watch};
use tonic::Status;
use tonic::transport::Channel;

use super::child::{Attachment, ChildId};
use super::grants::connection;
use super::{Input, Kernel};
use crate::session::Phase;
use crate::vpn::{VpnChange, VpnError};

/// The largest answer: a full log, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// How Tor is is listened to no more often, whatever is said.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// How soon it is told again what it did not take.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The longest message about it that is kept.
const MAX_MESSAGE: usize = 500;

/// What a net-daemon answers.
#[derive(Debug, Clone)]
pub struct NetAdmin {
    /// About shields.
    pub shields: ShieldsAdminClient<Channel>,
    /// About Tor.
    pub tor: TorAdminClient<Channel>,
    /// About names.
    pub dns: DnsAdminClient<Channel>,
    /// About VPN profiles.
    pub vpn: VpnAdminClient<Channel>,
}

impl Kernel {
    /// What a net-daemon is told before anything else, and again when it changes.
    pub(super) fn for_net(&self) -> Configure {
        Configure {
            shields: Some(self.settings.shields.to_wire()),
            tor_config: self.options.tor_config.clone(),
            reach_private: self.options.reach_private.clone(),
            dns: Some(wire::Dns { servers: self.settings.dns.servers.to_string(), dnssec: self.settings.dns.dnssec }),
            route: self.settings.routes.everywhere.to_string(),
            dns_anchors: self.options.dns_anchors.clone(),
            ..Configure::default()
        }
    }

    /// Something that a net-daemon is told has changed.
    pub(super) fn tell_net(&mut self) {
        if let Some(net) = self.ready_child_of_role(Role::NetDaemon) {
            self.send(net, BrokerToChild::Configure(self.for_net()), Vec::new());
        }
    }

    /// The user wants other name servers asked.
    pub(super) fn choose_dns(&mut self, settings: DnsSettings) {
        let (servers, dnssec) = (settings.servers.to_string(), settings.dnssec);
        self.audit.record("dns", serde_json::json!({ "servers": servers, "dnssec": dnssec }));
        self.settings.dns = settings;
        self.store.put_dns(self.settings.dns.clone());
        self.tell_net();
    }

    /// A net-daemon is there: whoever asks is answered by it.
    pub(super) fn connect_net(&mut self, net: ChildId) {
        let Some((theirs, ours)) = connection(Service::NetAdmin) else { return };
        let ours = std::os::unix::net::UnixStream::from(ours);
        let channel = match ours.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(ours)) {
            Ok(stream) => grpc::client(stream),
            Err(error) => return tracing::error!("the net-daemon cannot be asked: {error}"),
        };
        self.next_grant += 1;
        let grant =
            Grant { service: Service::NetAdmin.into(), serve: true, grant: self.next_grant, ..Grant::default() };
        self.audit.record(
            "granted",
            serde_json::json!({ "grant": grant.grant, "service": "net_admin", "server": net, "client": "broker" }),
        );
        self.send(net, BrokerToChild::Grant(grant), vec![Attachment::Fd(theirs)]);
        let shields = ShieldsAdminClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let tor = TorAdminClient::new(channel.clone());
        let dns = DnsAdminClient::new(channel.clone());
        let vpn = VpnAdminClient::new(channel.clone());
        let encryption = EncryptionAdminClient::new(channel);
        self.tor = TorStatus::default();
        tokio::spawn(watch_tor(net, tor.clone(), self.inbox.clone()));
        let (tell_vpn, told) = watch::channel(self.settings.vpn.to_wire());
        self.tell_vpn = Some(tell_vpn);
        let profiles = vpn.clone();
        tokio::spawn(keep_told("VPN profiles", told, move |profiles_now| {
            let mut vpn = profiles.clone();
            async move { vpn.set(VpnProfiles { profiles: profiles_now }).await.map(drop) }
        }));
        let (tell_encrypted, told) = watch::channel(self.session.hsts.to_wire());
        self.tell_encrypted = Some(tell_encrypted);
        tokio::spawn(keep_told("hosts that insist on encryption", told, move |hosts| {
            let mut encryption = encryption.clone();
            async move { encryption.set(hosts).await.map(drop) }
        }));
        self.net_admin = Some(NetAdmin { shields, tor, dns, vpn });
        // What was chosen since it said Hello.
        self.send(net, BrokerToChild::Configure(self.for_net()), Vec::new());
    }

    /// The user wants another profile, or another state of one.
    pub(super) fn change_vpn(&mut self, change: VpnChange) -> Result<(), VpnError> {
        let (what, name) = change.words();
        let (name, entry) = (name.to_owned(), serde_json::json!({ "change": what, "profile": name }));
        match self.settings.vpn.change(change) {
            Err(VpnError::NotAllowed(name)) if self.child_of_role(Role::UiShell).is_some() => {
                self.vpn_questions.insert(name.clone());
                self.ask_about_vpn(&name);
                return Err(VpnError::Asked(name));
            }
            changed => changed?,
        }
        // Whatever was done with it is an answer.
        if self.vpn_questions.remove(&name) {
            self.ask_about_vpn(&name);
        }
        self.audit.record("vpn", entry);
        self.store.put_vpn(self.settings.vpn.clone());
        if let Some(tell) = &self.tell_vpn {
            tell.send_replace(self.settings.vpn.to_wire());
        }
        Ok(())
    }

    /// The window asks whether pages may take it, or no longer.
    pub(super) fn ask_about_vpn(&mut self, name: &str) {
        let (peer, asked) = (self.settings.vpn.peers(name), self.vpn_questions.contains(name));
        let question = VpnQuestion { name: name.to_owned(), peer, asked };
        self.tell_window(shell_update::Body::VpnQuestion(question), Vec::new());
    }

    /// What the user said to that.
    pub(super) fn answer_about_vpn(&mut self, AnswerVpn { name, allow }: AnswerVpn) {
        if !self.vpn_questions.contains(&name) {
            return;
        }
        let answer = if allow { VpnChange::Up { name, allow } } else { VpnChange::Down(name) };
        if let Err(error) = self.change_vpn(answer) {
            self.notice("warning", &error.to_string());
        }
    }

    /// It is gone, and its Tor with it.
    pub(super) fn net_gone(&mut self) {
        (self.net_admin, self.tor) = (None, TorStatus::default());
        (self.tell_vpn, self.tell_encrypted) = (None, None);
    }

    /// How Tor is, as its net-daemon says.
    pub(super) fn tor_changed(&mut self, net: ChildId, mut status: TorStatus) {
        if !self.children.contains_key(&net) {
            return;
        }
        status.percent = status.percent.min(100);
        status.message = status.message.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect();
        let (was, is) = (self.tor.state(), status.state());
        self.tor = status;
        if was != is
            && let Some(text) = self.tor_trouble()
        {
            self.notice("error", &text);
        }
        // Those that load say what they wait for.
        let loading = self.session.tabs.values().filter(|tab| matches!(tab.phase, Phase::Loading | Phase::Recovering));
        for tab in loading.map(|tab| tab.id).collect::<Vec<_>>() {
            self.tab_changed(tab);
        }
        self.changed.send_modify(|generation| *generation += 1);
    }
}

/// Tells the net-daemon all of something at once, and again with each change, in order.
async fn keep_told<T, F>(what: &str, mut told: watch::Receiver<T>, tell: impl Fn(T) -> F)
where
    T: Clone,
    F: Future<Output = Result<(), Status>>,
{
    loop {
        let now = told.borrow_and_update().clone();
        match tell(now).await {
            Ok(()) => {
                if told.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("the net-daemon was not told of {what}: {}", error.message());
                tokio::time::sleep(RETRY_DELAY).await;
                // It is gone.
                if told.has_changed().is_err() {
                    return;
                }
            }
        }
    }
}

/// Until the net-daemon is gone.
async fn watch_tor(net: ChildId, mut tor: TorAdminClient<Channel>, inbox: mpsc::Sender<Input>) {
    let Ok(answer) = tor.watch(TorWatchRequest {}).await else { return };
    let mut news = answer.into_inner();
    while let Ok(Some(status)) = news.message().await {
        if inbox.send(Input::Tor { net, status }).await.is_err() {
            return;
        }
        tokio::time::sleep(MIN_INTERVAL).await;
    }
}
