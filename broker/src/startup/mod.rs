//! Startup, from options to a running broker: the profile, the launcher, the lock-down, the store, the control socket.

pub mod certificates;
pub mod error;
pub mod keyboard;
pub mod locale;
pub mod options;

use std::io;
use std::path::{Path, PathBuf};

use error::{StartError, failed};
use keyboard::Keyboard;
use options::{BrowserOptions, is_dark, keeps_spare};
use regen_net_config::site::Site;
use regen_sandbox::lock_down;
use regen_sandbox::policy::{self, Mode, Policy};
use regen_settings::{ADMINISTRATORS_FILE, Settings, SettingsFile, bytes, pixels};
use tokio::signal::unix::{SignalKind, signal};

use crate::broker_setup::BrokerSetup;
use crate::children::ChildrenSetup;
use crate::children::bucket_mounts::BucketMounts;
use crate::configuration::DisplayOptions;
use crate::control::ControlServer;
use crate::event_loop::EventLoop;
use crate::launcher::{self, LaunchMethod};
use crate::network::NetworkOptions;
use crate::observe::logs;
use crate::profile::{Profile, downloads};
use regen_audit_log::{Audit, AuditLog};
use regen_store::secrets::Vault;

/// Maximum number of threads for blocking work: removing folders, reading `/proc`, payloads and files.
const MAX_BLOCKING_THREADS: usize = 4;

/// Runs a browser until it ends. Must be called while the process has one thread.
///
/// # Errors
/// Returns an error if it cannot be started: the profile is in use, a policy is invalid, or the kernel lacks a feature.
pub fn start(browser: BrowserOptions, echo_log: bool, how: LaunchMethod) -> Result<(), StartError> {
    let programs = programs_folder().map_err(failed("cannot find the folder of this program"))?;
    let locked = Profile::find(browser.profile.as_deref())?.lock()?;
    let profile = locked.profile.clone();
    raise_descriptor_limit();
    forget_chosen_files(&profile);
    // An invalid policy ends the start before anything else exists.
    let settings = settings(&browser, &profile)?;
    let mode = if settings.is_on("processes.jit") { Mode::Jit } else { Mode::Jitless };
    let policies = policy::all(mode)?;
    let logs = logs::init(&profile.log(), echo_log).map_err(failed("cannot open the log"))?;
    // Fork before there is another thread: a fork copies only the calling one.
    let forked = launcher::fork(&programs, how).map_err(failed("cannot start the launcher"))?;
    // Shown as a warning: an optional part of a policy that this machine lacks.
    let version = regen_sandbox::sys::landlock_version();
    let lacks = policies.iter().find_map(|policy| regen_sandbox::landlock::shortfall(policy, version));
    let vault =
        key_of_secrets(&profile, !browser.headless).map_err(failed("cannot open the key of saved session cookies"))?;
    lock_down::enter("broker")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .map_err(failed("cannot start the event loop"))?;
    runtime.block_on(run(policies, vault, lacks, browser, settings, profile, forked, logs))
}

/// Opens the vault. Must run before the lock-down, which cuts off the user's bus. Its threads end with its runtime.
fn key_of_secrets(profile: &Profile, ask: bool) -> io::Result<Vault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Vault::open(profile.root(), ask))
}

/// Removes copies of files chosen by the user that a killed browser left behind.
fn forget_chosen_files(profile: &Profile) {
    if let Err(error) = std::fs::remove_dir_all(profile.chosen_root())
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("{} cannot be removed: {error}", profile.chosen_root().display());
    }
}

/// Reads the settings, and lets the options decide about theirs.
fn settings(browser: &BrowserOptions, profile: &Profile) -> Result<Settings, StartError> {
    let file = SettingsFile::of(profile.root());
    let mut settings = file.load(Path::new(ADMINISTRATORS_FILE)).map_err(failed("cannot read the settings"))?;
    browser.decide(&mut settings)?;
    Ok(settings)
}

