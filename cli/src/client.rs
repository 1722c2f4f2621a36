//! Connection to a running browser, and the errors of commands.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use interprocess::local_socket::traits::tokio::Stream as _;
use interprocess::local_socket::{GenericFilePath, ToFsName, tokio::Stream};
use regen_broker::profile::{Profile, ProfileError};
use regen_proto::control::v1::browser_client::BrowserClient;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

/// Failure of a command. Each variant has an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("no browser runs on the profile {0}: start one with `regen`")]
    NotRunning(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Timeout(String),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Prints the failure to stderr and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("regen: {self}");
        ExitCode::from(match self {
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::NotRunning(_) => 3,
            Self::NotFound(_) => 4,
            Self::Timeout(_) => 5,
        })
    }
}

impl From<Status> for Failure {
    #[expect(clippy::wildcard_enum_match_arm, reason = "gRPC has many codes, and the rest are handled alike")]
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound(text),
            Code::DeadlineExceeded => Self::Timeout(text),
            Code::InvalidArgument => Self::Usage(text),
            Code::Unavailable if text.is_empty() => Self::Other("the browser has ended".to_owned()),
            _ => Self::Other(text),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Connection to the control socket of a running browser.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) api: BrowserClient<Channel>,
    socket: PathBuf,
}

impl Client {
    /// Connects to the browser running on a profile.
    pub(crate) async fn connect(profile: Option<&Path>) -> Result<Self, Failure> {
        let profile = Profile::find(profile)?;
        let socket = profile.control_socket();
        profile.check_runtime()?;
        // The socket file outlives its browser; only connecting shows whether one is running.
        dial(&socket).await.map_err(|error| {
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                return Failure::Other(error.to_string());
            }
            Failure::NotRunning(profile.root().display().to_string())
        })?;
        let path = socket.clone();
        let channel = Endpoint::from_static("http://control.invalid").connect_with_connector_lazy(tower::service_fn(
            move |_: Uri| {
                let path = path.clone();
                async move { dial(&path).await.map(TokioIo::new) }
            },
        ));
        let api = BrowserClient::new(channel).max_decoding_message_size(256 << 20);
        Ok(Self { api, socket })
    }

    /// Waits until the browser has exited. Used after `quit`.
    pub(crate) async fn wait_until_gone(&self) -> Result<(), Failure> {
        for _ in 0..500 {
            if dial(&self.socket).await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Failure::Timeout("the browser was asked to quit and is still running after 10 s".to_owned()))
    }
}

/// Connects, and checks that the server runs as this user before anything is sent.
async fn dial(socket: &Path) -> std::io::Result<Stream> {
    let stream = Stream::connect(socket.to_fs_name::<GenericFilePath>()?).await?;
    let Stream::UdSocket(inner) = &stream;
    let server = rustix::net::sockopt::socket_peercred(inner.as_fd())?;
    let you = rustix::process::geteuid();
    if server.uid != you {
        let (path, who) = (socket.display(), server.uid.as_raw());
        let words = format!("user {who} answers on {path}, and you are user {}: nothing was sent", you.as_raw());
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, words));
    }
    Ok(stream)
}
