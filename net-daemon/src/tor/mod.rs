//! Tor client. It starts when a route first needs it. Each partition has its own circuits.
//!
//! Only requests show whether Tor works: the status of arti does not change in a total outage.

mod config;
mod health;
mod service;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arti_client::{DataStream, ErrorKind, HasKind, IsolationToken, StreamPrefs, TorClient};
use regen_proto::net::v1::{FailureKind, TorState, TorStatus};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tor_error::ErrorReport;
use tor_rtcompat::PreferredRuntime;

use crate::counted::Counted;
use crate::egress::{Connection, Egress, Resolved, Target};
use crate::error::{ConnectError, HopError};

pub(crate) use service::Admin;

/// Timeout for arti's start. Arti continues afterwards, and the next request waits for it again.
const STARTS: Duration = Duration::from_secs(90);
/// Timeout for one connection, including arti's retries.
const CONNECTS: Duration = Duration::from_secs(60);

type Client = Arc<TorClient<PreferredRuntime>>;

/// The Tor client. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Tor {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// User's changes to the configuration, as TOML.
    changes: String,
    /// Client with its own thread: reading a directory takes seconds, for which nothing else must wait.
    running: OnceCell<Running>,
    identity: Mutex<Identity>,
    status: watch::Sender<TorStatus>,
    /// Notified when a request was not answered, which may or may not be Tor's fault.
    doubt: Arc<Notify>,
}

struct Running {
    client: Client,
    runtime: Runtime,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Circuits of new connections. A new identity replaces it.
#[derive(Debug, Default)]
struct Identity {
    circuits: HashMap<String, IsolationToken>,
    over: CancellationToken,
}

impl Identity {
    fn of(&mut self, partition: &str) -> IsolationToken {
        *self.circuits.entry(partition.to_owned()).or_insert_with(IsolationToken::new)
    }
}

#[tonic::async_trait]
impl Egress for Tor {
    fn network(&self) -> String {
        "tor".to_owned()
    }

    /// Leaves the name to the exit, which resolves it when it connects.
    async fn resolve(&self, _: Target<'_>) -> Result<Resolved, HopError> {
        Ok(Resolved::Elsewhere)
    }

    /// Opens a connection on a circuit of the target's partition.
    async fn dial(&self, target: Target<'_>, _: Resolved) -> Result<Connection, HopError> {
        let waits = Counted::new(&self.shared.status, |status| &mut status.waiting);
        let (circuit, over) = {
            let mut identity = self.identity();
            (identity.of(target.partition), identity.over.clone())
        };
        let client = self.client().await?;
        let opened = tokio::select! {
            opened = self.open(&client, circuit, target.host, target.port) => opened,
            () = over.cancelled() => Err(HopError::Target(given_up())),
        };
        drop(waits);
        let stream = opened?;
        let open = Counted::new(&self.shared.status, |status| &mut status.open);
        let doubt = Some(Arc::clone(&self.shared.doubt));
        Ok(Connection { over, doubt, _open: Some(Box::new(open)), ..Connection::plain(stream) })
    }
}

impl Tor {
    pub(crate) fn new(changes: String) -> Self {
        let status = TorStatus { state: TorState::Off.into(), ..TorStatus::default() };
        Self {
            shared: Arc::new(Shared {
                changes,
                running: OnceCell::new(),
                identity: Mutex::default(),
                status: watch::Sender::new(status),
                doubt: Arc::default(),
            }),
        }
    }

    async fn open(
        &self,
        client: &Client,
        circuit: IsolationToken,
        host: &str,
        port: u16,
    ) -> Result<DataStream, HopError> {
        match timeout(STARTS, client.bootstrap()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.down(&words(&error))),
            Err(_) => return Err(self.down(&format!("no connection to the Tor network within {} s", STARTS.as_secs()))),
        }
        let mut prefs = StreamPrefs::new();
        prefs.set_isolation(circuit);
        prefs.connect_to_onion_services(arti_client::config::BoolOrAuto::Explicit(true));
        match timeout(CONNECTS, client.connect_with_prefs((host, port), &prefs)).await {
            Ok(Ok(stream)) => {
                health::works(&self.shared.status);
                Ok(stream)
            }
            Ok(Err(error)) => Err(self.failed(host, &error)),
            Err(_) => Err(self.down(&format!("no answer within {} s", CONNECTS.as_secs()))),
        }
    }

