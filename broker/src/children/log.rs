//! Forwards a child's stderr to the log: whole lines, escaped, within a budget of bytes.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regen_crash_reports::LogTail;
use regen_runtime::foreign_text::escape;

/// Name of a process in the log. A spare process is renamed when it gets a site.
#[derive(Debug, Clone)]
pub(super) struct ProcessLabel(Arc<Mutex<String>>);

impl ProcessLabel {
    pub(super) fn named(name: String) -> Self {
        Self(Arc::new(Mutex::new(name)))
    }

    pub(super) fn rename(&self, name: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

impl std::fmt::Display for ProcessLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forwards a child's stderr to the log, bounded in line length and rate. `is_silent`: nothing of it may be logged.
pub(super) fn forward_log(label: ProcessLabel, pipe: OwnedFd, is_silent: bool) -> io::Result<LogTail> {
    use tokio::io::AsyncReadExt;
    let mut pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe)?;
    let tail = LogTail::default();
    let kept = tail.clone();
    tokio::spawn(async move {
        let mut lines = LogLines::new(Instant::now());
        let mut chunk = vec![0; LOG_CHUNK];
        while let Ok(count) = pipe.read(&mut chunk).await
            && count > 0
        {
            let all_told = lines.split(chunk.get(..count).unwrap_or_default(), Instant::now(), |line, left_out| {
                kept.push(line);
                match left_out.filter(|_| !is_silent) {
                    None => {}
                    Some(0) => tracing::info!("{label}: {line}"),
                    Some(left_out) => {
                        tracing::warn!("{label}: {line} ({left_out} lines before this one were omitted)")
                    }
                }
            });
            if !all_told {
                // A child that logs too much blocks on the pipe and costs the broker little.
                tokio::time::sleep(LOG_REST).await;
            }
        }
    });
    Ok(tail)
}

/// Bytes of a child's stderr read at once.
const LOG_CHUNK: usize = 16 * 1024;
/// Pause after a chunk of which lines were omitted.
const LOG_REST: Duration = Duration::from_millis(10);
/// Maximum length of a logged line, in bytes.
const MAX_LOG_LINE: usize = 2048;
/// Maximum number of bytes per hour that a child may log, on average.
const LOG_BYTES_PER_HOUR: u64 = 1 << 20;
/// Maximum number of bytes that a child may log at once.
const LOG_BURST: u64 = 256 * 1024;

/// Lines of a child's stderr, and the budget for logging them.
struct LogLines {
    unfinished: Vec<u8>,
    credit: u64,
    last: Instant,
    left_out: u64,
}

impl LogLines {
    fn new(now: Instant) -> Self {
        Self { unfinished: Vec::new(), credit: LOG_BURST, last: now, left_out: 0 }
    }

    /// Calls `tell` for each whole line, with the number of lines omitted before it, or with `None` if the line itself
    /// is omitted. Returns whether no line was omitted.
    fn split(&mut self, chunk: &[u8], now: Instant, mut tell: impl FnMut(&str, Option<u64>)) -> bool {
        let since = u64::try_from(now.saturating_duration_since(self.last).as_millis()).unwrap_or(u64::MAX);
        let earned = since.saturating_mul(LOG_BYTES_PER_HOUR) / 3_600_000;
        if earned > 0 {
            self.last = now;
            self.credit = self.credit.saturating_add(earned).min(LOG_BURST);
        }
        let before = self.left_out;
        self.unfinished.extend_from_slice(chunk);
        let bytes = std::mem::take(&mut self.unfinished);
        let mut rest = bytes.as_slice();
        while let Some(end) =
            rest.iter().position(|b| *b == b'\n').or((rest.len() > MAX_LOG_LINE).then_some(MAX_LOG_LINE))
        {
            let (line, after) = rest.split_at(end);
            rest = after.strip_prefix(b"\n").unwrap_or(after);
            let line = line.get(..line.len().min(MAX_LOG_LINE)).unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let line = escape(line.trim_end());
            let line = line.as_ref();
            if line.is_empty() {
                continue;
            }
            match self.credit.checked_sub(line.len() as u64) {
                Some(credit) => {
                    self.credit = credit;
                    tell(line, Some(std::mem::take(&mut self.left_out)));
                }
                None => {
                    self.left_out += 1;
                    tell(line, None);
                }
            }
        }
        self.unfinished = rest.to_vec();
        self.left_out <= before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &mut LogLines, text: &str, now: Instant) -> Vec<(String, Option<u64>)> {
        let mut all = Vec::new();
        lines.split(text.as_bytes(), now, |line, left_out| all.push((line.to_owned(), left_out)));
        all
    }

    #[test]
    fn lines_come_whole_and_long_ones_are_cut() {
        let now = Instant::now();
        let mut lines = LogLines::new(now);
        assert_eq!(told(&mut lines, "one\ntw", now), [("one".to_owned(), Some(0))]);
        assert_eq!(told(&mut lines, "o\n\n", now), [("two".to_owned(), Some(0))]);
        let long = told(&mut lines, &"x".repeat(5000), now);
        assert!(long.iter().all(|(line, _)| line.len() == MAX_LOG_LINE), "{long:?}");
    }

    #[test]
    fn a_child_that_says_too_much_is_cut_short_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut lines = LogLines::new(start);
        let line = format!("{}\n", "x".repeat(1000));
        let all = told(&mut lines, &line.repeat(400), start);
        let logged = all.iter().filter(|(_, left_out)| left_out.is_some()).count();
        assert_eq!(logged, usize::try_from(LOG_BURST).unwrap() / 1000);
        assert_eq!(all.len(), 400, "its last words are kept all the same");
        let later = start + Duration::from_secs(60);
        assert_eq!(told(&mut lines, "again\n", later), [("again".to_owned(), Some(400 - logged as u64))]);
        // A day of steady messages.
        let day =
            (0..24 * 60).map(|minute| told(&mut lines, &line.repeat(40), later + Duration::from_secs(60 * minute)));
        let logged: usize = day.flatten().filter(|(_, left_out)| left_out.is_some()).map(|(line, _)| line.len()).sum();
        assert!(logged < 30 << 20, "{logged}");
    }
}
