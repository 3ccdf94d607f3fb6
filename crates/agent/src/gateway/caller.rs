//! Who is calling: exactly one key, in one of the two places where Qdrant's clients put it.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::answer::Refusal;
use crate::keys::{KeyInfo, Keyring};

/// The header, and gRPC metadata, that carries a key.
pub(super) const API_KEY: http::HeaderName = http::HeaderName::from_static("api-key");

/// Finds the caller by the key in `api-key` or `Authorization: Bearer`.
pub(super) fn caller(headers: &HeaderMap, keys: &Keyring) -> Result<KeyInfo, Refusal> {
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
    keys.check(key).ok_or(Refusal::Unauthorized("Invalid API key"))
}
