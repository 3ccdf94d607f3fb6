//! Columns of tensors, as Ray Data and Arrow's own extension type keep them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use serde::Deserialize;

/// What is known of the shape of each tensor.
#[derive(Debug)]
pub(super) enum Tensor {
    /// All have this one.
    Of(Vec<usize>),
    /// Each has its own, which is in a column of lists.
    Said(ArrayRef),
}

/// What Arrow says of a tensor besides its numbers.
#[derive(Deserialize)]
struct FixedShape {
    shape: Vec<usize>,
    permutation: Option<Vec<usize>>,
}

/// The lists of numbers behind a column of tensors, and their shape. Any other column as it is.
pub(super) fn tensor(
    field: &Field,
    array: &ArrayRef,
) -> Result<(ArrayRef, Option<Tensor>), String> {
    let metadata = field.metadata();
    let said = metadata.get(EXTENSION_TYPE_METADATA_KEY).map_or("", String::as_str);
    let wrong = |error: serde_json::Error| format!("the shape of its tensors is unclear: {error}");
    let shape = match metadata.get(EXTENSION_TYPE_NAME_KEY).map(String::as_str) {
        Some("ray.data.arrow_tensor" | "ray.data.arrow_tensor_v2") => {
            Tensor::Of(serde_json::from_str(said).map_err(wrong)?)
        }
        Some("arrow.fixed_shape_tensor") => {
            let FixedShape { shape, permutation } = serde_json::from_str(said).map_err(wrong)?;
            if permutation.is_some_and(|order| !order.is_sorted()) {
                return Err("its tensors are stored in another order than row by row".to_owned());
            }
            Tensor::Of(shape)
        }
        Some("ray.data.arrow_variable_shaped_tensor") => {
            let parts = array.as_struct_opt();
            let part = |name| parts.and_then(|parts| parts.column_by_name(name));
            let (Some(data), Some(shape)) = (part("data"), part("shape")) else {
                return Err(format!("it is {}, not tensors", array.data_type()));
            };
            if array.null_count() > 0 {
                return Err("some of its tensors are null".to_owned());
            }
            return Ok((Arc::clone(data), Some(Tensor::Said(Arc::clone(shape)))));
        }
        _ => return Ok((Arc::clone(array), None)),
    };
    Ok((Arc::clone(array), Some(shape)))
}
