//! The window: what ui-shell is told and asks for, and what the user decides in it. Downloads, file choosers, other programs,
//! the end of the browser, and gestures.
//!
//! ui-shell can be killed at any time: everything it shows is rebuilt from here and from the session.

mod chosen_files;
pub mod downloads;
mod events;
pub mod file_choosers;
pub mod file_dialog;
mod gestures;
pub mod outside;
pub mod quitting;
#[cfg(test)]
mod tests;
pub mod updates;
pub mod window_size;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{
    Download, DownloadAnswer, DownloadQuestion, DownloadState, Empty, FileChooser, FilesChosen, GoOnDownload,
    HostCommand, OutsideQuestion, QuitQuestion, UserCommand, WindowSize as WireSize, host_command, shell_update,
    user_command,
};
use regen_proto::validate::BrokerToChild;
use tokio::sync::mpsc;

pub use events::{Action, Event};
pub use gestures::Gestures;

use crate::children::{Attachment, ChildId, Outgoing};
use crate::observe::audit::AuditLog;
use crate::profile::Profile;
use crate::session::{Event as SessionEvent, HostKey, PageLoad, TabId, address};
use downloads::{Downloads, HostDownload, Offer, Report, Source};
use file_choosers::{ChooserSource, FileChoosers, Wanted};
use file_dialog::FileDialogs;
use outside::Outside;
use quitting::Quitting;
use window_size::{Size, WindowSize};

/// The window's part of the broker.
#[derive(Debug)]
pub struct Window {
    downloads: Downloads,
    choosers: FileChoosers,
    dialogs: FileDialogs,
    outside: Outside,
    quitting: Quitting,
    size: WindowSize,
    gestures: Gestures,
    profile: Profile,
    audit: AuditLog,
    events: mpsc::Sender<Event>,
}

impl Window {
    /// Returns the component as an earlier run of this profile left it. `downloads`: the folder that files are saved to.
    #[must_use]
    pub fn new(profile: Profile, downloads: PathBuf, audit: AuditLog, events: mpsc::Sender<Event>) -> Self {
        Self {
            downloads: Downloads::open(downloads, profile.root()),
            choosers: FileChoosers::default(),
            dialogs: FileDialogs::default(),
            outside: Outside::default(),
            quitting: Quitting::default(),
            size: WindowSize::open(profile.root()),
            gestures: Gestures::default(),
            profile,
            audit,
            events,
        }
    }

    /// Goes on with the downloads that an earlier run left unfinished.
    pub fn start(&mut self) -> Vec<Action> {
        let actions = self.downloads.start();
        self.after_downloads(actions)
    }

