//! The kernel proper: one task that owns all state, and turns what children, users and clocks say into effects.
//!
//! It parses no web content, opens no network socket, and never waits for a child.

mod child;
mod control;
mod downloads;
mod effects;
mod files;
mod grants;
mod hibernation;
mod lifecycle;
mod net;
mod process_stats;
mod processes;
mod routes;
mod sessions;
mod shields;
mod spare;
mod supervision;
mod window;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regen_proto::control::v1::Refusals;
use regen_proto::kernel::v1::{FilesChosen, PageEvent, QueryKind, Reply, Role};
use regen_proto::net::v1::TorStatus;
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use regen_sandbox::policy::Policy;
use tokio::sync::{mpsc, oneshot, watch};

use crate::audit::Audit;
use crate::bucket_mounts::BucketMounts;
use crate::coverage::Coverage;
use crate::downloads::Downloads;
use crate::file_choosers::{FileChoosers, PageRequest};
use crate::file_dialog::{DialogError, FileDialogs};
use crate::keyboard::Keyboard;
use crate::launcher::{FromLauncherBody, Launcher};
use crate::outside::Outside;
use crate::payloads::Payloads;
use crate::profile::Profile;
use crate::quitting::Quitting;
use crate::save_pace::SavePace;
use crate::session::{self, Event, HostKey, SavedSnapshot, Session, TabId};
use crate::step_times::StepTimes;
use crate::store::{Saved, Settings, Store};
use crate::supervisor::Machine;
use crate::window_size::WindowSize;

use crate::refused_calls::RefusedCall;

use child::{Attachment, Child, ChildId, Violation};
pub use control::{Command, CommandError, PageAnswer};
pub use net::NetAdmin;
pub(crate) use processes::proportional_kb;
pub(crate) use sessions::as_saved;
use supervision::Key;

/// A child that was asked to end gets this long.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The other end of a [`PageAnswer`].
type PageAnswerer = oneshot::Sender<(Reply, Vec<OwnedFd>)>;

/// Question to a page that has not been answered yet.
struct PageQuestion {
    child: ChildId,
    tab: TabId,
    kind: QueryKind,
    answerer: PageAnswerer,
}

/// Everything that can happen to the kernel.
#[derive(Debug)]
pub(crate) enum Input {
    Message {
        child: ChildId,
        message: ChildToBroker,
        descriptors: Vec<OwnedFd>,
        sender: i32,
    },
    Violation {
        child: ChildId,
        violation: Violation,
    },
    Launcher {
        news: FromLauncherBody,
        descriptors: Vec<OwnedFd>,
    },
    LauncherGone,
    RefusedCall {
        child: ChildId,
        refused: RefusedCall,
    },
    Command(Command),
    NotStarted {
        key: Key,
        reason: String,
    },
    SaveChanged,
    Tor {
        net: ChildId,
        status: TorStatus,
    },
    /// Pages were asked whether they object to the end.
    QuitWeighed {
        pages: usize,
    },
    /// Something for the user to know.
    Notice {
        text: String,
    },
    /// The user picked files for a page, or none.
    FilesPicked {
        request: u64,
        picked: Result<Vec<PathBuf>, DialogError>,
    },
    /// A snapshot was read, as of the address that its page had when it was announced.
    Snapshot {
        child: ChildId,
        host: HostKey,
        tab: TabId,
        snapshot: Result<SavedSnapshot, String>,
    },
    Cookies {
        child: ChildId,
        host: HostKey,
        cookies: Result<Vec<u8>, String>,
    },
    /// A form that a tab takes to another site was read.
    Form {
        child: ChildId,
        handover: PageEvent,
        body: Result<Vec<u8>, String>,
    },
    /// A child is over, and so is what it announced before.
    Ended {
        child: ChildId,
        cause: String,
        clean: bool,
        status: Option<i32>,
    },
    /// The memory of a child that seemed to have too much, KB.
    Weighed {
        child: ChildId,
        proportional_kb: u64,
    },
    /// A download that broke off may be tried again.
    TryDownload(u64),
    FilesPlaced {
        from: PageRequest,
        chosen: FilesChosen,
        failed: Vec<String>,
    },
    Quit,
}