    /// Resolves a host at an exit, for the user. For pages, the exit resolves the host when it connects.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let only = HopError::into_inner;
        let client = self.client().await.map_err(only)?.isolated_client();
        match timeout(STARTS, client.resolve(host)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(only(self.failed(host, &error))),
            Err(_) => Err(only(self.down(&format!("no answer within {} s", STARTS.as_secs())))),
        }
    }

    /// Returns the error of a failed connection for the user, and updates the health.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all errors that are not the target's count as Tor's")]
    fn failed(&self, host: &str, error: &arti_client::Error) -> HopError {
        if health::an_exit_said(error.kind()) {
            health::works(&self.shared.status);
        } else {
            self.shared.doubt.notify_one();
        }
        let target = HopError::target;
        match error.kind() {
            ErrorKind::RemoteHostNotFound | ErrorKind::RemoteHostResolutionFailed => {
                target(FailureKind::Name, format!("the Tor exit found no address for “{host}”"))
            }
            ErrorKind::RemoteConnectionRefused => {
                target(FailureKind::Refused, format!("{host} refused the Tor exit's connection"))
            }
            // The error does not say whether the host or Tor failed.
            ErrorKind::RemoteNetworkTimeout => {
                target(FailureKind::Unreachable, format!("{host} does not answer, or Tor cannot reach it"))
            }
            ErrorKind::RemoteNetworkFailed | ErrorKind::RemoteStreamReset => {
                target(FailureKind::Unreachable, format!("{host} did not answer the Tor exit"))
            }
            ErrorKind::ExitPolicyRejected | ErrorKind::NoPath | ErrorKind::NoExit => {
                target(FailureKind::Policy, format!("no Tor exit connects to {host} on this port"))
            }
            ErrorKind::InvalidStreamTarget | ErrorKind::ForbiddenStreamTarget => {
                target(FailureKind::Policy, format!("Tor does not connect to {host}: {}", words(error)))
            }
            ErrorKind::OnionServiceNotFound | ErrorKind::OnionServiceAddressInvalid => {
                target(FailureKind::Name, format!("onion service {host} was not found"))
            }
            ErrorKind::OnionServiceNotRunning
            | ErrorKind::OnionServiceConnectionFailed
            | ErrorKind::OnionServiceMissingClientAuth
            | ErrorKind::OnionServiceWrongClientAuth
            | ErrorKind::OnionServiceProtocolViolation => {
                target(FailureKind::Unreachable, format!("cannot connect to onion service {host}: {}", words(error)))
            }
            _ => self.down(&words(error)),
        }
    }

    fn down(&self, why: &str) -> HopError {
        let percent = self.shared.status.borrow().percent;
        let percent = if percent < 100 { format!(" (start at {percent} %)") } else { String::new() };
        let message = format!("Tor cannot connect{percent}: {why}");
        health::fails(&self.shared.status, &message);
        HopError::down(message)
    }

    async fn client(&self) -> Result<Client, HopError> {
        let running = self.shared.running.get_or_try_init(|| async {
            let shared = Arc::clone(&self.shared);
            // The start creates folders and opens a database, which blocks.
            let running = tokio::task::spawn_blocking(move || start(&shared.changes)).await??;
            self.shared.status.send_modify(|status| status.set_state(TorState::Starting));
            let (client, status) = (&running.client, &self.shared.status);
            running.runtime.spawn(health::tell_progress(Arc::clone(client), status.clone()));
            let doubt = Arc::clone(&self.shared.doubt);
            running.runtime.spawn(health::keep_looking(Arc::clone(client), status.clone(), doubt));
            anyhow::Ok(running)
        });
        match running.await {
            Ok(running) => Ok(Arc::clone(&running.client)),
            Err(error) => {
                let message = format!("Tor cannot be started: {error:#}");
                health::fails(&self.shared.status, &message);
                Err(HopError::down(message))
            }
        }
    }

    /// Starts a new identity: all open connections end, and new ones do not share their circuits. Returns the number of
    /// connections that ended.
    pub(crate) fn new_identity(&self) -> u32 {
        let ended = self.shared.status.borrow().open;
        std::mem::take(&mut *self.identity()).over.cancel();
        ended
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.shared.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns arti's error message with its causes.
fn words(error: &arti_client::Error) -> String {
    let report = error.report().to_string();
    report.strip_prefix("error: ").unwrap_or(&report).to_owned()
}

fn given_up() -> ConnectError {
    ConnectError { kind: FailureKind::Route, message: "connection cancelled because of a new Tor identity".to_owned() }
}

fn start(changes: &str) -> anyhow::Result<Running> {
    // Arti installs no default provider. This fails harmlessly if one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config::with(changes)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("tor").enable_all().build()?;
    let client = {
        let _inside = runtime.enter();
        TorClient::with_runtime(PreferredRuntime::current()?).config(config).create_unbootstrapped()?
    };
    Ok(Running { client, runtime })
}
