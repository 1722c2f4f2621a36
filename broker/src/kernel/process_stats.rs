//! ProcessStats of a process that is looked at every second, for as long as it lives: its files in `/proc` stay open, so that a look
//! is one system call.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// One process.
#[derive(Debug)]
pub(crate) struct ProcessStats {
    statm: File,
    schedstat: File,
    status: File,
}

impl ProcessStats {
    /// Of a process that is there.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).ok();
        Some(Self { statm: open("statm")?, schedstat: open("schedstat")?, status: open("status")? })
    }

    /// Memory in KB; 0 when it has ended.
    pub(crate) fn resident_kb(&self) -> u64 {
        second_number(|line| self.statm.read_at(line, 0)) * page_kb()
    }

    /// Number of its threads.
    pub(crate) fn threads(&self) -> u64 {
        let mut text = [0; 4096];
        let length = self.status.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        let value = text.lines().find_map(|line| line.strip_prefix("Threads:"));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// How long its first thread has waited for a processor in all its life.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(second_number(|line| self.schedstat.read_at(line, 0)))
    }
}

/// Number of a process's open descriptors. (`FDSize` of its status is the size of the table, which never shrinks.)
pub(crate) fn descriptors(pid: i32) -> u64 {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 its size is the count.
    match std::fs::metadata(&folder).map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        Ok(_) => std::fs::read_dir(&folder).map_or(0, |all| all.count() as u64),
        // It has ended.
        Err(_) => 0,
    }
}

/// Memory of a process that is looked at once, in KB; 0 when there is none.
pub(crate) fn resident_kb(pid: i32) -> u64 {
    let Ok(mut statm) = File::open(format!("/proc/{pid}/statm")) else { return 0 };
    second_number(|line| statm.read(line)) * page_kb()
}

/// Of one short line.
fn second_number(read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>) -> u64 {
    let mut line = [0; 128];
    // A process that is gone has no stats.
    let length = read(&mut line).unwrap_or(0);
    let text = line.get(..length).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn page_kb() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    let bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(4096) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_stats_and_one_that_is_not_there_has_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stats = ProcessStats::of(own).unwrap();
        assert!(stats.resident_kb() > 500 && resident_kb(own) > 500);
        assert!(stats.threads() >= 2, "{}", stats.threads());
        let before = descriptors(own);
        let opened: Vec<File> = (0..200).map(|_| File::open("/dev/null").unwrap()).collect();
        let most = descriptors(own);
        drop(opened);
        assert!(before < 200 && most >= before + 200 && descriptors(own) < most, "{before} {most}");
        assert_eq!(resident_kb(i32::MAX), 0);
        assert!(ProcessStats::of(i32::MAX).is_none());
    }
}
