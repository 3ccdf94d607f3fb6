//! The Points service.

use std::sync::Arc;
use std::time::Instant;

use qdrant_client::qdrant::points_server::Points;
use qdrant_client::qdrant::{self as proto, PointsOperationResponse};
use qdrant_edge::ScoredPoint;
use tonic::{Request, Response, Status, async_trait};

use super::door::seconds;
use super::filter::path;
use super::index::schema;
use super::results::{facet_hit, retrieved, scored};
use super::status::{Parsed, unavailable};
use super::updates::ordering;
use super::{ids, queries, reads, updates};
use crate::collection::Collection;
use crate::error::ApiError;
use crate::model::collection::CreateFieldIndex;
use crate::model::update::{UpdateOp, UpdateResult, UpdateStatus};
use crate::node::{Node, blocking, turn_to_change};

/// Writes, reads and searches points.
#[derive(Debug)]
pub(super) struct PointsService {
    node: Arc<Node>,
}

impl PointsService {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Does something with a collection, where it may block.
    async fn on<T: Send + 'static>(
        &self,
        collection: String,
        operation: impl FnOnce(&Collection) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, Status> {
        let node = Arc::clone(&self.node);
        Ok(blocking(move || operation(&*node.collection(&collection)?)).await?)
    }

    /// Changes a collection, and says what became of it.
    async fn change(
        &self,
        collection: String,
        operation: impl FnOnce(&Collection) -> Result<UpdateResult, ApiError> + Send + 'static,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let started = Instant::now();
        let _turn = turn_to_change().await?;
        let result = self.on(collection, operation).await?;
        Ok(Response::new(PointsOperationResponse {
            result: Some(update_result(result)),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn write(
        &self,
        collection: String,
        wait: Option<bool>,
        operation: UpdateOp,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let wait = wait.unwrap_or_default();
        self.change(collection, move |on| on.update(operation, wait)).await
    }
}

fn update_result(result: UpdateResult) -> proto::UpdateResult {
    let UpdateResult { operation_id, status } = result;
    let status = match status {
        UpdateStatus::Acknowledged => proto::UpdateStatus::Acknowledged,
        UpdateStatus::Completed => proto::UpdateStatus::Completed,
    };
    proto::UpdateResult { operation_id: Some(operation_id), status: status.into() }
}

fn hits(points: Vec<ScoredPoint>) -> Vec<proto::ScoredPoint> {
    points.into_iter().map(scored).collect()
}

fn batches(answers: Vec<Vec<ScoredPoint>>) -> Vec<proto::BatchResult> {
    answers.into_iter().map(|points| proto::BatchResult { result: hits(points) }).collect()
}

#[async_trait]
impl Points for PointsService {
    async fn upsert(
        &self,
        request: Request<proto::UpsertPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::upsert(message)?).await
    }

    async fn delete(
        &self,
        request: Request<proto::DeletePoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::delete(message)?).await
    }

    async fn get(
        &self,
        request: Request<proto::GetPoints>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let read = reads::get(message)?;
        let records = self.on(collection, |on| on.retrieve(read)).await?;
        Ok(Response::new(proto::GetResponse {
            result: records.into_iter().map(retrieved).collect(),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn update_vectors(
        &self,
        request: Request<proto::UpdatePointVectors>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::update_vectors(message)?).await
    }

    async fn delete_vectors(
        &self,
        request: Request<proto::DeletePointVectors>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::delete_vectors(message)?).await
    }

    async fn set_payload(
        &self,
        request: Request<proto::SetPayloadPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        let operation = UpdateOp::SetPayload(updates::set_payload(message)?);
        self.write(collection, wait, operation).await
    }

    async fn overwrite_payload(
        &self,
        request: Request<proto::SetPayloadPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        let operation = UpdateOp::OverwritePayload(updates::set_payload(message)?);
        self.write(collection, wait, operation).await
    }

    async fn delete_payload(
        &self,
        request: Request<proto::DeletePayloadPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::delete_payload(message)?).await
    }

    async fn clear_payload(
        &self,
        request: Request<proto::ClearPayloadPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let message = request.into_inner();
        ordering(message.ordering.as_ref())?;
        let (collection, wait) = (message.collection_name.clone(), message.wait);
        self.write(collection, wait, updates::clear_payload(message)?).await
    }

    async fn create_field_index(
        &self,
        request: Request<proto::CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let proto::CreateFieldIndexCollection {
            collection_name,
            wait,
            field_name,
            field_type,
            field_index_params,
            ordering: order,
            timeout: _,
        } = request.into_inner();
        ordering(order.as_ref())?;
        let index = CreateFieldIndex {
            field_name: path(&field_name)?,
            field_schema: Some(schema(field_type, field_index_params)?),
        };
        let wait = wait.unwrap_or_default();
        self.change(collection_name, move |on| on.create_field_index(index, wait)).await
    }

    async fn delete_field_index(
        &self,
        request: Request<proto::DeleteFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let proto::DeleteFieldIndexCollection {
            collection_name,
            wait,
            field_name,
            ordering: order,
            timeout: _,
        } = request.into_inner();
        ordering(order.as_ref())?;
        let field = path(&field_name)?;
        let wait = wait.unwrap_or_default();
        self.change(collection_name, move |on| on.delete_field_index(field, wait)).await
    }

    async fn create_vector_name(
        &self,
        _request: Request<proto::CreateVectorNameRequest>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        Err(unavailable("Points/CreateVectorName"))
    }

    async fn delete_vector_name(
        &self,
        _request: Request<proto::DeleteVectorNameRequest>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        Err(unavailable("Points/DeleteVectorName"))
    }

    async fn search(
        &self,
        request: Request<proto::SearchPoints>,
    ) -> Result<Response<proto::SearchResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let query = queries::search(message)?;
        let points = self.on(collection, |on| on.query(query)).await?;
        Ok(Response::new(proto::SearchResponse {
            result: hits(points),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn search_batch(
        &self,
        request: Request<proto::SearchBatchPoints>,
    ) -> Result<Response<proto::SearchBatchResponse>, Status> {
        let started = Instant::now();
        let proto::SearchBatchPoints { collection_name, search_points, .. } = request.into_inner();
        let queries = search_points.into_iter().map(|search| {
            queries::same_collection(&collection_name, &search.collection_name)?;
            queries::search(search)
        });
        let queries = queries.collect::<Parsed<Vec<_>>>()?;
        let answers = self.on(collection_name, |on| on.query_batch(queries)).await?;
        Ok(Response::new(proto::SearchBatchResponse {
            result: batches(answers),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn search_groups(
        &self,
        _request: Request<proto::SearchPointGroups>,
    ) -> Result<Response<proto::SearchGroupsResponse>, Status> {
        Err(unavailable("Points/SearchGroups"))
    }

    async fn scroll(
        &self,
        request: Request<proto::ScrollPoints>,
    ) -> Result<Response<proto::ScrollResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let read = reads::scroll(message)?;
        let page = self.on(collection, |on| on.scroll(read)).await?;
        Ok(Response::new(proto::ScrollResponse {
            next_page_offset: page.next_page_offset.map(ids::id_message),
            result: page.points.into_iter().map(retrieved).collect(),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn recommend(
        &self,
        _request: Request<proto::RecommendPoints>,
    ) -> Result<Response<proto::RecommendResponse>, Status> {
        Err(unavailable("Points/Recommend"))
    }

    async fn recommend_batch(
        &self,
        _request: Request<proto::RecommendBatchPoints>,
    ) -> Result<Response<proto::RecommendBatchResponse>, Status> {
        Err(unavailable("Points/RecommendBatch"))
    }

    async fn recommend_groups(
        &self,
        _request: Request<proto::RecommendPointGroups>,
    ) -> Result<Response<proto::RecommendGroupsResponse>, Status> {
        Err(unavailable("Points/RecommendGroups"))
    }

    async fn discover(
        &self,
        _request: Request<proto::DiscoverPoints>,
    ) -> Result<Response<proto::DiscoverResponse>, Status> {
        Err(unavailable("Points/Discover"))
    }

    async fn discover_batch(
        &self,
        _request: Request<proto::DiscoverBatchPoints>,
    ) -> Result<Response<proto::DiscoverBatchResponse>, Status> {
        Err(unavailable("Points/DiscoverBatch"))
    }

    async fn count(
        &self,
        request: Request<proto::CountPoints>,
    ) -> Result<Response<proto::CountResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let read = reads::count(message)?;
        let count = self.on(collection, |on| on.count(read)).await?;
        Ok(Response::new(proto::CountResponse {
            result: Some(proto::CountResult { count: count as u64 }),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn update_batch(
        &self,
        request: Request<proto::UpdateBatchPoints>,
    ) -> Result<Response<proto::UpdateBatchResponse>, Status> {
        let started = Instant::now();
        let proto::UpdateBatchPoints {
            collection_name,
            wait,
            operations,
            ordering: order,
            timeout: _,
        } = request.into_inner();
        ordering(order.as_ref())?;
        let operations =
            operations.into_iter().map(updates::operation).collect::<Parsed<Vec<_>>>()?;
        let wait = wait.unwrap_or_default();
        let results = self.on(collection_name, move |on| on.update_batch(operations, wait)).await?;
        Ok(Response::new(proto::UpdateBatchResponse {
            result: results.into_iter().map(update_result).collect(),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn query(
        &self,
        request: Request<proto::QueryPoints>,
    ) -> Result<Response<proto::QueryResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let query = queries::query(message)?;
        let points = self.on(collection, |on| on.query(query)).await?;
        Ok(Response::new(proto::QueryResponse {
            result: hits(points),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn query_batch(
        &self,
        request: Request<proto::QueryBatchPoints>,
    ) -> Result<Response<proto::QueryBatchResponse>, Status> {
        let started = Instant::now();
        let proto::QueryBatchPoints { collection_name, query_points, .. } = request.into_inner();
        let queries = query_points.into_iter().map(|query| {
            queries::same_collection(&collection_name, &query.collection_name)?;
            queries::query(query)
        });
        let queries = queries.collect::<Parsed<Vec<_>>>()?;
        let answers = self.on(collection_name, |on| on.query_batch(queries)).await?;
        Ok(Response::new(proto::QueryBatchResponse {
            result: batches(answers),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn query_groups(
        &self,
        request: Request<proto::QueryPointGroups>,
    ) -> Result<Response<proto::QueryGroupsResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let query = queries::groups(message)?;
        let groups = self.on(collection, |on| on.query_groups(query)).await?;
        Ok(Response::new(proto::QueryGroupsResponse {
            result: Some(proto::GroupsResult {
                groups: groups.into_iter().map(reads::group).collect(),
            }),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn facet(
        &self,
        request: Request<proto::FacetCounts>,
    ) -> Result<Response<proto::FacetResponse>, Status> {
        let started = Instant::now();
        let message = request.into_inner();
        let collection = message.collection_name.clone();
        let read = reads::facet(message)?;
        let hits = self.on(collection, |on| on.facet(read)).await?;
        Ok(Response::new(proto::FacetResponse {
            hits: hits.into_iter().map(facet_hit).collect(),
            time: seconds(started),
            usage: None,
        }))
    }

    async fn search_matrix_pairs(
        &self,
        _request: Request<proto::SearchMatrixPoints>,
    ) -> Result<Response<proto::SearchMatrixPairsResponse>, Status> {
        Err(unavailable("Points/SearchMatrixPairs"))
    }

    async fn search_matrix_offsets(
        &self,
        _request: Request<proto::SearchMatrixPoints>,
    ) -> Result<Response<proto::SearchMatrixOffsetsResponse>, Status> {
        Err(unavailable("Points/SearchMatrixOffsets"))
    }
}
