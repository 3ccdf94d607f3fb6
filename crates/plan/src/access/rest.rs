//! The list of REST routes, those of Qdrant 1.19 and our own.

use super::name::{decoded, is_id, is_name};
use super::{Access, Role, open, read, session, write};

use Role::{Admin, Index, Search};

/// What `method` on `raw_path` (as it came, with its query if any) needs and does.
#[must_use]
pub fn classify_rest(method: &str, raw_path: &str) -> Access {
    route(method, raw_path).map_or(Access::UNLISTED, |(_, access)| access)
}

/// The one collection that a request is about, decoded once; none when it is about none or about many.
pub(super) fn rest_collection(method: &str, raw_path: &str) -> Option<String> {
    let (pattern, _) = route(method, raw_path)?;
    if !pattern.starts_with("/collections/{c}") {
        return None;
    }
    decoded(without_query(raw_path).split('/').nth(2)?)
}

fn route(method: &str, raw_path: &str) -> Option<(&'static str, Access)> {
    let path = without_query(raw_path);
    ROUTES
        .iter()
        .find(|(listed, pattern, _)| is_method(listed, method, pattern) && matches(pattern, path))
        .map(|(_, pattern, access)| (*pattern, *access))
}

fn without_query(raw_path: &str) -> &str {
    raw_path.split_once('?').map_or(raw_path, |(path, _)| path)
}

fn is_method(listed: &str, method: &str, pattern: &str) -> bool {
    // Probes ask for the head of a health page.
    listed == method || (method == "HEAD" && listed == "GET" && HEALTH.contains(&pattern))
}

/// Segment by segment; `{c}` stands for a collection name and `{id}` for an id.
fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|wanted| {
        segments.next().is_some_and(|segment| match wanted {
            "{c}" => is_name(segment),
            "{id}" => is_id(segment),
            literal => literal == segment,
        })
    }) && segments.next().is_none()
}

const HEALTH: [&str; 4] = ["/", "/healthz", "/livez", "/readyz"];

