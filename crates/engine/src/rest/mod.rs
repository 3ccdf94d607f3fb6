//! The REST door: Qdrant's paths, bodies and answers.

mod answer;
mod body;
mod collections;
mod missing;
mod output;
mod points;
mod query;
mod service;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post, put};

use crate::auth::{Access, Auth};
use crate::metrics::Metrics;
use crate::node::Node;

/// What every handler needs.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) node: Arc<Node>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) max_request_bytes: usize,
    pub(crate) started: Instant,
}

/// All routes.
pub(crate) fn router(door: Door) -> Router {
    let router = Router::new()
        .route("/", get(service::root))
        .route("/healthz", get(service::healthy))
        .route("/livez", get(service::healthy))
        .route("/readyz", get(service::ready))
        .route("/metrics", get(service::metrics))
        .route("/telemetry", get(service::telemetry))
        .merge(collection_routes())
        .merge(point_routes());
    missing::routes(router)
        .fallback(service::unknown)
        .method_not_allowed_fallback(service::wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(door.clone(), admit))
        .with_state(door)
}

fn collection_routes() -> Router<Door> {
    Router::new()
        .route("/collections", get(collections::list))
        .route(
            "/collections/aliases",
            // A collection may be called that.
            post(collections::change_aliases)
                .get(|door| collections::get(door, Path("aliases".into())))
                .put(|door, body| collections::create(door, Path("aliases".into()), body))
                .patch(|door, body| collections::update(door, Path("aliases".into()), body))
                .delete(|door| collections::delete(door, Path("aliases".into()))),
        )
        .route("/aliases", get(collections::all_aliases))
        .route(
            "/collections/{name}",
            get(collections::get)
                .put(collections::create)
                .patch(collections::update)
                .delete(collections::delete),
        )
        .route("/collections/{name}/exists", get(collections::exists))
        .route("/collections/{name}/aliases", get(collections::aliases))
        .route("/collections/{name}/index", put(collections::create_index))
        .route("/collections/{name}/index/{field}", delete(collections::delete_index))
}

fn point_routes() -> Router<Door> {
    Router::new()
        .route("/collections/{name}/points", put(points::upsert).post(points::retrieve))
        .route("/collections/{name}/points/{id}", get(points::get))
        .route("/collections/{name}/points/delete", post(points::delete))
        .route(
            "/collections/{name}/points/payload",
            post(points::set_payload).put(points::overwrite_payload),
        )
        .route("/collections/{name}/points/payload/delete", post(points::delete_payload))
        .route("/collections/{name}/points/payload/clear", post(points::clear_payload))
        .route("/collections/{name}/points/vectors", put(points::update_vectors))
        .route("/collections/{name}/points/vectors/delete", post(points::delete_vectors))
        .route("/collections/{name}/points/batch", post(points::batch))
        .route("/collections/{name}/points/scroll", post(points::scroll))
        .route("/collections/{name}/points/count", post(points::count))
        .route("/collections/{name}/facet", post(points::facet))
        .route("/collections/{name}/points/query", post(query::query))
        .route("/collections/{name}/points/query/batch", post(query::query_batch))
        .route("/collections/{name}/points/query/groups", post(query::query_groups))
        .route("/collections/{name}/points/search", post(query::search))
        .route("/collections/{name}/points/search/batch", post(query::search_batch))
}

/// Lets a request in if its key allows it, and notes its answer.
async fn admit(
    State(door): State<Door>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = path.as_ref().map(MatchedPath::as_str);
    let response = match door.auth.authorize(request.headers(), access(&method, route)) {
        Ok(()) => next.run(request).await,
        Err(error) => answer::failure(&error, began),
    };
    if let Some(route) = route {
        let status = response.status().as_u16();
        door.metrics.rest(method_name(&method), route, status, began.elapsed());
    }
    response
}

/// What a request needs, from the route it was matched with and not from its path.
fn access(method: &Method, route: Option<&str>) -> Access {
    match (method_name(method), route) {
        (_, Some("/" | "/healthz" | "/livez" | "/readyz")) => Access::Open,
        ("GET", _) | (_, None) => Access::Read,
        (
            "POST",
            Some(
                "/collections/{name}/points"
                | "/collections/{name}/points/scroll"
                | "/collections/{name}/points/count"
                | "/collections/{name}/facet"
                | "/collections/{name}/points/query"
                | "/collections/{name}/points/query/batch"
                | "/collections/{name}/points/query/groups"
                | "/collections/{name}/points/search"
                | "/collections/{name}/points/search/batch"
                | "/collections/{name}/points/search/groups"
                | "/collections/{name}/points/search/matrix/pairs"
                | "/collections/{name}/points/search/matrix/offsets"
                | "/collections/{name}/points/recommend"
                | "/collections/{name}/points/recommend/batch"
                | "/collections/{name}/points/recommend/groups"
                | "/collections/{name}/points/discover"
                | "/collections/{name}/points/discover/batch",
            ),
        ) => Access::Read,
        (_, Some(_)) => Access::Write,
    }
}

/// The methods there are; others are all one, so that a caller cannot make up metrics.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_a_read() {
        let needs = |method: Method, route| access(&method, Some(route));
        assert_eq!(needs(Method::POST, "/collections/{name}/points/query"), Access::Read);
        assert_eq!(needs(Method::PUT, "/collections/{name}/points"), Access::Write);
        assert_eq!(needs(Method::POST, "/collections/{name}/points/delete"), Access::Write);
        assert_eq!(needs(Method::POST, "/collections/{name}/points/batch"), Access::Write);
        assert_eq!(needs(Method::GET, "/metrics"), Access::Read);
        assert_eq!(needs(Method::GET, "/healthz"), Access::Open);
        assert_eq!(needs(Method::PUT, "/collections/{name}"), Access::Write);
        assert_eq!(needs(Method::POST, "/collections/{name}/snapshots"), Access::Write);
    }
}