impl Input {
    /// Name of what happened, for measurements.
    fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Violation { .. } => "violation",
            Self::Launcher { .. } | Self::LauncherGone => "launcher",
            Self::RefusedCall { .. } => "refused call",
            Self::Command(_) => "command",
            Self::NotStarted { .. } | Self::Ended { .. } => "end of a child",
            Self::SaveChanged => "save",
            Self::Tor { .. } => "tor",
            Self::Notice { .. } => "notice",
            Self::FilesPicked { .. } | Self::FilesPlaced { .. } | Self::TryDownload(_) => "files",
            Self::Snapshot { .. } | Self::Cookies { .. } | Self::Form { .. } => "payload",
            Self::Weighed { .. } => "memory",
            Self::Quit | Self::QuitWeighed { .. } => "quit",
        }
    }
}

/// How this browser was started.
#[derive(Debug, Clone)]
pub struct Options {
    /// No window.
    pub headless: bool,
    /// Page size where there is no window.
    pub size: (u32, u32),
    /// Scale factor where there is no window.
    pub scale: u32,
    /// The window and the pages are dark.
    pub dark: bool,
    /// For pages: the layout that the user's keys have.
    pub keyboard: Keyboard,
    /// The user's, as BCP 47 tags.
    pub languages: Vec<String>,
    /// As the time zone database calls it; empty: nobody knows.
    pub time_zone: String,
    /// The profile's certificate authorities, over the machine's.
    pub ca_bundle: Option<PathBuf>,
    /// How many of them the profile added.
    pub extra_ca: u32,
    /// The most memory that a site's processes may have, in bytes, where the user wants less than the policy.
    pub site_memory: Option<u64>,
    /// Where downloads go.
    pub downloads: PathBuf,
    /// A site that nobody has looked at for so long sleeps; none: never.
    pub hibernate_after: Option<Duration>,
    /// Keep a process ready for the next site.
    pub spare: bool,
    /// Pages may not make machine code.
    pub jitless: bool,
    /// Hosts of sites whose pages reach private addresses, wherever they come from.
    pub reach_private: Vec<String>,
    /// DNSKEY records whose signatures count; empty: the root's own.
    pub dns_anchors: String,
    /// The user's changes of Tor's configuration, TOML.
    pub tor_config: String,
    /// Nothing is refused of this role's processes, and everything is written down.
    pub watched: Option<String>,
}

/// The kernel's state.
pub struct Kernel {
    options: Options,
    profile: Profile,
    bucket_mounts: BucketMounts,
    launcher: Launcher,
    /// What was seen of the watched role.
    coverage: Option<Arc<Mutex<Coverage>>>,
    /// By role.
    policies: HashMap<String, Arc<Policy>>,
    /// Their SHA-256, by role.
    digests: HashMap<String, String>,
    inbox: mpsc::Sender<Input>,
    queue: mpsc::Receiver<Input>,
    children: HashMap<ChildId, Child>,
    payloads: Payloads<Input>,
    next_child: ChildId,
    next_grant: u64,
    next_request: u64,
    machines: HashMap<Key, Machine>,
    ticks: u64,
    /// For how many seconds there has been no spare.
    spare_missed: u32,
    /// The last of them.
    ticked: Instant,
    /// How much later they came than they should, all in all.
    overslept: Duration,
    /// The most memory that a role's processes may have together, by role.
    ceilings_kb: HashMap<String, u64>,
    session: Session,
    gestures: HashMap<TabId, Instant>,
    /// When the user last opened an address in each tab: it may be a file.
    user_loads: HashMap<TabId, Instant>,
    /// When each tab was last looked at.
    seen: HashMap<TabId, Instant>,
    /// Tabs that the store does not know as they are now. However often a tab changes, it waits once.
    unsaved: SavePace,
    /// What hosts say of encryption has changed, and is not saved yet.
    hsts_unsaved: bool,
    audit: Audit,
    /// How much of it the store knows.
    audit_saved: u64,
    store: Store,
    /// What the user was last told about the store.
    store_trouble: Option<String>,
    /// Earlier sessions that can come back, newest first.
    previous: Vec<Arc<Saved>>,
    settings: Settings,
    /// The net-daemon, as far as it answers people.
    net_admin: Option<NetAdmin>,
    /// VPN profiles that the window asks about.
    vpn_questions: BTreeSet<String>,
    /// Tells the net-daemon which hosts insist on encryption.
    tell_encrypted: Option<tokio::sync::watch::Sender<regen_proto::net::v1::EncryptedHosts>>,
    /// Tells the net-daemon all VPN profiles.
    tell_vpn: Option<tokio::sync::watch::Sender<Vec<regen_proto::net::v1::VpnProfile>>>,
    /// How its Tor is.
    tor: TorStatus,
    secrets: &'static str,
    /// Session cookies, as each site's host has them: its next one gets them.
    cookies: HashMap<HostKey, Vec<u8>>,
    warnings: Vec<String>,
    refusals: Refusals,
    requests: HashMap<u64, PageQuestion>,
    downloads: Downloads,
    file_choosers: FileChoosers,
    outside: Outside,
    file_dialogs: FileDialogs,
    step_times: StepTimes,
    changed: watch::Sender<u64>,
    started: Instant,
    quitting: bool,
    quit_wishes: Quitting,
    window_size: WindowSize,
    /// It does not end by the user's wish: the next start asks about the session.
    failed: bool,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("children", &self.children.len()).finish_non_exhaustive()
    }
}

