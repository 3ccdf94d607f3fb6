//! Asks a running agent: on this host over its control socket, from elsewhere over its gateway with the admin key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use qmoor_plan::access::Role;
use qmoor_plan::audit;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::public::REMOTE;
use super::socket::FILE;
use super::wire::{
    BackupChoice, Begun, Failure, FailureKind, FreshKey, HoldReport, HoldRequest, IdRequest,
    PinReport, PinRequest, PruneRequest, ReleaseReport, RoleRequest, RotateRequest, Status,
    UpgradeRequest,
};
use crate::backup::{BackupPlan, BackupReport, BackupRequest};
use crate::catalogue::BackupInfo;
use crate::drill::DrillReport;
use crate::keys::{KeyInfo, Secret};
use crate::node::Progress;
use crate::notify::Trial;
use crate::prune::PruneReport;
use crate::restore::{RestorePlan, RestoreReport};
use crate::upgrade::UpgradeReport;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a plain question may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a job may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(3600);
/// The longest answer, or line of one, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why an agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ClientError {
    #[error("no agent runs here (nothing answers at `{}`)", path.display())]
    NotRunning { path: PathBuf },
    #[error("`{}` cannot be reached", path.display())]
    Connect { path: PathBuf, source: std::io::Error },
    #[error("{}", .0.message)]
    Refused(Failure),
    #[error(
        "`{url}` is no address of a gateway (hint: http://HOST:PORT; with TLS, `qmoor remote` goes through SSM)"
    )]
    NotAGateway { url: String },
    #[error("the agent's answer broke off: {reason}")]
    Broken { reason: String },
}

impl ClientError {
    /// The next command, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => Some("`qmoor serve` starts the node".to_owned()),
            Self::Refused(failure) => failure.hint.clone(),
            Self::Connect { .. } | Self::Broken { .. } | Self::NotAGateway { .. } => None,
        }
    }
}

/// The way to the agent of one node.
#[derive(Debug, Clone)]
pub struct Client(Way);

#[derive(Debug, Clone)]
enum Way {
    Socket(PathBuf),
    Gateway { address: String, key: Secret },
}

