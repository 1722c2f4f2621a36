//! The user's files: the kernel copies what the user picked to where the page's sandbox sees it, and opens what a download
//! writes; a child learns no path outside its sandbox.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use regen_proto::convert::ForChild;
use regen_proto::kernel::v1::{
    Download, DownloadAnswer, DownloadQuestion, DownloadState, FileChooser, FilesChosen, HostCommand, Role,
    host_command, shell_update,
};
use rustix::fs::{CWD, RenameFlags};

use super::child::{Attachment, ChildId};
use super::{Input, Kernel};
use crate::download_permissions::{Decision, Waiting};
use crate::file_choosers::{Action, PageRequest, Wanted};
use crate::file_dialog::DialogError;
use crate::session::{Event, HostKey, TabId};

/// Downloads that one site may run at once.
const MOST_DOWNLOADS: usize = 8;

/// A download that a host is writing.
#[derive(Debug)]
pub(crate) struct RunningDownload {
    path: PathBuf,
    tab: TabId,
    last: Download,
}

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
        self.send(child, ForChild::Command(HostCommand { tab, body: Some(body) }), Vec::new());
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

    /// News about a download from the host that runs it.
    pub(super) fn download(&mut self, host: &HostKey, tab: TabId, download: Download) {
        let Some(child) = self.child_of_host(host) else { return };
        let key = (child, download.download);
        match download.state() {
            DownloadState::Wanted => self.download_wanted(host, child, tab, download),
            DownloadState::Running => {
                if let Some(running) = self.downloads.get_mut(&key) {
                    running.last = Download { suggested_name: shown_name(&running.path), ..download };
                    let shown = shown(child, &running.last);
                    self.tell_window(shell_update::Body::Download(shown), Vec::new());
                }
            }
            DownloadState::Done | DownloadState::Failed | DownloadState::Cancelled | DownloadState::Unspecified => {
                if let Some(running) = self.downloads.remove(&key) {
                    self.finish_download(child, &running, download);
                    self.tell_saving(child);
                }
            }
        }
    }

    /// A page wants to save a file: after a click it may, and else its user decides.
    fn download_wanted(&mut self, host: &HostKey, child: ChildId, tab: TabId, download: Download) {
        let waiting = Waiting { tab, download: download.download };
        let gesture = self.gestures.get(&tab).copied().max(self.user_loads.get(&tab).copied());
        match self.download_permissions.wanted(host, waiting, gesture, Instant::now()) {
            Decision::Save => self.start_download(child, tab, download),
            Decision::Ask => {
                self.waiting_downloads.insert((child, download.download), download);
                self.tell_saving(child);
                self.tell_download_question(host);
            }
            Decision::Refuse => {
                self.answer_download(child, tab, download.download, true, Vec::new());
            }
        }
    }

    /// The user says whether a site may save files.
    pub(super) fn answer_downloads(&mut self, host: &HostKey, allow: bool) {
        self.audit.record("downloads", serde_json::json!({ "site": host.site.as_str(), "allowed": allow }));
        let child = self.child_of_host(host);
        for Waiting { tab, download } in self.download_permissions.answer(host, allow) {
            let Some(child) = child else { continue };
            let Some(waiting) = self.waiting_downloads.remove(&(child, download)) else { continue };
            if allow {
                self.start_download(child, tab, waiting);
            } else {
                self.answer_download(child, tab, download, true, Vec::new());
            }
            self.tell_saving(child);
        }
        self.tell_download_question(host);
    }

    /// Asks the user about a site's files, or takes the question back.
    fn tell_download_question(&mut self, host: &HostKey) {
        let files =
            self.download_permissions.questions().find(|(asked, ..)| *asked == host).map_or(0, |(_, files, _)| files);
        let question = DownloadQuestion {
            site: host.site.as_str().to_owned(),
            workspace: host.workspace.clone(),
            files: u32::try_from(files).unwrap_or(u32::MAX),
        };
        self.tell_window(shell_update::Body::DownloadQuestion(question), Vec::new());
    }

    /// All such questions, for a window that is new.
    pub(super) fn tell_download_questions(&mut self) {
        let hosts: Vec<HostKey> = self.download_permissions.questions().map(|(host, ..)| host.clone()).collect();
        hosts.iter().for_each(|host| self.tell_download_question(host));
    }

    /// Sites that wait for the user's word, for the status.
    pub(super) fn download_questions(&self) -> Vec<String> {
        let words = |(host, files, tab): (&HostKey, usize, TabId)| {
            format!("{} wants to save {files} more files: `regen tab allow-downloads {tab}` [--refuse]", host.site)
        };
        self.download_permissions.questions().map(words).collect()
    }

    fn start_download(&mut self, child: ChildId, tab: TabId, download: Download) {
        let running = self.downloads.keys().filter(|(owner, _)| *owner == child).count();
        if running >= MOST_DOWNLOADS || self.downloads.contains_key(&(child, download.download)) {
            self.answer_download(child, tab, download.download, true, Vec::new());
            let most =
                format!("“{}” is not saved: its site saves {MOST_DOWNLOADS} files already.", download.suggested_name);
            self.notice("warning", &most);
            return;
        }
        match create_download(&self.options.downloads, &download.suggested_name) {
            Ok((file, path)) => {
                tracing::info!(path = %path.display(), "download started");
                self.answer_download(child, tab, download.download, false, vec![Attachment::Fd(OwnedFd::from(file))]);
                let last = Download {
                    suggested_name: shown_name(&path),
                    state: DownloadState::Running.into(),
                    ..download.clone()
                };
                self.tell_window(shell_update::Body::Download(shown(child, &last)), Vec::new());
                self.downloads.insert((child, download.download), RunningDownload { path, tab, last });
                self.tell_saving(child);
            }
            Err(error) => {
                self.notice("warning", &format!("“{}” cannot be saved: {error}", download.suggested_name));
                self.answer_download(child, tab, download.download, true, Vec::new());
            }
        }
    }

    fn finish_download(&mut self, child: ChildId, running: &RunningDownload, download: Download) {
        let part = partial(&running.path);
        let mut last = Download { suggested_name: shown_name(&running.path), ..download };
        let outcome = if last.state() == DownloadState::Done {
            keep(&part, &running.path).map(|path| last.suggested_name = shown_name(&path))
        } else {
            fs::remove_file(&part)
        };
        if let Err(error) = outcome {
            last.set_state(DownloadState::Failed);
            last.error = error.to_string();
        }
        tracing::info!(path = %running.path.display(), state = last.state().as_str_name(), "download ended");
        self.tell_window(shell_update::Body::Download(shown(child, &last)), Vec::new());
    }

    pub(super) fn unfinished_downloads(&self) -> usize {
        self.downloads.len()
    }

    /// A host ended: what it was downloading cannot be finished. The part stays, named as such.
    pub(super) fn downloads_lost(&mut self, child: ChildId, host: Option<&HostKey>) {
        self.waiting_downloads.retain(|(owner, _), _| *owner != child);
        if let Some(host) = host {
            self.apply(Event::Saving { host: host.clone(), is_saving: false });
            self.download_permissions.host_gone(host);
            self.tell_download_question(host);
        }
        let lost: Vec<(ChildId, u64)> = self.downloads.keys().filter(|(owner, _)| *owner == child).copied().collect();
        for key in lost {
            if let Some(mut running) = self.downloads.remove(&key) {
                running.last.set_state(DownloadState::Failed);
                running.last.error = match left_over(&partial(&running.path)) {
                    Some(part) => format!("the page's process ended; what was received is in {}", part.display()),
                    None => "the page's process ended before anything was received".to_owned(),
                };
                let shown = shown(child, &running.last);
                self.tell_window(shell_update::Body::Download(shown), Vec::new());
            }
        }
    }

    pub(super) fn cancel_download(&mut self, shown: u64) {
        let wanted = self.downloads.iter().find(|((child, id), _)| window_id(*child, *id) == shown);
        if let Some((&(child, download), running)) = wanted {
            let tab = running.tab;
            self.answer_download(child, tab, download, true, Vec::new());
        }
    }

    /// To the host that runs it, whatever its tab shows by now.
    fn answer_download(&mut self, child: ChildId, tab: TabId, download: u64, refused: bool, with: Vec<Attachment>) {
        let body = host_command::Body::Download(DownloadAnswer { download, refused });
        self.send(child, ForChild::Command(HostCommand { tab, body: Some(body) }), with);
    }

    /// A host that saves files stays, though no tab may show it.
    fn tell_saving(&mut self, child: ChildId) {
        let Some(host) = self.children.get(&child).and_then(|child| child.host.clone()) else { return };
        let mut owners = self.downloads.keys().chain(self.waiting_downloads.keys());
        let is_saving = owners.any(|(owner, _)| *owner == child);
        if is_saving != self.session.saving.contains(&host) {
            self.apply(Event::Saving { host, is_saving });
        }
    }
}

