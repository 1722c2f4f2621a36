//! Methods of `regen.control.v1.Browser`, each one or two requests to the broker.

use std::pin::Pin;
use std::time::Duration;

use regen_places::BookmarkError;
use regen_proto::control::v1::browser_server::Browser;
use regen_proto::control::v1::{
    AllowDownloadsRequest, AuditReply, AuditRequest, DialogAnswer, DialogRequest, DnsQueryRequest, DnsReply,
    DnsRequest, GotoTabRequest, HistoryRequest, HttpsOnlyReply, HttpsOnlyRequest, InputReply, InputRequest, KillReply,
    KillRequest, LogLine, LogsRequest, OpenTabRequest, Process, QuitReply, QuitRequest, RoutesReply, RoutesRequest,
    RunCommandReply, RunCommandRequest, ScreenshotReply, SessionReply, SessionRequest, ShieldsReply, ShieldsRequest,
    SiteRequest, StatusReply, StatusRequest, TabReply, TabRequest, TextReply, VpnReply, VpnRequest, WaitTabRequest,
    kill_request, vpn_request,
};
use regen_proto::downloads::v1::{DownloadsReply, DownloadsRequest};
use regen_proto::net::v1::{
    CheckRequest, DnsAnswer, ListsReply, ListsRequest, NewIdentityReply, NewIdentityRequest, OwnRules, OwnRulesRequest,
    ShieldsLog, ShieldsLogRequest, SiteReport, Verdict,
};
use regen_proto::permissions::v1::{PermissionsReply, PermissionsRequest};
use regen_proto::places::v1::{BookmarksReply, BookmarksRequest, VisitAction, VisitsReply, VisitsRequest};
use regen_proto::settings::v1::settings_request::Action;
use regen_proto::settings::v1::{SettingChange, SettingsReply, SettingsRequest};
use regen_proto::workspaces::v1::{WorkspacesReply, WorkspacesRequest};
use regen_session::workspaces::WorkspaceError;
use regen_session::{DialogAnswer as Answer, Event};
use regen_settings::SettingError;
use rustix::process::Signal;
use serde_json::Value;
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use tonic::{Request, Response, Status};

use super::peer::Peer;
use super::questions::{Input, PageQuery};
use super::{BrokerHandle, Command, SignalTarget};
use crate::answer::CommandError;
use crate::children::{proportional_kb, resident_kb};
use crate::codec;
use crate::observe::logs::Logs;

const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// Maximum time that a page gets to take its input or to save its state.
const SETTLED: Duration = Duration::from_secs(3);
/// Maximum size of a screenshot, in bytes; a 16384 × 16384 page would be a gigabyte.
const MAX_PIXELS: u64 = 200 << 20;

/// Service of the control API.
#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) broker: BrokerHandle,
    logs: Logs,
}

impl Control {
    pub(super) fn new(broker: BrokerHandle, logs: Logs) -> Self {
        Self { broker, logs }
    }

    /// Requests a snapshot of every page, and waits until the store has them on disk.
    pub(super) async fn save(&self) -> Result<(), Status> {
        let pages = self.broker.call(|answer| Command::Snapshots { answer }).await.map_err(status)?;
        for page in pages {
            // For a page that hangs or dies, its last snapshot is kept.
            let _ = tokio::time::timeout(SETTLED, page).await;
        }
        self.flush().await
    }

    /// Waits until everything that the broker knows is on disk.
    pub(super) async fn flush(&self) -> Result<(), Status> {
        let store = self.broker.call(|answer| Command::Save { answer }).await.map_err(status)?;
        let flushed = tokio::task::spawn_blocking(move || store.flush(false)).await;
        flushed.map_err(|error| Status::internal(error.to_string()))?.map_err(Status::resource_exhausted)
    }

    /// Records in the audit log who ordered this, before it is done.
    async fn record_order<T>(&self, request: &Request<T>, what: &'static str, details: Value) {
        let by = serde_json::json!(request.extensions().get::<Peer>());
        // If the browser is ending, the order is not carried out either.
        if let Ok(recorded) = self.broker.call(|answer| Command::RecordOrder { what, details, by, answer }).await {
            let _ = recorded.await;
        }
    }