/// The way to talk to a running kernel.
#[derive(Debug, Clone)]
pub struct KernelHandle {
    inbox: mpsc::Sender<Input>,
    changed: watch::Receiver<u64>,
}

/// What a kernel starts with.
#[derive(Debug)]
pub struct Setup {
    /// How.
    pub options: Options,
    /// Where.
    pub profile: Profile,
    /// Where sites' storage is while a process has it.
    pub bucket_mounts: BucketMounts,
    /// The process that starts processes.
    pub launcher: Launcher,
    /// What every role may do.
    pub policies: Vec<Policy>,
    /// What happens is written here.
    pub audit: Audit,
    /// The session's disk.
    pub store: Store,
    /// What an earlier run left.
    pub previous: Vec<Saved>,
    /// What the user has chosen.
    pub settings: Settings,
    /// Where the key of session cookies is, in words.
    pub secrets: &'static str,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What to open.
    pub urls: Vec<String>,
}

impl Kernel {
    /// Makes a kernel and the handle to it.
    #[must_use]
    pub fn new(setup: Setup) -> (Self, KernelHandle) {
        let (inbox, queue) = mpsc::channel(1024);
        let (changed, watching) = watch::channel(0);
        let ceilings_kb = ceilings(&setup.policies, setup.options.site_memory);
        let watched = |role: &String| setup.policies.iter().find(|policy| policy.role == *role);
        let watched = setup.options.watched.as_ref().and_then(watched);
        let window_size = WindowSize::open(setup.profile.root());
        let downloads = Downloads::open(setup.options.downloads.clone(), setup.profile.root());
        let mut kernel = Self {
            coverage: watched.map(|policy| Arc::new(Mutex::new(Coverage::of(policy)))),
            options: setup.options,
            profile: setup.profile,
            bucket_mounts: setup.bucket_mounts,
            launcher: setup.launcher,
            digests: setup.policies.iter().map(|own| (own.role.clone(), own.sha256.clone())).collect(),
            policies: setup.policies.into_iter().map(|policy| (policy.role.clone(), Arc::new(policy))).collect(),
            inbox: inbox.clone(),
            queue,
            children: HashMap::new(),
            payloads: Payloads::new(inbox.clone()),
            next_child: 0,
            next_grant: 0,
            next_request: 0,
            machines: HashMap::new(),
            ticks: 0,
            spare_missed: 0,
            ticked: Instant::now(),
            overslept: Duration::ZERO,
            ceilings_kb,
            session: Session {
                https_only: setup.settings.https_only.clone(),
                hsts: setup.settings.hsts.clone(),
                ..Session::default()
            },
            gestures: HashMap::new(),
            user_loads: HashMap::new(),
            seen: HashMap::new(),
            unsaved: SavePace::default(),
            hsts_unsaved: false,
            audit: setup.audit,
            audit_saved: 0,
            store: setup.store,
            store_trouble: None,
            previous: setup.previous.into_iter().map(Arc::new).collect(),
            settings: setup.settings,
            net_admin: None,
            vpn_questions: BTreeSet::new(),
            tell_encrypted: None,
            tell_vpn: None,
            tor: TorStatus::default(),
            secrets: setup.secrets,
            cookies: HashMap::new(),
            warnings: setup.warnings,
            refusals: Refusals::default(),
            requests: HashMap::new(),
            downloads,
            file_choosers: FileChoosers::default(),
            outside: Outside::default(),
            file_dialogs: FileDialogs::default(),
            step_times: StepTimes::default(),
            changed,
            started: Instant::now(),
            quitting: false,
            quit_wishes: Quitting::default(),
            window_size,
            failed: false,
        };
        kernel.start_daemon(Role::NetDaemon);
        kernel.start_daemon(Role::AgentDaemon);
        if !kernel.options.headless {
            kernel.start_daemon(Role::UiShell);
        }
        kernel.restore_by_itself();
        let unfinished = kernel.downloads.start();
        kernel.do_with_downloads(unfinished);
        for url in &setup.urls {
            kernel.open_by_user(session::address::to_url(url), false, String::new());
        }
        if setup.urls.is_empty() && !kernel.options.headless {
            kernel.apply(Event::Open { load: None, workspace: String::new(), background: false, opener: None });
        }
        (kernel, KernelHandle { inbox, changed: watching })
    }

