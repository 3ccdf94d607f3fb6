//! Reads that score: each message becomes the one query that REST would have made of it.

use qdrant_client::qdrant::query::Variant;
use qdrant_client::qdrant::vector_input::Variant as Input;
use qdrant_client::qdrant::{self as proto, DenseVector, SparseIndices};
use qdrant_edge::{OrderByInterface, SparseVector};

use super::filter::{filter_opt, path};
use super::ids::id;
use super::select::{order_by, search_params, with_payload, with_vectors};
use super::status::{Parsed, fit, fit_opt, invalid, required, unavailable, unknown_value};
use super::updates::no_shard_key;
use super::vectors::{document, multi, sparse};
use crate::model::query::{
    Fusion, GroupsRequest, LookupFrom, Prefetch, Query, QueryRequest, Recommend, RecommendStrategy,
    VectorQueryInput,
};
use crate::model::vectors::VectorInput;

/// The universal query.
pub(super) fn query(message: proto::QueryPoints) -> Parsed<QueryRequest> {
    let proto::QueryPoints {
        collection_name: _,
        prefetch,
        query,
        using,
        filter,
        params,
        score_threshold,
        limit,
        offset,
        with_vectors: vectors,
        with_payload: payload,
        read_consistency: _,
        shard_key_selector,
        lookup_from,
        timeout: _,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(QueryRequest {
        prefetch: prefetch.into_iter().map(prefetch_from).collect::<Parsed<_>>()?,
        query: query.map(query_from).transpose()?,
        using,
        filter: filter_opt(filter)?,
        params: search_params(params)?,
        score_threshold,
        limit: fit_opt(limit, "limit")?,
        offset: fit_opt(offset, "offset")?,
        with_vector: with_vectors(vectors)?.unwrap_or_default(),
        with_payload: with_payload(payload)?.unwrap_or_default(),
        lookup_from: lookup_from.map(lookup).transpose()?,
        shard_key: Default::default(),
    })
}

/// The universal query, by groups.
pub(super) fn groups(message: proto::QueryPointGroups) -> Parsed<GroupsRequest> {
    let proto::QueryPointGroups {
        collection_name: _,
        prefetch,
        query,
        using,
        filter,
        params,
        score_threshold,
        with_payload: payload,
        with_vectors: vectors,
        lookup_from,
        limit,
        group_size,
        group_by,
        read_consistency: _,
        with_lookup,
        timeout: _,
        shard_key_selector,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    if with_lookup.is_some() {
        return Err(unavailable("`with_lookup`"));
    }
    Ok(GroupsRequest {
        query: QueryRequest {
            prefetch: prefetch.into_iter().map(prefetch_from).collect::<Parsed<_>>()?,
            query: query.map(query_from).transpose()?,
            using,
            filter: filter_opt(filter)?,
            params: search_params(params)?,
            score_threshold,
            limit: fit_opt(limit, "limit")?,
            offset: None,
            with_vector: with_vectors(vectors)?.unwrap_or_default(),
            with_payload: with_payload(payload)?.unwrap_or_default(),
            lookup_from: lookup_from.map(lookup).transpose()?,
            shard_key: Default::default(),
        },
        group_by: path(&group_by)?,
        group_size: fit_opt(group_size, "group_size")?,
        with_lookup: None,
    })
}

/// The older search. It is a query near to one vector, dense or (with indices) sparse.
pub(super) fn search(message: proto::SearchPoints) -> Parsed<QueryRequest> {
    let proto::SearchPoints {
        collection_name: _,
        vector,
        filter,
        limit,
        with_payload: payload,
        params,
        score_threshold,
        offset,
        vector_name,
        with_vectors: vectors,
        read_consistency: _,
        timeout: _,
        shard_key_selector,
        sparse_indices,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    let input = match sparse_indices {
        Some(SparseIndices { data: indices }) => {
            VectorInput::Sparse(SparseVector { indices, values: vector })
        }
        None => VectorInput::Dense(vector),
    };
    Ok(QueryRequest {
        query: Some(Query::Nearest(VectorQueryInput::Vector(input))),
        using: vector_name,
        filter: filter_opt(filter)?,
        params: search_params(params)?,
        score_threshold,
        limit: Some(fit(limit, "limit")?),
        offset: fit_opt(offset, "offset")?,
        with_vector: with_vectors(vectors)?.unwrap_or_default(),
        with_payload: with_payload(payload)?.unwrap_or_default(),
        ..QueryRequest::default()
    })
}

fn prefetch_from(message: proto::PrefetchQuery) -> Parsed<Prefetch> {
    let proto::PrefetchQuery {
        prefetch,
        query,
        using,
        filter,
        params,
        score_threshold,
        limit,
        lookup_from,
    } = message;
    Ok(Prefetch {
        prefetch: prefetch.into_iter().map(prefetch_from).collect::<Parsed<_>>()?,
        query: query.map(query_from).transpose()?,
        using,
        filter: filter_opt(filter)?,
        params: search_params(params)?,
        score_threshold,
        limit: fit_opt(limit, "prefetch.limit")?,
        lookup_from: lookup_from.map(lookup).transpose()?,
    })
}

fn lookup(message: proto::LookupLocation) -> Parsed<LookupFrom> {
    let proto::LookupLocation { collection_name, vector_name, shard_key_selector } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(LookupFrom { collection: collection_name, vector: vector_name })
}

fn query_from(message: proto::Query) -> Parsed<Query> {
    Ok(match required(message.variant, "query")? {
        Variant::Nearest(nearest) => Query::Nearest(input(nearest)?),
        Variant::Recommend(examples) => Query::Recommend(recommend(examples)?),
        Variant::OrderBy(order) => Query::OrderBy(OrderByInterface::Struct(order_by(order)?)),
        Variant::Fusion(number) => Query::Fusion(match proto::Fusion::try_from(number) {
            Ok(proto::Fusion::Rrf) => Fusion::Rrf { k: None, weights: None },
            Ok(proto::Fusion::Dbsf) => Fusion::Dbsf,
            Err(_) => return Err(unknown_value("fusion", number)),
        }),
        Variant::Rrf(proto::Rrf { k, weights }) => Query::Fusion(Fusion::Rrf {
            k: fit_opt(k, "rrf.k")?,
            weights: (!weights.is_empty()).then_some(weights),
        }),
        Variant::Sample(number) => match proto::Sample::try_from(number) {
            Ok(proto::Sample::Random) => Query::SampleRandom,
            Err(_) => return Err(unknown_value("sample", number)),
        },
        Variant::Discover(_) => Query::Unsupported("discover"),
        Variant::Context(_) => Query::Unsupported("context"),
        Variant::Formula(_) => Query::Unsupported("formula"),
        Variant::NearestWithMmr(_) => Query::Unsupported("mmr"),
        Variant::RelevanceFeedback(_) => Query::Unsupported("relevance_feedback"),
        Variant::Text(_) => Query::Unsupported("text"),
    })
}

fn recommend(message: proto::RecommendInput) -> Parsed<Recommend> {
    let proto::RecommendInput { positive, negative, strategy } = message;
    let strategy = match strategy {
        None => RecommendStrategy::default(),
        Some(number) => match proto::RecommendStrategy::try_from(number) {
            Ok(proto::RecommendStrategy::AverageVector) => RecommendStrategy::AverageVector,
            Ok(proto::RecommendStrategy::BestScore) => RecommendStrategy::BestScore,
            Ok(proto::RecommendStrategy::SumScores) => RecommendStrategy::SumScores,
            Err(_) => return Err(unknown_value("strategy", number)),
        },
    };
    Ok(Recommend {
        positive: positive.into_iter().map(input).collect::<Parsed<_>>()?,
        negative: negative.into_iter().map(input).collect::<Parsed<_>>()?,
        strategy,
    })
}

fn input(message: proto::VectorInput) -> Parsed<VectorQueryInput> {
    let vector = match required(message.variant, "vector input")? {
        Input::Id(point) => return id(point).map(VectorQueryInput::Id),
        Input::Dense(DenseVector { data }) => VectorInput::Dense(data),
        Input::Sparse(vector) => VectorInput::Sparse(sparse(vector)),
        Input::MultiDense(vector) => VectorInput::Multi(multi(vector)),
        Input::Document(text) => VectorInput::Document(document(text)?),
        Input::Image(_) => VectorInput::Unsupported("image"),
        Input::Object(_) => VectorInput::Unsupported("object"),
    };
    Ok(VectorQueryInput::Vector(vector))
}

/// Refuses queries of one batch that name different collections: upstream reads the batch's name
/// and would search the wrong one.
pub(super) fn same_collection(batch: &str, own: &str) -> Parsed<()> {
    if own.is_empty() || own == batch {
        return Ok(());
    }
    Err(invalid("collection_name", format_args!("`{own}` in a batch for `{batch}`")))
}
