//! Values of Arrow arrays as JSON, for payloads.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;
use serde_json::{Map, Number, Value};

/// The value at `at`. Times, dates and decimals become text, NaN and nulls null.
///
/// # Errors
/// The type has no place in a payload.
pub(crate) fn value(array: &ArrayRef, at: usize) -> Result<Value, String> {
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    let kind = array.data_type();
    match kind {
        DataType::Null => Ok(Value::Null),
        DataType::Boolean => Ok(Value::Bool(array.as_boolean().value(at))),
        DataType::Utf8 => Ok(Value::String(array.as_string::<i32>().value(at).to_owned())),
        DataType::LargeUtf8 => Ok(Value::String(array.as_string::<i64>().value(at).to_owned())),
        DataType::Utf8View => Ok(Value::String(array.as_string_view().value(at).to_owned())),
        DataType::UInt64 => Ok(array.as_primitive::<UInt64Type>().value(at).into()),
        DataType::Float32 => Ok(float32(array.as_primitive::<Float32Type>().value(at))),
        DataType::Float64 => Ok(float64(array.as_primitive::<Float64Type>().value(at))),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => {
            let one = cast(&array.slice(at, 1), &DataType::Int64)?;
            Ok(one.as_primitive::<Int64Type>().value(0).into())
        }
        DataType::Float16 => {
            let one = cast(&array.slice(at, 1), &DataType::Float64)?;
            Ok(float64(one.as_primitive::<Float64Type>().value(0)))
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(at)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(at)),
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(at)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let pairs = fields.iter().zip(columns);
            let object: Result<Map<_, _>, String> = pairs
                .map(|(field, column)| Ok((field.name().clone(), value(column, at)?)))
                .collect();
            Ok(Value::Object(object?))
        }
        DataType::Dictionary(_, inner) => value(&cast(&array.slice(at, 1), inner)?, 0),
        other if other.is_temporal() || is_decimal(other) => {
            array_value_to_string(array, at).map(Value::String).map_err(|error| error.to_string())
        }
        other => Err(format!("{other} has no place in a payload")),
    }
}

fn list(items: &ArrayRef) -> Result<Value, String> {
    (0..items.len()).map(|at| value(items, at)).collect::<Result<_, _>>().map(Value::Array)
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    arrow_cast::cast(array, to).map_err(|error| error.to_string())
}

fn is_decimal(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _)
    )
}

fn float64(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// As it is written in single precision: 0.1 and not 0.10000000149.
fn float32(number: f32) -> Value {
    number.to_string().parse().map_or(Value::Null, float64)
}
