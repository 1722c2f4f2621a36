//! The store: sessions and settings that outlive the browser, in sled and as files beside it (see [`mirror`]).
//!
//! sled runs on a thread of its own because it can panic on I/O errors and corruption; the broker then goes on without
//! it and reports it. A store that cannot be read is moved aside whole: nothing in it is deleted.
//!
//! Durability: a record is on disk at most [`FLUSH`] after the event; a clean exit flushes before it ends. Session
//! cookies and VPN profiles are encrypted (see [`secrets`]).

pub mod codec;
mod history;
mod mirror;
mod saved;
pub mod secrets;
mod thread;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mirror::{COMMON, Damage, Mirror};
pub use saved::{Cookies, Saved, SavedOrder, SessionSettings};
use saved::{epoch_of, group_of, read_session};
use secrets::{Sealed, Vault};

use regen_net_config::dns::{DnsSettings, Servers};
use regen_net_config::route::Route;

use crate::network::routes::RouteSettings;
use crate::network::shields::ShieldsSettings;
use crate::network::vpn::VpnSettings;
use crate::observe::audit::Head;
use crate::session::{Hsts, HttpsOnly, SavedTab};

/// Maximum time before a record is written to the disk.
pub const FLUSH: Duration = Duration::from_millis(200);
/// Age from which a session is only offered, never restored automatically.
pub const STALE: Duration = Duration::from_secs(24 * 3600);
/// Time for which a session that was not restored is kept.
pub const RECOVERABLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Maximum number of sessions that are kept.
const KEPT_SESSIONS: usize = 20;
/// Maximum size of the tab state of earlier sessions kept in memory, in bytes; the newest session comes first.
const MAX_EARLIER_STATE: usize = 48 << 20;
const AUDIT_HEAD: &str = "audit-head";
const SETTINGS: &str = "settings";
const SHIELDS: &str = "shields";
const ROUTES: &str = "routes";
const VPN: &str = "vpn";
/// Prefix of the keys of VPN profiles that could not be decrypted.
const LOCKED_VPN: &str = "vpn-locked-";
const DNS: &str = "dns";
const HTTPS_ONLY: &str = "https-only";
const HSTS: &str = "hsts";
/// Group of the common records in schema version 1.
const COMMON_V1: &str = "__sled__default";
/// Part of the warning when routes are blocked because their settings could not be read.
const BLOCKED: &str = " Nothing leaves this machine until you set a route, such as `regen route set direct`.";
/// Part of the warning when DNS is blocked because its settings could not be read.
const UNASKED: &str = " No name server is asked until you set one, such as `regen dns set system`.";
/// Maximum sleep of the store's thread when there is nothing to save.
const IDLE: Duration = Duration::from_secs(3600);
/// Delay before a failed store is opened again.
const RETRY: Duration = Duration::from_secs(1);
/// Free disk space needed to open a failed store again, in bytes.
const ROOM: usize = 1 << 20;

/// Failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An error of sled.
    #[error("the store's database failed: {0}")]
    Sled(#[from] sled::Error),
    /// An error of the mirror's files.
    #[error("the store's files failed: {0}")]
    Files(#[from] std::io::Error),
    /// A value that cannot be encoded as a record.
    #[error("a record was not saved: {0}")]
    Record(#[from] codec::CodecError),
    /// sled panicked.
    #[error("the store failed while it was opened: {0}")]
    Panic(String),
}

#[derive(Debug)]
enum Job {
    /// A tab whose state waits in [`Waiting`].
    Tab(u64),
    Forget(u64),
    Order(SavedOrder),
    /// Cookies that wait in [`Waiting`], by key.
    Cookies(String),
    /// The whole session: these tabs and cookies, whose state waits in [`Waiting`]. Everything else is removed.
    Everything(Vec<u64>, SavedOrder, Vec<String>),
    Answered {
        epoch: u64,
        restored: bool,
    },
    AuditHead(Head),
    SessionSettings(SessionSettings),
    Shields(ShieldsSettings),
    Routes(RouteSettings),
    Vpn(VpnSettings),
    Dns(DnsSettings),
    HttpsOnly(HttpsOnly),
    Hsts(Hsts),
    Flush {
        clean: bool,
        done: Sender<()>,
    },
}

/// Newest state of the tabs and cookies that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    tabs: Mutex<HashMap<u64, SavedTab>>,
    cookies: Mutex<HashMap<String, Cookies>>,
}

impl Waiting {
    fn tabs(&self) -> MutexGuard<'_, HashMap<u64, SavedTab>> {
        self.tabs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cookies(&self) -> MutexGuard<'_, HashMap<String, Cookies>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Handle to the store's thread. Every call except [`Store::flush`] returns at once.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: Sender<Job>,
    waiting: Arc<Waiting>,
    health: Arc<thread::Health>,
}

/// Settings chosen by the user. Each has a record of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Sessions.
    pub session: SessionSettings,
    /// Shields.
    pub shields: ShieldsSettings,
    /// Routes.
    pub routes: RouteSettings,
    /// VPN profiles.
    pub vpn: VpnSettings,
    /// DNS.
    pub dns: DnsSettings,
    /// HTTPS only.
    pub https_only: HttpsOnly,
    /// HSTS hosts. They are no choice of the user's, but are kept as reliably.
    pub hsts: Hsts,
}

