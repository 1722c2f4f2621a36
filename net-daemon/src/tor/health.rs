//! Health of Tor: progress of the start, and the outcome of the last request.

use std::sync::Arc;
use std::time::Duration;

use arti_client::{ErrorKind, HasKind, TorClient};
use regen_proto::net::v1::{TorState, TorStatus};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tor_rtcompat::PreferredRuntime;

use super::{CONNECTS, Client};

/// Delay between tests while Tor does not work.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Delay after a successful test until doubts cause the next one: some answers just take their time.
const SURE: Duration = Duration::from_secs(30);
/// Target of a test: a name that cannot exist, so that the only effect is an exit's answer.
const NOBODY: (&str, u16) = ("regen-health.invalid", 443);

pub(super) fn works(status: &watch::Sender<TorStatus>) {
    status.send_if_modified(|status| {
        let is_news = status.state() != TorState::Ready || status.percent != 100 || !status.message.is_empty();
        (status.percent, status.message) = (100, String::new());
        status.set_state(TorState::Ready);
        is_news
    });
}

pub(super) fn fails(status: &watch::Sender<TorStatus>, why: &str) {
    status.send_modify(|status| {
        status.set_state(TorState::Failing);
        why.clone_into(&mut status.message);
    });
}

/// Reports arti's progress until the first request succeeds or fails.
pub(super) async fn tell_progress(client: Client, status: watch::Sender<TorStatus>) {
    let mut events = client.bootstrap_events();
    while let Some(now) = events.next().await {
        status.send_if_modified(|status| {
            if status.state() != TorState::Starting {
                return false;
            }
            let message = now.blocked().map(|blockage| blockage.to_string()).unwrap_or_default();
            let percent = percent(now.as_frac());
            let is_news = (status.percent, &status.message) != (percent, &message);
            (status.percent, status.message) = (percent, message);
            is_news
        });
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 99")]
fn percent(fraction: f32) -> u32 {
    // Only a request that was answered completes the start.
    (fraction.clamp(0.0, 1.0) * 99.0) as u32
}

/// Tests Tor while it does not work or is in doubt, without waiting for a page's request.
pub(super) async fn keep_looking(client: Client, status: watch::Sender<TorStatus>, doubt: Arc<Notify>) {
    let mut news = status.subscribe();
    loop {
        tokio::select! {
            failing = news.wait_for(|status| status.state() == TorState::Failing) => if failing.is_err() { return },
            () = doubt.notified() => {}
        }
        if answers(&client.isolated_client()).await {
            works(&status);
            sleep(SURE).await;
        } else {
            // The message of the first failure says more.
            if status.borrow().state() != TorState::Failing {
                fails(&status, "Tor cannot connect: exits do not answer");
            }
            sleep(RETRY_DELAY).await;
        }
    }
}

/// Returns whether an error can only come from an exit.
pub(super) fn an_exit_said(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RemoteHostNotFound
            | ErrorKind::RemoteHostResolutionFailed
            | ErrorKind::RemoteConnectionRefused
            | ErrorKind::RemoteNetworkFailed
            | ErrorKind::RemoteStreamReset
            | ErrorKind::ExitPolicyRejected
    )
}

async fn answers(client: &TorClient<PreferredRuntime>) -> bool {
    match timeout(CONNECTS, client.connect(NOBODY)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => an_exit_said(error.kind()),
        Err(_) => false,
    }
}
