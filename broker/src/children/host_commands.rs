//! Commands for hosts, with what is too large for a datagram beside them.

use std::io;

use prost::Message;
use regen_proto::kernel::v1::{HostCommand, OpenView, Snapshot, host_command};
use regen_proto::kernel_channel::MAX_INLINE;
use regen_proto::validate::BrokerToChild;
use regen_runtime::Sealed;

use super::message::{Attachment, ChildId, Outgoing};
use crate::session::TabId;

/// Returns the message for a command. `snapshot`: what a view that is opened comes back from.
///
/// # Errors
/// When the system refuses memory for what is too large.
pub fn host_command(
    to: ChildId,
    tab: TabId,
    mut command: host_command::Body,
    snapshot: Option<Snapshot>,
) -> io::Result<Outgoing> {
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
        match snapshot {
            Some(snapshot) if snapshot.encoded_len() > MAX_INLINE / 2 => {
                open.snapshot_size = snapshot.encoded_len() as u64;
                attachments.push(Attachment::Payload(Sealed::new(&snapshot.encode_to_vec())?));
            }
            inline => open.snapshot = inline,
        }
    }
    // A body comes last: see `Load.body_size`.
    if let Some(body) = body {
        attachments.push(Attachment::Payload(Sealed::new(&body)?));
    }
    let message = BrokerToChild::Command(HostCommand { tab, body: Some(command) });
    Ok(Outgoing { to, message, attachments })
}

#[cfg(test)]
mod tests {
    use regen_proto::kernel::v1::Load;

    use super::*;

    #[test]
    fn large_parts_travel_beside_the_command_and_a_body_comes_last() {
        let load = |size: usize| Load { body: vec![7; size].into(), ..Load::default() };
        let open = |size| host_command::Body::Open(OpenView { load: Some(load(size)), ..OpenView::default() });
        let snapshot = |size: usize| Some(Snapshot { form: vec![1; size], ..Snapshot::default() });
        let small = host_command(3, 1, open(10), snapshot(10)).unwrap();
        assert!(small.to == 3 && small.attachments.is_empty());
        let large = host_command(3, 1, open(MAX_INLINE), snapshot(MAX_INLINE)).unwrap();
        assert_eq!(large.attachments.len(), 2);
        let BrokerToChild::Command(HostCommand { body: Some(host_command::Body::Open(open)), .. }) = large.message
        else {
            panic!()
        };
        let load = open.load.unwrap();
        assert!(load.body.is_empty() && load.body_size == MAX_INLINE as u64);
        assert!(open.snapshot.is_none() && open.snapshot_size > MAX_INLINE as u64);
        let body = &large.attachments[1];
        let memory = std::os::fd::AsFd::as_fd(body).try_clone_to_owned().unwrap();
        let read = regen_runtime::read_sealed(&memory, load.body_size, 1 << 20).unwrap();
        assert!(read.iter().all(|byte| *byte == 7), "the body is the last one");
    }
}
