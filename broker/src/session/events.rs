//! Events of the session, and the effects that follow from them.

use regen_net_config::site::Site;
use regen_proto::kernel::v1::{DialogAnswer, FileChooser, FindResult, host_command, page_event};

use super::ids::{HostKey, TabId};
use super::networks::Side;
use super::saved::{SavedSnapshot, SavedTab};
use super::tab::PageLoad;

/// What can happen.
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
    /// The user does not want to wait for its script.
    StopScript(TabId),
    AnswerDialog {
        tab: TabId,
        answer: DialogAnswer,
    },
    /// The user agrees to see what this tab says is not encrypted.
    AllowInsecure(TabId),
    /// The user wants to see what this tab says is in the private network.
    AllowPrivate(TabId),
    /// A site was found, by the net-daemon or in what is known of its storage.
    SiteFound {
        host: HostKey,
        side: Side,
    },
    /// The user insists on encryption, of a site or everywhere, or no longer. `on: None`: as everywhere, or as at first.
    HttpsOnly {
        site: Option<Site>,
        on: Option<bool>,
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
    /// Tabs of an earlier session, in their order, and which of them was in front.
    Restore {
        tabs: Vec<SavedTab>,
        active: TabId,
    },
    /// A site that nobody looks at lets its process go, until somebody does.
    Sleep(HostKey),
    HostUp(HostKey),
    /// A host begins to save files, or has saved the last of them.
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
        event: page_event::Body,
    },
    Snapshot {
        host: HostKey,
        tab: TabId,
        snapshot: SavedSnapshot,
    },
}

/// What must happen outside.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each name says it")]
#[expect(clippy::large_enum_variant, reason = "a step has a handful of effects, and they live as long as the step")]
pub enum Effect {
    /// A host is wanted from now on, or again after its death. The supervisor decides when it starts.
    WantHost(HostKey),
    /// A host is not wanted any more. The supervisor ends it.
    UnwantHost(HostKey),
    /// It may be in the private network from now on: what it was granted does not allow that.
    GrantAnew(HostKey),
    /// It did what no host may.
    KillHost {
        host: HostKey,
        reason: String,
    },
    /// The user wants it to end.
    EndHost {
        host: HostKey,
        reason: String,
    },
    Send {
        host: HostKey,
        tab: TabId,
        command: host_command::Body,
        snapshot: Option<SavedSnapshot>,
    },
    Save(TabId),
    Forget(TabId),
    SaveOrder,
    TabChanged(TabId),
    TabClosed(TabId),
    OrderChanged,
    /// The page that the tab showed is not there, or not in front, any more.
    LeftPage(TabId),
    FaviconChanged(TabId),
    /// The page of this tab waits for an answer: until then it answers nothing.
    PageWaits(TabId),
    /// The page wants something that only the window can give, or tells it something.
    AskWindow {
        host: HostKey,
        tab: TabId,
        request: PageRequest,
    },
}

/// Request of a page to the window.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each name says it")]
pub enum PageRequest {
    FileChooser(FileChooser),
    FindResult(FindResult),
    /// An address for another program.
    Outside(String),
}
