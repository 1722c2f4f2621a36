//! Reports of hosts on their pages: what of a host's word counts, and whom it concerns. The sender and the tab are checked before
//! any look at a payload.

use std::os::fd::OwnedFd;
use std::time::Instant;

use regen_net_config::route::Hop;
use regen_proto::role::Role;
use regen_session::{Event, HostKey, Load, PageEvent, SavedSnapshot, Session, TabId};
use regen_supervisor::Supervisor;

use crate::children::{self, Children, Violation, announced};
use crate::codec::child::SnapshotData;
use crate::codec::page::PageReport;
use crate::lookup::Lookup;
use crate::message::ChildId;
use crate::network::Network;
use crate::page_events::{PageFacts, Treatment, attest, reads_form};
use crate::permissions::{self, PermissionRequest, Permissions, RequestContext};
use crate::persistence::Persistence;
use crate::window::downloads::HostDownload;
use crate::window::events::News;
use crate::window::file_choosers::ChooserSource;
use crate::window::{self, ChooserContext, Window};

/// Report of a host.
#[derive(Debug)]
pub(crate) enum HostReport {
    /// On the page of a tab.
    Page { tab: TabId, report: PageReport },
    /// State of a tab's page.
    Snapshot { tab: TabId, snapshot: SnapshotData },
    /// Session cookies; their size in bytes, and 0 if there are none.
    Cookies { size: u64 },
}

/// Consequence of a report.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Change the session.
    Session(Event),
    /// Carry out what the window component wants.
    Window(Vec<window::Action>),
    /// Carry out what the permissions want.
    Permissions(Vec<permissions::Action>),
    /// Take an event about the child.
    Child(children::Event),
    /// End the child.
    Violation(Violation),
}

/// The components that say what of a report counts.
#[derive(Debug)]
pub(crate) struct HostReports<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) supervisor: &'a Supervisor,
    pub(crate) children: &'a mut Children,
    pub(crate) network: &'a Network,
    pub(crate) window: &'a mut Window,
    pub(crate) persistence: &'a mut Persistence,
    pub(crate) permissions: &'a mut Permissions,
}

