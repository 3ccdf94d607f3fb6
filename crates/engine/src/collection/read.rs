//! Reading points: by id, by page, counted, and by the values of a field.

use qdrant_edge::{
    EdgeShard, FacetValueHit, OrderByInterface, Record, RetrieveRequest as EdgeRetrieve,
    ScrollRequest as EdgeScroll, WithVector,
};

use super::Collection;
use super::checks::check_filter;
use crate::error::ApiError;
use crate::model::points::{
    CountRequest, FacetRequest, RetrieveRequest, ScrollPage, ScrollRequest,
};

/// Limits up to here are passed on; larger ones are first cut to the number of points, because the
/// storage engine makes room for as many results as are asked for.
const LIMIT_TRUSTED: usize = 10_000;

impl Collection {
    /// Points by id; those that do not exist are left out.
    pub(crate) fn retrieve(&self, request: RetrieveRequest) -> Result<Vec<Record>, ApiError> {
        let RetrieveRequest { ids, with_payload, with_vector, shard_key: _ } = request;
        self.check_with_vector(&with_vector)?;
        let mut edge = EdgeRetrieve::new(ids);
        edge.with_payload = with_payload;
        edge.with_vector = Some(with_vector);
        Ok(self.open_shard()?.retrieve(edge)?)
    }

    /// A page of points.
    pub(crate) fn scroll(&self, request: ScrollRequest) -> Result<ScrollPage, ApiError> {
        let ScrollRequest {
            offset,
            limit,
            filter,
            with_payload,
            with_vector,
            order_by,
            shard_key: _,
        } = request;
        check_filter(filter.as_ref())?;
        let limit = checked_limit(limit, "limit")?;
        self.check_with_vector(&with_vector)?;
        let shard = self.open_shard()?;
        if let Some(order_by) = &order_by {
            check_order_by(&shard, order_by)?;
        }
        let (points, next_page_offset) = shard.scroll(EdgeScroll {
            offset,
            limit: Some(cut_limit(&shard, limit)?),
            filter,
            with_payload,
            with_vector,
            order_by,
        })?;
        Ok(ScrollPage { points, next_page_offset })
    }

    /// How many points match.
    pub(crate) fn count(&self, request: CountRequest) -> Result<usize, ApiError> {
        let CountRequest { filter, exact, shard_key: _ } = request;
        check_filter(filter.as_ref())?;
        Ok(self.open_shard()?.count(qdrant_edge::CountRequest { filter, exact })?)
    }

    /// How many points there are of each value of a payload field, most first.
    pub(crate) fn facet(&self, request: FacetRequest) -> Result<Vec<FacetValueHit>, ApiError> {
        let FacetRequest { key, limit, filter, exact, shard_key: _ } = request;
        check_filter(filter.as_ref())?;
        let limit = checked_limit(limit, "limit")?;
        let shard = self.open_shard()?;
        let mut edge = qdrant_edge::FacetRequest::new(key);
        edge.limit = cut_limit(&shard, limit)?;
        edge.filter = filter;
        edge.exact = exact;
        Ok(shard.facet(edge)?.hits)
    }

    /// Vectors asked for by name must exist.
    pub(super) fn check_with_vector(&self, with_vector: &WithVector) -> Result<(), ApiError> {
        match with_vector {
            WithVector::Bool(_) => Ok(()),
            WithVector::Selector(names) => {
                names.iter().try_for_each(|name| self.schema.kind(name).map(drop))
            }
        }
    }
}

/// The limit asked for, or 10.
pub(super) fn checked_limit(limit: Option<usize>, name: &str) -> Result<usize, ApiError> {
    match limit {
        None => Ok(10),
        Some(0) => Err(ApiError::Validation(format!(
            "Validation error in JSON body: [{name}: value 0 invalid, must be 1 or larger]"
        ))),
        Some(limit) => Ok(limit),
    }
}

/// See [`LIMIT_TRUSTED`].
pub(super) fn cut_limit(shard: &EdgeShard, limit: usize) -> Result<usize, ApiError> {
    if limit <= LIMIT_TRUSTED {
        return Ok(limit);
    }
    Ok(limit.min(shard.info()?.points_count.max(LIMIT_TRUSTED)))
}

/// Ordering reads an index; an empty collection would hide that there is none.
pub(super) fn check_order_by(
    shard: &EdgeShard,
    order_by: &OrderByInterface,
) -> Result<(), ApiError> {
    let key = match order_by {
        OrderByInterface::Key(key) => key,
        OrderByInterface::Struct(order_by) => &order_by.key,
    };
    if shard.info()?.payload_schema.contains_key(key) {
        return Ok(());
    }
    Err(ApiError::BadInput(format!(
        "No range index for `order_by` key: `{key}`. Please create one to use `order_by`. Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support Range conditions"
    )))
}
