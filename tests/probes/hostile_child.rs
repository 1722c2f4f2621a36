//! A hostile tab-host. It replaces the real one, sends a valid Hello, and then misbehaves in the way that the host name
//! of its site selects.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a probe fails by panicking")]

mod child;

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use prost::Message;
use regen_proto::kernel::v1::{
    Download, DownloadState, Empty, FileChooser, HostCommand, Load, NavigationCommitted, NewTab, PageEvent,
    PutSnapshot, Reply, Snapshot, ToBroker, UserCommand, host_command, page_event, to_broker, user_command,
};
use regen_proto::kernel_channel::{KernelChannel, MAX_MESSAGE};
use regen_proto::role::Role;
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use rustix::fs::SealFlags;

use child::send;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (channel, configure) = child::begin().await;
    misbehave(&channel, configure.site.rsplit('/').next().unwrap()).await;
    // A probe that is still alive does nothing more.
    tokio::time::sleep(Duration::from_secs(600)).await;
}

/// Asks for a tab in the name of each tab that there may be, as after a click, and tells that it did.
async fn opens_tabs(channel: &KernelChannel, own: u64, round: u64) {
    let load =
        Load { url: "http://victim.test/transfer".into(), initiator: "http://opener.test".into(), ..Load::default() };
    let wanted = NewTab { load: Some(load), background: false, user_gesture: true };
    let event = |tab, body| to_broker::Body::PageEvent(PageEvent { tab, body: Some(body) });
    for tab in 0..50 {
        send(channel, event(tab, page_event::Body::NewTab(wanted.clone()))).await;
    }
    send(channel, event(own, page_event::Body::Title(round.to_string()))).await;
}

/// Waits for the broker's next heartbeat, and answers it: a host without a sign of life is replaced.
async fn next_heartbeat(channel: &KernelChannel) {
    loop {
        let datagram = channel.receive().await.unwrap();
        if let Ok(BrokerToChild::Heartbeat(beat)) = regen_proto::validate::from_broker(&datagram.bytes) {
            return send(channel, ChildToBroker::Heartbeat(beat)).await;
        }
    }
}

