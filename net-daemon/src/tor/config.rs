//! Tor's configuration: arti's own, with what the user changes of it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use arti_client::TorClientConfig;
use arti_client::config::{CfgPath, TorClientConfigBuilder};

/// The daemon's own folder.
const FOLDER: &str = "/bucket";
/// A request for which there is no way fails after this time, unless the user says otherwise.
const GIVES_UP: Duration = Duration::from_secs(30);

/// The configuration with these changes, TOML.
pub(super) fn with(changes: &str) -> anyhow::Result<TorClientConfig> {
    let changes: toml::Table = toml::from_str(changes).context("its configuration")?;
    let has_timeout = changes.get("circuit_timing").is_some_and(|timing| timing.get("request_timeout").is_some());
    let mut unknown = Vec::new();
    let mut config: TorClientConfigBuilder =
        serde_ignored::deserialize(changes, |path| unknown.push(path.to_string())).context("its configuration")?;
    // A word that was misspelt is a wish that would not hold.
    anyhow::ensure!(unknown.is_empty(), "its configuration has nothing called {}", unknown.join(", "));
    let folder = |name: &str| CfgPath::new_literal(Path::new(FOLDER).join(name));
    config.storage().state_dir(folder("tor-state")).cache_dir(folder("tor-cache"));
    // The folder is this sandbox's alone; who owns it on the outside cannot be seen from here.
    config.storage().permissions().dangerously_trust_everyone();
    // A circuit that belongs to nobody yet may be taken by any connection: then a site sees its visitor come from several exits.
    config.preemptive_circuits().disable_at_threshold(0);
    if !has_timeout {
        config.circuit_timing().request_timeout(GIVES_UP);
    }
    config.build().context("its configuration")
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
