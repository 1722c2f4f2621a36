//! The start of every probe that replaces a tab-host: a valid Hello and Ready.

use std::os::fd::{FromRawFd, OwnedFd};

use prost::Message;
use regen_proto::kernel::v1::{Ready, TabHostConfiguration, ToBroker};
use regen_proto::kernel_channel::KernelChannel;
use regen_proto::role::{Configuration, Role};
use regen_proto::validate::{BrokerToChild, ChildToBroker};
use regen_proto::version;

pub(crate) async fn begin() -> (KernelChannel, TabHostConfiguration) {
    let channel = KernelChannel::adopt(channel()).unwrap();
    send(&channel, ChildToBroker::Hello(version::hello(Role::TabHost))).await;
    let _hello = channel.receive().await.unwrap();
    let configure = channel.receive().await.unwrap();
    let Ok(BrokerToChild::Configure(configure)) = regen_proto::validate::from_broker(&configure.bytes) else {
        panic!("no Configure");
    };
    send(&channel, ChildToBroker::Ready(Ready {})).await;
    (channel, TabHostConfiguration::of(configure).unwrap())
}

#[expect(unsafe_code, reason = "an inherited descriptor is only a number")]
fn channel() -> OwnedFd {
    // SAFETY: the jail placed the channel at this number, and nothing else in this program owns it.
    unsafe { OwnedFd::from_raw_fd(3) }
}

pub(crate) async fn send(channel: &KernelChannel, message: ChildToBroker) {
    let bytes = ToBroker { body: Some(message) }.encode_to_vec();
    // The broker may already have closed the channel.
    let _ = channel.send(&bytes, &[]).await;
}
