//! The version of Qdrant's API that is spoken here, as every door says it.

use std::sync::OnceLock;

/// The version whose API this is.
const API: &str = "1.19.0";

/// What is said instead, by an image that stands in for another version in tests.
static SAYS: OnceLock<String> = OnceLock::new();

/// From now on this version is said. Counts once, before the first door opens.
pub(crate) fn say(version: String) {
    // A second server in one process says what the first one does.
    let _kept = SAYS.set(version);
}

/// The version.
pub(crate) fn api() -> &'static str {
    SAYS.get().map_or(API, String::as_str)
}
