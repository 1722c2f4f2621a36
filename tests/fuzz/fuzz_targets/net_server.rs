//! `regen.net.v1` from a hostile tab-host, and the verdict channel of a hostile web process.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<&[u8]>)| {
    let (on_a_line, parts) = input;
    if on_a_line {
        regen_net_daemon::fuzzing::verdict_channel(&parts);
    } else {
        regen_net_daemon::fuzzing::tab_host(&parts.concat());
    }
});
