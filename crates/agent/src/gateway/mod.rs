//! The one door that clients come through: REST and gRPC on one port, keys and roles, holding.

mod access_line;
pub(crate) mod answer;
mod body;
mod caller;
mod forward;
mod handle;
mod health;
mod listen;
mod metrics;
mod page_door;
mod preface;
pub mod tls;
mod wrong;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use qmoor_plan::access::Trickle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::Agent;
use crate::history::History;
use crate::metrics::{Metrics, MetricsError};
use crate::page;
pub use listen::{Listening, bind};
pub use wrong::WrongKeys;

/// Records a minute about keys that may not, at most.
const FORBIDDEN: u32 = 60;

/// What a client can cost at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections served at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long a request's head may take, and how long a connection may be without a request.
    pub header_timeout: Duration,
    /// How long an HTTP/2 connection may be without a request that had a right key.
    pub unknown_timeout: Duration,
    /// The size of a request's head, in bytes.
    pub header_bytes_max: usize,
    /// The largest body of a REST request, in bytes, as upstream (`service.max_request_size_mb`).
    pub rest_bytes_max: u64,
    /// How long a body may make no progress, in either direction.
    pub body_idle: Duration,
    /// How long the engine may take until it begins its answer.
    pub answer_timeout: Duration,
    /// Requests at once on one HTTP/2 connection.
    pub streams_max: u32,
}

impl Limits {
    /// The limits of a node that may have so many connections.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        Self {
            max_connections,
            header_timeout: Duration::from_secs(15),
            unknown_timeout: Duration::from_secs(60),
            header_bytes_max: 16 * 1024,
            rest_bytes_max: 32 * 1024 * 1024,
            body_idle: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(15 * 60),
            streams_max: 256,
        }
    }
}

/// The gateway of one agent: what all its connections share.
#[derive(Debug)]
pub struct Gateway {
    agent: Arc<Agent>,
    limits: Limits,
    engine: forward::Upstream,
    /// Bounds the requests that wait for an engine that is starting.
    waiting: Semaphore,
    /// Who comes without a right key.
    wrong: wrong::Wrong,
    /// When it began.
    begun: Instant,
    /// Bounds what is written down of keys that may not do what they ask for.
    forbidden: Mutex<Trickle>,
    /// What connections are encrypted with, if they are.
    tls: Option<Arc<tls::Tls>>,
    /// What has been answered, and how it is told.
    metrics: Metrics,
    /// What the node remembers of itself.
    history: Arc<History>,
    /// The status page.
    page: page::Page,
    /// Ends what would go on for ever when the gateway does.
    stop: CancellationToken,
}

impl Gateway {
    /// A gateway in front of the node's engine. The file of the configuration, if there is one, is for the checks that the
    /// status page shows.
    ///
    /// # Errors
    /// When the list of metrics is wrong.
    pub fn new(
        agent: Arc<Agent>,
        limits: Limits,
        tls: Option<Arc<tls::Tls>>,
        config_file: Option<PathBuf>,
    ) -> Result<Self, MetricsError> {
        let waiting = Semaphore::new(agent.config.gateway.max_held);
        let engine = forward::Upstream::new();
        let (wrong, metrics) = (wrong::Wrong::new(), Metrics::new()?);
        let (begun, forbidden) = (Instant::now(), Mutex::new(Trickle::new(FORBIDDEN)));
        let node = &agent.config.node;
        let history = Arc::new(History::new(node.data.clone(), &node.state));
        let page = page::Page::new(config_file);
        let stop = CancellationToken::new();
        Ok(Self {
            agent,
            limits,
            engine,
            waiting,
            wrong,
            begun,
            forbidden,
            tls,
            metrics,
            history,
            page,
            stop,
        })
    }

    /// How many requests had no right key, for metrics.
    #[must_use]
    pub fn wrong_keys(&self) -> WrongKeys {
        self.wrong.counts()
    }
}
