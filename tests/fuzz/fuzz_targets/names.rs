//! DNS input files: a hosts file and DNSSEC trust anchors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| regen_net_daemon::fuzzing::names(text));
