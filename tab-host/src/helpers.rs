//! The engine's helper processes. Each is reported to the broker with a pidfd. The death of the network process, which
//! all pages share, ends this host, so that there is only one recovery path.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use regen_proto::kernel::v1::HelperStarted;
use regen_proto::validate::ChildToBroker;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::sender::BrokerSender;

/// Name of the engine's network process, as truncated by the kernel. All pages share it. If it is killed, the engine
/// starts another without notice, and session cookies are lost.
const NETWORK: &str = "WebKitNetworkPr";

/// Reports and watches the helper processes of this sandbox.
#[derive(Debug)]
pub(crate) struct Helpers {
    sender: BrokerSender,
    known: HashMap<i32, OwnedFd>,
    /// Set once the network process of the site's pages has been seen.
    has_network: bool,
}

impl Helpers {
    pub(crate) fn new(sender: BrokerSender) -> Self {
        Self { sender, known: HashMap::new(), has_network: false }
    }

    /// Scans `/proc` for new helpers. Cheap: a sandbox has few processes.
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
        // Between fork and exec a helper still has this process's name.
        if !name.starts_with("WebKit") {
            return;
        }
        let Some(pidfd) = Pid::from_raw(pid).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok())
        else {
            return;
        };
        let Ok(copy) = pidfd.as_fd().try_clone_to_owned() else { return };
        self.sender.send_with(ChildToBroker::Helper(HelperStarted { name: name.clone() }), vec![copy]);
        // The first network process serves the site's pages. A web inspector has another one, which ends with it.
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

/// Ends this host when a process ends. Waits on a thread of its own.
fn watch(pidfd: OwnedFd, name: String, sender: BrokerSender) {
    let waited = std::thread::Builder::new().name("helper".into()).stack_size(64 * 1024).spawn(move || {
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        while rustix::event::poll(&mut polled, None) == Err(rustix::io::Errno::INTR) {}
        sender.exit(format!("helper process {name} died"));
        // If the message cannot be sent, the exit of this process tells the broker.
        std::thread::sleep(Duration::from_secs(1));
        std::process::exit(1);
    });
    if let Err(error) = waited {
        tracing::error!("cannot watch a helper process: {error}");
    }
}
