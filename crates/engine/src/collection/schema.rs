//! Which vectors a collection has, and the check that a caller's vectors fit, before anything is
//! written to the log: what is in the log must be able to be applied.

use std::collections::{BTreeMap, HashMap};

use qdrant_edge::{
    SparseVector, TypedMultiDenseVector, VectorInternal, VectorPersisted, VectorStructPersisted,
};

use super::bm25::{Purpose, embed};
use crate::error::ApiError;
use crate::model::collection::CollectionConfig;
use crate::model::vectors::{VectorInput, VectorsInput};

/// What a vector of this name looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dense { size: usize },
    Multi { size: usize },
    Sparse,
}

/// The vectors of a collection by name. They do not change while it lives.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    kinds: BTreeMap<String, Kind>,
}

impl Schema {
    pub(super) fn of(config: &CollectionConfig) -> Self {
        let dense = config.params.vectors.by_name().into_iter().map(|(name, params)| {
            let size = params.size;
            let kind = match params.multivector_config {
                None => Kind::Dense { size },
                Some(_) => Kind::Multi { size },
            };
            (name.to_owned(), kind)
        });
        let sparse = config
            .params
            .sparse_vectors
            .iter()
            .flat_map(|sparse| sparse.keys())
            .map(|name| (name.clone(), Kind::Sparse));
        Self { kinds: dense.chain(sparse).collect() }
    }

    /// What the vector of this name looks like.
    ///
    /// # Errors
    /// [`ApiError::BadInput`] when there is none.
    pub(super) fn kind(&self, name: &str) -> Result<Kind, ApiError> {
        self.kinds
            .get(name)
            .copied()
            .ok_or_else(|| ApiError::BadInput(format!("Not existing vector name error: {name}")))
    }

    /// All vectors of one point, checked and embedded, as the log keeps them.
    pub(super) fn stored(&self, vectors: VectorsInput) -> Result<VectorStructPersisted, ApiError> {
        match vectors {
            VectorsInput::Single(vector) => match self.vector("", vector, Purpose::Store)? {
                VectorInternal::Dense(dense) => Ok(VectorStructPersisted::Single(dense)),
                VectorInternal::MultiDense(multi) => {
                    Ok(VectorStructPersisted::MultiDense(multi.into_multi_vectors()))
                }
                VectorInternal::Sparse(_) => Err(wrong_sparse()),
            },
            VectorsInput::Named(named) => {
                let mut stored = HashMap::with_capacity(named.len());
                for (name, vector) in named {
                    let vector = self.vector(&name, vector, Purpose::Store)?;
                    stored.insert(name, VectorPersisted::from(vector));
                }
                Ok(VectorStructPersisted::Named(stored))
            }
        }
    }

    /// One vector, checked against the one of this name, and embedded if it is text.
    pub(super) fn vector(
        &self,
        name: &str,
        vector: VectorInput,
        purpose: Purpose,
    ) -> Result<VectorInternal, ApiError> {
        let kind = self.kind(name)?;
        match (kind, vector) {
            (Kind::Dense { size }, VectorInput::Dense(dense)) => {
                check_dense(&dense, size)?;
                Ok(VectorInternal::Dense(dense))
            }
            (Kind::Multi { size }, VectorInput::Multi(rows)) => multi(rows, size),
            // One row may be written without its outer list.
            (Kind::Multi { size }, VectorInput::Dense(row)) => multi(vec![row], size),
            (Kind::Sparse, VectorInput::Sparse(vector)) => sparse(vector),
            (Kind::Sparse, VectorInput::Document(document)) => {
                embed(&document, purpose).map(VectorInternal::Sparse)
            }
            (Kind::Dense { .. } | Kind::Multi { .. }, VectorInput::Document(document)) => {
                // The only model there is makes sparse vectors.
                embed(&document, purpose)?;
                Err(wrong_sparse())
            }
            (Kind::Dense { .. } | Kind::Multi { .. }, VectorInput::Sparse(_))
            | (Kind::Sparse, VectorInput::Dense(_) | VectorInput::Multi(_)) => Err(wrong_sparse()),
            (Kind::Dense { .. }, VectorInput::Multi(_)) => {
                Err(ApiError::BadInput("Wrong usage of multi vectors".into()))
            }
            (_, VectorInput::Unsupported(what)) => {
                Err(ApiError::NotImplemented(format!("inference of `{what}` inputs")))
            }
        }
    }
}

