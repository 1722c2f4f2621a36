//! Records of a corrupted store.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regen_session::SavedTab;
use regen_store::codec;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(codec::Record { value: tab, .. }) = codec::decode::<SavedTab>(bytes) {
        let _ = tab.revive(1);
    }
});