    /// Returns the size that the user gave the window; `None`: the window chooses.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.size.get()
    }

    /// Returns the user's gestures.
    #[must_use]
    pub fn gestures(&mut self) -> &mut Gestures {
        &mut self.gestures
    }

    /// Returns what a new window must know beside tabs: unfinished downloads, and questions about them.
    pub fn shown(&mut self) -> Vec<Action> {
        let questions = self.downloads.questions().map(|(host, files, _)| download_question(host, files));
        let downloads = self.downloads.shown().into_iter().map(updates::download);
        questions.chain(downloads).map(Action::Update).collect()
    }

    /// Returns a line for each site that waits for the user's word about its downloads, for the status.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let words = |(host, files, tab): (&HostKey, usize, TabId)| {
            format!("{} wants to save {files} more files: `regen tab allow-downloads {tab}` [--refuse]", host.site)
        };
        self.downloads.questions().map(words).collect()
    }

    /// Takes what the user did in the window.
    pub fn command(&mut self, command: UserCommand, now: Instant) -> Vec<Action> {
        use user_command::Body;
        let Some(body) = command.body else { return Vec::new() };
        let event = match body {
            Body::OpenTab(open) if open.input.is_empty() => {
                let (workspace, background) = (String::new(), open.background);
                SessionEvent::Open { load: None, workspace, background, opener: None }
            }
            Body::OpenTab(open) => {
                return vec![Action::Open { url: address::to_url(&open.input), background: open.background }];
            }
            Body::CloseTab(tab) => SessionEvent::Close { tab, ask: true },
            Body::ActivateTab(tab) => SessionEvent::Activate(tab),
            Body::MoveTab(to) => {
                SessionEvent::Move { tab: to.tab, index: usize::try_from(to.index).unwrap_or(usize::MAX) }
            }
            Body::ReopenClosed(_) => SessionEvent::ReopenClosed,
            Body::Navigate(to) => {
                self.gestures.address(to.tab, now);
                SessionEvent::Navigate { tab: to.tab, load: PageLoad::by_user(address::to_url(&to.input)) }
            }
            Body::History(step) => SessionEvent::History { tab: step.tab, delta: step.delta },
            Body::Reload(reload) => SessionEvent::Reload { tab: reload.tab, bypass_cache: reload.bypass_cache },
            Body::Stop(tab) => SessionEvent::Stop(tab),
            Body::StopScript(tab) => SessionEvent::StopScript(tab),
            Body::AllowInsecure(tab) => SessionEvent::AllowInsecure(tab),
            Body::AllowPrivate(tab) => SessionEvent::AllowPrivate(tab),
            Body::AnswerDialog(answered) => match answered.answer {
                Some(answer) => SessionEvent::AnswerDialog { tab: answered.tab, answer },
                None => return Vec::new(),
            },
            Body::Zoom(zoom) => SessionEvent::Zoom { tab: zoom.tab, zoom: zoom.zoom },
            Body::Mute(mute) => SessionEvent::Mute { tab: mute.tab, muted: mute.muted },
            Body::Pin(pin) => SessionEvent::Pin { tab: pin.tab, pinned: pin.pinned },
            Body::DuplicateTab(tab) => SessionEvent::Duplicate(tab),
            Body::Gesture(tab) => self.input(tab, now),
            Body::Find(find) => {
                let command =
                    find.find.map(|what| Action::Command { tab: find.tab, body: host_command::Body::Find(what) });
                return command.into_iter().collect();
            }
            Body::Print(tab) => {
                let used = Action::Session(self.input(tab, now));
                return vec![used, Action::Command { tab, body: host_command::Body::Print(Empty {}) }];
            }
            Body::Quit(_) if self.quitting.insists(now) => return vec![self.quit()],
            Body::Quit(_) => return vec![Action::AskPages],
            Body::QuitAnyway(_) => return vec![self.quit()],
            Body::AnswerSession(answer) => return vec![Action::AnswerSession(answer)],
            Body::Restores(restores) => return vec![Action::SetRestores(restores)],
            Body::OfferSession(_) => return vec![Action::OfferSession],
            Body::AnswerDownloads(answer) => {
                let Ok(site) = Site::parse(&answer.site) else { return Vec::new() };
                return self.answer_downloads(&HostKey { site, workspace: answer.workspace }, answer.allow);
            }
            Body::AnswerVpn(answer) => {
                let details = serde_json::json!({ "profile": answer.name, "allow": answer.allow });
                let entry = serde_json::json!({ "what": "vpn", "details": details, "by": "the window" });
                self.audit.record("ordered", entry);
                return vec![Action::AnswerVpn(answer)];
            }
            Body::CancelDownload(download) => {
                let actions = self.downloads.cancel(download);
                return self.after_downloads(actions);
            }
            Body::OpenOutside(url) => {
                self.open_outside(&url);
                return Vec::new();
            }
            Body::WindowSize(WireSize { width, height, maximized }) => {
                if let Some(write) = self.size.changed(Size { width, height, maximized }) {
                    tokio::task::spawn_blocking(write);
                }
                return Vec::new();
            }
        };
        vec![Action::Session(event)]
    }

    /// Takes an event of work that was done for the window.
    pub fn event(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::FilesPicked { request, picked } => {
                self.dialogs.close(request);
                let actions = self.choosers.answered(request, picked);
                self.after_choosers(actions)
            }
            Event::FilesPlaced { from, names, failed } => {
                let mut actions: Vec<Action> = failed.iter().map(|text| notice(text)).collect();
                actions.push(chosen(from, names));
                actions
            }
            Event::TryDownload(id) => {
                let actions = self.downloads.try_again(id);
                self.after_downloads(actions)
            }
            Event::PagesAnswered { objecting } => {
                match self.quitting.weighed(self.downloads.unfinished(), objecting, now) {
                    quitting::Action::Quit => vec![self.quit()],
                    quitting::Action::Ask { downloads, pages } => {
                        let question = QuitQuestion { downloads, pages };
                        vec![Action::Update(shell_update::Body::QuitQuestion(question))]
                    }
                }
            }
            Event::NotOpened { text } => vec![notice(&text)],
        }
    }

    /// Notes a click or key of the user in a tab. Returns the event for the session.
    pub fn input(&mut self, tab: TabId, now: Instant) -> SessionEvent {
        self.gestures.input(tab, now);
        // A user who goes on using a tab has decided to stay.
        SessionEvent::StillUsed(tab)
    }

    /// Takes a page's wish for files. `is_active`: its tab is in front.
    pub fn file_chooser(
        &mut self,
        from: ChooserSource,
        site: &Site,
        asked: &FileChooser,
        is: ChooserContext,
    ) -> Vec<Action> {
        let wanted = Wanted {
            from,
            site: site.clone(),
            multiple: asked.multiple,
            is_active: is.is_active,
            gesture: self.gestures.last_input(from.tab),
        };
        let actions = self.choosers.asked(wanted, is.now, is.has_window);
        if actions.iter().any(|action| matches!(action, file_choosers::Action::Show { .. })) {
            // One dialog for a click.
            self.gestures.take(from.tab);
        }
        self.after_choosers(actions)
    }

    /// Takes a host's report on a download. A download goes on when its tab shows something else, or is closed.
    pub fn download(
        &mut self,
        child: ChildId,
        host: &HostKey,
        tab: TabId,
        news: Download,
        now: Instant,
    ) -> Vec<Action> {
        let from = HostDownload { child, tab, number: news.download };
        let gesture = self.gestures.for_download(tab);
        let Some(report) = report(news) else { return Vec::new() };
        let actions = self.downloads.reported(host, from, report, gesture, now);
        self.after_downloads(actions)
    }

    /// Takes the user's word about a site's downloads.
    pub fn answer_downloads(&mut self, host: &HostKey, allow: bool) -> Vec<Action> {
        self.audit.record("downloads", serde_json::json!({ "site": host.site.as_str(), "allowed": allow }));
        let actions = self.downloads.answered(host, allow);
        self.after_downloads(actions)
    }

    /// Takes a page's wish that another program opens an address.
    pub fn wants_outside(&mut self, site: &Site, url: &str) -> Vec<Action> {
        match self.outside.ask(url) {
            Ok(url) => {
                let question = OutsideQuestion { site: site.as_str().to_owned(), url };
                vec![Action::Update(shell_update::Body::OutsideQuestion(question))]
            }
            Err(error) => {
                tracing::info!(%site, "an address is not opened: {error}");
                Vec::new()
            }
        }
    }

    /// Notes that a tab shows another page, or is not in front any more.
    pub fn page_left(&mut self, tab: TabId) -> Vec<Action> {
        let actions = self.choosers.left(tab);
        self.after_choosers(actions)
    }

    /// Notes that a tab is closed.
    pub fn tab_closed(&mut self, tab: TabId) -> Vec<Action> {
        self.downloads.tab_closed(tab);
        self.gestures.forget(tab);
        let mut actions = self.page_left(tab);
        actions.push(Action::Update(shell_update::Body::TabClosed(tab)));
        actions
    }

    /// Notes that a host takes commands.
    pub fn host_ready(&mut self, host: &HostKey, child: ChildId) -> Vec<Action> {
        let actions = self.downloads.host_ready(host, child);
        self.after_downloads(actions)
    }

    /// Notes that a child is gone. `host`: its site, where it had one.
    pub fn child_gone(&mut self, child: ChildId, host: Option<&HostKey>) -> Vec<Action> {
        let choosers = self.choosers.child_gone(child);
        let mut actions = self.after_choosers(choosers);
        if let Some(host) = host {
            let downloads = self.downloads.host_ended(host, child);
            actions.extend(self.after_downloads(downloads));
        }
        actions
    }

    /// Notes that ui-shell is gone: pages do not wait for it.
    pub fn gone(&mut self) -> Vec<Action> {
        let actions = self.choosers.window_gone();
        self.after_choosers(actions)
    }

    /// Writes down what is not finished, at the end of the browser.
    pub fn end(&mut self) {
        self.downloads.end();
    }

    fn quit(&self) -> Action {
        self.audit.record("ordered", serde_json::json!({ "what": "quit", "by": "the window" }));
        Action::Quit
    }

    fn open_outside(&mut self, url: &str) {
        let Some(url) = self.outside.agree(url) else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(error) = outside::open(&url).await {
                // The event loop may have ended meanwhile.
                let _ = events.send(Event::NotOpened { text: error.to_string() }).await;
            }
        });
    }

    fn after_choosers(&mut self, actions: Vec<file_choosers::Action>) -> Vec<Action> {
        let mut out = Vec::new();
        for action in actions {
            match action {
                file_choosers::Action::Show { request, site, multiple } => {
                    let events = self.events.clone();
                    self.dialogs.open(request, &site, multiple, move |picked| {
                        // The event loop may have ended meanwhile.
                        drop(tokio::spawn(async move { events.send(Event::FilesPicked { request, picked }).await }));
                    });
                }
                file_choosers::Action::Hide { request } => self.dialogs.close(request),
                file_choosers::Action::Cancel(from) => out.push(chosen(from, Vec::new())),
                file_choosers::Action::Tell(text) => {
                    tracing::warn!("{text}");
                    out.push(notice(&text));
                }
                file_choosers::Action::Place { from, paths } => {
                    let (folder, events) = (self.profile.chosen(from.child), self.events.clone());
                    tokio::task::spawn_blocking(move || {
                        let (names, failed) = chosen_files::place_all(&paths, &folder, from.request);
                        // The event loop may have ended meanwhile.
                        let _ = events.blocking_send(Event::FilesPlaced { from, names, failed });
                    });
                }
            }
        }
        out
    }

    fn after_downloads(&mut self, actions: Vec<downloads::Action>) -> Vec<Action> {
        let one = |action| match action {
            downloads::Action::Write { to, file } => Some(download_answer(to, false, vec![Attachment::Fd(file)])),
            downloads::Action::Stop(to) => Some(download_answer(to, true, Vec::new())),
            downloads::Action::GoOn { to, url, source, from, total, file } => {
                let Source { referrer, validator } = source;
                let go_on = GoOnDownload { download: to.number, url, referrer, validator, from, total };
                let body = host_command::Body::GoOnDownload(go_on);
                Some(host_command(to.child, to.tab, body, vec![Attachment::Fd(file)]))
            }
            downloads::Action::Show(shown) => Some(Action::Update(updates::download(shown))),
            downloads::Action::Tell(text) => Some(notice(&text)),
            downloads::Action::Ask { host, files } => Some(Action::Update(download_question(&host, files))),
            downloads::Action::Keep { host, is_needed } => {
                Some(Action::Session(SessionEvent::Saving { host, is_saving: is_needed }))
            }
            downloads::Action::Later { id, after } => {
                self.try_later(id, after);
                None
            }
        };
        actions.into_iter().filter_map(one).collect()
    }

    fn try_later(&self, id: u64, after: Duration) {
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            // The event loop may have ended meanwhile.
            let _ = events.send(Event::TryDownload(id)).await;
        });
    }
}

