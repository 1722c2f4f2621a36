//! Faults of the store: damage by disks, crashes and other versions while no browser runs, and a disk that fails under
//! a running browser.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::plan::{Fault, Step};
use crate::client::Failure;

/// Time for which the disk keeps failing after the first observed failure.
const FAILS: Duration = Duration::from_millis(800);
/// Maximum time for strace to attach.
const ATTACHED: Duration = Duration::from_secs(5);
/// System calls through which the store writes to disk. Sockets and logs use others.
const DISK_CALLS: &str = "pwrite64,fsync,fdatasync,sync_file_range,ftruncate,rename,renameat,renameat2";
/// Size of a record's header: magic, schema version, checksum.
const HEADER: usize = 10;

/// Damages the store of a browser that is not running.
pub(super) fn damage(profile: &Path, step: &Step) -> Result<(), Failure> {
    // Seeded from the step, so that the same step damages the same file in the same way.
    let mut random = fastrand::Rng::with_seed(step.after_ms.wrapping_mul(31).wrapping_add(step.site as u64));
    let log = profile.join("store").join("db");
    let fault = step.fault;
    if fault == Fault::TornRecord {
        tear(&log, &mut random)?;
    } else if fault == Fault::FlippedBit && step.site.is_multiple_of(2) {
        flip(&log, &mut random)?;
    } else if fault == Fault::FlippedBit {
        // Odd sites damage the mirror, even ones the database.
        let record = random.choice(records(profile)?);
        flip(&record.ok_or_else(|| Failure::Other("the store has no records".to_owned()))?, &mut random)?;
    } else if fault == Fault::ForeignVersion {
        for record in records(profile)?.iter().filter(|_| random.bool()) {
            rewrite(record, |bytes| bytes.get_mut(4).into_iter().for_each(|version| *version = 9))?;
        }
    } else if fault == Fault::OldVersion {
        for record in records(profile)?.iter().filter(|record| !name(record).starts_with("cookies-")) {
            rewrite(record, |bytes| to_version_1(bytes, name(record) == "meta"))?;
        }
        // The database still holds current records: leave only the rewritten files.
        fs::remove_dir_all(profile.join("store"))?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns the paths of all mirrored session records.
fn records(profile: &Path) -> io::Result<Vec<PathBuf>> {
    let mut records = Vec::new();
    for group in fs::read_dir(profile.join("sessions"))? {
        for record in fs::read_dir(group?.path())? {
            records.push(record?.path());
        }
    }
    records.sort();
    Ok(records)
}

/// Overwrites the last bytes of the log with zeros, as if they never reached the disk.
fn tear(log: &Path, random: &mut fastrand::Rng) -> io::Result<()> {
    let bytes = fs::read(log)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let start = end.saturating_sub(random.usize(1..400));
    let mut file = OpenOptions::new().write(true).open(log)?;
    file.seek(SeekFrom::Start(start as u64))?;
    file.write_all(&vec![0; end - start])
}

fn flip(file: &Path, random: &mut fastrand::Rng) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(file)?;
    let length = file.metadata()?.len();
    let at = random.u64(0..length.max(1));
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    if file.read(&mut byte)? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[byte[0] ^ (1 << random.u8(0..8))])
}

fn rewrite(record: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut bytes = fs::read(record)?;
    change(&mut bytes);
    fs::write(record, bytes)
}

/// Rewrites a record in the first version's format: without its number, and without a session field added later.
fn to_version_1(record: &mut Vec<u8>, is_meta: bool) {
    let Some(body) = record.get(HEADER..) else { return };
    // bincode's variable-length integers: the first byte is the value, or tells how many bytes follow.
    let number = match body.first() {
        Some(251) => 3,
        Some(252) => 5,
        Some(253) => 9,
        _ => 1,
    };
    let mut body: Vec<u8> = body.iter().skip(number).copied().collect();
    if is_meta && body.len() > 2 {
        body.remove(2);
    }
    let mut old = b"RGEN\x01\x00".to_vec();
    old.extend(crc32fast::hash(&body).to_le_bytes());
    old.extend(body);
    *record = old;
}

/// Makes all disk writes of a running browser fail with `error`, until `seen` completes and for [`FAILS`] more.
pub(super) async fn disk_fails(
    broker: i32,
    error: &str,
    seen: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let missing = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            return Failure::Usage("the faults no-space and io-error need strace: install strace".to_owned());
        }
        error.into()
    };
    let mut strace = strace(broker, error).spawn().map_err(missing)?;
    let deadline = Instant::now() + ATTACHED;
    while tracer(broker) == 0 {
        if strace.try_wait()?.is_some() || Instant::now() > deadline {
            return Err(Failure::Other(
                "strace cannot attach to the broker: allow this user to trace processes".to_owned(),
            ));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let outcome = seen.await;
    tokio::time::sleep(FAILS).await;
    let pid = i32::try_from(strace.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // On SIGTERM strace detaches and leaves the broker running.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(io::Error::from)?;
    }
    strace.wait()?;
    outcome
}

#[expect(clippy::disallowed_methods, reason = "strace is a tool for the campaign, not a part of the browser")]
fn strace(broker: i32, error: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["--quiet=all", "--follow-forks", "--output=/dev/null", "--attach", &broker.to_string()]);
    command.args(["-e", &format!("trace={DISK_CALLS}"), "-e", &format!("inject={DISK_CALLS}:error={error}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn tracer(pid: i32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = text.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    field.and_then(|field| field.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regen_store::{SavedOrder, codec};

    #[test]
    fn a_record_of_the_first_version_is_what_its_build_wrote() {
        let order = SavedOrder { order: vec![7, 3], active: 3 };
        for number in [3, 300, 70_000] {
            let mut record = codec::encode(number, &order).unwrap();
            to_version_1(&mut record, false);
            assert_eq!(record, include_bytes!("../../../store/src/golden/v1-order.record"));
        }
        let mut meta = include_bytes!("../../../store/src/golden/v2-meta.record").to_vec();
        to_version_1(&mut meta, true);
        assert_eq!(meta, include_bytes!("../../../store/src/golden/v1-meta.record"));
    }
}
