//! Scoring points: ids become vectors, text becomes vectors, and the rest is the storage engine's.

use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    Condition, EdgeShard, EdgeShardRead, Filter, GroupRequest, HasIdCondition, NamedQuery, OrderBy,
    PointId, Prefetch as EdgePrefetch, QueryBatchRequest, QueryEnum, QueryRequest as EdgeQuery,
    RecommendQuery, RetrieveRequest, Sample, ScoredPoint, ScoringQuery, SearchParams,
    VectorInternal, VectorRef, WithPayloadInterface, WithVector, avg_vector_for_recommendation,
};
use serde_json::Value;

use super::Collection;
use super::bm25::Purpose;
use super::checks::{check_filter, check_params};
use super::read::{check_order_by, checked_limit, cut_limit};
use crate::error::ApiError;
use crate::model::points::PointGroup;
use crate::model::query::{
    Fusion, GroupsRequest, LookupFrom, Prefetch, Query, QueryRequest, Recommend, RecommendStrategy,
    VectorQueryInput,
};

/// Upstream's constant of reciprocal rank fusion.
const RRF_K: usize = 2;

/// How deep prefetches may nest, as upstream.
const PREFETCH_DEPTH_MAX: usize = 64;

/// Groups, and points in one, when the caller does not say.
const GROUPS_DEFAULT: usize = 3;

impl Collection {
    /// The best points. The older search is a query too: `QueryRequest::from(SearchRequest)`.
    pub(crate) fn query(&self, request: QueryRequest) -> Result<Vec<ScoredPoint>, ApiError> {
        let shard = self.open_shard()?;
        let request = self.resolve(&shard, request)?;
        Ok(shard.query(request)?)
    }

    /// Several queries at once, answered in order.
    pub(crate) fn query_batch(
        &self,
        requests: Vec<QueryRequest>,
    ) -> Result<Vec<Vec<ScoredPoint>>, ApiError> {
        let shard = self.open_shard()?;
        let requests = requests
            .into_iter()
            .map(|request| self.resolve(&shard, request))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(shard.query_batch(QueryBatchRequest::new(requests))?)
    }

    /// The best points of each value of a payload field.
    pub(crate) fn query_groups(&self, request: GroupsRequest) -> Result<Vec<PointGroup>, ApiError> {
        let GroupsRequest { mut query, group_by, group_size, with_lookup } = request;
        if with_lookup.is_some_and(|lookup| !lookup.is_null()) {
            return Err(ApiError::NotImplemented("with_lookup".into()));
        }
        if query.offset.is_some_and(|offset| offset > 0) {
            return Err(ApiError::BadInput("offset is not available for groups".into()));
        }
        if matches!(query.query, Some(Query::OrderBy(_) | Query::SampleRandom)) {
            return Err(ApiError::BadInput(
                "order_by and sample cannot be used with groups".into(),
            ));
        }
        let groups = checked_limit(query.limit.or(Some(GROUPS_DEFAULT)), "limit")?;
        let group_size = checked_limit(group_size.or(Some(GROUPS_DEFAULT)), "group_size")?;
        query.limit = None;
        let shard = self.open_shard()?;
        let groups = cut_limit(&shard, groups)?;
        let group_size = cut_limit(&shard, group_size)?;
        let query = self.resolve(&shard, query)?;
        let found = shard.query_groups(GroupRequest::new(query, group_by, groups, group_size))?;
        Ok(found
            .into_iter()
            .map(|group| PointGroup { id: Value::from(group.key), hits: group.hits })
            .collect())
    }

