//! The log: one line per event, to the profile's file, to whoever follows, and to a short memory for late readers.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

const REMEMBERED: usize = 2000;
/// A log file over this size becomes `regen.log.old` at the next start.
const ROTATE: u64 = 8 * 1024 * 1024;

/// The log of this broker.
#[derive(Debug, Clone)]
pub struct Logs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    recent: Mutex<VecDeque<String>>,
    file: Mutex<File>,
    followers: broadcast::Sender<String>,
    echo: bool,
}

/// One line being written.
#[derive(Debug)]
pub struct Line<'a> {
    logs: &'a Inner,
    text: Vec<u8>,
}

/// Opens the log and makes it this process's. `echo` writes to stderr too.
///
/// # Errors
/// When the file cannot be opened.
pub fn init(path: &Path, echo: bool) -> io::Result<Logs> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > ROTATE) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
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
    /// The last lines, oldest first.
    #[must_use]
    pub fn recent(&self, lines: usize) -> Vec<String> {
        let recent = self.0.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().skip(recent.len().saturating_sub(lines)).cloned().collect()
    }

    /// Every line from now on.
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
        // A full disk must not stop the browser, and there is nowhere else to say so.
        let _ = self.logs.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
        if self.logs.echo {
            let _ = io::stderr().write_all(text.as_bytes());
        }
        let line = text.trim_end().to_owned();
        let mut recent = self.logs.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(line.clone());
        // Nobody may be following.
        let _ = self.logs.followers.send(line);
    }
}