    async fn tab(&self, tab: u64, wait: bool, timeout_ms: u32) -> Result<Response<TabReply>, Status> {
        let info = if wait {
            self.broker.settled(tab, limit(timeout_ms)).await.map_err(status)?
        } else {
            self.broker.call(|answer| Command::Tab { tab, event: None, answer }).await.map_err(status)?
        };
        Ok(Response::new(TabReply { tab: Some(info) }))
    }
}

fn limit(timeout_ms: u32) -> Duration {
    if timeout_ms == 0 { DEFAULT_WAIT } else { Duration::from_millis(timeout_ms.into()) }
}

/// Reads the resident memory of a process and its helpers, and with `proportional` also their proportional set size,
/// which takes milliseconds per process.
fn measure(process: &mut Process, proportional: bool) {
    let pids: Vec<i32> = process.helpers.iter().map(|helper| helper.pid).chain([process.pid]).collect();
    process.rss_kb = pids.iter().copied().map(resident_kb).sum();
    if proportional {
        process.pss_kb = pids.into_iter().map(proportional_kb).sum();
    }
}

pub(super) fn status(error: CommandError) -> Status {
    let text = error.to_string();
    match error {
        CommandError::NoSuchTab(_) | CommandError::NoSuchProcess(_) => Status::not_found(text),
        CommandError::NoPage(..) | CommandError::Page(_) | CommandError::Dialog(..) => {
            Status::failed_precondition(text)
        }
        CommandError::Workspace(WorkspaceError::Unknown(_)) => Status::not_found(text),
        CommandError::Workspace(_) => Status::failed_precondition(text),
        CommandError::Bookmark(BookmarkError::Unknown(_)) => Status::not_found(text),
        CommandError::Bookmark(_) => Status::failed_precondition(text),
        CommandError::Setting(SettingError::Unknown(_)) => Status::not_found(text),
        CommandError::Setting(_) | CommandError::NoWindow | CommandError::Storage(..) | CommandError::Download => {
            Status::failed_precondition(text)
        }
        CommandError::Timeout(..) => Status::deadline_exceeded(text),
        CommandError::Ending => Status::unavailable(text),
    }
}

