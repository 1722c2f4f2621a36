//! Carries out what the session asks for.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;
use regen_proto::kernel::v1::{
    HostCommand, Load, NavigationCommitted, OpenView, PageEvent, PutSnapshot, Snapshot, TlsState, host_command,
    page_event,
};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::{BrokerToChild, MAX_BODY, MAX_SNAPSHOT};
use regen_runtime::Sealed;

use super::child::{Attachment, ChildId, Violation};
use super::{Input, Kernel};
use crate::payloads::{Payload, Subject};
use crate::session::{Effect, Event, HostKey, SavedSnapshot, SavedTab, TabId};
use crate::store::SavedOrder;

/// A click or key counts for a navigation that follows within this time.
const GESTURE: Duration = Duration::from_secs(5);
/// Shown for ever once the audit log was tampered with.
const AUDIT_BROKEN: &str =
    "The audit log was changed by somebody else than Regen: `regen audit verify` tells when and how.";
/// Changes of one moment are saved together.
const SAVE: Duration = Duration::from_millis(100);

impl Kernel {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut done: Vec<Effect> = Vec::new();
        for effect in effects {
            // The same news twice in one step is said once, at the end.
            if done.contains(&effect) {
                continue;
            }
            if matches!(effect, Effect::Save(_) | Effect::SaveOrder | Effect::TabChanged(_) | Effect::OrderChanged) {
                done.push(effect);
                continue;
            }
            self.carry_out_one(effect);
        }
        for effect in done {
            self.carry_out_one(effect);
        }
    }

    fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::StartHost(host) => self.start_host(&host),
            Effect::StopHost(host) => self.stop_host(&host),
            Effect::GrantAnew(host) => {
                if let Some(child) = self.child_of_host(&host) {
                    self.grant_tunnel_anew(child);
                }
            }
            Effect::EndHost { host, reason } => {
                if let Some(child) = self.child_of_host(&host) {
                    self.kill_child(child, &reason);
                }
            }
            Effect::KillHost { host, reason } => {
                self.refusals.not_allowed += 1;
                if let Some(child) = self.child_of_host(&host) {
                    self.kill_child(child, &reason);
                }
            }
            Effect::Send { host, tab, command, snapshot } => self.send_command(&host, tab, command, snapshot),
            Effect::Save(tab) => {
                if self.unsaved.changed(tab) {
                    self.later(SAVE, Input::SaveChanged);
                }
            }
            Effect::Forget(tab) => {
                self.gestures.remove(&tab);
                self.user_loads.remove(&tab);
                self.unsaved.forget(tab);
                self.store.forget_tab(tab);
            }
            Effect::SaveOrder => {
                let order = self.session.order.clone();
                self.store.put_order(SavedOrder { order, active: self.session.active.unwrap_or(0) });
            }
            Effect::TabChanged(tab) => self.tab_changed(tab),
            Effect::TabClosed(tab) => self.tab_closed(tab),
            Effect::OrderChanged => self.order_changed(),
            Effect::FaviconChanged(tab) => self.favicon_changed(tab),
            Effect::LeftPage(tab) => {
                let closed = self.file_choosers.left(tab);
                self.do_with_choosers(closed);
            }
            Effect::PageWaits(tab) => self.page_waits(tab),
            Effect::ForwardToWindow { host, tab, event } => self.forward_to_window(&host, tab, event),
        }
    }

    /// Saves the tabs that changed: those whose turn it is, or all of them.
    pub(super) fn save_changed(&mut self, all: bool) {
        if std::mem::take(&mut self.hsts_unsaved) {
            self.settings.hsts.clone_from(&self.session.hsts);
            self.store.put_hsts(self.settings.hsts.clone());
        }
        let now = Instant::now();
        for id in self.unsaved.due(now, all) {
            if let Some(tab) = self.session.tabs.get(&id).filter(|tab| tab.is_kept()) {
                self.unsaved.saved(id, tab.state_size, now);
                self.store.put_tab(SavedTab::from(tab));
            }
        }
        if !self.unsaved.is_empty() {
            self.later(SAVE, Input::SaveChanged);
        }
    }

    /// Shows a trouble of the store to the user once, and tells a store that is back what it missed.
    pub(super) fn look_after_store(&mut self) {
        self.check_audit();
        let head = self.audit.head();
        if head.length != self.audit_saved {
            self.audit_saved = head.length;
            self.store.put_audit_head(head.clone());
        }
        let trouble = self.store.trouble();
        if trouble != self.store_trouble {
            if let Some(text) = &trouble {
                self.notice("error", text);
            }
            self.store_trouble = trouble;
        }
        if self.store.wants_everything() {
            let tabs = self.session.tabs.values().filter(|tab| tab.is_kept()).map(SavedTab::from).collect();
            let order = self.session.order.clone();
            let order = SavedOrder { order, active: self.session.active.unwrap_or(0) };
            self.store.put_everything(tabs, order, self.all_cookies());
            self.store.put_all_settings(&self.settings);
            self.notice("info", "The session can be saved again.");
        }
    }

    /// Notices that somebody touched the audit log while it is open.
    fn check_audit(&mut self) {
        match self.audit.check_file() {
            Ok(false) => {}
            Ok(true) => self.notice("error", AUDIT_BROKEN),
            Err(error) => tracing::error!("the audit log cannot be put right: {error}"),
        }
    }

    /// Warning that the audit log is not whole, for the status and the window.
    pub(super) fn audit_trouble(&self) -> Option<String> {
        (self.audit.breaks() > 0).then(|| AUDIT_BROKEN.to_owned())
    }

    fn send_command(
        &mut self,
        host: &HostKey,
        tab: TabId,
        mut command: host_command::Body,
        snapshot: Option<SavedSnapshot>,
    ) {
        let Some(child) = self.child_of_host(host) else { return };
        let mut attachments = Vec::new();
        let mut body = None;
        if let host_command::Body::Open(OpenView { load: Some(load), .. }) | host_command::Body::Navigate(load) =
            &mut command
            && load.body.len() > MAX_INLINE / 2
        {
            load.body_size = load.body.len() as u64;
            body = Some(std::mem::take(&mut load.body));
        }
        if let host_command::Body::Open(open) = &mut command {
            let zoom = self.session.tabs.get(&tab).map_or(1.0, |tab| tab.zoom);
            let wire = snapshot.map(|snapshot| snapshot.to_wire(zoom));
            match wire {
                Some(wire) if wire.encoded_len() > MAX_INLINE / 2 => match Sealed::new(&wire.encode_to_vec()) {
                    Ok(sealed) => {
                        open.snapshot_size = wire.encoded_len() as u64;
                        attachments.push(Attachment::Payload(sealed));
                    }
                    Err(error) => tracing::error!("cannot hand over a snapshot: {error}"),
                },
                inline => open.snapshot = inline,
            }
        }
        // A body comes last: see `Load.body_size`.
        match body.map(|body| Sealed::new(&body)).transpose() {
            Ok(sealed) => attachments.extend(sealed.map(Attachment::Payload)),
            Err(error) => {
                tracing::error!("cannot hand over a form: {error}");
                return;
            }
        }
        self.send(child, BrokerToChild::Command(HostCommand { tab, body: Some(command) }), attachments);
    }

    /// Event of a page, from its tab-host. The sender and the tab are checked before any look at a payload.
    pub(super) fn page_event(&mut self, id: ChildId, mut event: PageEvent, descriptors: Vec<OwnedFd>) {
        let Some(host) = self.children.get(&id).and_then(|child| child.host.clone()) else { return };
        let shows = self.session.shows(&host, event.tab);
        // Only the window and the control API attest gestures, not the host.
        let by_user = self.gestures.get(&event.tab).is_some_and(|at| Instant::now().duration_since(*at) < GESTURE);
        match &mut event.body {
            Some(page_event::Body::Handover(load)) => {
                load.user_gesture = by_user;
                let size = std::mem::take(&mut load.body_size);
                // Of what would be refused in any case, or is known already, nothing is read.
                let is_wanted = shows && !load.continues;
                if let Some(memory) = descriptors.into_iter().next().filter(|_| is_wanted) {
                    let (subject, limit) = (Subject::Form { tab: event.tab }, MAX_BODY);
                    let finish = Box::new(move |read: std::io::Result<Vec<u8>>| Input::Form {
                        child: id,
                        handover: event,
                        body: read.map_err(|error| error.to_string()),
                    });
                    self.payloads.read(id, Payload { subject, memory, size, limit, finish });
                    return;
                }
            }
            Some(page_event::Body::NewTab(wanted)) => {
                wanted.user_gesture = by_user;
                // One gesture opens one tab.
                self.gestures.remove(&event.tab);
            }
            // A page fills the screen because its user has just done something in it.
            Some(page_event::Body::FullScreen(true)) if !by_user => return,
            Some(page_event::Body::PopupOpened(popup)) => {
                popup.user_gesture = by_user;
                self.gestures.remove(&event.tab);
            }
            Some(page_event::Body::Committed(committed)) => {
                self.hear_of_encryption(&host, event.tab, committed);
                if shows && !committed.same_document {
                    let closed = self.file_choosers.left(event.tab);
                    self.do_with_choosers(closed);
                }
            }
            Some(
                page_event::Body::LoadStarted(_)
                | page_event::Body::LoadFinished(_)
                | page_event::Body::LoadFailed(_)
                | page_event::Body::Title(_)
                | page_event::Body::Favicon(_)
                | page_event::Body::Progress(_)
                | page_event::Body::CloseRequested(_)
                | page_event::Body::FileChooser(_)
                | page_event::Body::Download(_)
                | page_event::Body::FindResult(_)
                | page_event::Body::Audible(_)
                | page_event::Body::Unresponsive(_)
                | page_event::Body::LoadAbandoned(_)
                | page_event::Body::Dialog(_)
                | page_event::Body::FullScreen(_)
                | page_event::Body::Outside(_)
                | page_event::Body::Blocked(_),
            )
            | None => {}
        }
        let Some(body) = event.body else { return };
        if let page_event::Body::Download(download) = body {
            // It goes on when its tab shows something else, or is closed.
            self.download(&host, event.tab, download);
            return;
        }
        self.apply(Event::Page { host, tab: event.tab, event: body });
    }

    /// The form of a handover was read.
    pub(super) fn form_read(&mut self, id: ChildId, handover: PageEvent, body: Result<Vec<u8>, String>) {
        let Some(host) = self.children.get(&id).and_then(|child| child.host.clone()) else { return };
        let PageEvent { tab, body: Some(page_event::Body::Handover(load)) } = handover else { return };
        match body {
            Ok(body) => {
                let load = Load { body: body.into(), ..load };
                self.apply(Event::Page { host, tab, event: page_event::Body::Handover(load) });
            }
            Err(error) => self.violation(id, &Violation::Malformed(format!("a form that cannot be read: {error}"))),
        }
    }

    /// A host may insist on encryption for itself, where it came encrypted.
    fn hear_of_encryption(&mut self, host: &HostKey, tab: TabId, committed: &NavigationCommitted) {
        let is_its_own = self.session.tabs.get(&tab).is_some_and(|tab| tab.host().as_ref() == Some(host));
        let is_encrypted = committed.tls() == TlsState::Valid && committed.url.starts_with("https:");
        if committed.transport_security.is_empty()
            || !is_its_own
            || !is_encrypted
            || !host.site.may_show(&committed.url)
        {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.session.hsts.hear(&host.workspace, &committed.url, &committed.transport_security, now) {
            self.hsts_unsaved = true;
            if let Some(tell) = &self.tell_encrypted {
                tell.send_replace(self.session.hsts.to_wire());
            }
            if self.unsaved.is_empty() {
                self.later(SAVE, Input::SaveChanged);
            }
        }
    }

    pub(super) fn gesture(&mut self, tab: TabId) {
        self.gestures.insert(tab, Instant::now());
        // Whoever goes on using a tab has decided to stay.
        self.apply(Event::StillUsed(tab));
    }

    pub(super) fn put_snapshot(&mut self, id: ChildId, put: PutSnapshot, descriptors: Vec<OwnedFd>) {
        let Some(host) = self.children.get(&id).and_then(|child| child.host.clone()) else { return };
        let tab = put.tab;
        // It belongs to the page that is there now, whatever the tab shows when it has been read.
        let Some(url) = self.session.snapshot_address(&host, tab) else { return };
        match (put.snapshot, descriptors.into_iter().next()) {
            (Some(snapshot), _) => {
                let snapshot = SavedSnapshot::from_wire(snapshot, url);
                self.apply(Event::Snapshot { host, tab, snapshot });
            }
            (None, Some(memory)) => {
                let finish = Box::new(move |read: std::io::Result<Vec<u8>>| {
                    let snapshot = read.map_err(|error| error.to_string()).and_then(|bytes| {
                        let snapshot = Snapshot::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
                        Ok(SavedSnapshot::from_wire(snapshot, url))
                    });
                    Input::Snapshot { child: id, host, tab, snapshot }
                });
                let subject = Subject::Snapshot { tab };
                self.payloads
                    .read(id, Payload { subject, memory, size: put.payload_size, limit: MAX_SNAPSHOT, finish });
            }
            (None, None) => self.violation(id, &Violation::Malformed("a snapshot without one in it".into())),
        }
    }

    pub(super) fn snapshot_read(
        &mut self,
        id: ChildId,
        host: HostKey,
        tab: TabId,
        snapshot: Result<SavedSnapshot, String>,
    ) {
        match snapshot {
            Ok(snapshot) => self.apply(Event::Snapshot { host, tab, snapshot }),
            Err(error) => self.violation(id, &Violation::Malformed(format!("a snapshot that cannot be read: {error}"))),
        }
    }
}
