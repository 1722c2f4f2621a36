//! The engine's helper processes: each is reported to the broker with a pidfd, and the death of one that all pages share
//! is the death of this host. There is one recovery path, not two.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use regen_proto::kernel::v1::HelperStarted;
use regen_proto::validate::ChildToBroker;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::sender::BrokerSender;

/// Shared by all pages. When it is killed the engine starts another without a word, and session cookies are gone.
const NETWORK: &str = "WebKitNetworkPr";

/// Watches the processes of this sandbox.
#[derive(Debug)]
pub(crate) struct Helpers {
    sender: BrokerSender,
    known: HashMap<i32, OwnedFd>,
    /// The process that all pages share has been seen.
    has_network: bool,
}

impl Helpers {
    pub(crate) fn new(sender: BrokerSender) -> Self {
        Self { sender, known: HashMap::new(), has_network: false }
    }

    /// Looks for new helpers. Cheap: a sandbox has a handful of processes.
    pub(crate) fn look(&mut self) {
        let ours = std::process::id();
        let present = numeric_entries("/proc");
        self.known.retain(|pid, _| present.contains(pid));
        for pid in present {
            let is_other = pid > 1 && u32::try_from(pid).ok() != Some(ours) && !self.known.contains_key(&pid);
            if is_other {
                self.adopt(pid);
            }
        }
    }

    fn adopt(&mut self, pid: i32) {
        let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) else { return };
        let name = name.trim().to_owned();
        // Between fork and exec a helper still has our own name.
        if !name.starts_with("WebKit") {
            return;
        }
        let Some(pidfd) = Pid::from_raw(pid).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
        else {
            return;
        };
        let Ok(copy) = pidfd.as_fd().try_clone_to_owned() else { return };
        self.sender.send_with(ChildToBroker::Helper(HelperStarted { name: name.clone() }), vec![copy]);
        // The first is the one of the site's pages. A web inspector has another, which ends with it.
        let is_of_pages = name == NETWORK && !std::mem::replace(&mut self.has_network, true);
        if is_of_pages && let Ok(watched) = pidfd.as_fd().try_clone_to_owned() {
            watch(watched, name, self.sender.clone());
        }
        self.known.insert(pid, pidfd);
    }
}

fn numeric_entries(path: &str) -> Vec<i32> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Waits for a process to end, on a thread that does nothing else.
fn watch(pidfd: OwnedFd, name: String, sender: BrokerSender) {
    let waited = std::thread::Builder::new().name("helper".into()).stack_size(64 * 1024).spawn(move || {
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        while rustix::event::poll(&mut polled, None) == Err(rustix::io::Errno::INTR) {}
        sender.exit(format!("its helper {name} died"));
        // Should the message not get out, the end of this process is message enough.
        std::thread::sleep(Duration::from_secs(1));
        std::process::exit(1);
    });
    if let Err(error) = waited {
        tracing::error!("cannot watch a helper: {error}");
    }
}
