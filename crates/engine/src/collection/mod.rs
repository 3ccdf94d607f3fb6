//! One collection: a shard of the storage engine, its settings, and what keeps it durable.
//!
//! Every operation is one function here that both doors call. All of them block: call them through
//! [`crate::node::blocking`].

use qdrant_edge::{FacetValueHit, Record, ScoredPoint};

use crate::error::ApiError;
use crate::model::collection::{CollectionInfo, CreateFieldIndex};
use crate::model::points::{
    CountRequest, FacetRequest, PointGroup, RetrieveRequest, ScrollPage, ScrollRequest,
};
use crate::model::query::{GroupsRequest, QueryRequest};
use crate::model::update::{UpdateOp, UpdateResult};

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    name: String,
}

impl Collection {
    /// Its own name, never an alias.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Changes points. With `wait` the answer comes when the change is applied and on the disk;
    /// without, when it is applied and in the log.
    pub(crate) fn update(&self, _op: UpdateOp, _wait: bool) -> Result<UpdateResult, ApiError> {
        Err(ApiError::NotImplemented("update".into()))
    }

    /// Several changes in order; stops at the first that fails.
    pub(crate) fn update_batch(
        &self,
        _ops: Vec<UpdateOp>,
        _wait: bool,
    ) -> Result<Vec<UpdateResult>, ApiError> {
        Err(ApiError::NotImplemented("batch".into()))
    }

    /// Makes a payload index.
    pub(crate) fn create_field_index(
        &self,
        _request: CreateFieldIndex,
        _wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        Err(ApiError::NotImplemented("index".into()))
    }

    /// Removes a payload index.
    pub(crate) fn delete_field_index(
        &self,
        _field: qdrant_edge::JsonPath,
        _wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        Err(ApiError::NotImplemented("index".into()))
    }

    /// Points by id; those that do not exist are left out.
    pub(crate) fn retrieve(&self, _request: RetrieveRequest) -> Result<Vec<Record>, ApiError> {
        Err(ApiError::NotImplemented("retrieve".into()))
    }

    /// A page of points.
    pub(crate) fn scroll(&self, _request: ScrollRequest) -> Result<ScrollPage, ApiError> {
        Err(ApiError::NotImplemented("scroll".into()))
    }

    /// How many points match.
    pub(crate) fn count(&self, _request: CountRequest) -> Result<usize, ApiError> {
        Err(ApiError::NotImplemented("count".into()))
    }

    /// How many points there are of each value of a payload field.
    pub(crate) fn facet(&self, _request: FacetRequest) -> Result<Vec<FacetValueHit>, ApiError> {
        Err(ApiError::NotImplemented("facet".into()))
    }

    /// The best points. The older search is a query too: `QueryRequest::from(SearchRequest)`.
    pub(crate) fn query(&self, _request: QueryRequest) -> Result<Vec<ScoredPoint>, ApiError> {
        Err(ApiError::NotImplemented("query".into()))
    }

    /// Several queries at once, answered in order.
    pub(crate) fn query_batch(
        &self,
        _requests: Vec<QueryRequest>,
    ) -> Result<Vec<Vec<ScoredPoint>>, ApiError> {
        Err(ApiError::NotImplemented("query".into()))
    }

    /// The best points of each value of a payload field.
    pub(crate) fn query_groups(&self, _request: GroupsRequest) -> Result<Vec<PointGroup>, ApiError> {
        Err(ApiError::NotImplemented("groups".into()))
    }

    /// Its settings and how it is.
    pub(crate) fn info(&self) -> Result<CollectionInfo, ApiError> {
        Err(ApiError::NotImplemented("info".into()))
    }
}
