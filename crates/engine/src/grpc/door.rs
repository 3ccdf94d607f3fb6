//! Lets requests in: who may call what, how large a message may be, and how the door closes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::collections::CollectionsService;
use super::health::QdrantService;
use super::points::PointsService;
use super::status::unavailable;
use crate::auth::{Access, Auth};
use crate::node::Node;

/// The largest message taken. Upstream takes any; a bound keeps one client from filling the memory.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How often a silent connection is asked whether anybody is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Every service, behind the check of keys.
pub(crate) async fn routes(node: &Arc<Node>, auth: Arc<Auth>) -> Routes {
    let points = PointsServer::new(PointsService::new(Arc::clone(node)))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let collections = CollectionsServer::new(CollectionsService::new(Arc::clone(node)))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<PointsServer<PointsService>>().await;
    reporter.set_serving::<CollectionsServer<CollectionsService>>().await;
    reporter.set_serving::<QdrantServer<QdrantService>>().await;
    Routes::new(points)
        .add_service(collections)
        .add_service(QdrantServer::new(QdrantService))
        .add_service(health)
        .into_axum_router()
        .fallback(unknown_method)
        .layer(from_fn_with_state(auth, admit))
        .into()
}

/// Serves until `shutdown` ends, and then until the calls under way are answered.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
}

async fn admit(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    match auth.authorize(request.headers(), access(request.uri().path())) {
        Ok(()) => next.run(request).await,
        Err(error) => Status::from(error).into_http(),
    }
}

async fn unknown_method(request: Request) -> Response {
    unavailable(request.uri().path()).into_http()
}

/// What a method needs, by an allow-list: a method that is not on it needs the full key.
fn access(path: &str) -> Access {
    match path {
        "/qdrant.Qdrant/HealthCheck" | "/grpc.health.v1.Health/Check" => Access::Open,
        "/grpc.health.v1.Health/Watch"
        | "/qdrant.Collections/Get"
        | "/qdrant.Collections/List"
        | "/qdrant.Collections/CollectionExists"
        | "/qdrant.Collections/ListAliases"
        | "/qdrant.Collections/ListCollectionAliases"
        | "/qdrant.Collections/CollectionClusterInfo"
        | "/qdrant.Collections/ListShardKeys"
        | "/qdrant.Points/Get"
        | "/qdrant.Points/Scroll"
        | "/qdrant.Points/Count"
        | "/qdrant.Points/Facet"
        | "/qdrant.Points/Query"
        | "/qdrant.Points/QueryBatch"
        | "/qdrant.Points/QueryGroups"
        | "/qdrant.Points/Search"
        | "/qdrant.Points/SearchBatch"
        | "/qdrant.Points/SearchGroups"
        | "/qdrant.Points/Recommend"
        | "/qdrant.Points/RecommendBatch"
        | "/qdrant.Points/RecommendGroups"
        | "/qdrant.Points/Discover"
        | "/qdrant.Points/DiscoverBatch"
        | "/qdrant.Points/SearchMatrixPairs"
        | "/qdrant.Points/SearchMatrixOffsets" => Access::Read,
        _ => Access::Write,
    }
}

/// Seconds since `started`, as answers tell them.
pub(super) fn seconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_list_needs_the_full_key() {
        for path in [
            "/qdrant.Points/Upsert",
            "/qdrant.Points/query",
            "/qdrant.Points/Query/",
            "//qdrant.Points/Query",
            "/qdrant.Points/%51uery",
            "/qdrant.Snapshots/List",
            "/",
            "",
        ] {
            assert_eq!(access(path), Access::Write, "{path}");
        }
    }
}