/// Result of opening the store.
#[derive(Debug)]
pub struct Opened {
    /// Handle for writing.
    pub store: Store,
    /// Earlier sessions that can be restored, newest first.
    pub previous: Vec<Saved>,
    /// Settings chosen by the user.
    pub settings: Settings,
    /// Head of the audit log at the last save; `None` if none was ever saved.
    pub audit_head: Option<Head>,
    /// Warning to show to the user.
    pub warning: Option<String>,
}

/// Contents of a profile's store.
struct Contents {
    mirror: Mirror,
    epoch: u64,
    previous: Vec<Saved>,
    settings: Settings,
    damage: Damage,
    /// Warning about records that could not be decrypted.
    locked: Option<String>,
    audit_head: Option<Head>,
}

/// Opens the profile's store. If sled cannot be read, it is moved aside and a fresh one takes its place; the records
/// then come from the mirror's files.
///
/// # Errors
/// Returns an error if no store can be created, as on a full disk.
pub fn open(profile: &Path, vault: Vault) -> Result<Opened, StoreError> {
    let (contents, trouble) = match try_open(profile, &vault) {
        Ok(contents) if contents.damage.lost.is_empty() => (contents, None),
        Ok(Contents { mirror, previous, settings, damage, locked, audit_head, .. }) => {
            drop(mirror);
            let aside = set_aside(profile);
            let lost = damage.lost.join("; ");
            let fresh = retried(profile, &vault)?;
            let warning = format!(
                "Some saved records could not be read ({lost}). A copy of everything is kept in {}.{}{}",
                aside.display(),
                if settings.routes.everywhere == Route::block() { BLOCKED } else { "" },
                if settings.dns.servers == Servers::block() { UNASKED } else { "" }
            );
            (Contents { previous, settings, locked, audit_head, ..fresh }, Some(warning))
        }
        Err(error) => {
            let aside = set_aside(profile);
            let fresh = retried(profile, &vault)?;
            let rest = match fresh.previous.first() {
                Some(_) => "Its contents were restored from the second copy.",
                None => "Regen started with a fresh one.",
            };
            let warning = format!("The store could not be read ({error}). It was moved to {}. {rest}", aside.display());
            (fresh, Some(warning))
        }
    };
    let Contents { mut mirror, epoch, previous, settings, damage, locked, audit_head } = contents;
    for mended in &damage.mended {
        tracing::warn!("restored from the second copy: {mended}");
    }
    if let Some(warning) = &trouble {
        tracing::error!("{warning}");
    }
    let mut previous = prune(&mut mirror, previous)?;
    let mut room = MAX_EARLIER_STATE;
    for tab in previous.iter_mut().flat_map(|saved| &mut saved.tabs) {
        match room.checked_sub(tab.state_size()) {
            Some(left) => room = left,
            // The tab is restored by its address; its state on disk is not changed.
            None => tab.forget_state(),
        }
    }
    let (jobs, queue) = channel();
    let health = Arc::new(thread::Health::default());
    let waiting = Arc::new(Waiting::default());
    let worker = thread::Worker {
        profile: profile.to_path_buf(),
        vault,
        epoch,
        health: Arc::clone(&health),
        waiting: Arc::clone(&waiting),
        entries: HashMap::new(),
        said: 0,
        written: 0,
    };
    std::thread::Builder::new()
        .name("store".into())
        .spawn(move || worker.serve(mirror, &queue))
        .map_err(|error| StoreError::Panic(error.to_string()))?;
    let store = Store { jobs, waiting, health };
    if trouble.is_some() {
        // A fresh store has no settings yet.
        store.put_all_settings(&settings);
    }
    let warning = [trouble, locked].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Opened { store, previous, settings, audit_head, warning: Some(warning).filter(|warning| !warning.is_empty()) })
}

