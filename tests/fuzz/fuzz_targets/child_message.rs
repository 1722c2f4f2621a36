//! The kernel channel's decoder: any bytes from a child must be decoded or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_proto::role::Role;
use regen_proto::validate;


fuzz_target!(|input: (u8, u8, &[u8])| {
    let (role, descriptors, bytes) = input;
    let roles = [Role::TabHost, Role::NetDaemon, Role::AgentDaemon, Role::UiShell];
    let role = roles[usize::from(role) % roles.len()];
    if let Ok(message) = validate::from_child(role, bytes, usize::from(descriptors)) {
        // An accepted message must decode to itself when encoded again.
        let again = validate::from_child(role, &validate::to_broker(message.clone()), usize::from(descriptors));
        assert_eq!(again, Ok(message));
    }
});
