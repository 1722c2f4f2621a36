//! WireGuard profiles with untrusted content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_net_config::wireguard::Profile;

fuzz_target!(|text: &str| {
    match text.parse::<Profile>() {
        Ok(profile) => assert!(!profile.peers.is_empty()),
        // The error is shown to the user, and must not contain the private key.
        Err(error) => {
            let words = error.to_string();
            for line in text.lines().filter(|line| line.trim_start().starts_with("PrivateKey")) {
                let key = line.split_once('=').map_or("", |(_, key)| key.trim());
                let is_key =
                    key.len() >= 40 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
                assert!(!is_key || !words.contains(key), "{words}");
            }
        }
    }
});