fn wrong_sparse() -> ApiError {
    ApiError::BadInput("Wrong usage of sparse vectors".into())
}

fn check_dense(dense: &[f32], size: usize) -> Result<(), ApiError> {
    if dense.len() != size {
        return Err(ApiError::BadInput(format!(
            "Vector dimension error: expected dim: {size}, got {}",
            dense.len()
        )));
    }
    check_finite(dense)
}

fn check_finite(values: &[f32]) -> Result<(), ApiError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(ApiError::BadInput(format!(
            "Vector has a value that is not a finite number, at position {at}"
        ))),
    }
}

fn multi(rows: Vec<Vec<f32>>, size: usize) -> Result<VectorInternal, ApiError> {
    if rows.is_empty() {
        return Err(ApiError::BadInput("MultiDenseVector cannot be empty".into()));
    }
    for row in &rows {
        check_dense(row, size)?;
    }
    TypedMultiDenseVector::try_from_matrix(rows)
        .map(VectorInternal::MultiDense)
        .map_err(ApiError::from)
}

fn sparse(mut vector: SparseVector) -> Result<VectorInternal, ApiError> {
    if vector.indices.len() != vector.values.len() {
        return Err(ApiError::Validation(format!(
            "Validation error in JSON body: [values: must be the same length as indices ({} != {})]",
            vector.indices.len(),
            vector.values.len()
        )));
    }
    check_finite(&vector.values)?;
    if !vector.is_sorted() {
        vector.sort_by_indices();
    }
    let twice = vector.indices.iter().zip(vector.indices.iter().skip(1)).find(|(a, b)| a == b);
    if let Some((index, _)) = twice {
        return Err(ApiError::Validation(format!(
            "Validation error in JSON body: [indices: must be unique, {index} is there twice]"
        )));
    }
    Ok(VectorInternal::Sparse(vector))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let request = serde_json::from_value(json!({
            "vectors": {
                "": {"size": 2, "distance": "Dot"},
                "m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
            },
            "sparse_vectors": {"s": {"modifier": "idf"}},
        }))
        .unwrap();
        Schema::of(&CollectionConfig::create(request).unwrap())
    }

    fn stored(value: serde_json::Value) -> Result<VectorStructPersisted, ApiError> {
        schema().stored(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn vectors_that_fit_are_taken() {
        assert!(stored(json!([1.0, 2.0])).is_ok());
        assert!(stored(json!({"": [1, 2], "m": [[1, 2], [3, 4]]})).is_ok());
        assert!(stored(json!({"s": {"text": "moored", "model": "qdrant/bm25"}})).is_ok());
        assert!(stored(json!({})).is_ok());
    }

    #[test]
    fn sparse_vectors_are_sorted_before_they_are_kept() {
        let VectorStructPersisted::Named(named) =
            stored(json!({"s": {"indices": [9, 3], "values": [0.9, 0.3]}})).unwrap()
        else {
            unreachable!("named in, named out")
        };
        let Some(VectorPersisted::Sparse(sparse)) = named.get("s") else {
            unreachable!("sparse in, sparse out")
        };
        assert_eq!(sparse.indices, [3, 9]);
        assert_eq!(sparse.values, [0.3, 0.9]);
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused_in_qdrants_words() {
        let said = |value| stored(value).unwrap_err().to_string();
        assert_eq!(
            said(json!([1.0, 2.0, 3.0])),
            "Wrong input: Vector dimension error: expected dim: 2, got 3"
        );
        assert_eq!(said(json!({"x": [1.0]})), "Wrong input: Not existing vector name error: x");
        assert!(said(json!([1e40, 1.0])).contains("finite"));
        assert!(said(json!({"s": {"indices": [1, 1], "values": [1, 1]}})).contains("unique"));
        assert!(said(json!({"s": {"indices": [1], "values": [1, 1]}})).contains("same length"));
        assert!(said(json!({"s": [1.0, 2.0]})).contains("sparse"));
        assert!(said(json!([[1.0, 2.0]])).contains("multi"));
        assert!(said(json!({"m": [[1.0, 2.0], [1.0]]})).contains("got 1"));
        assert!(said(json!({"image": "x", "model": "y"})).contains("image"));
    }
}
