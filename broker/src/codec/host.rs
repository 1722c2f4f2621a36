//! Commands for tab-hosts, with what is too large for a datagram beside them.

use std::io;

use prost::Message;
use regen_proto::kernel::v1::host_command::Body;
use regen_proto::kernel::v1::{
    AdoptPopup, CloseView, DownloadAnswer, Empty, FilesChosen, Find as WireFind, GoOnDownload,
    HostCommand as WireCommand, OpenView as WireOpen, Query, QueryKind, Reload,
};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::BrokerToChild;
use regen_runtime::Sealed;
use regen_session::{HostCommand, OpenView, TabId};

use super::{page, page_tools};
use crate::control::questions::{Input, PageQuery, Question};
use crate::message::{Attachment, ChildId, Outgoing};
use crate::window::commands::PageCommand;
use crate::window::downloads::Source;
use crate::window::events::HostMessage;

/// Returns the message for a command of the session.
///
/// # Errors
/// When the system refuses memory for what is too large.
pub fn session_command(to: ChildId, tab: TabId, command: HostCommand) -> io::Result<Outgoing> {
    let body = match command {
        HostCommand::Open(view) => return open(to, tab, view),
        HostCommand::Navigate(load) => {
            let mut load = page::wire_load(load);
            let form = take_large_form(&mut load)?;
            return Ok(command_with(to, tab, Body::Navigate(load), form.into_iter().collect()));
        }
        HostCommand::Close { ask } => Body::Close(CloseView { ask_before_unload: ask }),
        HostCommand::GoHistory(delta) => Body::GoHistory(delta),
        HostCommand::Reload { bypass_cache } => Body::Reload(Reload { bypass_cache }),
        HostCommand::Stop => Body::Stop(Empty {}),
        HostCommand::SetVisible(visible) => Body::SetVisible(visible),
        HostCommand::Zoom(zoom) => Body::Zoom(zoom),
        HostCommand::Mute(muted) => Body::Mute(muted),
        HostCommand::AdoptPopup { token, refused } => Body::AdoptPopup(AdoptPopup { token, refused }),
        HostCommand::AnswerDialog(answer) => Body::Dialog(page::wire_answer(answer)),
    };
    Ok(command_with(to, tab, body, Vec::new()))
}

fn open(to: ChildId, tab: TabId, view: OpenView) -> io::Result<Outgoing> {
    let OpenView { load, snapshot, visible, fallback_url, zoom } = view;
    let mut load = load.map(page::wire_load);
    let form = load.as_mut().map(take_large_form).transpose()?.flatten();
    let mut open = WireOpen { visible, fallback_url, load, ..WireOpen::default() };
    let mut attachments = Vec::new();
    if let Some(snapshot) = snapshot.map(|snapshot| page::wire_snapshot(snapshot, zoom)) {
        let size = snapshot.encoded_len();
        if size > MAX_INLINE / 2 {
            open.snapshot_size = size as u64;
            attachments.push(Attachment::Payload(Sealed::new(&snapshot.encode_to_vec())?));
        } else {
            open.snapshot = Some(snapshot);
        }
    }
    // A form comes last: see `Load.body_size`.
    attachments.extend(form);
    Ok(command_with(to, tab, Body::Open(open), attachments))
}

/// Takes a form out of a load that would not fit into a datagram.
fn take_large_form(load: &mut regen_proto::kernel::v1::Load) -> io::Result<Option<Attachment>> {
    if load.body.len() <= MAX_INLINE / 2 {
        return Ok(None);
    }
    load.body_size = load.body.len() as u64;
    let body = std::mem::take(&mut load.body);
    Ok(Some(Attachment::Payload(Sealed::new(&body)?)))
}

/// Returns the message for a command of the user for the page of a tab.
#[must_use]
pub fn page_command(to: ChildId, tab: TabId, command: PageCommand) -> Outgoing {
    let body = match command {
        PageCommand::Find { text, forward, next } => Body::Find(WireFind { text, forward, next }),
        PageCommand::Tool(tool) => Body::UseTool(page_tools::use_tool(tool)),
    };
    command_with(to, tab, body, Vec::new())
}

