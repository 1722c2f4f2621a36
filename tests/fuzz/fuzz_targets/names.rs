//! What others say of names: a hosts file, and keys whose signatures count.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| regen_net_daemon::fuzzing::names(text));