fn sled_path(profile: &Path) -> PathBuf {
    profile.join("store")
}

fn sled(profile: &Path) -> sled::Config {
    sled::Config::new()
        .path(sled_path(profile))
        .cache_capacity(8 * 1024 * 1024)
        .flush_every_ms(Some(u64::try_from(FLUSH.as_millis()).unwrap_or(200)))
}

/// Opens sled. If it takes far more disk space than its records need, it is compacted first.
fn open_compact(profile: &Path) -> Result<sled::Db, StoreError> {
    mirror::finish_compaction(profile)?;
    let database = sled(profile).open()?;
    if !mirror::is_bloated(&database)? {
        return Ok(database);
    }
    mirror::compact(database, profile)
}

fn try_open(profile: &Path, vault: &Vault) -> Result<Contents, StoreError> {
    contained(|| {
        let mut mirror = Mirror::new(open_compact(profile)?, profile);
        let (mut previous, mut damage) = (Vec::new(), Damage::default());
        for group in mirror.groups()? {
            let Some(epoch) = epoch_of(&group) else { continue };
            previous.push(read_session(&mut mirror, epoch, vault, &mut damage)?);
        }
        let common = mirror.find(COMMON)?;
        let settings = common.get::<SessionSettings>(SETTINGS, &mut damage);
        let shields = common.get::<ShieldsSettings>(SHIELDS, &mut damage);
        let lost_before = damage.lost.len();
        let routes = common.get::<RouteSettings>(ROUTES, &mut damage);
        // The lost record may have kept traffic from going out directly: block it until the user chooses again.
        let nothing = || RouteSettings { everywhere: Route::block(), ..RouteSettings::default() };
        let unknown = (damage.lost.len() > lost_before).then(nothing);
        let lost_before = damage.lost.len();
        let https_only = common.get::<HttpsOnly>(HTTPS_ONLY, &mut damage);
        let insists = || HttpsOnly { on: true, ..HttpsOnly::default() };
        let unknown_https = (damage.lost.len() > lost_before).then(insists);
        let hsts = common.get::<Hsts>(HSTS, &mut damage);
        let lost_before = damage.lost.len();
        let dns = common.get::<DnsSettings>(DNS, &mut damage);
        // The lost record may have named the only trusted servers: ask none until the user chooses again.
        let nobody = || DnsSettings { servers: Servers::block(), ..DnsSettings::default() };
        let unasked = (damage.lost.len() > lost_before).then(nobody);
        let head = head_in(&mirror)?;
        let settings = Settings {
            session: known(&mut mirror, settings).unwrap_or_default(),
            shields: known(&mut mirror, shields).unwrap_or_default(),
            routes: known(&mut mirror, routes).or(unknown).unwrap_or_default(),
            hsts: known(&mut mirror, hsts).map(still_valid).unwrap_or_default(),
            https_only: known(&mut mirror, https_only).or(unknown_https).unwrap_or_default(),
            dns: known(&mut mirror, dns).or(unasked).unwrap_or_default(),
            vpn: VpnSettings::default(),
        };
        let (vpn, locked) = read_vpn(&mut mirror, &common, vault, &mut damage)?;
        let settings = Settings { vpn, ..settings };
        let audit_head = known(&mut mirror, head);
        let epoch = previous.iter().map(|saved| saved.epoch).max().unwrap_or(0) + 1;
        Ok(Contents { mirror, epoch, previous, settings, damage, locked, audit_head })
    })
}

