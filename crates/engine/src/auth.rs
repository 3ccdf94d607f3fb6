//! Who may do what: the one decision both doors ask for.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use crate::error::ApiError;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: health checks and the version.
    Open,
    /// Any key.
    Read,
    /// The full key.
    Write,
}

/// The keys of this engine. Without any, everything is allowed.
#[derive(Clone, Default)]
pub(crate) struct Auth {
    full: Option<String>,
    read_only: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("full", &self.full.as_ref().map(|_| "[redacted]"))
            .field("read_only", &self.read_only.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

impl Auth {
    /// Keys as configured; the caller has refused empty ones.
    pub(crate) fn new(full: Option<String>, read_only: Option<String>) -> Self {
        Self { full, read_only }
    }

    /// Decides on one request, from its headers (REST) or metadata (gRPC) alone.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] without a key or with an unknown one, [`ApiError::Forbidden`] for a
    /// write with the read-only key.
    pub(crate) fn authorize(&self, headers: &HeaderMap, access: Access) -> Result<(), ApiError> {
        if access == Access::Open || (self.full.is_none() && self.read_only.is_none()) {
            return Ok(());
        }
        let Some(key) = presented(headers) else {
            return Err(ApiError::Unauthorized(
                "Must provide an API key or an Authorization bearer token",
            ));
        };
        if matches_key(self.full.as_ref(), key) {
            return Ok(());
        }
        if matches_key(self.read_only.as_ref(), key) {
            return match access {
                Access::Open | Access::Read => Ok(()),
                Access::Write => Err(ApiError::Forbidden(
                    "Write access is required, and this key may only read".into(),
                )),
            };
        }
        Err(ApiError::Unauthorized("Invalid API key or JWT"))
    }
}

/// The key a request brings: `api-key` first, else `Authorization: Bearer`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("api-key") {
        return Some(key.as_bytes());
    }
    headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "))
}

/// Takes the same time for any wrong key of the right length.
fn matches_key(key: Option<&String>, presented: &[u8]) -> bool {
    key.is_some_and(|key| key.as_bytes().ct_eq(presented).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn without_keys_everything_is_allowed() {
        assert!(Auth::default().authorize(&HeaderMap::new(), Access::Write).is_ok());
    }

    #[test]
    fn each_key_opens_what_it_should() {
        let auth = Auth::new(Some("full".into()), Some("read".into()));
        let status = |headers: &HeaderMap, access| {
            auth.authorize(headers, access).map_or_else(|error| error.status(), |()| 200)
        };
        assert_eq!(status(&HeaderMap::new(), Access::Open), 200);
        assert_eq!(status(&HeaderMap::new(), Access::Read), 401);
        assert_eq!(status(&headers("api-key", "wrong"), Access::Read), 401);
        assert_eq!(status(&headers("api-key", ""), Access::Read), 401);
        assert_eq!(status(&headers("api-key", "read"), Access::Read), 200);
        assert_eq!(status(&headers("api-key", "read"), Access::Write), 403);
        assert_eq!(status(&headers("api-key", "full"), Access::Write), 200);
        assert_eq!(status(&headers("authorization", "Bearer full"), Access::Write), 200);
        assert_eq!(status(&headers("authorization", "bearer full"), Access::Write), 401);
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let auth = Auth::new(Some("topsecret".into()), None);
        assert!(!format!("{auth:?}").contains("topsecret"));
    }
}