#[expect(clippy::too_many_arguments, reason = "parts of a start, each made before the lock-down")]
async fn run(
    policies: Vec<Policy>,
    vault: Vault,
    lacks: Option<String>,
    browser: BrowserOptions,
    settings: Settings,
    profile: Profile,
    forked: launcher::LauncherProcess,
    logs: logs::Logs,
) -> Result<(), StartError> {
    let secrets = vault.source().words();
    let opened = regen_store::open(profile.root(), vault)?;
    let (ca_bundle, extra_ca) = certificates::bundle(&paths(&settings, "network.extra-ca"), profile.root())?;
    let tor_config = tor_config(path(&settings, "network.tor-config"), &profile)?;
    let dns_anchors = path(&settings, "network.dns-anchors");
    let dns_anchors = dns_anchors.map(|file| for_net_daemon(&file, "DNSSEC anchors")).transpose()?;
    let dns_anchors = dns_anchors.unwrap_or_default();
    let watched = browser.watch.as_ref().map(|role| {
        format!("system calls of every {role} are recorded and not refused: do not browse with this browser")
    });
    let mut audit =
        Audit::open(profile.root(), opened.audit_head.as_ref()).map_err(failed("cannot open the audit log"))?;
    let digests: serde_json::Map<String, serde_json::Value> =
        policies.iter().map(|policy| (policy.role.clone(), policy.sha256.clone().into())).collect();
    audit.record(
        "started",
        serde_json::json!({ "pid": std::process::id(), "version": env!("CARGO_PKG_VERSION"), "policies": digests }),
    );
    let audit = AuditLog::start(audit).map_err(failed("cannot write the audit log"))?;
    let bucket_mounts = BucketMounts::open(profile.bucket_mounts())
        .map_err(failed("cannot move the storage of sites back to its place after a crash"))?;
    profile.mark_unmarked_buckets().map_err(failed("cannot mark the storage of internet sites"))?;
    let mistakes = settings.problems().iter().map(|problem| format!("a setting is not followed: {problem}"));
    let warnings = opened.warning.iter().cloned().chain(lacks).chain(watched).chain(mistakes).collect();
    let sites = settings.list("network.reach-private");
    let setup = BrokerSetup {
        children: ChildrenSetup {
            profile: profile.clone(),
            bucket_mounts,
            launcher: forked.adopt().map_err(failed("cannot talk to the launcher"))?,
            policies,
            ca_bundle,
            jitless: !settings.is_on("processes.jit"),
            site_memory: bytes(&settings.text("processes.memory-limit")),
            watched: browser.watch,
            audit,
        },
        store: opened,
        network: NetworkOptions {
            reach_private: sites.iter().filter_map(|site| Some(Site::of(site).ok()?.host().to_owned())).collect(),
            dns_anchors,
            tor_config,
        },
        display: DisplayOptions {
            headless: browser.headless,
            size: pixels(&settings.text("headless.size")).unwrap_or((1280, 800)),
            scale: settings.text("headless.scale").parse().unwrap_or(1),
            dark: is_dark(&settings.text("appearance.color-scheme")),
            keyboard: Keyboard::of_user(),
            languages: locale::languages(),
            time_zone: locale::time_zone().unwrap_or_default(),
        },
        spare: keeps_spare(&settings.text("processes.spare")),
        downloads: path(&settings, "downloads.folder").unwrap_or_else(downloads),
        settings_file: SettingsFile::of(profile.root()),
        settings,
        extra_ca,
        secrets,
        warnings,
    };
    // The control socket opens last, so that a client that finds it finds a running browser.
    let (event_loop, handle) = EventLoop::new(setup);
    let control = ControlServer::start(&profile.control_socket(), handle.clone(), logs)
        .map_err(failed("cannot open the control socket"))?;
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(failed("cannot wait for signals"))?;
        let handle = handle.clone();
        tokio::spawn(async move {
            signals.recv().await;
            handle.quit().await;
        });
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    event_loop.run(browser.urls).await;
    control.stop();
    Ok(())
}

/// Returns the path in a setting; `None` where it is empty.
fn path(settings: &Settings, name: &str) -> Option<PathBuf> {
    Some(settings.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn paths(settings: &Settings, name: &str) -> Vec<PathBuf> {
    settings.list(name).into_iter().map(PathBuf::from).collect()
}

/// Returns the user's changes to Tor's configuration: from the named file, or from the profile's `tor.toml` if it
/// exists. The net-daemon parses them.
fn tor_config(named: Option<PathBuf>, profile: &Profile) -> Result<String, StartError> {
    let usual = profile.root().join("tor.toml");
    if named.is_none() && !usual.exists() {
        return Ok(String::new());
    }
    for_net_daemon(&named.unwrap_or(usual), "Tor's configuration")
}

/// Reads a file of the user's for the net-daemon.
fn for_net_daemon(path: &Path, what: &'static str) -> Result<String, StartError> {
    /// Maximum size: the files travel in one message.
    const MAX_FILE: usize = 16 * 1024;
    let path = path.to_path_buf();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Err(StartError::File { what, path, error }),
    };
    if text.len() > MAX_FILE { Err(StartError::TooLarge { path, limit: MAX_FILE }) } else { Ok(text) }
}

/// Raises the limit of open descriptors to the maximum: each site needs several.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // A failure only means room for fewer sites.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Returns the folder of Regen's programs, which is this program's own.
fn programs_folder() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_path_buf())
}