impl Client {
    /// The agent that has this state directory. Nothing is opened yet.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self(Way::Socket(state.join(FILE)))
    }

    /// The agent whose gateway listens at `url`, which is `http://HOST:PORT`; `key` is an admin key of it.
    ///
    /// # Errors
    /// When `url` is of another kind.
    pub fn through(url: &str, key: Secret) -> Result<Self, ClientError> {
        let not = || ClientError::NotAGateway { url: url.to_owned() };
        let uri: http::Uri = url.parse().map_err(|_| not())?;
        let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/");
        let authority = uri.authority().filter(|_| plain).ok_or_else(not)?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self(Way::Gateway { address: format!("{}:{port}", authority.host()), key }))
    }

    /// The node at this moment.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/status", &Value::Null).await
    }

    /// Who did what.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn audit(&self, wanted: &audit::Wanted) -> Result<Vec<audit::Entry>, ClientError> {
        self.ask(Method::POST, "/audit", wanted).await
    }

    /// All valid keys, without the keys themselves.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, ClientError> {
        self.ask(Method::GET, "/keys", &Value::Null).await
    }

    /// Another key for a role; the newest so far stays valid.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn rotate_key(&self, role: Role) -> Result<FreshKey, ClientError> {
        self.rotate_key_to(&RotateRequest { role, collections: None, overlap_ms: None }).await
    }

    /// Another key, that may be limited to collections, or end the ones before it after a time.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn rotate_key_to(&self, wanted: &RotateRequest) -> Result<FreshKey, ClientError> {
        self.ask(Method::POST, "/keys/rotate", wanted).await
    }

    /// Ends a key.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn revoke_key(&self, id: &str) -> Result<KeyInfo, ClientError> {
        self.ask(Method::POST, "/keys/revoke", &IdRequest { id: id.to_owned() }).await
    }

    /// A key that is valid for an hour and as long as the agent runs, and is kept nowhere: for commands on
    /// this host.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn session_key(&self, role: Role) -> Result<FreshKey, ClientError> {
        self.ask(Method::POST, "/keys/session", &RoleRequest { role }).await
    }

    /// All backups, oldest first.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn backups(&self) -> Result<Vec<BackupInfo>, ClientError> {
        self.ask(Method::GET, "/backups", &Value::Null).await
    }

    /// Makes a backup.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn backup(
        &self,
        request: &BackupRequest,
        on_event: impl FnMut(Progress) + Send,
    ) -> Result<BackupReport, ClientError> {
        self.job("/backup", request, on_event).await
    }

    /// Begins a backup and returns its id; it goes on by itself.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn begin_backup(&self, request: &BackupRequest) -> Result<String, ClientError> {
        let begun: Begun = self.ask(Method::POST, "/backup/begin", request).await?;
        Ok(begun.id)
    }

    /// What a backup would do.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn explain_backup(&self, request: &BackupRequest) -> Result<BackupPlan, ClientError> {
        self.ask(Method::POST, "/backup/explain", request).await
    }

    /// Holds requests until the lease is over, or [`Client::release`].
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn hold(&self, request: &HoldRequest) -> Result<HoldReport, ClientError> {
        self.ask(Method::POST, "/hold", request).await
    }

    /// Ends a hold by hand. Says whether there was one.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn release(&self) -> Result<ReleaseReport, ClientError> {
        self.ask(Method::POST, "/release", &Value::Null).await
    }

    /// What a restore of this backup would do; `latest` is the newest.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn plan_restore(&self, id: &str) -> Result<RestorePlan, ClientError> {
        self.ask(Method::POST, "/restore/plan", &choice(id)).await
    }

    /// Restores this backup; `latest` is the newest.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn restore(
        &self,
        id: &str,
        on_event: impl FnMut(Progress) + Send,
    ) -> Result<RestoreReport, ClientError> {
        self.job("/restore", &choice(id), on_event).await
    }

    /// Restores this backup into scratch and checks it; `latest` is the newest.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn drill(
        &self,
        id: &str,
        on_event: impl FnMut(Progress) + Send,
    ) -> Result<DrillReport, ClientError> {
        self.job("/drill", &choice(id), on_event).await
    }

    /// Brings the docker engine to another version.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn upgrade(
        &self,
        version: &str,
        on_event: impl FnMut(Progress) + Send,
    ) -> Result<UpgradeReport, ClientError> {
        self.job("/upgrade", &UpgradeRequest { version: version.to_owned() }, on_event).await
    }

    /// Removes the backups that no rule keeps, or says which those would be.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn prune(&self, dry_run: bool) -> Result<PruneReport, ClientError> {
        self.job("/prune", &PruneRequest { dry_run }, |_| {}).await
    }

    /// Sets a pin or takes it away.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn pin(&self, id: &str, pinned: bool) -> Result<PinReport, ClientError> {
        self.ask(Method::POST, "/pin", &PinRequest { id: Some(id.to_owned()), pinned }).await
    }

    /// Has a message sent, and returns what came back.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn try_notify(&self) -> Result<Trial, ClientError> {
        self.ask(Method::POST, "/notify/test", &()).await
    }

    /// One question, one answer.
    ///
    /// # Errors
    /// When no agent runs, it refuses, or its answer does not arrive.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl serde::Serialize + Sync),
    ) -> Result<T, ClientError> {
        let asked = async {
            let response = self.send(method, path, body).await?;
            let ok = response.status().is_success();
            let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| broken(&*error))?
                .to_bytes();
            if ok { decode(&bytes) } else { Err(refusal(&bytes)) }
        };
        let timed = tokio::time::timeout(ANSWER_TIMEOUT, asked).await;
        timed.map_err(|_| ClientError::Broken {
            reason: format!("no answer within {ANSWER_TIMEOUT:?}"),
        })?
    }

    /// Asks for a job, passes its events on as they come, and returns its result.
    ///
    /// # Errors
    /// As [`Client::ask`]. The job itself goes on when this is cancelled.
    pub async fn job<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl serde::Serialize + Sync),
        mut on_event: impl FnMut(Progress) + Send,
    ) -> Result<T, ClientError> {
        let response = self.send(Method::POST, path, body).await?;
        if !response.status().is_success() {
            let bytes = response.into_body().collect().await.map_err(|error| broken(&error))?;
            return Err(refusal(&bytes.to_bytes()));
        }
        let mut lines = Lines { body: response.into_body(), rest: BytesMut::new() };
        while let Some(line) = lines.next().await? {
            match decode::<Line>(&line)? {
                Line::Event(event) => {
                    on_event(serde_json::from_value(event).map_err(|error| broken(&error))?);
                }
                Line::Done(value) => {
                    return serde_json::from_value(value).map_err(|error| broken(&error));
                }
                Line::Error(failure) => return Err(ClientError::Refused(failure)),
            }
        }
        Err(ClientError::Broken { reason: "the agent ended before the job did".to_owned() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &(impl serde::Serialize + Sync),
    ) -> Result<Response<Incoming>, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| broken(&error))?;
        let request = Request::builder().method(method);
        match &self.0 {
            Way::Socket(socket) => {
                let stream = connected(socket, UnixStream::connect(socket)).await?;
                let request = request.uri(path).header(http::header::HOST, "agent");
                sent(stream, request, body).await
            }
            Way::Gateway { address, key } => {
                let stream = connected(Path::new(address), TcpStream::connect(address)).await?;
                let request = request
                    .uri(format!("{REMOTE}{path}"))
                    .header(http::header::HOST, address)
                    .header("api-key", key.expose());
                sent(stream, request, body).await
            }
        }
    }
}

