//! What the control API asks of the kernel. Each command carries the way to answer it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regen_net_config::dns::DnsSettings;
use regen_net_config::route::Route;
use regen_net_config::site::Site;
use regen_proto::control::v1::{StatusReply, Tab as TabInfo};
use regen_proto::kernel::v1::{
    AnswerSession, DialogAnswer, Empty, Query, QueryKind, Reply, host_command, shell_update,
};
use regen_proto::net::v1::TorStatus;
use regen_proto::page::v1::{ToPage, to_page};
use rustix::process::Signal;
use tokio::sync::oneshot;

use super::net::NetAdmin;
use super::{Input, Kernel, KernelHandle, PageQuestion};
use crate::audit::Head;
use crate::routes::{RouteSettings, Scope};
use crate::session::{Dialog, DialogKind, Event, HttpsOnly, PageLoad, Tab, TabId, address};
use crate::shields::{Level, ShieldsSettings, TooManySites};
use crate::store::{Saved, SessionSettings, Store};
use crate::vpn::{VpnChange, VpnError, VpnSettings};

/// A page may take this long to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// What a page says, some time.
pub type PageAnswer = oneshot::Receiver<(Reply, Vec<OwnedFd>)>;
type Answer<T> = oneshot::Sender<Result<T, CommandError>>;

/// Why a command could not be carried out, in words for the person who gave it.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// No such tab.
    #[error("there is no tab {0}: `regen tab list` shows the tabs")]
    NoSuchTab(TabId),
    /// The tab has no page at the moment.
    #[error("tab {0} has no page at the moment: it is {1}")]
    NoPage(TabId, String),
    /// The page waits for an answer itself.
    #[error("tab {0} shows a dialog: {1}; answer it with `regen tab {2}`")]
    Dialog(TabId, String, String),
    /// The page did not answer.
    #[error("{0}")]
    Page(String),
    /// No such process of ours.
    #[error("{0}")]
    NoSuchProcess(String),
    /// It took too long.
    #[error("tab {0} was still {1} after {2} ms")]
    Timeout(TabId, String, u64),
    /// The browser is ending.
    #[error("the browser is ending")]
    Ending,
}