/// Reads the VPN profiles. Those that cannot be decrypted, because the Secret Service is unavailable, are kept under
/// another key and tried again at each start, so that nothing overwrites them.
fn read_vpn(
    mirror: &mut Mirror,
    common: &mirror::Found,
    vault: &Vault,
    damage: &mut Damage,
) -> Result<(VpnSettings, Option<String>), StoreError> {
    let mut all = VpnSettings::default();
    let (mut opened, mut locked) = (Vec::new(), 0);
    let keys: Vec<String> =
        common.keys().filter(|key| *key == VPN || key.starts_with(LOCKED_VPN)).map(str::to_owned).collect();
    // If both have a profile of one name, `vpn` wins: it sorts before the keys that are kept aside.
    for key in keys {
        let Some(codec::Record { number, value: sealed }) = common.get::<Sealed>(&key, damage) else {
            continue;
        };
        mirror.seen(number);
        match vault.open_sealed::<VpnSettings>(VPN, &sealed) {
            Some(settings) => {
                for (name, profile) in settings.profiles {
                    all.profiles.entry(name).or_insert(profile);
                }
                opened.push(key);
            }
            None => {
                locked += 1;
                if key == VPN {
                    mirror.put(COMMON, &format!("{LOCKED_VPN}{}", sealed.name()), &sealed)?;
                }
            }
        }
    }
    if opened.iter().any(|key| key != VPN) {
        mirror.put(COMMON, VPN, &vault.seal(VPN, &all))?;
        for key in opened.iter().filter(|key| *key != VPN) {
            mirror.remove(COMMON, key)?;
        }
    }
    let words = "VPN profiles of an earlier run cannot be decrypted, because the Secret Service with their key is not \
                 available. They are kept until it is; meanwhile, routes over them are blocked.";
    Ok((all, (locked > 0).then(|| words.to_owned())))
}

fn still_valid(mut hsts: Hsts) -> Hsts {
    hsts.forget_old(now());
    hsts
}

/// Returns a record's value, and makes later records get a higher number.
fn known<T>(mirror: &mut Mirror, record: Option<codec::Record<T>>) -> Option<T> {
    let codec::Record { number, value } = record?;
    mirror.seen(number);
    Some(value)
}

/// Opens the store after it was moved aside, with retries: sled releases its files on a thread of its own.
fn retried(profile: &Path, vault: &Vault) -> Result<Contents, StoreError> {
    let mut opened = try_open(profile, vault);
    for _ in 0..40 {
        if !matches!(&opened, Err(StoreError::Sled(sled::Error::Io(_)))) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = try_open(profile, vault);
    }
    opened
}

/// Moves sled's files aside, and copies the mirror's files there.
fn set_aside(profile: &Path) -> PathBuf {
    let aside = profile.join(format!("store.unreadable-{}", now()));
    let moved = std::fs::rename(sled_path(profile), &aside)
        .and_then(|()| thread::copy_folder(&mirror::files(profile), &aside.join("sessions")));
    match moved {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!("cannot move {} aside: {error}", sled_path(profile).display());
        }
        _ => {}
    }
    aside
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Removes sessions that can no longer be restored. Returns the others, newest first.
fn prune(mirror: &mut Mirror, mut sessions: Vec<Saved>) -> Result<Vec<Saved>, StoreError> {
    sessions.sort_by_key(|saved| std::cmp::Reverse(saved.epoch));
    let (mut kept, oldest) = (Vec::new(), now().saturating_sub(RECOVERABLE.as_secs()));
    for saved in sessions {
        let is_wanted = !saved.tabs.is_empty() && !saved.restored;
        // The newest session stays however old it is.
        if is_wanted && kept.len() < KEPT_SESSIONS && (kept.is_empty() || saved.saved_at >= oldest) {
            kept.push(saved);
        } else {
            contained(|| mirror.drop_group(&group_of(saved.epoch)))?;
        }
    }
    Ok(kept)
}

fn contained<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(StoreError::Panic(text.unwrap_or_else(|| "a panic".to_owned())))
    })
}