/// `place` is what errors name.
async fn connected<S>(
    place: &Path,
    connecting: impl Future<Output = std::io::Result<S>>,
) -> Result<S, ClientError> {
    let path = place.to_owned();
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error))
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            Err(ClientError::NotRunning { path })
        }
        Ok(Err(source)) => Err(ClientError::Connect { path, source }),
        Err(_) => Err(ClientError::Connect { path, source: std::io::ErrorKind::TimedOut.into() }),
    }
}

async fn sent(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::request::Builder,
    body: Vec<u8>,
) -> Result<Response<Incoming>, ClientError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // Ends with the response's body.
    tokio::spawn(connection);
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))?;
    sender.send_request(request).await.map_err(|error| broken(&error))
}

/// One line of a job's answer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Something happened.
    Event(Value),
    /// It is done; this is its result.
    Done(Value),
    /// It failed.
    Error(Failure),
}

/// A body, line by line.
struct Lines {
    body: Incoming,
    rest: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end).freeze();
                self.rest.advance(1);
                return Ok(Some(line));
            }
            if self.rest.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::Broken { reason: "a line is too long".to_owned() });
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match frame {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(broken(&error)),
                Ok(None) => return Ok(None),
                Err(_) => {
                    let reason = format!("the job said nothing for {SILENCE_MAX:?}");
                    return Err(ClientError::Broken { reason });
                }
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct TurnedAway {
    status: TurnedAwayStatus,
}

#[derive(serde::Deserialize)]
struct TurnedAwayStatus {
    error: String,
}

fn choice(id: &str) -> BackupChoice {
    BackupChoice { id: Some(id.to_owned()) }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| broken(&error))
}

fn refusal(bytes: &[u8]) -> ClientError {
    // The gateway itself refuses as Qdrant does.
    if let Ok(turned_away) = serde_json::from_slice::<TurnedAway>(bytes) {
        let failure = Failure::new(FailureKind::Failed, turned_away.status.error);
        return ClientError::Refused(failure);
    }
    #[derive(serde::Deserialize)]
    struct Refused {
        error: Failure,
    }
    match decode::<Refused>(bytes) {
        Ok(refused) => ClientError::Refused(refused.error),
        Err(error) => error,
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ClientError {
    ClientError::Broken { reason: error.to_string() }
}
