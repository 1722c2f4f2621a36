//! The user's files: the kernel copies what the user picked to where the page's sandbox sees it; a child learns no path outside
//! its sandbox.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use regen_proto::kernel::v1::{FileChooser, FilesChosen, HostCommand, Role, host_command};
use regen_proto::validate::BrokerToChild;

use super::child::ChildId;
use super::{Input, Kernel};
use crate::file_choosers::{Action, PageRequest, Wanted};
use crate::file_dialog::DialogError;
use crate::session::{HostKey, TabId};

impl Kernel {
    /// A page asks for files.
    pub(super) fn file_chooser(&mut self, host: &HostKey, tab: TabId, asked: FileChooser) {
        let Some(child) = self.child_of_host(host) else { return };
        let wanted = Wanted {
            from: PageRequest { child, tab, request: asked.request },
            site: host.site.clone(),
            multiple: asked.multiple,
            is_active: self.session.active == Some(tab),
            gesture: self.gestures.get(&tab).copied(),
        };
        let has_window = self.ready_child_of_role(Role::UiShell).is_some();
        let actions = self.file_choosers.asked(wanted, Instant::now(), has_window);
        if actions.iter().any(|action| matches!(action, Action::Show { .. })) {
            // One dialog for a click.
            self.gestures.remove(&tab);
        }
        self.do_with_choosers(actions);
    }

    /// The dialog that the user picks in is over.
    pub(super) fn files_picked(&mut self, request: u64, picked: Result<Vec<PathBuf>, DialogError>) {
        self.file_dialogs.close(request);
        let actions = self.file_choosers.answered(request, picked);
        self.do_with_choosers(actions);
    }

    pub(super) fn do_with_choosers(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Show { request, site, multiple } => {
                    let inbox = self.inbox.clone();
                    self.file_dialogs.open(request, &site, multiple, move |picked| {
                        // The kernel may have ended meanwhile.
                        drop(tokio::spawn(async move { inbox.send(Input::FilesPicked { request, picked }).await }));
                    });
                }
                Action::Hide { request } => self.file_dialogs.close(request),
                Action::Cancel(from) => self.files_placed(from, FilesChosen::default(), &[]),
                Action::Tell(text) => {
                    tracing::warn!("{text}");
                    self.notice("warning", &text);
                }
                Action::Place { from, paths } => self.place_files(from, paths),
            }
        }
    }

    /// Puts the files that the user picked where the page can read them, off the kernel's thread: they may be large.
    fn place_files(&self, from: PageRequest, paths: Vec<PathBuf>) {
        let folder = self.profile.chosen(from.child);
        let inbox = self.inbox.clone();
        tokio::task::spawn_blocking(move || {
            let (mut names, mut failed) = (Vec::new(), Vec::new());
            for (index, path) in paths.iter().enumerate() {
                match place(path, &folder, &format!("{}-{index}", from.request)) {
                    Ok(name) => names.push(name),
                    Err(error) => failed.push(format!("{} cannot be opened: {error}", path.display())),
                }
            }
            // The kernel may have ended meanwhile.
            let chosen = FilesChosen { names, ..FilesChosen::default() };
            let _ = inbox.blocking_send(Input::FilesPlaced { from, chosen, failed });
        });
    }

    pub(super) fn files_placed(&mut self, from: PageRequest, chosen: FilesChosen, failed: &[String]) {
        for text in failed {
            self.notice("warning", text);
        }
        let PageRequest { child, tab, request } = from;
        // To the host that asked, whatever the tab shows by now; it knows whether its page is still there.
        let body = host_command::Body::FilesChosen(FilesChosen { request, ..chosen });
        self.send(child, BrokerToChild::Command(HostCommand { tab, body: Some(body) }), Vec::new());
    }

    /// What the user chose for a host that is gone.
    pub(super) fn forget_chosen(&self, child: ChildId) {
        let folder = self.profile.chosen(child);
        // They may be many: nobody waits for it.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = fs::remove_dir_all(&folder)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!("{} stays: {error}", folder.display());
            }
        });
    }
}

/// Makes a user's file appear in a host's folder, under its own name: a copy, which the file system shares where it can, so
/// that the page gets what the user chose at that moment. Returns where it is.
fn place(path: &Path, folder: &Path, place: &str) -> io::Result<String> {
    let source = open_regular(path)?;
    let name: String =
        path.file_name().unwrap_or_default().to_string_lossy().chars().filter(|c| !c.is_control()).collect();
    let within = folder.join(place);
    fs::create_dir_all(&within)?;
    fs::set_permissions(&within, fs::Permissions::from_mode(0o755))?;
    let target = within.join(&name);
    let mut copy = File::create(&target)?;
    io::copy(&mut &source, &mut copy)?;
    copy.set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(format!("{place}/{name}"))
}

fn open_regular(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK a named pipe would stop the kernel.
    let file =
        OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}
