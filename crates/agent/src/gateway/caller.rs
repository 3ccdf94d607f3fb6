//! Who is calling: exactly one key, in one of the two places where Qdrant's clients put it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::answer::Refusal;
use crate::keys::{KeyInfo, Keyring};

/// The header, and gRPC metadata, that carries a key.
pub(super) const API_KEY: http::HeaderName = http::HeaderName::from_static("api-key");

/// Finds the caller by the key in `api-key` or `Authorization: Bearer`.
pub(super) fn caller(headers: &HeaderMap, keys: &Keyring) -> Result<Arc<KeyInfo>, Refusal> {
    let mut presented: Option<&str> = None;
    for value in headers.get_all(API_KEY).iter().map(|value| value.to_str().ok()).chain(
        headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(|value| value.to_str().ok().and_then(|text| text.strip_prefix("Bearer "))),
    ) {
        let Some(key) = value else {
            return Err(Refusal::Unauthorized("Invalid API key"));
        };
        if presented.is_some_and(|other| other != key) {
            return Err(Refusal::Unauthorized("Two different API keys in one request"));
        }
        presented = Some(key);
    }
    let Some(key) = presented else {
        return Err(Refusal::Unauthorized(
            "Must provide an API key or an Authorization bearer token",
        ));
    };
    keys.check(key, Timestamp::now()).ok_or(Refusal::Unauthorized("Invalid API key"))
}

/// One connection, as all its requests see it.
#[derive(Debug)]
pub(super) struct Peer {
    /// Who is at the other end.
    pub(super) address: IpAddr,
    /// The state of the keys when a right one was last shown here; 0 for never.
    proven: AtomicU64,
    /// Bounds the writes that go on although their client has left.
    pub(super) writes: Arc<Semaphore>,
}

impl Peer {
    pub(super) fn new(address: IpAddr, writes_max: usize) -> Self {
        let writes = Arc::new(Semaphore::new(writes_max));
        Self { address, proven: AtomicU64::new(0), writes }
    }

    /// A right key was shown.
    pub(super) fn proves(&self, keys: &Keyring) {
        self.proven.store(keys.changes(), Ordering::Relaxed);
    }

    /// Whether a right key was shown since the keys last changed.
    pub(super) fn proven(&self, keys: &Keyring) -> bool {
        self.proven.load(Ordering::Relaxed) == keys.changes()
    }
}