/// One wish of the control API.
#[derive(Debug)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Command {
    Status {
        answer: Answer<StatusReply>,
    },
    Open {
        url: String,
        workspace: String,
        background: bool,
        /// The window is to be seen, too.
        raise: bool,
        answer: Answer<TabId>,
    },
    Tab {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    Goto {
        tab: TabId,
        url: String,
        answer: Answer<()>,
    },
    Close {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    Activate {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    StopScript {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    History {
        tab: TabId,
        delta: i32,
        reload: bool,
        answer: Answer<()>,
    },
    Ask {
        tab: TabId,
        kind: QueryKind,
        answer: Answer<PageAnswer>,
    },
    Input {
        tab: TabId,
        events: Vec<ToPage>,
        answer: Answer<PageAnswer>,
    },
    SignalRole {
        role: String,
        signal: Signal,
        answer: Answer<Vec<i32>>,
    },
    SignalTab {
        tab: TabId,
        signal: Signal,
        answer: Answer<Vec<i32>>,
    },
    SignalPid {
        pid: i32,
        signal: Signal,
        answer: Answer<Vec<i32>>,
    },
    Saved {
        answer: Answer<(Vec<Arc<Saved>>, SessionSettings)>,
    },
    AuditHead {
        answer: Answer<Head>,
    },
    AnswerSession {
        what: AnswerSession,
        answer: Answer<usize>,
    },
    SetRestores {
        restores: bool,
        answer: Answer<()>,
    },
    Snapshots {
        answer: Answer<Vec<PageAnswer>>,
    },
    SaveChanged {
        answer: Answer<Store>,
    },
    Net {
        answer: Answer<Option<NetAdmin>>,
    },
    Shields {
        answer: Answer<ShieldsSettings>,
    },
    ChooseShields {
        site: Option<Site>,
        level: Option<Level>,
        answer: Answer<Result<(), TooManySites>>,
    },
    Routes {
        answer: Answer<(RouteSettings, TorStatus)>,
    },
    ChooseRoute {
        scope: Scope,
        route: Option<Route>,
        answer: Answer<()>,
    },
    AnswerDialog {
        tab: TabId,
        answer: DialogAnswer,
        done: Answer<TabInfo>,
    },
    AllowInsecure {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    AllowPrivate {
        tab: TabId,
        answer: Answer<TabInfo>,
    },
    HttpsOnly {
        answer: Answer<HttpsOnly>,
    },
    ChooseHttpsOnly {
        site: Option<Site>,
        on: Option<bool>,
        answer: Answer<()>,
    },
    Dns {
        answer: Answer<DnsSettings>,
    },
    ChooseDns {
        settings: DnsSettings,
        answer: Answer<()>,
    },
    Vpn {
        answer: Answer<(VpnSettings, BTreeSet<String>)>,
    },
    ChangeVpn {
        change: VpnChange,
        answer: Answer<Result<(), VpnError>>,
    },
    AllowDownloads {
        tab: TabId,
        allow: bool,
        answer: Answer<TabInfo>,
    },
    /// Order over the control API, with the process that gave it.
    RecordOrder {
        what: &'static str,
        details: serde_json::Value,
        by: serde_json::Value,
        answer: Answer<()>,
    },
    Quit {
        answer: Answer<()>,
    },
}

fn reply<T>(answer: Answer<T>, result: Result<T, CommandError>) {
    // Whoever asked may have gone.
    let _ = answer.send(result);
}

impl Kernel {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Status { answer } => reply(answer, Ok(self.status())),
            Command::Open { url, workspace, background, raise, answer } => {
                if raise {
                    self.tell_window(shell_update::Body::Raise(Empty {}), Vec::new());
                }
                let opened = self.open_by_user(address::to_url(&url), background, workspace);
                reply(answer, opened.ok_or(CommandError::Ending));
            }
            Command::Tab { tab, answer } => reply(answer, self.find_tab(tab)),
            Command::Goto { tab, url, answer } => {
                let found = self.find_tab(tab).map(drop);
                if found.is_ok() {
                    self.user_loads.insert(tab, Instant::now());
                    let load = PageLoad::by_user(address::to_url(&url));
                    self.apply(Event::Navigate { tab, load });
                }
                reply(answer, found);
            }
            Command::Activate { tab, answer } => {
                self.apply(Event::Activate(tab));
                reply(answer, self.find_tab(tab));
            }
            Command::StopScript { tab, answer } => {
                self.apply(Event::StopScript(tab));
                reply(answer, self.find_tab(tab));
            }
            Command::Close { tab, answer } => {
                let found = self.find_tab(tab);
                self.apply(Event::Close { tab, ask: false });
                reply(answer, found);
            }
            Command::History { tab, delta, reload, answer } => {
                let found = self.find_tab(tab).map(drop);
                if reload {
                    self.apply(Event::Reload { tab, bypass_cache: false });
                } else {
                    self.apply(Event::History { tab, delta });
                }
                reply(answer, found);
            }
            Command::Ask { tab, kind, answer } => {
                let asked = self.ask(tab, kind, 0);
                reply(answer, asked);
            }
            Command::Input { tab, events, answer } => {
                let done = self.input(tab, events);
                reply(answer, done);
            }
            Command::SignalRole { role, signal, answer } => {
                let sent = if Self::role_exists(&role) {
                    non_empty(self.signal_role(&role, signal), || format!("no {role} is running"))
                } else {
                    let roles = "tab-host, net-daemon, agent-daemon and ui-shell";
                    Err(CommandError::NoSuchProcess(format!("there is no role “{role}”; the roles are {roles}")))
                };
                reply(answer, sent);
            }
            Command::SignalTab { tab, signal, answer } => {
                let sent = self.find_tab(tab).and_then(|info| {
                    let state = || format!("tab {tab} has no process: it is {}", info.state);
                    non_empty(self.signal_tab(tab, signal), state)
                });
                reply(answer, sent);
            }
            Command::SignalPid { pid, signal, answer } => {
                let unknown = || format!("process {pid} is not one of this browser's");
                reply(answer, non_empty(self.signal_pid(pid, signal), unknown));
            }
            Command::Saved { answer } => {
                reply(answer, Ok((self.previous.clone(), self.settings.session)));
            }
            Command::AuditHead { answer } => {
                self.store.put_audit_head(self.audit.head().clone());
                reply(answer, Ok(self.audit.head().clone()));
            }
            Command::SetRestores { restores, answer } => {
                self.set_restores(restores);
                reply(answer, Ok(()));
            }
            Command::AnswerSession { what, answer } => {
                let count = self.answer_session(&what);
                reply(answer, Ok(count));
            }
            Command::SaveChanged { answer } => {
                // One that has just come back from a failure is told everything first.
                self.look_after_store();
                self.save_changed(true);
                reply(answer, Ok(self.store.clone()));
            }
            Command::Snapshots { answer } => {
                let shown: Vec<TabId> = self.session.tabs.values().filter(|tab| tab.view).map(|tab| tab.id).collect();
                let pages = shown.into_iter().filter_map(|tab| self.ask(tab, QueryKind::Saved, 0).ok()).collect();
                reply(answer, Ok(pages));
            }
            Command::Net { answer } => reply(answer, Ok(self.net_admin.clone())),
            Command::Shields { answer } => reply(answer, Ok(self.settings.shields.clone())),
            Command::ChooseShields { site, level, answer } => {
                let chosen = self.choose_shields(site.as_ref(), level);
                reply(answer, Ok(chosen));
            }
            Command::Routes { answer } => reply(answer, Ok((self.settings.routes.clone(), self.tor.clone()))),
            Command::ChooseRoute { scope, route, answer } => {
                self.choose_route(scope, route);
                reply(answer, Ok(()));
            }
            Command::AnswerDialog { tab, answer, done } => {
                let shown = self.session.tabs.get(&tab).map(|tab| tab.dialog.clone());
                let answered = match shown {
                    Some(Some(dialog)) => {
                        let answer = DialogAnswer { dialog: dialog.number, ..answer };
                        self.apply(Event::AnswerDialog { tab, answer });
                        self.find_tab(tab)
                    }
                    Some(None) => Err(CommandError::Page(format!("tab {tab} shows no dialog"))),
                    None => Err(CommandError::NoSuchTab(tab)),
                };
                reply(done, answered);
            }
            Command::AllowInsecure { tab, answer } => {
                self.apply(Event::AllowInsecure(tab));
                reply(answer, self.find_tab(tab));
            }
            Command::AllowPrivate { tab, answer } => {
                self.apply(Event::AllowPrivate(tab));
                reply(answer, self.find_tab(tab));
            }
            Command::AllowDownloads { tab, allow, answer } => {
                let host = self.session.tabs.get(&tab).and_then(Tab::host);
                host.into_iter().for_each(|host| self.answer_downloads(&host, allow));
                reply(answer, self.find_tab(tab));
            }
            Command::HttpsOnly { answer } => reply(answer, Ok(self.settings.https_only.clone())),
            Command::ChooseHttpsOnly { site, on, answer } => {
                self.choose_https_only(site.as_ref(), on);
                reply(answer, Ok(()));
            }
            Command::Dns { answer } => reply(answer, Ok(self.settings.dns.clone())),
            Command::ChooseDns { settings, answer } => {
                self.choose_dns(settings);
                reply(answer, Ok(()));
            }
            Command::Vpn { answer } => reply(answer, Ok((self.settings.vpn.clone(), self.vpn_questions.clone()))),
            Command::ChangeVpn { change, answer } => {
                let changed = self.change_vpn(change);
                reply(answer, Ok(changed));
            }
            Command::RecordOrder { what, details, by, answer } => {
                self.audit.record("ordered", serde_json::json!({ "what": what, "details": details, "by": by }));
                reply(answer, Ok(()));
            }
            Command::Quit { answer } => {
                self.quitting = true;
                reply(answer, Ok(()));
            }
        }
    }

    fn find_tab(&self, tab: TabId) -> Result<TabInfo, CommandError> {
        self.session.tabs.get(&tab).map(|tab| self.tab_info(tab)).ok_or(CommandError::NoSuchTab(tab))
    }

    /// Puts a question to the page of a tab.
    pub(super) fn ask(&mut self, tab: TabId, kind: QueryKind, events: u32) -> Result<PageAnswer, CommandError> {
        let info = self.find_tab(tab)?;
        let no_page = || CommandError::NoPage(tab, describe(&info));
        let shown = self.session.tabs.get(&tab).filter(|tab| tab.view).ok_or_else(no_page)?;
        let child = shown.host().and_then(|host| self.child_of_host(&host)).ok_or_else(no_page)?;
        let needs_script = matches!(kind, QueryKind::Text | QueryKind::Saved | QueryKind::Objects);
        if let Some(dialog) = shown.dialog.as_ref().filter(|_| needs_script) {
            return Err(shows(tab, dialog));
        }
        self.next_request += 1;
        let request = self.next_request;
        let (answerer, waiting) = oneshot::channel();
        self.requests.insert(request, PageQuestion { child, tab, kind, answerer });
        let query = Query { request, kind: kind.into(), events };
        self.command_host(tab, host_command::Body::Query(query), Vec::new());
        Ok(waiting)
    }

    /// Answers for a page whose script waits for its user: it would not say anything until then.
    pub(super) fn page_waits(&mut self, tab: TabId) {
        let Some(dialog) = self.session.tabs.get(&tab).and_then(|tab| tab.dialog.clone()) else { return };
        let of_tab = |request: &mut PageQuestion| request.tab == tab && request.kind != QueryKind::Screenshot;
        for (number, request) in self.requests.extract_if(|_, request| of_tab(request)) {
            let has_arrived = request.kind == QueryKind::Settled;
            let error = if has_arrived { String::new() } else { shows(tab, &dialog).to_string() };
            // Whoever asked may have stopped waiting.
            let _ = request.answerer.send((Reply { request: number, error, ..Reply::default() }, Vec::new()));
        }
    }

    fn input(&mut self, tab: TabId, events: Vec<ToPage>) -> Result<PageAnswer, CommandError> {
        let info = self.find_tab(tab)?;
        // Whoever may speak on the control socket is the user.
        self.gesture(tab);
        // Only the page in front takes input.
        if self.session.active != Some(tab) {
            self.apply(Event::Activate(tab));
        }
        let count = events.iter().map(weight).sum();
        for event in events {
            if !self.command_host(tab, host_command::Body::Input(event), Vec::new()) {
                return Err(CommandError::NoPage(tab, describe(&info)));
            }
        }
        self.ask(tab, QueryKind::Settled, count)
    }
}

fn shows(tab: TabId, dialog: &Dialog) -> CommandError {
    let how = match dialog.kind {
        DialogKind::SignIn => format!("authenticate {tab} --user NAME"),
        DialogKind::Alert | DialogKind::Confirm | DialogKind::Prompt | DialogKind::Leave => {
            format!("dialog {tab} --accept|--dismiss")
        }
    };
    CommandError::Dialog(tab, dialog.to_string(), how)
}

/// How many things the page does for one message.
fn weight(event: &ToPage) -> u32 {
    match &event.body {
        Some(to_page::Body::TypeText(text)) => u32::try_from(text.text.chars().count() * 2).unwrap_or(u32::MAX),
        _ => 1,
    }
}

fn describe(info: &TabInfo) -> String {
    if info.reason.is_empty() { info.state.clone() } else { format!("{} ({})", info.state, info.reason) }
}

fn non_empty(pids: Vec<i32>, otherwise: impl FnOnce() -> String) -> Result<Vec<i32>, CommandError> {
    if pids.is_empty() { Err(CommandError::NoSuchProcess(otherwise())) } else { Ok(pids) }
}

impl KernelHandle {
    /// Puts a command to the kernel and waits for its answer.
    ///
    /// # Errors
    /// The command's own, or that the browser is ending.
    pub async fn call<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, CommandError> {
        let (answer, waiting) = oneshot::channel();
        self.inbox.send(Input::Command(command(answer))).await.map_err(|_| CommandError::Ending)?;
        waiting.await.map_err(|_| CommandError::Ending)?
    }

    /// Asks a page, and waits for what it says.
    ///
    /// # Errors
    /// When there is no page, or it does not answer.
    pub async fn ask(&self, tab: TabId, kind: QueryKind) -> Result<(Reply, Vec<OwnedFd>), CommandError> {
        let waiting = self.call(|answer| Command::Ask { tab, kind, answer }).await?;
        match tokio::time::timeout(ANSWER_TIMEOUT, waiting).await {
            Ok(Ok((reply, _))) if !reply.error.is_empty() => Err(CommandError::Page(reply.error)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CommandError::Page(format!("the page of tab {tab} ended before it answered"))),
            Err(_) => Err(CommandError::Page(format!(
                "the page of tab {tab} did not answer in {} s",
                ANSWER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// Waits until a tab has nothing more to do.
    ///
    /// # Errors
    /// When it is closed meanwhile, or the time is up.
    pub async fn settled(&self, tab: TabId, limit: Duration) -> Result<TabInfo, CommandError> {
        let mut changed = self.changed.clone();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            changed.borrow_and_update();
            let info = self.call(|answer| Command::Tab { tab, answer }).await?;
            if !matches!(info.state.as_str(), "loading" | "recovering") {
                return Ok(info);
            }
            if info.dialog.is_some() {
                // A page that waits for an answer loads no further. Asking it fails with the words for that.
                self.ask(tab, QueryKind::Text).await?;
            }
            match tokio::time::timeout_at(deadline, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(CommandError::Ending),
                Err(_) => {
                    let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                    return Err(CommandError::Timeout(tab, info.state, limit));
                }
            }
        }
    }
}