impl HostReports<'_> {
    /// Takes a report. A child without a site has nothing to report.
    pub(crate) fn take(
        &mut self,
        id: ChildId,
        report: HostReport,
        descriptors: Vec<OwnedFd>,
        now: Instant,
    ) -> Vec<Outcome> {
        let Some(host) = self.children.host(id).cloned() else { return Vec::new() };
        match report {
            HostReport::Page { tab, report } => self.page(id, host, tab, report, descriptors, now),
            HostReport::Snapshot { tab, snapshot } => {
                self.snapshot(id, host, tab, snapshot, descriptors).into_iter().collect()
            }
            HostReport::Cookies { size } => self.cookies(id, host, size, descriptors).into_iter().collect(),
        }
    }

    fn page(
        &mut self,
        id: ChildId,
        host: HostKey,
        tab: TabId,
        report: PageReport,
        descriptors: Vec<OwnedFd>,
        now: Instant,
    ) -> Vec<Outcome> {
        let facts = self.facts(&host, tab, now);
        let actions = match report {
            PageReport::Session(event) => return self.event(host, tab, event, now),
            PageReport::HandoverWithForm { load, content_type, size } => {
                let memory = descriptors.into_iter().next().filter(|_| reads_form(&load, facts));
                let Some(memory) = memory else { return self.event(host, tab, PageEvent::Handover(load), now) };
                // The gesture counts that was there when the form was sent.
                let load = Load { user_gesture: facts.by_user, ..load };
                self.children.read_payload(id, announced::form(id, tab, load, content_type, memory, size));
                return Vec::new();
            }
            PageReport::Download(number, report) => {
                self.window.download(HostDownload { child: id, tab, number }, &host, report, now)
            }
            // The others count only for what a tab shows, from a process that stays.
            PageReport::FileChooser { .. }
            | PageReport::FindResult { .. }
            | PageReport::Outside(_)
            | PageReport::Permission { .. }
            | PageReport::Notification { .. }
                if !facts.is_shown || self.lookup().of_host(&host) != Some(id) =>
            {
                return Vec::new();
            }
            PageReport::FileChooser { request, multiple } => {
                let has_window = self.lookup().ready(Role::UiShell).is_some();
                let context = ChooserContext { is_active: self.session.active == Some(tab), has_window, now };
                self.window.file_chooser(ChooserSource { child: id, tab, request }, &host.site, multiple, context)
            }
            PageReport::FindResult { matches, position } => {
                vec![window::Action::Tell(News::FindResult { tab, matches, position })]
            }
            PageReport::Outside(url) => self.window.wants_outside(&host, &url),
            PageReport::Permission { request, kind, asker } => {
                let over_tor = self.network.settings().routes.of(&host).hops().any(|hop| *hop == Hop::Tor);
                let has_window = self.lookup().ready(Role::UiShell).is_some();
                // A popup may show another site in its opener's process, in whose name it must not ask.
                let is_its_own =
                    self.session.tabs.get(&tab).is_some_and(|tab| tab.segment().site.as_ref() == Some(&host.site));
                let context = RequestContext { by_user: facts.by_user, over_tor, has_window: has_window && is_its_own };
                let request = PermissionRequest { child: id, tab, request, host, kind, asker };
                return vec![Outcome::Permissions(self.permissions.asked(request, context))];
            }
            PageReport::Notification { number, notice } => {
                let shown = self.permissions.notifies(id, tab, &host, number, notice);
                return vec![Outcome::Permissions(shown.into_iter().collect())];
            }
        };
        vec![Outcome::Window(actions)]
    }

    /// Returns what the broker knows about a page, whatever its host says.
    fn facts(&mut self, host: &HostKey, tab: TabId, now: Instant) -> PageFacts {
        let by_user = self.window.gestures().is_recent(tab, now);
        PageFacts { is_shown: self.session.shows(host, tab), by_user }
    }

    fn event(&mut self, host: HostKey, tab: TabId, mut event: PageEvent, now: Instant) -> Vec<Outcome> {
        let facts = self.facts(&host, tab, now);
        match attest(&mut event, facts) {
            Treatment::Drop => return Vec::new(),
            Treatment::PassOnce => drop(self.window.gestures().take(tab)),
            Treatment::Pass => {}
        }
        let mut outcomes = Vec::new();
        if let PageEvent::Committed(committed) = &event {
            if self.session.hear_of_encryption(&host, tab, committed) {
                self.network.tell_encrypted_hosts(&self.session.hsts);
                self.persistence.hsts_changed();
            }
            if facts.is_shown && !committed.same_document {
                outcomes.push(Outcome::Permissions(self.permissions.page_left(tab, Some(&host))));
                outcomes.push(Outcome::Window(self.window.page_left(tab)));
            }
        }
        outcomes.push(Outcome::Session(Event::Page { host, tab, event }));
        outcomes
    }

    fn snapshot(
        &mut self,
        id: ChildId,
        host: HostKey,
        tab: TabId,
        snapshot: SnapshotData,
        descriptors: Vec<OwnedFd>,
    ) -> Option<Outcome> {
        // The snapshot belongs to the page that is there now, whatever the tab shows when it has been read.
        let url = self.session.snapshot_address(&host, tab)?;
        match (snapshot, descriptors.into_iter().next()) {
            (SnapshotData::Inline(snapshot), _) => {
                let snapshot = SavedSnapshot { url, ..snapshot };
                Some(Outcome::Session(Event::Snapshot { host, tab, snapshot }))
            }
            (SnapshotData::InMemory(size), Some(memory)) => {
                self.children.read_payload(id, announced::snapshot(id, host, tab, url, memory, size));
                None
            }
            (SnapshotData::InMemory(_), None) => {
                Some(Outcome::Violation(Violation::Malformed("a snapshot without one in it".into())))
            }
        }
    }

    fn cookies(&mut self, id: ChildId, host: HostKey, size: u64, descriptors: Vec<OwnedFd>) -> Option<Outcome> {
        if let Some(memory) = descriptors.into_iter().next() {
            self.children.read_payload(id, announced::cookies(id, host, memory, size));
            return None;
        }
        // After those that are still being read.
        let none = children::Event::Cookies { child: id, host, cookies: Ok(Vec::new()) };
        self.children.after_payloads(id, none).map(Outcome::Child)
    }

    fn lookup(&self) -> Lookup<'_> {
        let Self { session, supervisor, children, network, .. } = self;
        Lookup { session, supervisor, children, network }
    }
}
