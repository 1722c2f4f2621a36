//! Commands of the control API, and the handle by which they reach the event loop.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use regen_audit_log::Head;
use regen_net_config::site::Site;
use regen_proto::control::v1::{StatusReply, Tab as TabInfo};
use regen_session::{DialogAnswer, Event, HostKey, HttpsOnly, TabId};
use regen_store::{Saved, Store};
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use super::questions::{Input, PageAnswer, PageQuery, PageReply};
use regen_proto::permissions::v1::KeptPermission;

use crate::answer::{Answer, CommandError};
use crate::codec::permissions::Change;
use crate::health::HealthQuery;
use crate::site_data::Removed;
use crate::site_report::SiteQuery;
use crate::window::commands::SessionAnswer;
use crate::window::downloads::{DownloadView, Order};
use crate::workspaces::{self, WorkspaceView};
use crate::{kept, network};

/// Time within which a page must answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Processes that a signal goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalTarget {
    /// Every process of the role of this name.
    Role(String),
    /// The process that shows a tab.
    Tab(TabId),
    /// A process of this browser, by its id.
    Process(i32),
}

/// Command of the control API. Each carries the way to answer it.
#[derive(Debug)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Command {
    Status {
        answer: Answer<(StatusReply, HealthQuery)>,
    },
    /// Open a new tab. `raise`: the window is to be seen, too.
    Open {
        url: String,
        workspace: String,
        background: bool,
        raise: bool,
        answer: Answer<TabId>,
    },
    /// Take a tab to an address that the user gave.
    Goto {
        tab: TabId,
        url: String,
        answer: Answer<TabInfo>,
    },
    /// Change a tab, and answer with it as it is then; one that is closed by that, as it was before.
    Tab {
        tab: TabId,
        event: Option<Event>,
        answer: Answer<TabInfo>,
    },
    AnswerDialog {
        tab: TabId,
        reply: DialogAnswer,
        answer: Answer<TabInfo>,
    },
    AllowDownloads {
        tab: TabId,
        allow: bool,
        answer: Answer<TabInfo>,
    },
    /// List the kept permissions, after this change.
    Permissions {
        change: Option<Change>,
        answer: Answer<Vec<KeptPermission>>,
    },
    /// List the workspaces, after this order was carried out. They are given by name or identifier.
    Workspaces {
        order: Option<workspaces::Order>,
        answer: Answer<(Vec<WorkspaceView>, workspaces::Done)>,
    },
    /// List the downloads, after this order was carried out.
    Downloads {
        order: Option<Order>,
        answer: Answer<Vec<DownloadView>>,
    },
    /// Put a question to the page of a tab.
    Ask {
        tab: TabId,
        kind: PageQuery,
        answer: Answer<PageAnswer>,
    },
    Input {
        tab: TabId,
        events: Vec<Input>,
        answer: Answer<PageAnswer>,
    },
    /// Have every page report a snapshot.
    Snapshots {
        answer: Answer<Vec<PageAnswer>>,
    },
    Signal {
        target: SignalTarget,
        signal: Signal,
        answer: Answer<Vec<i32>>,
    },
    /// Hand everything that is not saved to the store.
    Save {
        answer: Answer<Store>,
    },
    AnswerSession {
        reply: SessionAnswer,
        answer: Answer<usize>,
    },
    /// Earlier sessions, and whether the last one comes back by itself.
    Sessions {
        answer: Answer<(Vec<Arc<Saved>>, bool)>,
    },
    /// Find out about a site.
    Site {
        host: HostKey,
        answer: Answer<SiteQuery>,
    },
    /// Clear the data of a site. The receiver is told once nothing of it is left.
    ClearSite {
        host: HostKey,
        answer: Answer<Removed>,
    },
    /// Run a command of the browser in the window.
    Run {
        name: String,
        answer: Answer<()>,
    },
    Network(network::Command),
    Kept(kept::Command),
    HttpsOnly {
        answer: Answer<HttpsOnly>,
    },
    SetHttpsOnly {
        site: Option<Site>,
        on: Option<bool>,
        answer: Answer<()>,
    },
    AuditHead {
        answer: Answer<oneshot::Receiver<Head>>,
    },
    /// Record an order over the control API, with the process that gave it. It is carried out once it is recorded.
    RecordOrder {
        what: &'static str,
        details: serde_json::Value,
        by: serde_json::Value,
        answer: Answer<oneshot::Receiver<Head>>,
    },
    Quit {
        answer: Answer<()>,
    },
}

/// The way to talk to a running broker.
#[derive(Debug, Clone)]
pub struct BrokerHandle {
    commands: mpsc::Sender<Command>,
    changed: watch::Receiver<u64>,
}

impl BrokerHandle {
    /// Returns a handle. `changed` changes with every change of the session or of a child's state.
    #[must_use]
    pub fn new(commands: mpsc::Sender<Command>, changed: watch::Receiver<u64>) -> Self {
        Self { commands, changed }
    }

    /// Gives a command, and waits for its answer.
    ///
    /// # Errors
    /// The command's own, or that the browser is ending.
    pub async fn call<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, CommandError> {
        let (answer, waiting) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| CommandError::Ending)?;
        waiting.await.map_err(|_| CommandError::Ending)?
    }

    /// Asks a page, and waits for its answer.
    ///
    /// # Errors
    /// When there is no page, or it does not answer.
    pub async fn ask(&self, tab: TabId, kind: PageQuery) -> Result<(PageReply, Vec<OwnedFd>), CommandError> {
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

    /// Waits until a tab neither loads nor recovers.
    ///
    /// # Errors
    /// When it is closed meanwhile, or the time is up.
    pub async fn settled(&self, tab: TabId, limit: Duration) -> Result<TabInfo, CommandError> {
        let mut changed = self.changed.clone();
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            changed.borrow_and_update();
            let info = self.call(|answer| Command::Tab { tab, event: None, answer }).await?;
            if !matches!(info.state.as_str(), "loading" | "recovering") {
                return Ok(info);
            }
            if info.dialog.is_some() {
                // A page that waits for an answer loads no further. Asking it fails with the words for that.
                self.ask(tab, PageQuery::Text).await?;
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

    /// Ends the browser, cleanly.
    pub async fn quit(&self) {
        // A browser that has ended already is what was wanted.
        let _ = self.call(|answer| Command::Quit { answer }).await;
    }
}