    fn resolve(&self, shard: &EdgeShard, request: QueryRequest) -> Result<EdgeQuery, ApiError> {
        let QueryRequest {
            prefetch,
            query,
            using,
            filter,
            params,
            score_threshold,
            limit,
            offset,
            with_vector,
            with_payload,
            lookup_from,
            shard_key: _,
        } = request;
        self.check_with_vector(&with_vector)?;
        let limit = checked_limit(limit, "limit")?;
        let offset = offset.unwrap_or(0);
        // Both are counted together, and cut together.
        let wanted = cut_limit(shard, limit.saturating_add(offset))?;
        let stage = Stage { prefetch, query, using, filter, params, lookup_from };
        let Resolved { prefetches, query, filter, params } = self.stage(shard, stage, 0)?;
        Ok(EdgeQuery {
            prefetches,
            query,
            filter,
            score_threshold,
            limit: limit.min(wanted),
            offset: offset.min(wanted),
            params,
            with_vector,
            with_payload,
        })
    }

    fn stage(&self, shard: &EdgeShard, stage: Stage, depth: usize) -> Result<Resolved, ApiError> {
        let Stage { prefetch, query, using, filter, params, lookup_from } = stage;
        check_filter(filter.as_ref())?;
        check_params(params.as_ref())?;
        if depth > PREFETCH_DEPTH_MAX {
            return Err(ApiError::BadInput(format!(
                "prefetches depth {depth} exceeds max depth {PREFETCH_DEPTH_MAX}"
            )));
        }
        if let Some(LookupFrom { collection, vector }) = lookup_from {
            let vector = vector.unwrap_or_default();
            return Err(ApiError::NotImplemented(format!(
                "lookup_from (vector `{vector}` of collection `{collection}`)"
            )));
        }
        let using = using.unwrap_or_default();
        let mut examples = Examples { collection: self, shard, using: &using, ids: Vec::new() };
        let query = query.map(|query| examples.scoring(query)).transpose()?;
        let filter = without(filter, examples.ids);
        let prefetches = prefetch
            .into_iter()
            .map(|prefetch| self.prefetch(shard, prefetch, depth + 1))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Resolved { prefetches, query, filter, params })
    }

    fn prefetch(
        &self,
        shard: &EdgeShard,
        prefetch: Prefetch,
        depth: usize,
    ) -> Result<EdgePrefetch, ApiError> {
        let Prefetch {
            prefetch,
            query,
            using,
            filter,
            params,
            score_threshold,
            limit,
            lookup_from,
        } = prefetch;
        let limit = cut_limit(shard, checked_limit(limit, "prefetch.limit")?)?;
        let stage = Stage { prefetch, query, using, filter, params, lookup_from };
        let Resolved { prefetches, query, filter, params } = self.stage(shard, stage, depth)?;
        Ok(EdgePrefetch { prefetches, query, limit, params, filter, score_threshold })
    }
}

/// What a query and a prefetch have in common.
struct Stage {
    prefetch: Vec<Prefetch>,
    query: Option<Query>,
    using: Option<String>,
    filter: Option<Filter>,
    params: Option<SearchParams>,
    lookup_from: Option<LookupFrom>,
}

/// A stage in the storage engine's terms.
struct Resolved {
    prefetches: Vec<EdgePrefetch>,
    query: Option<ScoringQuery>,
    filter: Option<Filter>,
    params: Option<SearchParams>,
}

/// Turns what a caller gives as examples into vectors, and notes the ids among them: a point is not
/// an answer to itself.
struct Examples<'a> {
    collection: &'a Collection,
    shard: &'a EdgeShard,
    using: &'a str,
    ids: Vec<PointId>,
}

