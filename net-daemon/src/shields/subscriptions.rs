//! Downloads and updates of lists that the user has added. If a new text is invalid, the previous one stays.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use regen_proto::net::v1::AddList;
use tokio::sync::OwnedMutexGuard;
use url::Url;

use super::lists::MAX_LIST;
use super::user_rules::{Own, OwnListsError, Source, name_of_new};
use super::{Shields, read};
use crate::http_client::{Fetched, Fetcher};

/// Interval between checks for lists that are due.
const POLL_INTERVAL: Duration = Duration::from_mins(10);
/// Additional delay after a failed update.
const RETRY_DELAY: Duration = Duration::from_hours(1);

impl Shields {
    /// Adds a list, which applies when this returns.
    pub(super) async fn add_list(&self, add: AddList, fetcher: &Fetcher) -> Result<(), OwnListsError> {
        let AddList { name, url, text, sha256 } = add;
        name_of_new(&name, &self.sources().await?)?;
        let broken = |why: String| OwnListsError::Broken { name: name.clone(), why };
        let pin = (!sha256.is_empty()).then_some(sha256.as_str());
        let (url, text, etag) = if url.is_empty() {
            (None, text, String::new())
        } else {
            let place = address(&url, pin.is_some()).map_err(broken)?;
            match fetcher.get(&place, "", MAX_LIST).await.map_err(broken)? {
                Fetched::Whole { bytes, etag } => (Some(url.as_str()), as_text(&bytes).map_err(broken)?, etag),
                Fetched::Same => return Err(broken("its server sent no text".to_owned())),
            }
        };
        let (source, text) = made(name.clone(), url.map(str::to_owned), etag, text, pin.map(str::to_owned)).await?;
        self.change(move |own| {
            name_of_new(&source.name, &own.lists.sources()?)?;
            own.lists.put(&source, &text)
        })
        .await
    }

    /// Removes a list.
    pub(super) async fn remove_list(&self, name: String) -> Result<(), OwnListsError> {
        self.stale().remove(&name);
        self.change(move |own| own.lists.remove(&name)).await
    }

    /// Updates all lists that have a URL.
    pub(super) async fn update_lists(&self, fetcher: &Fetcher) -> Result<(), OwnListsError> {
        for source in self.sources().await? {
            self.update(&source, fetcher).await;
        }
        Ok(())
    }

    /// Updates lists as often as they say. Never returns.
    pub(crate) async fn keep_fresh(self, fetcher: Fetcher) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let Ok(sources) = self.sources().await else { continue };
            let mut failed = false;
            for source in sources.iter().filter(|source| source.due_in().is_zero()) {
                failed |= !self.update(source, &fetcher).await;
            }
            if failed {
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Updates a list. Returns whether it is known to be current.
    async fn update(&self, source: &Source, fetcher: &Fetcher) -> bool {
        let Some(url) = &source.url else { return true };
        let outcome = self.update_from(source, url, fetcher).await;
        match &outcome {
            Ok(()) => drop(self.stale().remove(&source.name)),
            Err(why) => {
                tracing::warn!("shields: list {} was not updated: {why}", source.name);
                self.stale().insert(source.name.clone(), why.clone());
            }
        }
        outcome.is_ok()
    }

    async fn update_from(&self, source: &Source, url: &str, fetcher: &Fetcher) -> Result<(), String> {
        let pin = source.pinned.then(|| source.sha256.clone());
        let (bytes, etag) = match fetcher.get(&address(url, source.pinned)?, &source.etag, MAX_LIST).await? {
            Fetched::Whole { bytes, etag } => (bytes, etag),
            Fetched::Same => {
                let own = Arc::clone(&self.own).lock_owned().await;
                return own.lists.is_fresh(source).map_err(|error| error.to_string());
            }
        };
        let text = as_text(&bytes)?;
        let made = made(source.name.clone(), Some(url.to_owned()), etag, text, pin).await;
        let (new, text) = made.map_err(|error| error.to_string())?;
        let known = source.clone();
        let changed = self.change(move |own| {
            // The list may have been removed meanwhile, or replaced by another one of that name.
            let is_there = own.lists.sources()?.iter().any(|one| one.is_same(&known));
            if is_there { own.lists.put(&new, &text) } else { Ok(()) }
        });
        changed.await.map_err(|error| error.to_string())
    }

    pub(super) async fn sources(&self) -> Result<Vec<Source>, OwnListsError> {
        Ok(self.own.lock().await.lists.sources()?)
    }

    pub(super) fn stale(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes user rules or lists, and compiles the engine again. This runs to its end even if the caller is dropped,
    /// so that the rules in use match those on disk.
    pub(super) async fn change<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<std::io::Error> + Send + 'static,
        F: FnOnce(&OwnedMutexGuard<Own>) -> Result<T, E> + Send + 'static,
    {
        let own = Arc::clone(&self.own).lock_owned().await;
        // The first engine must not replace the new one, as it is compiled from the previous state.
        drop(self.rules().await);
        let rules = Arc::clone(&self.rules);
        let changed = tokio::task::spawn_blocking(move || {
            let changed = change(&own)?;
            rules.send_replace(Some(Arc::new(read(&own))));
            Ok(changed)
        });
        changed.await.map_err(|error| E::from(std::io::Error::other(error)))?
    }
}

/// Checks a list on a blocking thread, since this process's main thread carries the data of every site.
async fn made(
    name: String,
    url: Option<String>,
    etag: String,
    text: String,
    pin: Option<String>,
) -> Result<(Source, String), OwnListsError> {
    let make = move || {
        let source = Source::of(&name, url.as_deref(), &etag, &text, pin.as_deref())?;
        Ok((source, text))
    };
    tokio::task::spawn_blocking(make).await.map_err(std::io::Error::other)?
}

/// Parses the URL of a list. An unencrypted URL is accepted only if the text's hash is pinned.
fn address(url: &str, is_pinned: bool) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| format!("{url} is not a valid URL: {error}"))?;
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_pinned => Ok(parsed),
        "http" => Err(format!("{url} is not encrypted and could be changed on the way: use https or --sha256")),
        _ => Err(format!("{url} is not a web address: use https")),
    }
}

fn as_text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let good = bytes.get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text")
    })
}