    /// Runs until the browser ends.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(supervision::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.quitting {
            tokio::select! {
                input = self.queue.recv() => match input {
                    Some(input) => self.step(input.kind(), |kernel| kernel.handle(input)),
                    None => break,
                },
                news = self.launcher.next() => match news {
                    Ok((news, descriptors)) => {
                        self.step("launcher", |kernel| kernel.handle(Input::Launcher { news, descriptors }));
                    }
                    Err(regen_proto::kernel_channel::ChannelError::Closed) => self.handle(Input::LauncherGone),
                    Err(error) => tracing::error!("the launcher's news are lost: {error}"),
                },
                _ = tick.tick() => self.step("tick", Self::tick),
            }
        }
        self.shut_down().await;
    }

    /// Does one step, and notes how long that took.
    fn step(&mut self, kind: &'static str, step: impl FnOnce(&mut Self)) {
        let start = Instant::now();
        step(self);
        self.step_times.record(kind, start.elapsed());
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Message { child, message, descriptors, sender } => {
                self.message(child, message, descriptors, sender);
            }
            Input::Violation { child, violation } => self.violation(child, &violation),
            Input::Launcher { news, descriptors } => self.launcher_news(news, descriptors),
            Input::LauncherGone => {
                tracing::error!("the launcher is gone: nothing can be started any more, so everything ends");
                self.quitting = true;
                self.failed = true;
            }
            Input::RefusedCall { child, refused } => self.call_refused(child, refused),
            Input::Command(command) => self.command(command),
            Input::NotStarted { key, reason } => self.died(&key, &reason),
            Input::SaveChanged => self.save_changed(false),
            Input::Tor { net, status } => self.tor_changed(net, status),
            Input::Notice { text } => self.notice("warning", &text),
            Input::FilesPicked { request, picked } => self.files_picked(request, picked),
            Input::Snapshot { child, host, tab, snapshot } => self.snapshot_read(child, host, tab, snapshot),
            Input::Cookies { child, host, cookies } => self.cookies_read(child, host, cookies),
            Input::Form { child, handover, body } => self.form_read(child, handover, body),
            Input::Ended { child, cause, clean, status } => self.ended(child, &cause, clean, status),
            Input::Weighed { child, proportional_kb } => self.weighed(child, proportional_kb),
            Input::FilesPlaced { from, chosen, failed } => self.files_placed(from, chosen, &failed),
            Input::TryDownload(id) => {
                let actions = self.downloads.try_again(id);
                self.do_with_downloads(actions);
            }
            Input::Quit => self.quitting = true,
            Input::QuitWeighed { pages } => self.quit_weighed(pages),
        }
    }

    fn message(&mut self, id: ChildId, message: ChildToBroker, descriptors: Vec<OwnedFd>, sender: i32) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let known = child.pid != 0;
        match message {
            ChildToBroker::Hello(hello) if !known => self.hello(id, &hello, sender),
            _ if !known => self.violation(id, &Violation::Malformed("a message before its Hello".into())),
            ChildToBroker::Hello(_) => self.violation(id, &Violation::Malformed("a second Hello".into())),
            // The reader takes them: see `Pulse`.
            ChildToBroker::Heartbeat(_) => {}
            ChildToBroker::Ready(_) => self.ready(id),
            ChildToBroker::Exit(exit) => child.doom = Some(exit.reason),
            ChildToBroker::Telemetry(line) => tracing::info!(role = child::role_name(child.role), "{}", line.message),
            ChildToBroker::RequestGrant(_) => self.grant_line(id),
            ChildToBroker::Helper(helper) => self.helper_started(id, helper, descriptors),
            ChildToBroker::PageEvent(event) => self.page_event(id, event, descriptors),
            ChildToBroker::PutSnapshot(put) => self.put_snapshot(id, put, descriptors),
            ChildToBroker::PutCookies(put) => self.put_cookies(id, &put, descriptors),
            ChildToBroker::ShareBuffer(buffer) => self.share_buffer(id, &buffer, descriptors),
            ChildToBroker::Reply(reply) => {
                // Only whoever was asked may answer.
                let is_its = self.requests.get(&reply.request).is_some_and(|asked| asked.child == id);
                if let Some(request) = is_its.then(|| self.requests.remove(&reply.request)).flatten() {
                    // Whoever asked may have stopped waiting.
                    let _ = request.answerer.send((reply, descriptors));
                }
            }
            ChildToBroker::UserCommand(command) => self.user_command(command),
            ChildToBroker::SiteFound(found) => self.site_found(id, found),
        }
    }

    fn violation(&mut self, id: ChildId, violation: &Violation) {
        let role = self.children.get(&id).map(|child| child::role_name(child.role));
        self.audit.record("violation", serde_json::json!({ "child": id, "role": role, "what": violation.to_string() }));
        use regen_proto::validate::Refusal;
        match violation {
            Violation::Refused(Refusal::Malformed(_)) | Violation::Malformed(_) => self.refusals.malformed += 1,
            Violation::Refused(Refusal::Oversized { .. }) | Violation::Oversized(_) => self.refusals.oversized += 1,
            Violation::Refused(Refusal::NotAllowed { .. }) => self.refusals.not_allowed += 1,
            Violation::TooFrequent(_) | Violation::DoesNotRead => self.refusals.too_frequent += 1,
        }
        self.kill_child(id, &violation.to_string());
    }

    /// One step of the session, and everything that follows from it.
    fn apply(&mut self, event: Event) {
        let effects = session::reduce(&mut self.session, event);
        self.carry_out(effects);
        self.changed.send_modify(|generation| *generation += 1);
    }

    fn send(&mut self, id: ChildId, message: BrokerToChild, attachments: Vec<Attachment>) {
        let Some(child) = self.children.get(&id) else { return };
        match child.outbox.try_send((message, attachments)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => self.violation(id, &Violation::DoesNotRead),
        }
    }

    /// The process of a daemon, unless it is ending.
    fn child_of_role(&self, role: Role) -> Option<ChildId> {
        self.staying(&Key::Daemon(role))
    }

    fn ready_child_of_role(&self, role: Role) -> Option<ChildId> {
        self.child_of_role(role).filter(|id| self.is_ready(*id))
    }

    fn is_ready(&self, id: ChildId) -> bool {
        self.children.get(&id).and_then(|child| self.machine_of(child)).is_some_and(Machine::is_ready)
    }

    /// The process of a site, unless it is ending.
    fn child_of_host(&self, host: &HostKey) -> Option<ChildId> {
        self.staying(&Key::Host(host.clone()))
    }

    fn staying(&self, key: &Key) -> Option<ChildId> {
        self.child_of(key).filter(|_| self.machines.get(key).is_some_and(|machine| !machine.is_stopping()))
    }
}

/// What the policies say, and the user's own for sites where it is less.
fn ceilings(policies: &[Policy], site: Option<u64>) -> HashMap<String, u64> {
    let of = |policy: &Policy| {
        let policys = policy.memory.as_ref()?.resident;
        let own = site.filter(|_| policy.role == child::role_name(Role::TabHost)).unwrap_or(policys);
        Some((policy.role.clone(), policys.min(own) >> 10))
    };
    policies.iter().filter_map(of).collect()
}

impl KernelHandle {
    /// Ends the browser, cleanly.
    pub async fn quit(&self) {
        // If the kernel has ended already, that is what was wanted.
        let _ = self.inbox.send(Input::Quit).await;
    }
}
