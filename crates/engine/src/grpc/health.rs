//! Qdrant's own health service, which also tells the version.

use qdrant_client::qdrant::qdrant_server::Qdrant;
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use tonic::{Request, Response, Status, async_trait};

use crate::version;

/// What upstream calls itself: clients show it, and some look for it.
const TITLE: &str = "qdrant - vector search engine";

/// Says that the engine is there.
#[derive(Debug)]
pub(super) struct QdrantService;

#[async_trait]
impl Qdrant for QdrantService {
    async fn health_check(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckReply>, Status> {
        Ok(Response::new(HealthCheckReply {
            title: TITLE.to_owned(),
            version: version::api().to_owned(),
            commit: None,
        }))
    }
}
