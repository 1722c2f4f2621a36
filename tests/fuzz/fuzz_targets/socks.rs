//! The SOCKS server in a tab-host, with arbitrary bytes from the engine.
#![no_main]

#[path = "../../../tab-host/src/socks.rs"]
mod socks;

use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut engine, front) = tokio::io::duplex(1 << 16);
        engine.write_all(bytes).await.expect("room in the stream");
        engine.shutdown().await.expect("the stream is closed");
        if let Some((_, host, _)) = socks::greet(front).await {
            assert!(host.len() <= 255, "{host}");
        }
    });
});
