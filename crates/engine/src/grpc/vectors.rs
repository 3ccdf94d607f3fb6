//! Vectors as they come in, in the current form of the message and in the older flat one.
#![expect(deprecated, reason = "older clients still send the flat form")]

use qdrant_client::qdrant::vector::Vector as VectorKind;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{self as proto, SparseIndices};
use qdrant_edge::SparseVector;

use super::status::{Parsed, invalid, required};
use super::value::object;
use crate::model::vectors::{Document, VectorInput, VectorsInput};

/// All vectors of one point.
pub(super) fn vectors(message: Option<proto::Vectors>) -> Parsed<VectorsInput> {
    let options = message.and_then(|vectors| vectors.vectors_options);
    Ok(match required(options, "vectors")? {
        VectorsOptions::Vector(single) => VectorsInput::Single(vector(single)?),
        VectorsOptions::Vectors(proto::NamedVectors { vectors }) => VectorsInput::Named(
            vectors
                .into_iter()
                .map(|(name, inner)| Ok((name, vector(inner)?)))
                .collect::<Parsed<_>>()?,
        ),
    })
}

/// One vector of a point.
pub(super) fn vector(message: proto::Vector) -> Parsed<VectorInput> {
    let proto::Vector { data, indices, vectors_count, vector } = message;
    let Some(kind) = vector else { return flat(data, indices, vectors_count) };
    Ok(match kind {
        VectorKind::Dense(proto::DenseVector { data }) => VectorInput::Dense(data),
        VectorKind::Sparse(vector) => VectorInput::Sparse(sparse(vector)),
        VectorKind::MultiDense(vector) => VectorInput::Multi(multi(vector)),
        VectorKind::Document(text) => VectorInput::Document(document(text)?),
        VectorKind::Image(_) => VectorInput::Unsupported("image"),
        VectorKind::Object(_) => VectorInput::Unsupported("object"),
    })
}

/// The flat form: a list of numbers that is sparse when there are indices, and several vectors
/// when it says how many.
fn flat(
    data: Vec<f32>,
    indices: Option<SparseIndices>,
    vectors_count: Option<u32>,
) -> Parsed<VectorInput> {
    match (indices, vectors_count) {
        (Some(SparseIndices { data: indices }), None) => {
            Ok(VectorInput::Sparse(SparseVector { indices, values: data }))
        }
        (None, Some(count)) => rows(&data, count).map(VectorInput::Multi),
        (None, None) => Ok(VectorInput::Dense(data)),
        (Some(_), Some(_)) => Err(invalid("vector", "both `indices` and `vectors_count` are set")),
    }
}

fn rows(data: &[f32], count: u32) -> Parsed<Vec<Vec<f32>>> {
    let count = count as usize;
    if count == 0 || data.is_empty() || !data.len().is_multiple_of(count) {
        return Err(invalid(
            "vector",
            format_args!("{} numbers do not make {count} vectors of one length", data.len()),
        ));
    }
    Ok(data.chunks(data.len() / count).map(<[f32]>::to_vec).collect())
}

/// A sparse vector, unchecked: the core checks it, whichever door it came through.
pub(super) fn sparse(message: proto::SparseVector) -> SparseVector {
    let proto::SparseVector { values, indices } = message;
    SparseVector { indices, values }
}

/// The rows of a multivector.
pub(super) fn multi(message: proto::MultiDenseVector) -> Vec<Vec<f32>> {
    message.vectors.into_iter().map(|proto::DenseVector { data }| data).collect()
}

/// Text for the engine to embed.
pub(super) fn document(message: proto::Document) -> Parsed<Document> {
    let proto::Document { text, model, options } = message;
    let options = object(options)?;
    Ok(Document { text, model, options: (!options.is_empty()).then_some(options) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat_message(
        data: Vec<f32>,
        indices: Option<Vec<u32>>,
        vectors_count: Option<u32>,
    ) -> Parsed<VectorInput> {
        let indices = indices.map(|data| SparseIndices { data });
        vector(proto::Vector { data, indices, vectors_count, vector: None })
    }

    #[test]
    fn the_flat_form_means_the_same_as_the_current_one() {
        assert_eq!(
            flat_message(vec![1.0, 2.0], None, None).expect("dense"),
            vector(proto::Vector::new_dense(vec![1.0, 2.0])).expect("dense"),
        );
        assert_eq!(
            flat_message(vec![0.5], Some(vec![7]), None).expect("sparse"),
            vector(proto::Vector::new_sparse(vec![7], vec![0.5])).expect("sparse"),
        );
        assert_eq!(
            flat_message(vec![1.0, 2.0, 3.0, 4.0], None, Some(2)).expect("multi"),
            vector(proto::Vector::new_multi(vec![vec![1.0, 2.0], vec![3.0, 4.0]])).expect("multi"),
        );
    }

    #[test]
    fn numbers_that_do_not_make_whole_rows_are_refused() {
        for count in [0, 3] {
            let status = flat_message(vec![1.0, 2.0], None, Some(count)).expect_err("refused");
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    #[test]
    fn a_point_without_vectors_is_refused() {
        vectors(None).expect_err("refused");
        vectors(Some(proto::Vectors { vectors_options: None })).expect_err("refused");
    }
}
