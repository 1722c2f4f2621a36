//! The broker without processes: the test plays the launcher and the children on their own ends of the sockets.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use prost::Message;
use regen_proto::kernel::v1::{Hello, PageEvent, Ready, ToBroker, page_event, to_broker, to_child};
use regen_proto::kernel_channel::{self, ChannelError, KernelChannel};
use regen_proto::launcher::v1::{Spawn, ToLauncher, to_launcher};
use regen_proto::role::Role;
use regen_proto::version;
use regen_sandbox::policy::{self, Mode};
use tokio::sync::{mpsc, watch};

use crate::broker::Broker;
use crate::broker_setup::{BrokerSetup, Channels};
use crate::children::bucket_mounts::BucketMounts;
use crate::children::{ChildrenSetup, Event, Exit};
use crate::configuration::DisplayOptions;
use crate::launcher::Launcher;
use crate::network::NetworkOptions;
use crate::profile::Profile;
use crate::startup::keyboard::Keyboard;
use regen_audit_log::{Audit, AuditLog};
use regen_settings::{Settings, SettingsFile};
use regen_store::secrets::Vault;
use regen_supervisor::Key;

/// A headless broker, and the ends of its sockets that others would have.
struct Fixture {
    broker: Broker,
    launcher: OwnedFd,
    children: mpsc::Receiver<Event>,
    _profile: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::find(Some(folder.path())).unwrap();
        let (ours, launcher) = kernel_channel::pair().unwrap();
        let setup = BrokerSetup {
            children: ChildrenSetup {
                bucket_mounts: BucketMounts::open(profile.bucket_mounts()).unwrap(),
                launcher: Launcher::of(KernelChannel::adopt(ours).unwrap()),
                policies: policy::all(Mode::Jit).unwrap(),
                ca_bundle: None,
                jitless: false,
                site_memory: None,
                watched: None,
                audit: AuditLog::start(Audit::open(profile.root(), None).unwrap()).unwrap(),
                profile,
            },
            store: regen_store::open(folder.path(), Vault::of_profile(folder.path()).unwrap()).unwrap(),
            network: NetworkOptions {
                reach_private: Vec::new(),
                dns_anchors: String::new(),
                tor_config: String::new(),
            },
            display: DisplayOptions {
                headless: true,
                size: (640, 480),
                scale: 1,
                dark: false,
                keyboard: Keyboard::default(),
                languages: Vec::new(),
                time_zone: String::new(),
            },
            settings: Settings::default(),
            settings_file: SettingsFile::of(folder.path()),
            spare: false,
            downloads: folder.path().join("downloads"),
            extra_ca: 0,
            secrets: "",
            warnings: Vec::new(),
        };
        let (to_children, children) = mpsc::channel(64);
        let channels = Channels {
            children: to_children,
            network: mpsc::channel(64).0,
            persistence: mpsc::channel(64).0,
            window: mpsc::channel(64).0,
            changed: watch::channel(0).0,
        };
        Self { broker: Broker::new(setup, channels), launcher, children, _profile: folder }
    }

    /// Returns what the broker asked the launcher to start, each with its end of the channel.
    fn spawned(&self) -> Vec<(Spawn, OwnedFd)> {
        let mut spawned = Vec::new();
        loop {
            match kernel_channel::receive_now(self.launcher.as_fd()) {
                Ok(datagram) => {
                    let message = ToLauncher::decode(datagram.bytes.as_slice()).unwrap();
                    let Some(to_launcher::Body::Spawn(spawn)) = message.body else { panic!("{message:?}") };
                    spawned.push((spawn, datagram.descriptors.into_iter().next().unwrap()));
                }
                Err(ChannelError::Io(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    return spawned;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Starts the daemons, and returns the channel of one.
    fn started(&mut self, role: Role) -> (Spawn, OwnedFd) {
        self.broker.start(Vec::new());
        self.spawned().into_iter().find(|(spawn, _)| spawn.role == role.name()).unwrap()
    }

    /// Hands the broker the next event about children.
    async fn step(&mut self) {
        let event = tokio::time::timeout(Duration::from_secs(10), self.children.recv()).await.unwrap().unwrap();
        self.broker.child_event(event);
    }

    /// Ends a child as the launcher reports it. Returns why, as the broker knows it.
    fn end(&mut self, child: u64) -> String {
        let exit = Exit { cause: "ended".to_owned(), clean: false, status: None };
        self.broker.children.ended(child, &exit, None).unwrap().reason
    }
}

fn say(channel: &OwnedFd, body: to_broker::Body) {
    let message = ToBroker { body: Some(body) }.encode_to_vec();
    kernel_channel::send_now(channel.as_fd(), &message, &[]).unwrap();
}

/// Returns what the broker said to a child since the last call.
async fn heard(channel: &OwnedFd) -> Vec<to_child::Body> {
    let mut heard = Vec::new();
    // The writer of the channel is a task.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        while let Ok(datagram) = kernel_channel::receive_now(channel.as_fd()) {
            heard.extend(regen_proto::kernel::v1::ToChild::decode(datagram.bytes.as_slice()).unwrap().body);
        }
    }
    heard
}

#[tokio::test]
async fn constructing_the_broker_starts_nothing() {
    let mut fixture = Fixture::new();
    assert!(fixture.spawned().is_empty());
    assert!(fixture.broker.children().is_empty());
    assert!(fixture.children.try_recv().is_err());
    // The control: starting it does.
    fixture.broker.start(Vec::new());
    let roles: Vec<String> = fixture.spawned().into_iter().map(|(spawn, _)| spawn.role).collect();
    assert_eq!(roles, ["net-daemon", "agent-daemon"]);
}

#[tokio::test]
async fn a_child_is_configured_after_its_hello_and_takes_commands_when_it_is_ready() {
    let mut fixture = Fixture::new();
    let (_, channel) = fixture.started(Role::AgentDaemon);
    say(&channel, to_broker::Body::Hello(version::hello(Role::AgentDaemon)));
    fixture.step().await;
    let said = heard(&channel).await;
    assert!(matches!(said.as_slice(), [to_child::Body::Hello(_), to_child::Body::Configure(_)]), "{said:?}");
    let key = Key::Daemon(Role::AgentDaemon);
    assert!(!fixture.broker.supervisor.is_ready(&key));
    say(&channel, to_broker::Body::Ready(Ready {}));
    fixture.step().await;
    assert!(fixture.broker.supervisor.is_ready(&key));
}

#[tokio::test]
async fn a_message_that_a_role_may_not_send_ends_the_child() {
    let mut fixture = Fixture::new();
    let (spawn, channel) = fixture.started(Role::NetDaemon);
    say(&channel, to_broker::Body::Hello(version::hello(Role::NetDaemon)));
    fixture.step().await;
    say(&channel, to_broker::Body::PageEvent(PageEvent { tab: 1, body: Some(page_event::Body::Audible(true)) }));
    fixture.step().await;
    assert_eq!(fixture.broker.observer.refusals().not_allowed, 1);
    assert_eq!(fixture.end(spawn.child), "a net-daemon may not send a page event (ended)");
}

#[tokio::test]
async fn a_child_says_hello_first_and_once() {
    let mut fixture = Fixture::new();
    let (early, early_channel) = fixture.started(Role::NetDaemon);
    say(&early_channel, to_broker::Body::Ready(Ready {}));
    fixture.step().await;
    assert!(fixture.end(early.child).contains("before its Hello"));

    let mut fixture = Fixture::new();
    let (twice, channel) = fixture.started(Role::NetDaemon);
    for _ in 0..2 {
        say(&channel, to_broker::Body::Hello(version::hello(Role::NetDaemon)));
        fixture.step().await;
    }
    assert!(fixture.end(twice.child).contains("a second Hello"));
    assert_eq!(fixture.broker.observer.refusals().malformed, 1);
}

#[tokio::test]
async fn a_child_of_another_build_or_role_is_refused_with_both_named() {
    let other_build = Hello { build: "another".to_owned(), ..version::hello(Role::NetDaemon) };
    for (hello, named) in [(other_build, "another"), (version::hello(Role::TabHost), "net-daemon")] {
        let mut fixture = Fixture::new();
        let (spawn, channel) = fixture.started(Role::NetDaemon);
        say(&channel, to_broker::Body::Hello(hello));
        fixture.step().await;
        assert_eq!(heard(&channel).await, []);
        assert_eq!(fixture.broker.observer.refusals().version, 1);
        let reason = fixture.end(spawn.child);
        assert!(reason.contains(named), "{reason}");
    }
}

#[tokio::test]
async fn at_the_end_every_child_is_asked_and_none_is_started_again() {
    let mut fixture = Fixture::new();
    let (spawn, channel) = fixture.started(Role::NetDaemon);
    say(&channel, to_broker::Body::Hello(version::hello(Role::NetDaemon)));
    say(&channel, to_broker::Body::Ready(Ready {}));
    fixture.step().await;
    fixture.step().await;
    heard(&channel).await;
    fixture.broker.end_children();
    let said = heard(&channel).await;
    assert!(said.iter().any(|body| matches!(body, to_child::Body::Shutdown(_))), "{said:?}");
    let exit = Exit { cause: "exit code 0".to_owned(), clean: true, status: Some(0) };
    fixture.broker.child_event(Event::Ended { child: spawn.child, exit });
    fixture.broker.tick();
    assert!(fixture.spawned().is_empty());
}

#[tokio::test]
async fn a_daemon_that_dies_is_started_anew_under_another_number() {
    let mut fixture = Fixture::new();
    let (first, channel) = fixture.started(Role::AgentDaemon);
    say(&channel, to_broker::Body::Hello(version::hello(Role::AgentDaemon)));
    say(&channel, to_broker::Body::Ready(Ready {}));
    fixture.step().await;
    fixture.step().await;
    let exit = Exit { cause: "signal 9".to_owned(), clean: false, status: Some(9) };
    fixture.broker.child_event(Event::Ended { child: first.child, exit });
    let deadline = Instant::now() + Duration::from_secs(10);
    let again = loop {
        fixture.broker.tick();
        if let Some((again, _)) = fixture.spawned().into_iter().find(|(spawn, _)| spawn.role == "agent-daemon") {
            break again;
        }
        assert!(Instant::now() < deadline, "it did not come back");
        tokio::task::yield_now().await;
    };
    assert!(again.child > first.child);
}
