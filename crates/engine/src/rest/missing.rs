//! Routes Qdrant has and this engine does not: answered 501 by name, so that nobody takes the answer
//! for an empty result or a wrong address.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use axum::routing::any;

use super::Door;
use super::answer::failure;
use crate::error::ApiError;

/// Path by path as in Qdrant's API. A method makes no difference.
const PATHS: &[&str] = &[
    "/collections/{name}/points/search/groups",
    "/collections/{name}/points/search/matrix/pairs",
    "/collections/{name}/points/search/matrix/offsets",
    "/collections/{name}/points/recommend",
    "/collections/{name}/points/recommend/batch",
    "/collections/{name}/points/recommend/groups",
    "/collections/{name}/points/discover",
    "/collections/{name}/points/discover/batch",
    "/collections/{name}/vectors/{vector}",
    "/collections/{name}/optimizations",
    "/collections/{name}/memory",
    "/collections/{name}/truncate_unapplied_wal",
    "/collections/{name}/snapshots",
    "/collections/{name}/snapshots/upload",
    "/collections/{name}/snapshots/recover",
    "/collections/{name}/snapshots/{snapshot}",
    "/collections/{name}/cluster",
    "/collections/{name}/shards",
    "/collections/{name}/shards/delete",
    "/collections/{name}/shards/{shard}/{*rest}",
    "/snapshots",
    "/snapshots/{snapshot}",
    "/cluster",
    "/cluster/{*rest}",
    "/quotas",
    "/issues",
    "/logger",
    "/stacktrace",
    "/debugger",
    "/profiler/slow_requests",
    "/audit/logs",
];

pub(super) fn routes(router: Router<Door>) -> Router<Door> {
    PATHS.iter().fold(router, |router, path| router.route(path, any(missing)))
}

async fn missing(path: MatchedPath, request: Request) -> Response {
    let endpoint = format!("{} {}", request.method(), path.as_str());
    failure(&ApiError::NotImplemented(endpoint), Instant::now())
}