fn head_in(mirror: &Mirror) -> Result<Option<codec::Record<Head>>, StoreError> {
    for group in [COMMON, COMMON_V1] {
        // Damage is not reported here: a missing head makes the audit log fail verification.
        if let Some(head) = mirror.find(group)?.get::<Head>(AUDIT_HEAD, &mut Damage::default()) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// Returns the head of the audit log from the store of a browser that does not run.
///
/// # Errors
/// Returns an error if the store cannot be opened, as while a browser uses it.
pub fn audit_head(profile: &Path) -> Result<Option<Head>, StoreError> {
    if !sled_path(profile).exists() {
        return Ok(None);
    }
    // A browser that has just ended may hold its lock for a moment longer.
    let mut opened = sled(profile).open();
    for _ in 0..40 {
        if !matches!(&opened, Err(sled::Error::Io(_))) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = sled(profile).open();
    }
    let mirror = Mirror::new(opened?, profile);
    contained(|| Ok(head_in(&mirror)?.map(|record| record.value)))
}

impl Store {
    fn send(&self, job: Job) {
        // The thread has already reported its failure; the browser goes on without it.
        let _ = self.jobs.send(job);
    }

    /// Returns the reason why nothing can be saved at the moment, as a text for the user.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// Returns whether the store recovered from a failure and must be given everything again. True once.
    #[must_use]
    pub fn wants_everything(&self) -> bool {
        self.health.wants_everything()
    }

    /// Saves a tab as it is now.
    pub fn put_tab(&self, tab: SavedTab) {
        let id = tab.id;
        // A state that still waits is replaced: however slow the disk is, each tab waits once.
        if self.waiting.tabs().insert(id, tab).is_none() {
            self.send(Job::Tab(id));
        }
    }

    /// Saves a site's session cookies, encrypted.
    pub fn put_cookies(&self, cookies: Cookies) {
        let key = saved::key_of_cookies(&cookies);
        if self.waiting.cookies().insert(key.clone(), cookies).is_none() {
            self.send(Job::Cookies(key));
        }
    }

    /// Saves the whole session in place of what is there.
    pub fn put_everything(&self, tabs: Vec<SavedTab>, order: SavedOrder, cookies: Vec<Cookies>) {
        let ids = tabs.iter().map(|tab| tab.id).collect();
        let keys: Vec<String> = cookies.iter().map(saved::key_of_cookies).collect();
        self.waiting.tabs().extend(tabs.into_iter().map(|tab| (tab.id, tab)));
        self.waiting.cookies().extend(keys.iter().cloned().zip(cookies));
        self.send(Job::Everything(ids, order, keys));
    }

    /// Removes a closed tab.
    pub fn forget_tab(&self, id: u64) {
        self.send(Job::Forget(id));
    }

    /// Saves the order of the tabs.
    pub fn put_order(&self, order: SavedOrder) {
        self.send(Job::Order(order));
    }

    /// Notes that the user answered about an earlier session. A session that was restored and saved is dropped.
    pub fn answered(&self, epoch: u64, restored: bool) {
        self.send(Job::Answered { epoch, restored });
    }

    /// Saves the head of the audit log, so that a truncated log is detected.
    pub fn put_audit_head(&self, head: Head) {
        self.send(Job::AuditHead(head));
    }

    /// Saves all settings.
    pub fn put_all_settings(&self, settings: &Settings) {
        self.put_session_settings(settings.session);
        self.put_shields(settings.shields.clone());
        // Settings that were never chosen get no record: a route record that cannot be read blocks traffic.
        if settings.routes != RouteSettings::default() {
            self.put_routes(settings.routes.clone());
        }
        if settings.https_only != HttpsOnly::default() {
            self.put_https_only(settings.https_only.clone());
        }
        if settings.hsts != Hsts::default() {
            self.put_hsts(settings.hsts.clone());
        }
        if settings.dns != DnsSettings::default() {
            self.put_dns(settings.dns.clone());
        }
        if settings.vpn != VpnSettings::default() {
            self.put_vpn(settings.vpn.clone());
        }
    }

    /// Saves the settings of sessions.
    pub fn put_session_settings(&self, settings: SessionSettings) {
        self.send(Job::SessionSettings(settings));
    }

    /// Saves the settings of shields.
    pub fn put_shields(&self, settings: ShieldsSettings) {
        self.send(Job::Shields(settings));
    }

    /// Saves the routes.
    pub fn put_routes(&self, settings: RouteSettings) {
        self.send(Job::Routes(settings));
    }

    /// Saves the HTTPS-only settings.
    pub fn put_https_only(&self, settings: HttpsOnly) {
        self.send(Job::HttpsOnly(settings));
    }

    /// Saves the HSTS hosts.
    pub fn put_hsts(&self, hsts: Hsts) {
        self.send(Job::Hsts(hsts));
    }

    /// Saves the DNS settings.
    pub fn put_dns(&self, settings: DnsSettings) {
        self.send(Job::Dns(settings));
    }

    /// Saves the VPN profiles.
    pub fn put_vpn(&self, settings: VpnSettings) {
        self.send(Job::Vpn(settings));
    }

    /// Waits until everything is on disk, for five seconds at most; `clean` marks the end of the session.
    ///
    /// # Errors
    /// Returns the reason, for the user, if it is not on disk.
    pub fn flush(&self, clean: bool) -> Result<(), String> {
        let (done, wait) = channel();
        self.send(Job::Flush { clean, done });
        wait.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            self.trouble().unwrap_or_else(|| "The session could not be saved within 5 s: the disk is slow.".to_owned())
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