/// One number for the window out of a host's own numbering.
fn window_id(child: ChildId, download: u64) -> u64 {
    (child << 24) | (download & 0x00ff_ffff)
}

fn shown(child: ChildId, download: &Download) -> Download {
    Download { download: window_id(child, download.download), ..download.clone() }
}

fn shown_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
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

/// Returns the part of an unfinished download, and removes a part that is empty.
fn left_over(part: &Path) -> Option<&Path> {
    if fs::metadata(part).is_ok_and(|part| part.len() > 0) {
        return Some(part);
    }
    if let Err(error) = fs::remove_file(part) {
        tracing::warn!("{} stays: {error}", part.display());
    }
    None
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// Gives a finished download its name; a file that has come to be there meanwhile keeps it, and the download gets another.
fn keep(part: &Path, path: &Path) -> io::Result<PathBuf> {
    for number in 0..1000 {
        let target = if number == 0 { path.to_path_buf() } else { numbered(path, number) };
        match rustix::fs::renameat_with(CWD, part, CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(target),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("a thousand files of this name exist"))
}

/// `name (1).ext`
fn numbered(path: &Path, number: u32) -> PathBuf {
    let name = shown_name(path);
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    };
    path.with_file_name(name)
}

/// A file name that is only a file name, whatever the page suggested.
fn safe_name(suggested: &str) -> String {
    let name: String = suggested
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect();
    let name = name.trim().trim_start_matches('.').trim();
    if name.is_empty() { "download".to_owned() } else { shortened(name) }
}

/// Shortens the stem of a name, in bytes as the file system counts: the extension says what the file is. There is room for
/// ` (999)` and `.part`.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 255 - 11;
    const LONGEST_EXTENSION: usize = 20;
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|end| end.len() <= LONGEST_EXTENSION);
    let extension = extension.unwrap_or_default();
    let stem = name.get(..name.floor_char_boundary(LONGEST - extension.len())).unwrap_or_default();
    format!("{}{extension}", stem.trim_end())
}