async fn misbehave(channel: &KernelChannel, how: &str) {
    let null = std::fs::File::open("/dev/null").unwrap();
    let event = |tab, body| to_broker::Body::PageEvent(PageEvent { tab, body: Some(body) });
    match how {
        "garbage.test" => drop(channel.send(&[0xff; 100], &[]).await),
        "empty.test" => drop(channel.send(&[0x00], &[null.as_fd()]).await),
        "unknown.test" => drop(channel.send(&[0xfa, 0x7f, 0x00], &[]).await),
        "oversize.test" => {
            let raw = vec![0_u8; MAX_MESSAGE + 1];
            rustix::net::send(channel_fd(), &raw, rustix::net::SendFlags::NOSIGNAL).unwrap();
        }
        "descriptors.test" => {
            let four = [null.as_fd(); 4];
            let beat = to_broker::Body::Heartbeat(regen_proto::kernel::v1::Heartbeat {});
            let bytes = ToBroker { body: Some(beat) }.encode_to_vec();
            drop(channel.send(&bytes, &four).await);
        }
        "flood.test" => loop {
            send(channel, event(1, page_event::Body::Title("x".repeat(1000)))).await;
        },
        "foreign.test" => loop {
            // Tabs of other hosts, whatever their numbers are.
            for tab in 0..50 {
                let committed = NavigationCommitted { url: "https://bank.example/".into(), ..Default::default() };
                send(channel, event(tab, page_event::Body::Committed(committed))).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        },
        "shell.test" => {
            let quit = UserCommand { body: Some(user_command::Body::Quit(Empty {})) };
            send(channel, to_broker::Body::UserCommand(quit)).await;
        }
        "rehello.test" => send(channel, to_broker::Body::Hello(regen_proto::version::hello(Role::UiShell))).await,
        "bigfavicon.test" => {
            let icon = regen_proto::kernel::v1::Favicon { width: 64, height: 64, rgba: vec![0; 10] };
            send(channel, event(1, page_event::Body::Favicon(icon))).await;
        }
        "unasked.test" => {
            // A reply to a request that the broker never made.
            send(channel, to_broker::Body::Reply(Reply { request: 12_345, ..Reply::default() })).await;
        }
        // Payloads that differ from their announcement, or can change afterwards.
        "open-payload.test" => put_snapshot(channel, &memory(100, SealFlags::empty()), 100).await,
        "shrinking-payload.test" => {
            let memory = memory(100, SealFlags::GROW);
            let ours = memory.try_clone().unwrap();
            std::thread::spawn(move || {
                loop {
                    let _ = rustix::fs::ftruncate(&ours, 0);
                }
            });
            put_snapshot(channel, &memory, 100).await;
        }
        "mapped-payload.test" => {
            let memory = memory(100, SealFlags::SHRINK | SealFlags::GROW);
            keep_mapped(&memory);
            let sealed = rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE);
            assert_eq!(sealed, Err(rustix::io::Errno::BUSY), "the kernel must not seal memory mapped writable");
            put_snapshot(channel, &memory, 100).await;
        }
        "short-payload.test" => {
            let finished = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
            put_snapshot(channel, &memory(100, finished), 4000).await;
        }
        "pipe-payload.test" => {
            put_snapshot(channel, &rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap().0, 100).await
        }
        "folder-payload.test" => put_snapshot(channel, &std::fs::File::open("/").unwrap().into(), 100).await,
        // Descriptors on a connection that accepts none.
        "rights.test" => {
            let grant = loop {
                let mut datagram = channel.receive().await.unwrap();
                if let Ok(BrokerToChild::Grant(_)) = regen_proto::validate::from_broker(&datagram.bytes) {
                    break datagram.descriptors.remove(0);
                }
            };
            let spam = [null.as_raw_fd(); 250];
            let mut sent = 0;
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            'spam: for byte in preface.iter().chain(std::iter::repeat(&0)).take(400) {
                let (one, rights) = ([*byte], [ControlMessage::ScmRights(&spam)]);
                let send =
                    || sendmsg::<()>(grant.as_raw_fd(), &[IoSlice::new(&one)], &rights, MsgFlags::MSG_NOSIGNAL, None);
                // Too many descriptors are in flight until the other end has closed some.
                while let Err(error) = send() {
                    if error != nix::errno::Errno::ETOOMANYREFS {
                        break 'spam;
                    }
                    std::thread::yield_now();
                }
                sent += spam.len();
            }
            // Reports the result as a title; the tab's number is unknown, so all are tried.
            for tab in 0..50 {
                send(channel, event(tab, page_event::Body::Title(format!("{sent} sent")))).await;
            }
        }
        "nopidfd.test" => {
            let helper = regen_proto::kernel::v1::HelperStarted { name: "liar".into() };
            let bytes = ToBroker { body: Some(to_broker::Body::Helper(helper)) }.encode_to_vec();
            drop(channel.send(&bytes, &[null.as_fd()]).await);
        }
        "grants.test" => {
            // Field 10 was a request for a grant. Grants are given, not asked for.
            drop(channel.send(&[0x52, 0x02, 0x08, 0x01], &[]).await);
        }
        // Counts its rounds in its title, so that a test knows which of them the broker has heard.
        "opener.test" => {
            let own = own_tab(channel).await;
            for round in 1_u64.. {
                opens_tabs(channel, own, round).await;
                next_heartbeat(channel).await;
            }
        }
        // Claims that a server redirected a form that nobody sent, with another site as the initiator.
        "forger.test" => {
            let tab = own_tab(channel).await;
            let load = Load {
                url: "http://victim.test/transfer".into(),
                method: "POST".into(),
                initiator: "http://victim.test".into(),
                referrer: "http://victim.test/".into(),
                body: vec![b'x'; 100].into(),
                continues: true,
                user_gesture: true,
                ..Load::default()
            };
            send(channel, event(tab, page_event::Body::Handover(load))).await;
            show_life(channel, usize::MAX).await;
        }
        // Reports the request that it was told to load.
        "victim.test" => {
            let (tab, load) = own_load(channel).await;
            let Load { method, body, redirected, initiator, .. } = load;
            let said = format!("method “{method}”, {} bytes, redirected {redirected}, by “{initiator}”", body.len());
            send(channel, event(tab, page_event::Body::Title(said))).await;
            show_life(channel, usize::MAX).await;
        }
        // Sends forms of the maximum size for tabs that do not exist.
        "greedy.test" => {
            let finished = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
            let size = regen_proto::validate::MAX_BODY;
            let memory = memory(size, finished);
            for tab in 1_000_000_u64.. {
                let load = Load {
                    url: "http://victim.test/".into(),
                    method: "POST".into(),
                    initiator: "http://greedy.test".into(),
                    body_size: size,
                    ..Load::default()
                };
                let bytes = ToBroker { body: Some(event(tab, page_event::Body::Handover(load))) }.encode_to_vec();
                drop(channel.send(&bytes, &[memory.as_fd()]).await);
                keep_alive(channel, Duration::from_millis(4)).await;
            }
        }
        // Sends large snapshots endlessly.
        "hoarder.test" => {
            let tab = own_tab(channel).await;
            let finished = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
            loop {
                let snapshot = Snapshot { session_state: vec![7; 4_000_000], ..Snapshot::default() }.encode_to_vec();
                let payload = memory(snapshot.len() as u64, SealFlags::empty());
                rustix::io::pwrite(&payload, &snapshot, 0).unwrap();
                rustix::fs::fcntl_add_seals(&payload, finished).unwrap();
                let put = PutSnapshot { tab, snapshot: None, payload_size: snapshot.len() as u64 };
                let bytes = ToBroker { body: Some(to_broker::Body::PutSnapshot(put)) }.encode_to_vec();
                drop(channel.send(&bytes, &[payload.as_fd()]).await);
                keep_alive(channel, Duration::from_millis(10)).await;
            }
        }
        // Requests a file chooser without a click.
        "chooser.test" => {
            let tab = own_tab(channel).await;
            send(channel, event(tab, page_event::Body::FileChooser(FileChooser { request: 5, multiple: true }))).await;
            loop {
                let datagram = channel.receive().await.unwrap();
                match regen_proto::validate::from_broker(&datagram.bytes) {
                    Ok(BrokerToChild::Command(HostCommand {
                        body: Some(host_command::Body::FilesChosen(chosen)),
                        ..
                    })) => {
                        let said = format!("request {}: {} files", chosen.request, chosen.names.len());
                        send(channel, event(tab, page_event::Body::Title(said))).await;
                    }
                    Ok(BrokerToChild::Heartbeat(beat)) => send(channel, ChildToBroker::Heartbeat(beat)).await,
                    _ => {}
                }
            }
        }
        // Starts downloads without a click.
        "saver.test" => {
            let tab = own_tab(channel).await;
            let file = |download| Download {
                download,
                suggested_name: format!("{download}.bin"),
                state: DownloadState::Wanted.into(),
                ..Download::default()
            };
            for download in 1..=60 {
                send(channel, event(tab, page_event::Body::Download(file(download)))).await;
            }
            let (mut granted, mut refused) = (0, 0);
            loop {
                let datagram = channel.receive().await.unwrap();
                match regen_proto::validate::from_broker(&datagram.bytes) {
                    Ok(BrokerToChild::Command(HostCommand {
                        body: Some(host_command::Body::Download(answer)),
                        ..
                    })) => {
                        *(if answer.refused { &mut refused } else { &mut granted }) += 1;
                        let said = format!("{granted} granted, {refused} refused");
                        send(channel, event(tab, page_event::Body::Title(said))).await;
                    }
                    Ok(BrokerToChild::Heartbeat(beat)) => send(channel, ChildToBroker::Heartbeat(beat)).await,
                    _ => {}
                }
            }
        }
        // Floods stderr, and sends page events endlessly.
        "chatty.test" => {
            std::thread::spawn(|| {
                let line = format!("\u{1b}[2J{}\n", "blah ".repeat(100));
                while std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).is_ok() {}
            });
            loop {
                send(channel, event(1, page_event::Body::Progress(0.5))).await;
                keep_alive(channel, Duration::from_millis(20)).await;
            }
        }
        // Makes a system call that its policy refuses, and aborts, so that the call is reported as the reason.
        "forbidden.test" => {
            let _ = nix::sys::ptrace::traceme();
            std::process::abort();
        }
        // Makes a refused system call in an endless loop.
        "insistent.test" => loop {
            let _ = nix::sys::ptrace::traceme();
        },
        // Only answers heartbeats.
        decent if decent.starts_with("decent") => show_life(channel, usize::MAX).await,
        "twenty-heartbeats.test" => {
            show_life(channel, 20).await;
            std::process::exit(0);
        }
        "silent.test" => {}
        other => panic!("unknown behaviour “{other}”"),
    }
}

