//! Events of the session and the effects that follow.

use regen_net_config::site::Site;

use super::dialog::DialogAnswer;
use super::host_command::HostCommand;
use super::ids::{HostKey, TabId};
use super::networks::Side;
use super::page_event::PageEvent;
use super::saved::{SavedSnapshot, SavedTab};
use super::tab::PageLoad;

/// Event that the session handles.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Event {
    Open {
        load: Option<PageLoad>,
        workspace: String,
        background: bool,
        opener: Option<TabId>,
    },
    Close {
        tab: TabId,
        ask: bool,
    },
    StillUsed(TabId),
    Activate(TabId),
    Move {
        tab: TabId,
        index: usize,
    },
    ReopenClosed,
    Duplicate(TabId),
    /// The user turns to a workspace.
    ShowWorkspace(String),
    /// The user opens a tab's pages in another workspace instead.
    MoveToWorkspace {
        tab: TabId,
        workspace: String,
    },
    /// The user deletes a workspace with its tabs.
    DeleteWorkspace(String),
    Navigate {
        tab: TabId,
        load: PageLoad,
    },
    History {
        tab: TabId,
        delta: i32,
    },
    Reload {
        tab: TabId,
        bypass_cache: bool,
    },
    Stop(TabId),
    /// The user stops the page's script.
    StopScript(TabId),
    AnswerDialog {
        tab: TabId,
        answer: DialogAnswer,
    },
    /// The user agrees to open this tab's address without encryption.
    AllowInsecure(TabId),
    /// The user agrees to open this tab's address in the private network.
    AllowPrivate(TabId),
    /// The network of a site is known, from the net-daemon or from a note in its storage.
    SiteFound {
        host: HostKey,
        side: Side,
    },
    /// The user changes HTTPS only for a site or for all. `on: None` returns to the default.
    HttpsOnly {
        site: Option<Site>,
        on: Option<bool>,
    },
    /// Zooms by so many steps; negative ones make the page smaller.
    ZoomBy {
        tab: TabId,
        steps: i32,
    },
    Zoom {
        tab: TabId,
        zoom: f64,
    },
    Mute {
        tab: TabId,
        muted: bool,
    },
    Pin {
        tab: TabId,
        pinned: bool,
    },
    /// Tabs of an earlier session in their order, and the one that was in front.
    Restore {
        tabs: Vec<SavedTab>,
        active: TabId,
    },
    /// A site without shown tabs releases its process until a tab is activated.
    Sleep(HostKey),
    /// The user clears the data of a site.
    ClearSite(HostKey),
    HostUp(HostKey),
    /// A host begins to save files, or has saved the last one.
    Saving {
        host: HostKey,
        is_saving: bool,
    },
    HostDied {
        host: HostKey,
        reason: String,
        given_up: bool,
    },
    Page {
        host: HostKey,
        tab: TabId,
        event: PageEvent,
    },
    Snapshot {
        host: HostKey,
        tab: TabId,
        snapshot: SavedSnapshot,
    },
}

/// Action that the caller of the reducer carries out.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each name says it")]
#[expect(clippy::large_enum_variant, reason = "a step has a handful of effects, and they live as long as the step")]
pub enum Effect {
    /// A host is wanted from now on, or again after its death. The supervisor decides when it starts.
    WantHost(HostKey),
    /// The zoom of a site has changed, and is to be saved.
    ZoomsChanged,
    /// HSTS hosts were forgotten, which is to be saved.
    HstsChanged,
    /// Workspaces have changed, and are to be saved and shown.
    WorkspacesChanged,
    /// A workspace is gone: nothing of it may stay.
    WorkspaceEnded(String),
    /// A host is no longer wanted. The supervisor ends it.
    UnwantHost(HostKey),
    /// The host may be in the private network from now on; its grants must be renewed to allow that.
    GrantAnew(HostKey),
    /// The host violated a rule.
    KillHost {
        host: HostKey,
        reason: String,
    },
    /// The user ends the host.
    EndHost {
        host: HostKey,
        reason: String,
    },
    Send {
        host: HostKey,
        tab: TabId,
        command: HostCommand,
    },
    Save(TabId),
    Forget(TabId),
    SaveOrder,
    TabChanged(TabId),
    TabClosed(TabId),
    OrderChanged,
    /// The tab shows another page than before, which belongs in the history.
    Visited {
        tab: TabId,
        /// The user entered or chose the address.
        typed: bool,
        /// The page changed its own address, without a load.
        same_document: bool,
    },
    /// The title of the tab's page has changed.
    Titled(TabId),
    /// The user's last click in the tab has done its part: it opened a tab.
    GestureUsed(TabId),
    /// The tab's page is gone or no longer in front.
    LeftPage(TabId),
    FaviconChanged(TabId),
    /// The page waits for a dialog's answer and answers nothing until then.
    PageWaits(TabId),
}