/// Makes the `.part` file of a download under a name that is free. Returns it with the final path.
fn create_download(folder: &Path, suggested: &str) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(folder)?;
    let wanted = folder.join(safe_name(suggested));
    for number in 0..1000 {
        let path = if number == 0 { wanted.clone() } else { numbered(&wanted, number) };
        if path.exists() {
            continue;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial(&path)) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("a thousand files of this name exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_cannot_choose_where_a_download_goes() {
        assert_eq!(safe_name("../../.bashrc"), "bashrc");
        assert_eq!(safe_name("a/b\\c.txt"), "c.txt");
        assert_eq!(safe_name("cod\u{202e}txt.exe"), "codtxt.exe");
        assert_eq!(safe_name("\n"), "download");
        assert_eq!(safe_name(".."), "download");
        assert_eq!(safe_name(" . "), "download");
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        for long in [format!("{}.pdf", "a".repeat(300)), format!("{}.pdf", "漢".repeat(110)), "é".repeat(200)] {
            let extension = if long.ends_with(".pdf") { ".pdf" } else { "" };
            for _ in 0..2 {
                let (_file, path) = create_download(folder.path(), &long).unwrap();
                fs::write(&path, "saved").unwrap();
                assert!(shown_name(&path).ends_with(extension), "{path:?}");
            }
        }
        assert_eq!(safe_name(&format!("{}.pdf", "a".repeat(150))), format!("{}.pdf", "a".repeat(150)));
        let odd = format!("{}.{}", "a".repeat(200), "b".repeat(200));
        assert_eq!(safe_name(&odd).len(), 244);
    }

    #[test]
    fn a_part_without_a_byte_is_not_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (_file, path) = create_download(folder.path(), "a.zip").unwrap();
        let part = partial(&path);
        assert_eq!(left_over(&part), None);
        assert!(!part.exists());
        fs::write(&part, "begun").unwrap();
        assert_eq!(left_over(&part), Some(part.as_path()));
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        let (_file, path) = create_download(folder.path(), "a.txt").unwrap();
        assert_eq!(path, folder.path().join("a (1).txt"));
        let (_file, path) = create_download(folder.path(), "a.txt").unwrap();
        assert_eq!(path, folder.path().join("a (2).txt"));
    }
}