/// The first row that fits counts.
#[rustfmt::skip]
const ROUTES: &[(&str, &str, Access)] = &[
    ("GET", "/", open("health.version")),
    ("GET", "/healthz", open("health.healthz")),
    ("GET", "/livez", open("health.livez")),
    ("GET", "/readyz", open("health.readyz")),

    ("POST", "/qmoor/v1/backups", write(Index, "qmoor.backup")),
    ("GET", "/qmoor/v1/backups/{id}", read(Index, "qmoor.backup_status")),
    ("GET", "/qmoor/v1/backups", read(Admin, "qmoor.backups")),
    ("GET", "/qmoor/v1/status", read(Admin, "qmoor.status")),
    ("GET", "/qmoor/metrics", read(Admin, "qmoor.metrics")),

    ("GET", "/qmoor", open("page.door")),
    ("GET", "/qmoor/login", open("page.login")),
    ("POST", "/qmoor/login", open("page.log_in")),
    ("GET", "/qmoor/page.css", open("page.style")),
    ("GET", "/qmoor/page.js", open("page.script")),
    ("GET", "/qmoor/", session("page.home")),
    ("GET", "/qmoor/events", session("page.events")),
    ("GET", "/qmoor/confirm", session("page.confirm")),
    ("POST", "/qmoor/do", session("page.do")),
    ("POST", "/qmoor/logout", session("page.log_out")),

    // Before `{c}`, which it would fit.
    ("POST", "/collections/aliases", write(Admin, "aliases.update")),
    ("GET", "/aliases", read(Search, "aliases.list")),
    ("GET", "/collections/{c}/aliases", read(Search, "aliases.list_of_collection")),

    ("GET", "/collections", read(Search, "collections.list")),
    ("GET", "/collections/{c}", read(Search, "collections.get")),
    ("GET", "/collections/{c}/exists", read(Search, "collections.exists")),
    ("GET", "/collections/{c}/optimizations", read(Search, "collections.optimizations")),
    ("PUT", "/collections/{c}", write(Index, "collections.create")),
    ("PATCH", "/collections/{c}", write(Admin, "collections.update")),
    ("DELETE", "/collections/{c}", write(Admin, "collections.delete")),
    ("PUT", "/collections/{c}/index", write(Index, "collections.create_index")),
    ("DELETE", "/collections/{c}/index/{c}", write(Admin, "collections.delete_index")),
    ("PUT", "/collections/{c}/vectors/{c}", write(Admin, "collections.create_vector")),
    ("DELETE", "/collections/{c}/vectors/{c}", write(Admin, "collections.delete_vector")),

    ("GET", "/collections/{c}/points/{id}", read(Search, "points.get")),
    ("POST", "/collections/{c}/points", read(Search, "points.retrieve")),
    ("POST", "/collections/{c}/points/scroll", read(Search, "points.scroll")),
    ("POST", "/collections/{c}/points/count", read(Search, "points.count")),
    ("POST", "/collections/{c}/facet", read(Search, "points.facet")),
    ("POST", "/collections/{c}/points/query", read(Search, "points.query")),
    ("POST", "/collections/{c}/points/query/batch", read(Search, "points.query_batch")),
    ("POST", "/collections/{c}/points/query/groups", read(Search, "points.query_groups")),
    ("POST", "/collections/{c}/points/search", read(Search, "points.search")),
    ("POST", "/collections/{c}/points/search/batch", read(Search, "points.search_batch")),
    ("POST", "/collections/{c}/points/search/groups", read(Search, "points.search_groups")),
    ("POST", "/collections/{c}/points/search/matrix/pairs", read(Search, "points.matrix_pairs")),
    ("POST", "/collections/{c}/points/search/matrix/offsets", read(Search, "points.matrix_offsets")),
    ("POST", "/collections/{c}/points/recommend", read(Search, "points.recommend")),
    ("POST", "/collections/{c}/points/recommend/batch", read(Search, "points.recommend_batch")),
    ("POST", "/collections/{c}/points/recommend/groups", read(Search, "points.recommend_groups")),
    ("POST", "/collections/{c}/points/discover", read(Search, "points.discover")),
    ("POST", "/collections/{c}/points/discover/batch", read(Search, "points.discover_batch")),

    ("PUT", "/collections/{c}/points", write(Index, "points.upsert")),
    ("POST", "/collections/{c}/points/batch", write(Index, "points.batch")),
    ("POST", "/collections/{c}/points/delete", write(Index, "points.delete")),
    ("PUT", "/collections/{c}/points/vectors", write(Index, "points.update_vectors")),
    ("POST", "/collections/{c}/points/vectors/delete", write(Index, "points.delete_vectors")),
    ("POST", "/collections/{c}/points/payload", write(Index, "points.set_payload")),
    ("PUT", "/collections/{c}/points/payload", write(Index, "points.overwrite_payload")),
    ("POST", "/collections/{c}/points/payload/delete", write(Index, "points.delete_payload")),
    ("POST", "/collections/{c}/points/payload/clear", write(Index, "points.clear_payload")),

    ("GET", "/metrics", read(Admin, "service.metrics")),
    ("GET", "/telemetry", read(Admin, "service.telemetry")),
    ("GET", "/quotas", read(Admin, "service.quotas")),
    ("GET", "/issues", read(Admin, "service.issues")),
    ("GET", "/cluster", read(Admin, "cluster.status")),
    ("GET", "/collections/{c}/cluster", read(Admin, "cluster.of_collection")),
    ("GET", "/snapshots", read(Admin, "snapshots.list_full")),
    ("POST", "/snapshots", write(Admin, "snapshots.create_full")),
    ("GET", "/collections/{c}/snapshots", read(Admin, "snapshots.list")),
    ("POST", "/collections/{c}/snapshots", write(Admin, "snapshots.create")),
    ("GET", "/collections/{c}/snapshots/{c}", read(Admin, "snapshots.download")),
    ("GET", "/snapshots/{c}", read(Admin, "snapshots.download_full")),
];

#[cfg(test)]
pub(super) fn routes() -> impl Iterator<Item = (&'static str, &'static str, Access)> {
    ROUTES.iter().copied()
}