impl Examples<'_> {
    fn scoring(&mut self, query: Query) -> Result<ScoringQuery, ApiError> {
        match query {
            Query::Nearest(input) => {
                let vector = self.vector(input)?;
                Ok(self.nearest(vector))
            }
            Query::Recommend(recommend) => self.recommend(recommend),
            Query::OrderBy(order_by) => {
                check_order_by(self.shard, &order_by)?;
                Ok(ScoringQuery::OrderBy(OrderBy::from(order_by)))
            }
            Query::Fusion(Fusion::Rrf { k, weights }) => {
                let k = k.unwrap_or(RRF_K);
                if k == 0 {
                    return Err(ApiError::Validation(
                        "Validation error in JSON body: [rrf.k: value 0 invalid, must be 1 or larger]".into(),
                    ));
                }
                let weights =
                    weights.map(|weights| weights.into_iter().map(OrderedFloat).collect());
                Ok(ScoringQuery::Fusion(qdrant_edge::Fusion::Rrf { k, weights }))
            }
            Query::Fusion(Fusion::Dbsf) => Ok(ScoringQuery::Fusion(qdrant_edge::Fusion::Dbsf)),
            Query::SampleRandom => Ok(ScoringQuery::Sample(Sample::Random)),
            Query::Unsupported(kind) => {
                Err(ApiError::NotImplemented(format!("query kind `{kind}`")))
            }
        }
    }

    fn nearest(&self, vector: VectorInternal) -> ScoringQuery {
        ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery::new(vector, self.using)))
    }

    fn recommend(&mut self, recommend: Recommend) -> Result<ScoringQuery, ApiError> {
        let Recommend { positive, negative, strategy } = recommend;
        if positive.is_empty() && negative.is_empty() {
            return Err(ApiError::BadInput(
                "At least one positive or negative vector must be provided".into(),
            ));
        }
        if strategy == RecommendStrategy::AverageVector && positive.is_empty() {
            return Err(ApiError::BadInput(
                "At least one positive vector ID required with this strategy".into(),
            ));
        }
        let positives =
            positive.into_iter().map(|input| self.vector(input)).collect::<Result<Vec<_>, _>>()?;
        let negatives =
            negative.into_iter().map(|input| self.vector(input)).collect::<Result<Vec<_>, _>>()?;
        let named = |query| NamedQuery::new(query, self.using);
        match strategy {
            RecommendStrategy::AverageVector => {
                let average = avg_vector_for_recommendation(
                    positives.iter().map(VectorRef::from),
                    negatives.iter().map(VectorRef::from).peekable(),
                )?;
                Ok(self.nearest(average))
            }
            RecommendStrategy::BestScore => Ok(ScoringQuery::Vector(
                QueryEnum::RecommendBestScore(named(RecommendQuery::new(positives, negatives))),
            )),
            RecommendStrategy::SumScores => Ok(ScoringQuery::Vector(
                QueryEnum::RecommendSumScores(named(RecommendQuery::new(positives, negatives))),
            )),
        }
    }

    fn vector(&mut self, input: VectorQueryInput) -> Result<VectorInternal, ApiError> {
        match input {
            VectorQueryInput::Vector(vector) => {
                self.collection.schema.vector(self.using, vector, Purpose::Search)
            }
            VectorQueryInput::Id(id) => {
                let vector = self.stored(id)?;
                self.ids.push(id);
                Ok(vector)
            }
        }
    }

    /// The vector a point has.
    fn stored(&self, id: PointId) -> Result<VectorInternal, ApiError> {
        self.collection.schema.kind(self.using)?;
        let mut request = RetrieveRequest::new(vec![id]);
        request.with_payload = Some(WithPayloadInterface::Bool(false));
        request.with_vector = Some(WithVector::Selector(vec![self.using.to_owned()]));
        let found = self.shard.retrieve(request)?;
        let Some(record) = found.first() else {
            return Err(ApiError::NotFound(format!("No point with id {id} found")));
        };
        record.get_vector_by_name(self.using).map(VectorRef::to_owned).ok_or_else(|| {
            ApiError::NotFound(format!(
                "Vector with name \"{}\" for point {id} was not found",
                self.using
            ))
        })
    }
}

/// The filter, and none of these ids.
fn without(filter: Option<Filter>, ids: Vec<PointId>) -> Option<Filter> {
    if ids.is_empty() {
        return filter;
    }
    let exclude = Filter::new_must_not(Condition::HasId(HasIdCondition::from_iter(ids)));
    Some(match filter {
        None => exclude,
        Some(filter) => filter.merge_owned(exclude),
    })
}
