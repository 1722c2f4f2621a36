//! Carries out what the downloads ask for, and tells them what hosts and people say.

use std::time::Instant;

use regen_proto::kernel::v1::{
    Download, DownloadAnswer, DownloadQuestion, DownloadState, GoOnDownload, HostCommand, host_command, shell_update,
};
use regen_proto::validate::BrokerToChild;

use super::child::{Attachment, ChildId};
use super::{Input, Kernel};
use crate::downloads::{Action, HostDownload, Offer, Progress, Report, Shown, Source};
use crate::session::{Event, HostKey, TabId};

impl Kernel {
    /// News about a download from the host that runs it.
    pub(super) fn download(&mut self, host: &HostKey, tab: TabId, news: Download) {
        let Some(child) = self.child_of_host(host) else { return };
        let from = HostDownload { child, tab, number: news.download };
        let gesture = self.gestures.get(&tab).copied().max(self.user_loads.get(&tab).copied());
        let Some(report) = report(news) else { return };
        let actions = self.downloads.reported(host, from, report, gesture, Instant::now());
        self.do_with_downloads(actions);
    }

    pub(super) fn answer_downloads(&mut self, host: &HostKey, allow: bool) {
        self.audit.record("downloads", serde_json::json!({ "site": host.site.as_str(), "allowed": allow }));
        let actions = self.downloads.answered(host, allow);
        self.do_with_downloads(actions);
    }

    pub(super) fn do_with_downloads(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write { to, file } => self.answer_download(to, false, vec![Attachment::Fd(file)]),
                Action::Stop(to) => self.answer_download(to, true, Vec::new()),
                Action::GoOn { to, url, source, from, total, file } => {
                    let Source { referrer, validator } = source;
                    let go_on = GoOnDownload { download: to.number, url, referrer, validator, from, total };
                    let command = HostCommand { tab: to.tab, body: Some(host_command::Body::GoOnDownload(go_on)) };
                    self.send(to.child, BrokerToChild::Command(command), vec![Attachment::Fd(file)]);
                }
                Action::Show(shown) => self.tell_window(shell_update::Body::Download(wire(shown)), Vec::new()),
                Action::Tell(text) => self.notice("warning", &text),
                Action::Ask { host, files } => self.ask_about_downloads(&host, files),
                Action::Keep { host, is_needed } => self.apply(Event::Saving { host, is_saving: is_needed }),
                Action::Later { id, after } => self.later(after, Input::TryDownload(id)),
            }
        }
    }

    fn ask_about_downloads(&mut self, host: &HostKey, files: usize) {
        let question = DownloadQuestion {
            site: host.site.as_str().to_owned(),
            workspace: host.workspace.clone(),
            files: u32::try_from(files).unwrap_or(u32::MAX),
        };
        self.tell_window(shell_update::Body::DownloadQuestion(question), Vec::new());
    }

    /// Tells a new window of everything that is unfinished or asked.
    pub(super) fn tell_downloads(&mut self) {
        let questions: Vec<(HostKey, usize)> =
            self.downloads.questions().map(|(host, files, _)| (host.clone(), files)).collect();
        questions.iter().for_each(|(host, files)| self.ask_about_downloads(host, *files));
        for shown in self.downloads.shown() {
            self.tell_window(shell_update::Body::Download(wire(shown)), Vec::new());
        }
    }

    /// Sites that wait for the user's word, for the status.
    pub(super) fn download_questions(&self) -> Vec<String> {
        let words = |(host, files, tab): (&HostKey, usize, TabId)| {
            format!("{} wants to save {files} more files: `regen tab allow-downloads {tab}` [--refuse]", host.site)
        };
        self.downloads.questions().map(words).collect()
    }

    /// A host ended.
    pub(super) fn downloads_interrupted(&mut self, child: ChildId, host: Option<&HostKey>) {
        let Some(host) = host else { return };
        let actions = self.downloads.host_ended(host, child);
        self.do_with_downloads(actions);
    }

    /// To the host that runs it, whatever its tab shows by now.
    fn answer_download(&mut self, to: HostDownload, refused: bool, with: Vec<Attachment>) {
        let body = host_command::Body::Download(DownloadAnswer { download: to.number, refused });
        self.send(to.child, BrokerToChild::Command(HostCommand { tab: to.tab, body: Some(body) }), with);
    }
}

/// Reads a host's news. `None`: nothing that a host says.
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

fn wire(shown: Shown) -> Download {
    let Shown { id, url, name, received, total, progress, error } = shown;
    let state = match progress {
        Progress::Running => DownloadState::Running,
        Progress::Interrupted => DownloadState::Interrupted,
        Progress::Done => DownloadState::Done,
        Progress::Failed => DownloadState::Failed,
        Progress::Cancelled => DownloadState::Cancelled,
    };
    Download {
        download: id,
        url,
        suggested_name: name,
        received,
        total,
        state: state.into(),
        error,
        ..Download::default()
    }
}