/// Answers this many heartbeats.
async fn show_life(channel: &KernelChannel, most: usize) {
    let mut answered = 0;
    while answered < most {
        let datagram = channel.receive().await.unwrap();
        if let Ok(BrokerToChild::Heartbeat(beat)) = regen_proto::validate::from_broker(&datagram.bytes) {
            send(channel, ChildToBroker::Heartbeat(beat)).await;
            answered += 1;
        }
    }
}

/// Creates a memfd of this size with these seals.
fn memory(size: u64, seals: SealFlags) -> OwnedFd {
    let memory = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&memory, size).unwrap();
    if !seals.is_empty() {
        rustix::fs::fcntl_add_seals(&memory, seals).unwrap();
    }
    memory
}

/// Answers heartbeats for this long.
async fn keep_alive(channel: &KernelChannel, long: Duration) {
    let until = tokio::time::Instant::now() + long;
    while let Ok(received) = tokio::time::timeout_at(until, channel.receive()).await {
        if let Ok(BrokerToChild::Heartbeat(beat)) = regen_proto::validate::from_broker(&received.unwrap().bytes) {
            send(channel, ChildToBroker::Heartbeat(beat)).await;
        }
    }
}

/// Waits for the tab that the broker assigns, and returns it with the request to load there.
async fn own_load(channel: &KernelChannel) -> (u64, Load) {
    loop {
        let datagram = channel.receive().await.unwrap();
        match regen_proto::validate::from_broker(&datagram.bytes) {
            Ok(BrokerToChild::Command(HostCommand { tab, body: Some(host_command::Body::Open(open)) })) => {
                return (tab, open.load.unwrap_or_default());
            }
            Ok(BrokerToChild::Heartbeat(beat)) => send(channel, ChildToBroker::Heartbeat(beat)).await,
            _ => {}
        }
    }
}

/// Waits for the tab that the broker assigns, and returns it.
async fn own_tab(channel: &KernelChannel) -> u64 {
    own_load(channel).await.0
}

async fn put_snapshot(channel: &KernelChannel, payload: &OwnedFd, payload_size: u64) {
    let put = PutSnapshot { tab: own_tab(channel).await, snapshot: None, payload_size };
    let bytes = ToBroker { body: Some(to_broker::Body::PutSnapshot(put)) }.encode_to_vec();
    drop(channel.send(&bytes, &[payload.as_fd()]).await);
}

#[expect(unsafe_code, reason = "mmap is unsafe")]
fn keep_mapped(memory: &OwnedFd) {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    // SAFETY: a fresh mapping at an address of the kernel's choice, which nothing here reads or writes.
    unsafe { mmap(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, memory, 0) }
        .unwrap();
}

#[expect(unsafe_code, reason = "an oversized message can only be sent past KernelChannel")]
fn channel_fd() -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: the channel stays open until this program ends.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(3) }
}
