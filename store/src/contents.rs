//! Contents of a profile's store: reads them, prunes them, and moves aside a store that cannot be read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use regen_audit_log::Head;
use regen_net_config::dns::{DnsSettings, Servers};
use regen_net_config::route::Route;
use regen_net_config::settings::permissions::PermissionSettings;
use regen_net_config::settings::routes::RouteSettings;
use regen_net_config::settings::shields::ShieldsSettings;
use regen_net_config::settings::vpn::VpnSettings;
use regen_places::{Bookmark, SavedVisit};
use regen_session::{Hsts, HttpsOnly, Workspaces, Zooms};

use super::chunks::{ChunkGroup, read_chunks};
use super::database::{contained, copy_folder, is_in_use, now, sled, sled_path};
use super::mirror::{self, COMMON, Damage, Mirror};
use super::saved::{
    AUDIT_HEAD, DNS, HSTS, HTTPS_ONLY, LOCKED_VPN, PERMISSIONS, ROUTES, SETTINGS, SHIELDS, Saved, SessionSettings, VPN,
    WORKSPACE_SHIELDS, WORKSPACES, WorkspaceLevels, ZOOMS, epoch_of, group_of, read_session,
};
use super::secrets::{Ciphertext, Vault};
use super::{RECOVERABLE, Settings, StoreError, codec};

/// Maximum number of sessions that are kept.
const KEPT_SESSIONS: usize = 20;
/// Group of the common records in schema version 1.
const COMMON_V1: &str = "__sled__default";

/// Contents of a profile's store.
pub(super) struct Contents {
    pub(super) mirror: Mirror,
    pub(super) epoch: u64,
    pub(super) previous: Vec<Saved>,
    pub(super) settings: Settings,
    /// Chunks of the history.
    pub(super) visits: Vec<Vec<SavedVisit>>,
    /// Chunks of the bookmarks.
    pub(super) bookmarks: Vec<Vec<Bookmark>>,
    pub(super) damage: Damage,
    /// Warning about records that could not be decrypted.
    pub(super) locked: Option<String>,
    pub(super) audit_head: Option<Head>,
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

pub(super) fn try_open(profile: &Path, vault: &Vault) -> Result<Contents, StoreError> {
    contained(|| {
        let mut mirror = Mirror::new(open_compact(profile)?, profile);
        let (mut previous, mut damage) = (Vec::new(), Damage::default());
        for group in mirror.groups()? {
            let Some(epoch) = epoch_of(&group) else { continue };
            previous.push(read_session(&mut mirror, epoch, vault, &mut damage)?);
        }
        let visits = read_chunks(&mut mirror, ChunkGroup::Visits, &mut damage)?;
        let bookmarks = read_chunks(&mut mirror, ChunkGroup::Bookmarks, &mut damage)?;
        let common = mirror.find(COMMON)?;
        let settings = common.get::<SessionSettings>(SETTINGS, &mut damage);
        let shields = common.get::<ShieldsSettings>(SHIELDS, &mut damage);
        let of_workspaces = common.get::<WorkspaceLevels>(WORKSPACE_SHIELDS, &mut damage);
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
        let zooms = common.get::<Zooms>(ZOOMS, &mut damage);
        let permissions = common.get::<PermissionSettings>(PERMISSIONS, &mut damage);
        let workspaces = common.get::<Workspaces>(WORKSPACES, &mut damage);
        let lost_before = damage.lost.len();
        let dns = common.get::<DnsSettings>(DNS, &mut damage);
        // The lost record may have named the only trusted servers: ask none until the user chooses again.
        let nobody = || DnsSettings { servers: Servers::block(), ..DnsSettings::default() };
        let unasked = (damage.lost.len() > lost_before).then(nobody);
        let head = head_in(&mirror)?;
        let settings = Settings {
            session: known(&mut mirror, settings).unwrap_or_default(),
            shields: ShieldsSettings {
                workspaces: known(&mut mirror, of_workspaces).unwrap_or_default().0,
                ..known(&mut mirror, shields).unwrap_or_default()
            },
            routes: known(&mut mirror, routes).or(unknown).unwrap_or_default(),
            hsts: known(&mut mirror, hsts).map(still_valid).unwrap_or_default(),
            zooms: known(&mut mirror, zooms).unwrap_or_default(),
            permissions: known(&mut mirror, permissions).unwrap_or_default(),
            workspaces: known(&mut mirror, workspaces).unwrap_or_default(),
            https_only: known(&mut mirror, https_only).or(unknown_https).unwrap_or_default(),
            dns: known(&mut mirror, dns).or(unasked).unwrap_or_default(),
            vpn: VpnSettings::default(),
        };
        let (vpn, locked) = read_vpn(&mut mirror, &common, vault, &mut damage)?;
        let settings = Settings { vpn, ..settings };
        let audit_head = known(&mut mirror, head);
        let epoch = previous.iter().map(|saved| saved.epoch).max().unwrap_or(0) + 1;
        Ok(Contents { mirror, epoch, previous, settings, visits, bookmarks, damage, locked, audit_head })
    })
}

/// Reads the VPN profiles. Those that cannot be decrypted, because the Secret Service is unavailable, are kept under
/// another key and tried again at each start, so that nothing overwrites them.
fn read_vpn(
    mirror: &mut Mirror,
    common: &mirror::Records,
    vault: &Vault,
    damage: &mut Damage,
) -> Result<(VpnSettings, Option<String>), StoreError> {
    let mut all = VpnSettings::default();
    let (mut opened, mut locked) = (Vec::new(), 0);
    let keys: Vec<String> =
        common.keys().filter(|key| *key == VPN || key.starts_with(LOCKED_VPN)).map(str::to_owned).collect();
    // If both have a profile of one name, `vpn` wins: it sorts before the keys that are kept aside.
    for key in keys {
        let Some(codec::Record { number, value: sealed }) = common.get::<Ciphertext>(&key, damage) else {
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

/// Opens the store, with retries: sled releases its files on a thread of its own, and a browser that has just ended may
/// hold them for a moment longer. A store that is still in use must not be taken for one that cannot be read.
pub(super) fn retried(profile: &Path, vault: &Vault) -> Result<Contents, StoreError> {
    let mut opened = try_open(profile, vault);
    for _ in 0..40 {
        if !matches!(&opened, Err(StoreError::Sled(error)) if is_in_use(error)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = try_open(profile, vault);
    }
    opened
}

/// Moves sled's files aside, and copies the mirror's files there.
pub(super) fn set_aside(profile: &Path) -> PathBuf {
    let aside = profile.join(format!("store.unreadable-{}", now()));
    let moved = std::fs::rename(sled_path(profile), &aside)
        .and_then(|()| copy_folder(&mirror::files(profile), &aside.join("sessions")));
    match moved {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!("cannot move {} aside: {error}", sled_path(profile).display());
        }
        _ => {}
    }
    aside
}

/// Removes sessions that can no longer be restored. Returns the others, newest first.
pub(super) fn prune(mirror: &mut Mirror, mut sessions: Vec<Saved>) -> Result<Vec<Saved>, StoreError> {
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

pub(super) fn head_in(mirror: &Mirror) -> Result<Option<codec::Record<Head>>, StoreError> {
    for group in [COMMON, COMMON_V1] {
        // Damage is not reported here: a missing head makes the audit log fail verification.
        if let Some(head) = mirror.find(group)?.get::<Head>(AUDIT_HEAD, &mut Damage::default()) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}