/// Circumstances in which a page asks for files.
#[derive(Debug, Clone, Copy)]
pub struct ChooserContext {
    /// The page's tab is in front.
    pub is_active: bool,
    /// Set if a window can show a dialog.
    pub has_window: bool,
    /// The time.
    pub now: Instant,
}

fn notice(text: &str) -> Action {
    Action::Update(updates::notice("warning", text))
}

fn host_command(child: ChildId, tab: TabId, body: host_command::Body, attachments: Vec<Attachment>) -> Action {
    let message = BrokerToChild::Command(HostCommand { tab, body: Some(body) });
    Action::Send(Outgoing { to: child, message, attachments })
}

/// Returns the answer for the host that asked, whatever the tab shows by now; the host knows whether its page is still there.
fn chosen(ChooserSource { child, tab, request }: ChooserSource, names: Vec<String>) -> Action {
    host_command(child, tab, host_command::Body::FilesChosen(FilesChosen { request, names }), Vec::new())
}

fn download_answer(to: HostDownload, refused: bool, attachments: Vec<Attachment>) -> Action {
    let body = host_command::Body::Download(DownloadAnswer { download: to.number, refused });
    host_command(to.child, to.tab, body, attachments)
}

fn download_question(host: &HostKey, files: usize) -> shell_update::Body {
    shell_update::Body::DownloadQuestion(DownloadQuestion {
        site: host.site.as_str().to_owned(),
        workspace: host.workspace.clone(),
        files: u32::try_from(files).unwrap_or(u32::MAX),
    })
}

/// Returns a host's report on a download; `None` for a state that no host reports.
fn report(news: Download) -> Option<Report> {
    let state = news.state();
    let Download { url, suggested_name, received, total, error, can_go_on, validator, referrer, changed, .. } = news;
    Some(match state {
        DownloadState::Wanted => {
            let source = can_go_on.then_some(Source { referrer, validator });
            Report::Wanted(Offer { url, name: suggested_name, total, source })
        }
        DownloadState::Running => Report::Received { received, total },
        DownloadState::Done => Report::Done { received },
        DownloadState::Failed | DownloadState::Cancelled => Report::Failed { error, try_again: can_go_on, changed },
        DownloadState::Interrupted | DownloadState::Unspecified => return None,
    })
}
