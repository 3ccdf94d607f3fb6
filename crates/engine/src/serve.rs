//! Starts the engine: opens the data, listens, tells when it is ready, and stops in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::node::{Node, blocking};
use crate::{grpc, rest, version};

/// How long requests under way may take to end when the engine stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How the engine is run.
#[derive(Clone)]
pub struct Options {
    /// The data directory.
    pub data: PathBuf,
    /// Where REST is served; port 0 lets the system choose.
    pub http: SocketAddr,
    /// Where gRPC is served; port 0 lets the system choose.
    pub grpc: SocketAddr,
    /// The key that may do everything. Without any key no request needs one.
    pub api_key: Option<String>,
    /// The key that may only read.
    pub read_only_api_key: Option<String>,
    /// The largest body a REST request may have, in bytes. Upstream's is 32 MiB.
    pub max_request_bytes: usize,
    /// What is said to be the version, where another one than ours is stood in for.
    pub says_version: Option<String>,
}

impl ServeError {
    /// Whether another process has the data open.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let redacted = |key: &Option<String>| key.as_ref().map(|_| "[redacted]");
        f.debug_struct("Options")
            .field("data", &self.data)
            .field("http", &self.http)
            .field("grpc", &self.grpc)
            .field("api_key", &redacted(&self.api_key))
            .field("read_only_api_key", &redacted(&self.read_only_api_key))
            .field("max_request_bytes", &self.max_request_bytes)
            .field("says_version", &self.says_version)
            .finish()
    }
}

/// Where the engine listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
}

/// Why the engine did not start, or did not stop in order.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A key is set, but to nothing.
    #[error("{key} is set and empty. hint: give it a value, or unset it to serve without keys")]
    EmptyKey {
        /// Which key.
        key: &'static str,
    },
    /// The data directory cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Another process has the data open; the command line ends with 3.
    #[error("{reason}")]
    Held {
        /// Which directory, and what to do.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}. hint: see what holds the port, or choose another"
    )]
    Listen {
        /// The address as it was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A listener failed while serving.
    #[error("the {door} listener failed: {source}")]
    Door {
        /// `REST` or `gRPC`.
        door: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not everything could be flushed at the end. Nothing acknowledged is lost: it is in the log.
    #[error("not everything could be flushed: {reason}")]
    Flush {
        /// Which collection, and why.
        reason: String,
    },
}

/// Serves until `shutdown` ends, then answers what is under way, flushes everything and returns.
///
/// `on_ready` is called once, when all collections are loaded and both addresses are listened on.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    options: Options,
    on_ready: impl FnOnce(Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    raise_open_files();
    if let Some(version) = &options.says_version {
        version::say(version.clone());
    }
    check_key("the API key", options.api_key.as_deref())?;
    check_key("the read-only API key", options.read_only_api_key.as_deref())?;
    // The ports are taken at once, and listened on when everything is loaded: until then a
    // connection is refused.
    let http = bind(options.http)?;
    let grpc = bind(options.grpc)?;
    let data = options.data.clone();
    let node = blocking(move || Node::open(&data)).await.map_err(|error| match error {
        ApiError::Unavailable(reason) => ServeError::Held { reason },
        ApiError::Internal(reason) => ServeError::Data { path: options.data.clone(), reason },
        other => ServeError::Data { path: options.data.clone(), reason: other.to_string() },
    })?;
    let node = Arc::new(node);
    let (http, http_address) = listen(http, options.http)?;
    let (grpc, grpc_address) = listen(grpc, options.grpc)?;
    let doors = Doors::new(&node, &options);
    on_ready(Ready { http: http_address, grpc: grpc_address });
    let served = doors.serve(http, grpc, shutdown).await;
    let closing = Arc::clone(&node);
    let closed = blocking(move || closing.close()).await;
    served?;
    closed.map_err(|error| ServeError::Flush { reason: error.to_string() })
}

/// Both doors to one node.
struct Doors {
    node: Arc<Node>,
    auth: Arc<Auth>,
    rest: axum::Router,
}

impl Doors {
    fn new(node: &Arc<Node>, options: &Options) -> Self {
        let auth = Arc::new(Auth::new(options.api_key.clone(), options.read_only_api_key.clone()));
        let rest = rest::router(rest::Door {
            node: Arc::clone(node),
            auth: Arc::clone(&auth),
            metrics: Arc::new(Metrics::default()),
            max_request_bytes: options.max_request_bytes,
            started: Instant::now(),
        });
        Self { node: Arc::clone(node), auth, rest }
    }

    /// Serves until `shutdown` ends or a door fails, and closes both within [`DRAIN`].
    async fn serve(
        self,
        http: TcpListener,
        grpc: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let stop = CancellationToken::new();
        let http = http.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
        });
        let routes = grpc::routes(&self.node, self.auth).await;
        let rest = axum::serve(http, self.rest)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future();
        let mut rest = tokio::spawn(rest);
        let mut grpc = tokio::spawn(grpc::serve(grpc, routes, stop.clone().cancelled_owned()));
        let mut result = tokio::select! {
            () = shutdown => Ok(()),
            ended = &mut rest => ended_early("REST", ended),
            ended = &mut grpc => ended_early("gRPC", ended),
        };
        stop.cancel();
        let deadline = tokio::time::Instant::now() + DRAIN;
        for (door, ended) in [
            ("REST", drained(&mut rest, deadline).await),
            ("gRPC", drained(&mut grpc, deadline).await),
        ] {
            if let Err(source) = ended
                && result.is_ok()
            {
                result = Err(ServeError::Door { door, source });
            }
        }
        result
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn ended_early<E: Into<Failure>>(
    door: &'static str,
    ended: Result<Result<(), E>, tokio::task::JoinError>,
) -> Result<(), ServeError> {
    let source = match ended {
        Ok(Ok(())) => "it ended by itself".into(),
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    };
    Err(ServeError::Door { door, source })
}

/// Waits for a door to close; past the deadline its connections are cut.
async fn drained<E: Into<Failure>>(
    door: &mut tokio::task::JoinHandle<Result<(), E>>,
    deadline: tokio::time::Instant,
) -> Result<(), Failure> {
    if door.is_finished() {
        return Ok(());
    }
    match tokio::time::timeout_at(deadline, &mut *door).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            tracing::warn!("requests were still under way when the engine stopped");
            door.abort();
            Ok(())
        }
    }
}

/// Every collection keeps files open; what the system allows for the asking is asked for.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// An empty key is an accident, and upstream then serves without any.
fn check_key(key: &'static str, value: Option<&str>) -> Result<(), ServeError> {
    match value {
        Some("") => Err(ServeError::EmptyKey { key }),
        Some(_) | None => Ok(()),
    }
}

fn bind(address: SocketAddr) -> Result<TcpSocket, ServeError> {
    let socket = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    socket().map_err(|source| ServeError::Listen { address, source })
}

fn listen(socket: TcpSocket, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let listener =
        socket.listen(BACKLOG).map_err(|source| ServeError::Listen { address, source })?;
    let bound = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
    Ok((listener, bound))
}
