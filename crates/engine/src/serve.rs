//! Starts the engine: opens the data, listens, tells when it is ready, and stops in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::node::Node;

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
    /// The largest body a request may have, in bytes. Upstream's is 32 MiB.
    pub max_request_bytes: usize,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("data", &self.data)
            .field("http", &self.http)
            .field("grpc", &self.grpc)
            .field("max_request_bytes", &self.max_request_bytes)
            .finish_non_exhaustive()
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
    /// The data directory cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Data {
        /// The directory or the collection in it.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Serves until `shutdown` ends.
///
/// # Errors
/// See [`ServeError`].
#[expect(clippy::unused_async, reason = "listeners follow")]
pub async fn serve(
    options: Options,
    on_ready: impl FnOnce(Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let node = Arc::new(Node::open(&options.data).map_err(|error| ServeError::Data {
        path: options.data.clone(),
        reason: error.to_string(),
    })?);
    drop((node, on_ready, shutdown));
    Ok(())
}
