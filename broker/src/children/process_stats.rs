//! Figures of a process that is measured again and again: its files in `/proc` stay open, so that each figure costs one system
//! call.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Open files of one process in `/proc`.
#[derive(Debug)]
pub(super) struct ProcessStats {
    statm: File,
    schedstat: File,
    status: File,
}

impl ProcessStats {
    /// Opens the files of a process; `None` where it has ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).ok();
        Some(Self { statm: open("statm")?, schedstat: open("schedstat")?, status: open("status")? })
    }

    /// Returns the resident memory in KB; 0 when the process has ended.
    pub(super) fn resident_kb(&self) -> u64 {
        second_number(|line| self.statm.read_at(line, 0)) * page_kb()
    }

    /// Returns the number of threads.
    pub(super) fn threads(&self) -> u64 {
        let mut text = [0; 4096];
        let length = self.status.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        let value = text.lines().find_map(|line| line.strip_prefix("Threads:"));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    /// Returns how long the first thread has waited for a processor, in all its life.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(second_number(|line| self.schedstat.read_at(line, 0)))
    }
}

/// Returns the number of a process's open descriptors. (`FDSize` in its status is the size of the table, which never shrinks.)
pub(super) fn descriptors(pid: i32) -> u64 {
    let folder = format!("/proc/{pid}/fd");
    // Since Linux 6.2 its size is the count.
    match std::fs::metadata(&folder).map(|folder| folder.len()) {
        Ok(count) if count > 0 => count,
        Ok(_) => std::fs::read_dir(&folder).map_or(0, |all| all.count() as u64),
        // It has ended.
        Err(_) => 0,
    }
}

/// Returns the resident memory of a process that is measured once, in KB; 0 when there is no such process.
pub fn resident_kb(pid: i32) -> u64 {
    let Ok(mut statm) = File::open(format!("/proc/{pid}/statm")) else { return 0 };
    second_number(|line| statm.read(line)) * page_kb()
}

/// Returns the memory of a process with shared pages in parts, in KB; 0 when there is no such process. Takes milliseconds.
#[must_use]
pub fn proportional_kb(pid: i32) -> u64 {
    let value = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:").map(str::to_owned))?;
        line.split_whitespace().next()?.parse().ok()
    };
    std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(value).unwrap_or(0)
}

/// Returns the second number of one short line.
fn second_number(read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>) -> u64 {
    let mut line = [0; 128];
    // A process that is gone has no stats.
    let length = read(&mut line).unwrap_or(0);
    let text = line.get(..length).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn page_kb() -> u64 {
    regen_sandbox::sys::page_size() / 1024
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