/// Returns a command for the page of a tab that takes nothing along.
pub(super) fn command(to: ChildId, tab: TabId, body: Body) -> Outgoing {
    command_with(to, tab, body, Vec::new())
}

/// Returns the message for a host from the window's component.
#[must_use]
pub fn host_message(message: HostMessage) -> Outgoing {
    match message {
        HostMessage::FilesChosen { from, names } => {
            let body = Body::FilesChosen(FilesChosen { request: from.request, names });
            command_with(from.child, from.tab, body, Vec::new())
        }
        HostMessage::WriteDownload { to, file } => {
            let body = Body::Download(DownloadAnswer { download: to.number, refused: false });
            command_with(to.child, to.tab, body, vec![Attachment::Fd(file)])
        }
        HostMessage::StopDownload(to) => {
            let body = Body::Download(DownloadAnswer { download: to.number, refused: true });
            command_with(to.child, to.tab, body, Vec::new())
        }
        HostMessage::GoOnDownload { to, url, source, from, total, file } => {
            let Source { referrer, validator } = source;
            let body = Body::GoOnDownload(GoOnDownload { download: to.number, url, referrer, validator, from, total });
            command_with(to.child, to.tab, body, vec![Attachment::Fd(file)])
        }
    }
}

/// Returns the message for a question to the page of a tab.
#[must_use]
pub fn question(to: ChildId, tab: TabId, question: Question) -> Outgoing {
    let kind = match question.query {
        PageQuery::Text => QueryKind::Text,
        PageQuery::Screenshot => QueryKind::Screenshot,
        PageQuery::Saved => QueryKind::Saved,
        PageQuery::Objects => QueryKind::Objects,
        PageQuery::Connection => QueryKind::Connection,
        PageQuery::Settled => QueryKind::Settled,
    };
    let query = Query { request: question.request, kind: kind.into(), events: question.events };
    command_with(to, tab, Body::Query(query), Vec::new())
}

/// Returns the message for a piece of input.
#[must_use]
pub fn input(to: ChildId, tab: TabId, input: Input) -> Outgoing {
    command_with(to, tab, Body::Input(input.into_message()), Vec::new())
}

fn command_with(to: ChildId, tab: TabId, body: Body, attachments: Vec<Attachment>) -> Outgoing {
    Outgoing { to, message: BrokerToChild::Command(WireCommand { tab, body: Some(body) }), attachments }
}

#[cfg(test)]
mod tests {
    use regen_session::{Form, Load, Method, SavedSnapshot};

    use super::*;

    #[test]
    fn large_parts_travel_beside_the_command_and_a_body_comes_last() {
        let open = |form: usize, state: usize| {
            let form = Form { body: vec![7; form].into(), content_type: "text/plain".to_owned() };
            HostCommand::Open(OpenView {
                load: Some(Load { method: Method::Post(Some(form)), ..Load::default() }),
                snapshot: Some(SavedSnapshot { form: vec![1; state], ..SavedSnapshot::default() }),
                visible: false,
                fallback_url: String::new(),
                zoom: 1.0,
            })
        };
        let small = session_command(3, 1, open(10, 10)).unwrap();
        assert!(small.to == 3 && small.attachments.is_empty());
        let large = session_command(3, 1, open(MAX_INLINE, MAX_INLINE)).unwrap();
        assert_eq!(large.attachments.len(), 2);
        let BrokerToChild::Command(WireCommand { body: Some(Body::Open(open)), .. }) = large.message else { panic!() };
        let load = open.load.unwrap();
        assert!(load.body.is_empty() && load.body_size == MAX_INLINE as u64);
        assert!(open.snapshot.is_none() && open.snapshot_size > MAX_INLINE as u64);
        let body = &large.attachments[1];
        let memory = std::os::fd::AsFd::as_fd(body).try_clone_to_owned().unwrap();
        let read = regen_runtime::read_sealed(&memory, load.body_size, 1 << 20).unwrap();
        assert!(read.iter().all(|byte| *byte == 7), "the body is the last one");
    }
}