#[tonic::async_trait]
impl Browser for Control {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        let memory = request.into_inner().memory;
        let (mut reply, health) = self.broker.call(|answer| Command::Status { answer }).await.map_err(status)?;
        reply.health = codec::health::lines(health.gather(memory).await);
        let measured = tokio::task::spawn_blocking(move || {
            reply.processes.iter_mut().for_each(|process| measure(process, memory));
            reply
        });
        let reply = measured.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(reply))
    }

    async fn open_tab(&self, request: Request<OpenTabRequest>) -> Result<Response<TabReply>, Status> {
        let OpenTabRequest { url, wait, timeout_ms, workspace, background, raise } = request.into_inner();
        let open = |answer| Command::Open { url, workspace, background, raise, answer };
        let tab = self.broker.call(open).await.map_err(status)?;
        self.tab(tab, wait, timeout_ms).await
    }

    async fn goto_tab(&self, request: Request<GotoTabRequest>) -> Result<Response<TabReply>, Status> {
        let GotoTabRequest { tab, url, wait, timeout_ms } = request.into_inner();
        self.broker.call(|answer| Command::Goto { tab, url, answer }).await.map_err(status)?;
        self.tab(tab, wait, timeout_ms).await
    }

    async fn activate_tab(&self, request: Request<TabRequest>) -> Result<Response<TabReply>, Status> {
        let tab = request.into_inner().tab;
        let info = self
            .broker
            .call(|answer| Command::Tab { tab, event: Some(Event::Activate(tab)), answer })
            .await
            .map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn stop_script(&self, request: Request<TabRequest>) -> Result<Response<TabReply>, Status> {
        let tab = request.into_inner().tab;
        let info = self
            .broker
            .call(|answer| Command::Tab { tab, event: Some(Event::StopScript(tab)), answer })
            .await
            .map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn allow_insecure(&self, request: Request<TabRequest>) -> Result<Response<TabReply>, Status> {
        let tab = request.into_inner().tab;
        let info = self
            .broker
            .call(|answer| Command::Tab { tab, event: Some(Event::AllowInsecure(tab)), answer })
            .await
            .map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn allow_private(&self, request: Request<TabRequest>) -> Result<Response<TabReply>, Status> {
        let tab = request.into_inner().tab;
        let info = self
            .broker
            .call(|answer| Command::Tab { tab, event: Some(Event::AllowPrivate(tab)), answer })
            .await
            .map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn allow_downloads(&self, request: Request<AllowDownloadsRequest>) -> Result<Response<TabReply>, Status> {
        let AllowDownloadsRequest { tab, refuse } = request.into_inner();
        let allow = |answer| Command::AllowDownloads { tab, allow: !refuse, answer };
        let info = self.broker.call(allow).await.map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn permissions(&self, request: Request<PermissionsRequest>) -> Result<Response<PermissionsReply>, Status> {
        Ok(Response::new(self.permissions_now(request.into_inner()).await?))
    }

    async fn workspaces(&self, request: Request<WorkspacesRequest>) -> Result<Response<WorkspacesReply>, Status> {
        Ok(Response::new(self.workspaces_now(request.into_inner()).await?))
    }

    async fn downloads(&self, request: Request<DownloadsRequest>) -> Result<Response<DownloadsReply>, Status> {
        if let Some(order) = &request.get_ref().order {
            let details = serde_json::json!({ "action": order.action().as_str_name(), "download": order.download });
            self.record_order(&request, "download", details).await;
        }
        Ok(Response::new(self.downloads_now(request.into_inner()).await?))
    }

    async fn close_tab(&self, request: Request<TabRequest>) -> Result<Response<TabReply>, Status> {
        let tab = request.into_inner().tab;
        let info = self
            .broker
            .call(|answer| Command::Tab { tab, event: Some(Event::Close { tab, ask: false }), answer })
            .await
            .map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn dialog(&self, request: Request<DialogRequest>) -> Result<Response<TabReply>, Status> {
        let DialogRequest { tab, answer } = request.into_inner();
        let Some(answer) = answer else { return self.tab(tab, false, 0).await };
        let DialogAnswer { accept, text, password, stop } = answer;
        let answer = Answer { number: 0, accept, text, password, stop };
        let info =
            self.broker.call(|to| Command::AnswerDialog { tab, reply: answer, answer: to }).await.map_err(status)?;
        Ok(Response::new(TabReply { tab: Some(info) }))
    }

    async fn wait_tab(&self, request: Request<WaitTabRequest>) -> Result<Response<TabReply>, Status> {
        let WaitTabRequest { tab, timeout_ms } = request.into_inner();
        self.tab(tab, true, timeout_ms).await
    }

    async fn tab_text(&self, request: Request<TabRequest>) -> Result<Response<TextReply>, Status> {
        let tab = request.into_inner().tab;
        let (reply, payload) = self.broker.ask(tab, PageQuery::Text).await.map_err(status)?;
        let text = match payload.first() {
            Some(payload) => {
                let bytes = regen_runtime::read_sealed(payload, reply.payload_size, 64 << 20)
                    .map_err(|error| Status::internal(format!("cannot read the page's answer: {error}")))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            None => reply.text,
        };
        Ok(Response::new(TextReply { text }))
    }

    async fn screenshot(&self, request: Request<TabRequest>) -> Result<Response<ScreenshotReply>, Status> {
        let tab = request.into_inner().tab;
        let (reply, payload) = self.broker.ask(tab, PageQuery::Screenshot).await.map_err(status)?;
        let payload = payload.first().ok_or_else(|| Status::internal("the page sent no screenshot"))?;
        let bgra = regen_runtime::read_sealed(payload, reply.payload_size, MAX_PIXELS)
            .map_err(|error| Status::internal(format!("cannot read the page's screenshot: {error}")))?;
        if bgra.len() as u64 != u64::from(reply.width) * u64::from(reply.height) * 4 {
            return Err(Status::internal("the page's screenshot does not have the size that it claims"));
        }
        Ok(Response::new(ScreenshotReply { width: reply.width, height: reply.height, bgra }))
    }

    async fn input(&self, request: Request<InputRequest>) -> Result<Response<InputReply>, Status> {
        let InputRequest { tab, events } = request.into_inner();
        let events: Vec<Input> = events.into_iter().map(Input::new).collect();
        let again = events.clone();
        let settled = match self.broker.call(|answer| Command::Input { tab, events, answer }).await {
            // The page may still be starting.
            Err(CommandError::NoPage(..)) => {
                self.broker.settled(tab, DEFAULT_WAIT).await.map_err(status)?;
                let events = again;
                self.broker.call(|answer| Command::Input { tab, events, answer }).await
            }
            other => other,
        }
        .map_err(status)?;
        // A page that navigates away, closes or hangs has still received its input.
        let _ = tokio::time::timeout(SETTLED, settled).await;
        Ok(Response::new(InputReply {}))
    }

    async fn shields(&self, request: Request<ShieldsRequest>) -> Result<Response<ShieldsReply>, Status> {
        Ok(Response::new(self.shields_now(request.into_inner()).await?))
    }

    async fn shields_log(&self, request: Request<ShieldsLogRequest>) -> Result<Response<ShieldsLog>, Status> {
        Ok(Response::new(self.blocked(request.into_inner()).await?))
    }

    async fn shields_rules(&self, request: Request<OwnRulesRequest>) -> Result<Response<OwnRules>, Status> {
        Ok(Response::new(self.own_rules(request.into_inner()).await?))
    }

    async fn shields_lists(&self, request: Request<ListsRequest>) -> Result<Response<ListsReply>, Status> {
        Ok(Response::new(self.own_lists(request.into_inner()).await?))
    }

    async fn shields_test(&self, request: Request<CheckRequest>) -> Result<Response<Verdict>, Status> {
        Ok(Response::new(self.would_block(request.into_inner()).await?))
    }

    async fn routes(&self, request: Request<RoutesRequest>) -> Result<Response<RoutesReply>, Status> {
        if let RoutesRequest { route, site, workspace } = request.get_ref()
            && !route.is_empty()
        {
            let details = serde_json::json!({ "route": route, "site": site, "workspace": workspace });
            self.record_order(&request, "route", details).await;
        }
        Ok(Response::new(self.routes_now(request.into_inner()).await?))
    }

    async fn tor_new_identity(&self, _: Request<NewIdentityRequest>) -> Result<Response<NewIdentityReply>, Status> {
        Ok(Response::new(self.new_identity().await?))
    }

    async fn https_only(&self, request: Request<HttpsOnlyRequest>) -> Result<Response<HttpsOnlyReply>, Status> {
        Ok(Response::new(self.https_only_now(request.into_inner()).await?))
    }

    async fn dns(&self, request: Request<DnsRequest>) -> Result<Response<DnsReply>, Status> {
        if let DnsRequest { servers, dnssec } = request.get_ref()
            && (!servers.is_empty() || dnssec.is_some())
        {
            let details = serde_json::json!({ "servers": servers, "dnssec": dnssec });
            self.record_order(&request, "dns", details).await;
        }
        Ok(Response::new(self.dns_now(request.into_inner()).await?))
    }

    async fn dns_query(&self, request: Request<DnsQueryRequest>) -> Result<Response<DnsAnswer>, Status> {
        Ok(Response::new(self.look_up(request.into_inner()).await?))
    }

    async fn vpn(&self, request: Request<VpnRequest>) -> Result<Response<VpnReply>, Status> {
        // Without secrets, like the audit entry of the change itself.
        let change = match &request.get_ref().change {
            Some(vpn_request::Change::Import(import)) => Some(("import", import.name.clone())),
            Some(vpn_request::Change::Remove(name)) => Some(("remove", name.clone())),
            Some(vpn_request::Change::Up(up)) => Some(("up", up.name.clone())),
            Some(vpn_request::Change::Down(name)) => Some(("down", name.clone())),
            None => None,
        };
        if let Some((change, name)) = change {
            let details = serde_json::json!({ "change": change, "profile": name });
            self.record_order(&request, "vpn", details).await;
        }
        Ok(Response::new(self.vpn_now(request.into_inner()).await?))
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<TabReply>, Status> {
        let HistoryRequest { tab, delta, reload } = request.into_inner();
        let event = if reload { Event::Reload { tab, bypass_cache: false } } else { Event::History { tab, delta } };
        self.broker.call(|answer| Command::Tab { tab, event: Some(event), answer }).await.map_err(status)?;
        self.tab(tab, false, 0).await
    }

    async fn kill(&self, request: Request<KillRequest>) -> Result<Response<KillReply>, Status> {
        let target = match &request.get_ref().target {
            Some(kill_request::Target::Role(role)) => role.clone(),
            Some(kill_request::Target::Tab(tab)) => format!("tab {tab}"),
            Some(kill_request::Target::Pid(pid)) => format!("process {pid}"),
            None => String::new(),
        };
        let details = serde_json::json!({ "target": target, "signal": request.get_ref().signal });
        self.record_order(&request, "kill", details).await;
        let KillRequest { target, signal } = request.into_inner();
        let signal = Signal::from_named_raw(signal)
            .ok_or_else(|| Status::invalid_argument(format!("there is no signal {signal}")))?;
        let target = match target {
            Some(kill_request::Target::Role(role)) => SignalTarget::Role(role),
            Some(kill_request::Target::Tab(tab)) => SignalTarget::Tab(tab),
            Some(kill_request::Target::Pid(pid)) => SignalTarget::Process(pid),
            None => return Err(Status::invalid_argument("name a role, a tab or a process")),
        };
        let pids = self.broker.call(|answer| Command::Signal { target, signal, answer }).await.map_err(status)?;
        Ok(Response::new(KillReply { pids }))
    }

    async fn session(&self, request: Request<SessionRequest>) -> Result<Response<SessionReply>, Status> {
        Ok(Response::new(self.sessions_now(request.into_inner()).await?))
    }

    async fn visits(&self, request: Request<VisitsRequest>) -> Result<Response<VisitsReply>, Status> {
        if request.get_ref().action() == VisitAction::Delete {
            // Not which, so that nothing of them is left.
            self.record_order(&request, "delete history", Value::Null).await;
        }
        Ok(Response::new(self.visits_now(request.into_inner()).await?))
    }

    async fn bookmarks(&self, request: Request<BookmarksRequest>) -> Result<Response<BookmarksReply>, Status> {
        Ok(Response::new(self.bookmarks_now(request.into_inner()).await?))
    }

    async fn settings(&self, request: Request<SettingsRequest>) -> Result<Response<SettingsReply>, Status> {
        match &request.get_ref().action {
            Some(Action::Set(SettingChange { name, values })) => {
                let details = serde_json::json!({ "name": name, "values": values });
                self.record_order(&request, "setting", details).await;
            }
            Some(Action::Reset(name)) => {
                self.record_order(&request, "setting", serde_json::json!({ "name": name, "reset": true })).await;
            }
            Some(Action::List(_)) | None => {}
        }
        Ok(Response::new(self.settings_now(request.into_inner()).await?))
    }

    async fn site(&self, request: Request<SiteRequest>) -> Result<Response<SiteReport>, Status> {
        if request.get_ref().clear {
            // The site itself would be a trace of what was cleared.
            self.record_order(&request, "clear site", Value::Null).await;
        }
        Ok(Response::new(self.site_now(request.into_inner()).await?))
    }

    async fn run_command(&self, request: Request<RunCommandRequest>) -> Result<Response<RunCommandReply>, Status> {
        let name = request.get_ref().name.clone();
        self.record_order(&request, "command", serde_json::json!({ "name": name })).await;
        self.run_now(name).await?;
        Ok(Response::new(RunCommandReply {}))
    }

    type LogsStream = Pin<Box<dyn Stream<Item = Result<LogLine, Status>> + Send>>;

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let LogsRequest { follow, lines } = request.into_inner();
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        let live = self.logs.follow();
        let recent = tokio_stream::iter(self.logs.recent(lines)).map(|line| Ok(LogLine { line }));
        if !follow {
            return Ok(Response::new(Box::pin(recent)));
        }
        let live = BroadcastStream::new(live).map(|line| {
            let line = line.unwrap_or_else(|_| "(some lines were dropped: this reader is too slow)".to_owned());
            Ok(LogLine { line })
        });
        Ok(Response::new(Box::pin(recent.chain(live))))
    }

    async fn audit(&self, _request: Request<AuditRequest>) -> Result<Response<AuditReply>, Status> {
        let recorded = self.broker.call(|answer| Command::AuditHead { answer }).await.map_err(status)?;
        let head = recorded.await.map_err(|_| Status::unavailable("the audit log is no longer written"))?;
        Ok(Response::new(AuditReply { length: head.length, hash: head.hash }))
    }

    async fn quit(&self, request: Request<QuitRequest>) -> Result<Response<QuitReply>, Status> {
        self.record_order(&request, "quit", Value::Null).await;
        self.broker.call(|answer| Command::Quit { answer }).await.map_err(status)?;
        Ok(Response::new(QuitReply {}))
    }
}
