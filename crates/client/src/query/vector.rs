//! Vectors to search for, from Arrow.

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use qdrant_client::qdrant::{DenseVector, Query, VectorInput, query, vector_input};

use crate::error::Error;

/// The rows of a column of lists of numbers.
pub(super) fn rows(vectors: &ArrayRef) -> Result<Vec<Vec<f32>>, Error> {
    (0..vectors.len())
        .map(|row| one(vectors, row).map_err(|reason| bad(&format!("vectors[{row}]"), &reason)))
        .collect()
}

/// A query for what is nearest to this vector.
pub(super) fn nearest(data: Vec<f32>) -> Query {
    let variant = vector_input::Variant::Dense(DenseVector { data });
    Query { variant: Some(query::Variant::Nearest(VectorInput { variant: Some(variant) })) }
}

fn one(vectors: &ArrayRef, row: usize) -> Result<Vec<f32>, String> {
    if vectors.is_null(row) {
        return Err("it is null".to_owned());
    }
    let list = match vectors.data_type() {
        DataType::FixedSizeList(_, _) => vectors.as_fixed_size_list().value(row),
        DataType::List(_) => vectors.as_list::<i32>().value(row),
        DataType::LargeList(_) => vectors.as_list::<i64>().value(row),
        other => return Err(format!("a list of numbers is expected, not {other}")),
    };
    if list.is_empty() || list.null_count() > 0 || !list.data_type().is_numeric() {
        return Err(format!(
            "{} values of {}, some null or none at all",
            list.len(),
            list.data_type()
        ));
    }
    let numbers = if list.data_type() == &DataType::Float32 {
        list
    } else {
        arrow_cast::cast(&list, &DataType::Float32).map_err(|error| error.to_string())?
    };
    let numbers = numbers.as_primitive::<Float32Type>().values();
    check(numbers)?;
    Ok(numbers.to_vec())
}

/// Why these numbers are no vector.
pub(super) fn check(numbers: &[f32]) -> Result<(), String> {
    if numbers.is_empty() {
        return Err("it holds no numbers".to_owned());
    }
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("it holds {number}, each number must be finite")),
        None => Ok(()),
    }
}

pub(super) fn bad(at: &str, reason: &str) -> Error {
    Error::Filter { at: at.to_owned(), reason: reason.to_owned() }
}
