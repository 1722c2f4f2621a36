//! What survives the browser: sessions, in sled and as files beside it (see [`mirror`]).
//!
//! sled runs on a thread of its own, because it can panic on I/O errors and corruption; the broker goes on without it and
//! says so. A store that cannot be read is moved aside whole: nothing of it is thrown away.
//!
//! Durability: a record is on disk at most [`FLUSH`] after the event; a clean exit flushes before it ends. Session cookies and
//! VPN profiles are encrypted (see [`secrets`]).

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

/// How long a record may wait for the disk.
pub const FLUSH: Duration = Duration::from_millis(200);
/// Older sessions are offered, and never come back by themselves.
pub const STALE: Duration = Duration::from_secs(24 * 3600);
/// So long a session that was not restored can be.
pub const RECOVERABLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// But no more than so many.
const KEPT_SESSIONS: usize = 20;
/// State of tabs of earlier sessions that is kept in memory, bytes; the newest session's comes first.
const MAX_EARLIER_STATE: usize = 48 << 20;
const AUDIT_HEAD: &str = "audit-head";
const SETTINGS: &str = "settings";
const SHIELDS: &str = "shields";
const ROUTES: &str = "routes";
const VPN: &str = "vpn";
/// Beginning of the keys of VPN profiles that could not be decrypted.
const LOCKED_VPN: &str = "vpn-locked-";
const DNS: &str = "dns";
const HTTPS_ONLY: &str = "https-only";
const HSTS: &str = "hsts";
/// Where the first version had what belongs to no session.
const COMMON_V1: &str = "__sled__default";
/// What is said of routes that let nothing out, where a store was damaged.
const BLOCKED: &str = " Nothing leaves this machine: `regen route set direct`, or another route, changes that.";
/// And of name servers.
const UNASKED: &str = " No name server is asked: `regen dns set system`, or other servers, changes that.";
/// How long the store's thread sleeps when there is nothing to save.
const IDLE: Duration = Duration::from_secs(3600);
/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// What must fit on the disk before a failed store is opened again, bytes.
const ROOM: usize = 1 << 20;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// sled's own.
    #[error("the store: {0}")]
    Sled(#[from] sled::Error),
    /// A second copy.
    #[error("the store's files: {0}")]
    Files(#[from] std::io::Error),
    /// A value that cannot be a record.
    #[error("the store: {0}")]
    Record(#[from] codec::CodecError),
    /// sled panicked.
    #[error("the store failed while it was opened: {0}")]
    Panic(String),
}

#[derive(Debug)]
enum Job {
    /// A tab that waits in [`Waiting`].
    Tab(u64),
    Forget(u64),
    Order(SavedOrder),
    /// Cookies that wait in [`Waiting`], by their key.
    Cookies(String),
    /// These tabs, of which the newest state waits in [`Waiting`], and these cookies: nothing else stays.
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

/// The newest state of what waits for the disk.
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

/// The store's thread, as the broker sees it. Every call returns at once.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: Sender<Job>,
    waiting: Arc<Waiting>,
    health: Arc<thread::Health>,
}

/// What the user has chosen: a record for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of sessions.
    pub session: SessionSettings,
    /// Of shields.
    pub shields: ShieldsSettings,
    /// Of the ways to the network.
    pub routes: RouteSettings,
    /// Of VPN profiles.
    pub vpn: VpnSettings,
    /// Of name servers.
    pub dns: DnsSettings,
    /// Of encryption.
    pub https_only: HttpsOnly,
    /// And which hosts insist on that themselves: no choice, but as little to be forgotten.
    pub hsts: Hsts,
}

/// What opening gave.
#[derive(Debug)]
pub struct Opened {
    /// For writing.
    pub store: Store,
    /// Earlier sessions that can come back, newest first.
    pub previous: Vec<Saved>,
    /// What the user has chosen.
    pub settings: Settings,
    /// The end of the audit log, as it was told last; nothing where no head was ever told.
    pub audit_head: Option<Head>,
    /// What a person should know, in words.
    pub warning: Option<String>,
}

/// What a profile's store holds.
struct Contents {
    mirror: Mirror,
    epoch: u64,
    previous: Vec<Saved>,
    settings: Settings,
    damage: Damage,
    /// Records that could not be decrypted, in words.
    locked: Option<String>,
    audit_head: Option<Head>,
}

/// Opens the profile's store. A sled that cannot be read is moved aside, and a fresh one takes its place: the second mirror
/// bring back what was in it.
///
/// # Errors
/// When no store can be made at all, as on a full disk.
pub fn open(profile: &Path, vault: Vault) -> Result<Opened, StoreError> {
    let (contents, trouble) = match try_open(profile, &vault) {
        Ok(contents) if contents.damage.lost.is_empty() => (contents, None),
        Ok(Contents { mirror, previous, settings, damage, locked, audit_head, .. }) => {
            drop(mirror);
            let aside = set_aside(profile);
            let lost = damage.lost.join("; ");
            let fresh = retried(profile, &vault)?;
            let warning = format!(
                "A part of what was saved could not be read ({lost}). All of it is kept in {} as it was.{}{}",
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
                Some(_) => "What was in it comes from its second mirror.",
                None => "Regen started with a fresh one.",
            };
            let warning = format!("The store could not be read ({error}). It is kept in {}. {rest}", aside.display());
            (fresh, Some(warning))
        }
    };
    let Contents { mut mirror, epoch, previous, settings, damage, locked, audit_head } = contents;
    for mended in &damage.mended {
        tracing::warn!("a second copy was needed: {mended}");
    }
    if let Some(warning) = &trouble {
        tracing::error!("{warning}");
    }
    let mut previous = prune(&mut mirror, previous)?;
    let mut room = MAX_EARLIER_STATE;
    for tab in previous.iter_mut().flat_map(|saved| &mut saved.tabs) {
        match room.checked_sub(tab.state_size()) {
            Some(left) => room = left,
            // It comes back by its address; on the disk it stays as it is.
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
        // A store that took another's place has none of them.
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

/// Opens sled; one that takes much more of the disk than it holds is written anew first.
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
        // Which way connections were to take is not known: none, until the user says it again.
        let nothing = || RouteSettings { everywhere: Route::block(), ..RouteSettings::default() };
        let unknown = (damage.lost.len() > lost_before).then(nothing);
        let lost_before = damage.lost.len();
        let https_only = common.get::<HttpsOnly>(HTTPS_ONLY, &mut damage);
        let insists = || HttpsOnly { on: true, ..HttpsOnly::default() };
        let unknown_https = (damage.lost.len() > lost_before).then(insists);
        let hsts = common.get::<Hsts>(HSTS, &mut damage);
        let lost_before = damage.lost.len();
        let dns = common.get::<DnsSettings>(DNS, &mut damage);
        // ProcessLabel was to be asked is not known: nobody, until the user says it again.
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

/// Reads the VPN profiles. Those that cannot be decrypted, because the Secret Service is away, are kept under another key and
/// read again at each start: nothing is written over what could not be read.
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
    // The latest record counts where a name is in both: `vpn` comes before what is kept aside.
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
    let words = "VPN profiles of an earlier run cannot be decrypted, because their key is not there. They are kept, and come \
                 back when the Secret Service that has the key does; until then routes over them let nothing out.";
    Ok((all, (locked > 0).then(|| words.to_owned())))
}

fn still_valid(mut hsts: Hsts) -> Hsts {
    hsts.forget_old(now());
    hsts
}

/// What is in a record; what is written from now on has a higher number.
fn known<T>(mirror: &mut Mirror, record: Option<codec::Record<T>>) -> Option<T> {
    let codec::Record { number, value } = record?;
    mirror.seen(number);
    Some(value)
}

/// After a store was moved aside: sled lets go of its files on a thread of its own.
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

/// Moves sled's files aside; the second mirror are copied there too.
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

/// Lets go of sessions that nobody can want any more. Gives the others, newest first.
fn prune(mirror: &mut Mirror, mut sessions: Vec<Saved>) -> Result<Vec<Saved>, StoreError> {
    sessions.sort_by_key(|saved| std::cmp::Reverse(saved.epoch));
    let (mut kept, oldest) = (Vec::new(), now().saturating_sub(RECOVERABLE.as_secs()));
    for saved in sessions {
        let is_wanted = !saved.tabs.is_empty() && !saved.restored;
        // One that nobody has answered about stays, however old it is, until there are newer ones.
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
        // What is damaged is damaged: the audit log then does not verify.
        if let Some(head) = mirror.find(group)?.get::<Head>(AUDIT_HEAD, &mut Damage::default()) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The end of the audit log as the store of a browser that does not run has it.
///
/// # Errors
/// When the store cannot be opened, as while a browser uses it.
pub fn audit_head(profile: &Path) -> Result<Option<Head>, StoreError> {
    if !sled_path(profile).exists() {
        return Ok(None);
    }
    // A browser that has just ended holds its lock for a moment longer.
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
        // A store that failed has said so; the browser goes on.
        let _ = self.jobs.send(job);
    }

    /// Why nothing can be saved at the moment, in words for the user.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// The store has come back from a failure, and must be told everything. True once.
    #[must_use]
    pub fn wants_everything(&self) -> bool {
        self.health.wants_everything()
    }

    /// Saves a tab as it is now.
    pub fn put_tab(&self, tab: SavedTab) {
        let id = tab.id;
        // One that waits already is replaced: however slow the disk is, each tab waits once.
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

    /// A closed tab.
    pub fn forget_tab(&self, id: u64) {
        self.send(Job::Forget(id));
    }

    /// Saves the order.
    pub fn put_order(&self, order: SavedOrder) {
        self.send(Job::Order(order));
    }

    /// The user answered about an earlier session. One of which everything has come back, and is saved, is let go.
    pub fn answered(&self, epoch: u64, restored: bool) {
        self.send(Job::Answered { epoch, restored });
    }

    /// The end of the audit log, so that a cut shows.
    pub fn put_audit_head(&self, head: Head) {
        self.send(Job::AuditHead(head));
    }

    /// All that the user has chosen.
    pub fn put_all_settings(&self, settings: &Settings) {
        self.put_session_settings(settings.session);
        self.put_shields(settings.shields.clone());
        // Those that were never chosen have no record: one that cannot be read lets nothing out.
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

    /// What the user wants of sessions.
    pub fn put_session_settings(&self, settings: SessionSettings) {
        self.send(Job::SessionSettings(settings));
    }

    /// What the user wants of shields.
    pub fn put_shields(&self, settings: ShieldsSettings) {
        self.send(Job::Shields(settings));
    }

    /// Which ways the user wants connections to take.
    pub fn put_routes(&self, settings: RouteSettings) {
        self.send(Job::Routes(settings));
    }

    /// Where the user insists on encryption.
    pub fn put_https_only(&self, settings: HttpsOnly) {
        self.send(Job::HttpsOnly(settings));
    }

    /// Which hosts insist on encryption themselves.
    pub fn put_hsts(&self, hsts: Hsts) {
        self.send(Job::Hsts(hsts));
    }

    /// Which name servers the user wants asked.
    pub fn put_dns(&self, settings: DnsSettings) {
        self.send(Job::Dns(settings));
    }

    /// The user's VPN profiles.
    pub fn put_vpn(&self, settings: VpnSettings) {
        self.send(Job::Vpn(settings));
    }

    /// Waits until everything is on disk; `clean` marks the end of the session. Gives up after five seconds.
    ///
    /// # Errors
    /// When it is not on disk, with the reason in words.
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
