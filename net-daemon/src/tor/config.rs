//! Configuration of Tor: arti's defaults with Regen's and the user's changes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use arti_client::TorClientConfig;
use arti_client::config::{CfgPath, TorClientConfigBuilder};

/// Folder of the net-daemon.
const FOLDER: &str = "/bucket";
/// Timeout for a request that finds no circuit, unless the user sets another.
const GIVES_UP: Duration = Duration::from_secs(30);

/// Returns the configuration with the user's changes, which are TOML.
pub(super) fn with(changes: &str) -> anyhow::Result<TorClientConfig> {
    let changes: toml::Table = toml::from_str(changes).context("invalid configuration")?;
    let has_timeout = changes.get("circuit_timing").is_some_and(|timing| timing.get("request_timeout").is_some());
    let mut unknown = Vec::new();
    let mut config: TorClientConfigBuilder =
        serde_ignored::deserialize(changes, |path| unknown.push(path.to_string())).context("invalid configuration")?;
    // A misspelt setting would have no effect.
    anyhow::ensure!(unknown.is_empty(), "unknown settings in the configuration: {}", unknown.join(", "));
    let folder = |name: &str| CfgPath::new_literal(Path::new(FOLDER).join(name));
    config.storage().state_dir(folder("tor-state")).cache_dir(folder("tor-cache"));
    // The folder belongs to this sandbox alone. Its owner outside the sandbox cannot be checked from here.
    config.storage().permissions().dangerously_trust_everyone();
    // Any connection may take a preemptive circuit, so that a site would see its visitor come from several exits.
    config.preemptive_circuits().disable_at_threshold(0);
    if !has_timeout {
        config.circuit_timing().request_timeout(GIVES_UP);
    }
    config.build().context("invalid configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_changes_holds_and_a_mistake_is_named() {
        assert!(with("").is_ok());
        assert!(
            with("[circuit_timing]\nrequest_timeout = '5 seconds'\n[address_filter]\nallow_local_addrs = true").is_ok()
        );
        let wrong = |text: &str| format!("{:#}", with(text).unwrap_err());
        assert!(wrong("[circuit_timing]\nrequest_timeout = 'soon'").contains("circuit_timing"));
        assert!(wrong("[circuit").contains("line 1"));
        assert!(wrong("[bridge]\nenabled = true").contains("bridge"));
        assert!(wrong("[bridges]\nbridges = ['nonsense']").contains("nonsense"));
    }
}
