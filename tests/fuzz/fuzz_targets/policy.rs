//! Sandbox policy files with arbitrary content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_sandbox::policy::Policy;

fuzz_target!(|text: &str| {
    let _ = Policy::parse("fuzzed.toml", text);
});
