//! `regen.net.v1` as a tab-host that has turned against the net-daemon speaks it, and a line as a web process does.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<&[u8]>)| {
    let (on_a_line, parts) = input;
    if on_a_line {
        regen_net_daemon::fuzzing::line(&parts);
    } else {
        regen_net_daemon::fuzzing::tab_host(&parts.concat());
    }
});
