//! Points as they go out: vectors, payload, score and order value.

use qdrant_client::qdrant::vector_output::Vector as VectorKind;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{self as proto, facet_value, order_value};
use qdrant_edge::{
    FacetValue, FacetValueHit, OrderValue, Record, ScoredPoint, SparseVector, VectorInternal,
    VectorStructInternal,
};

use super::ids::id_message;
use super::value::payload_fields;

/// A hit of a search.
pub(super) fn scored(point: ScoredPoint) -> proto::ScoredPoint {
    let ScoredPoint { id, version, score, payload, vector, shard_key: _, order_value, location: _ } =
        point;
    proto::ScoredPoint {
        id: Some(id_message(id)),
        payload: payload_fields(payload),
        score,
        version,
        vectors: vector.map(vectors),
        shard_key: None,
        order_value: order_value.map(order),
    }
}

/// A point that was asked for.
pub(super) fn retrieved(record: Record) -> proto::RetrievedPoint {
    let Record { id, payload, vector, shard_key: _, order_value } = record;
    proto::RetrievedPoint {
        id: Some(id_message(id)),
        payload: payload_fields(payload),
        vectors: vector.map(vectors),
        shard_key: None,
        order_value: order_value.map(order),
    }
}

fn order(value: OrderValue) -> proto::OrderValue {
    let variant = match value {
        OrderValue::Int(number) => order_value::Variant::Int(number),
        OrderValue::Float(number) => order_value::Variant::Float(number),
    };
    proto::OrderValue { variant: Some(variant) }
}

fn vectors(vectors: VectorStructInternal) -> proto::VectorsOutput {
    let options = match vectors {
        VectorStructInternal::Single(dense) => {
            VectorsOptions::Vector(vector(VectorInternal::Dense(dense)))
        }
        VectorStructInternal::MultiDense(multi) => {
            VectorsOptions::Vector(vector(VectorInternal::MultiDense(multi)))
        }
        VectorStructInternal::Named(named) => VectorsOptions::Vectors(proto::NamedVectorsOutput {
            vectors: named.into_iter().map(|(name, inner)| (name, vector(inner))).collect(),
        }),
    };
    proto::VectorsOutput { vectors_options: Some(options) }
}

/// Only the `vector` field is set. The flat fields it replaced would send every number twice, and
/// no client that speaks this version of the API reads them.
fn vector(vector: VectorInternal) -> proto::VectorOutput {
    let kind = match vector {
        VectorInternal::Dense(data) => VectorKind::Dense(proto::DenseVector { data }),
        VectorInternal::Sparse(SparseVector { indices, values }) => {
            VectorKind::Sparse(proto::SparseVector { values, indices })
        }
        VectorInternal::MultiDense(multi) => VectorKind::MultiDense(proto::MultiDenseVector {
            vectors: multi
                .into_multi_vectors()
                .into_iter()
                .map(|data| proto::DenseVector { data })
                .collect(),
        }),
    };
    proto::VectorOutput { vector: Some(kind), ..Default::default() }
}

/// A value of a facet, with the number of points that have it.
pub(super) fn facet_hit(hit: FacetValueHit) -> proto::FacetHit {
    let FacetValueHit { value, count } = hit;
    let variant = match value {
        FacetValue::Keyword(text) => facet_value::Variant::StringValue(text),
        FacetValue::Int(number) => facet_value::Variant::IntegerValue(number),
        FacetValue::Uuid(number) => {
            facet_value::Variant::StringValue(uuid::Uuid::from_u128(number).to_string())
        }
        FacetValue::Bool(flag) => facet_value::Variant::BoolValue(flag),
    };
    proto::FacetHit {
        value: Some(proto::FacetValue { variant: Some(variant) }),
        count: count as u64,
    }
}
