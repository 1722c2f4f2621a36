//! Filter lists with untrusted content.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| regen_net_daemon::fuzzing::filter_list(text));
