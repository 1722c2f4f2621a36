//! The log: writes each event's line to the profile's file, to followers, and to a short memory for late readers.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

const REMEMBERED: usize = 2000;
/// Maximum size of a log file in bytes; over it, the file becomes `regen.log.1`, that one `regen.log.2`, and so on, up
/// to [`KEPT`].
const ROTATE: u64 = 8 * 1024 * 1024;
const KEPT: u32 = 5;

/// Handle to the broker's log.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    recent: Mutex<VecDeque<String>>,
    file: Mutex<LogFile>,
    followers: broadcast::Sender<String>,
    echo: bool,
}

/// File that is written.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file, size })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size + line.len() as u64 > ROTATE {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| self.path.with_extension(format!("log.{number}"));
        for number in (1..KEPT).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// A line that is being written.
#[derive(Debug)]
pub struct Line<'a> {
    logs: &'a Inner,
    text: Vec<u8>,
}

/// Opens the log and installs it for this process. With `echo`, lines are written to stderr, too.
///
/// # Errors
/// Returns an error if the file cannot be opened.
pub fn init(path: &Path, echo: bool) -> io::Result<Logs> {
    let file = LogFile::open(path)?;
    let logs = Logs(Arc::new(Inner {
        recent: Mutex::new(VecDeque::new()),
        file: Mutex::new(file),
        followers: broadcast::channel(512).0,
        echo,
    }));
    let filter = EnvFilter::try_from_env("REGEN_LOG").unwrap_or_else(|_| EnvFilter::new("info,sled=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(logs.clone()).init();
    Ok(logs)
}

impl Logs {
    /// Returns the last lines, oldest first.
    #[must_use]
    pub fn recent(&self, lines: usize) -> Vec<String> {
        let recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().skip(recent.len().saturating_sub(lines)).cloned().collect()
    }

    /// Returns a receiver of every line from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<String> {
        self.0.followers.subscribe()
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Line<'a>;
    fn make_writer(&'a self) -> Self::Writer {
        Line { logs: &self.0, text: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        // A full disk must not stop the browser, and the error has nowhere else to go.
        let _ = self.logs.file.lock().unwrap_or_else(PoisonError::into_inner).write(text.as_bytes());
        if self.logs.echo {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        let line = text.trim_end().to_owned();
        let mut recent = self.logs.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(line.clone());
        // Sending fails if nobody follows.
        let _ = self.logs.followers.send(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_written_for_ever_takes_a_bounded_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regen.log");
        let mut file = LogFile::open(&path).unwrap();
        let line = vec![b'x'; 1 << 20];
        (0..100).for_each(|_| file.write(&line).unwrap());
        let sizes: Vec<u64> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 1 + KEPT as usize);
        assert!(sizes.iter().all(|size| *size <= ROTATE), "{sizes:?}");
        file.write(b"last\n").unwrap();
        assert!(std::fs::read(&path).unwrap().ends_with(b"last\n"), "the newest is in the file without a number");
    }
}
