//! Payload values, from Arrow columns to the wire: the same values as `crate::arrow` makes JSON of,
//! without the JSON between.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use serde_json::Value;

use super::columns::{Lists, Texts, cast, plain};
use super::wire::{self, Scalar};

/// A column of payload values.
#[derive(Debug)]
pub(super) enum Cells {
    Null,
    Bool(BooleanArray),
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Single(Float32Array),
    Double(Float64Array),
    Texts(Texts),
    List(Lists, Box<Cells>),
    Struct(Vec<(String, Cells)>, Option<NullBuffer>),
}

impl Cells {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        let array = plain(array)?;
        let kind = array.data_type();
        if let Some(lists) = Lists::new(&array)? {
            let items = Self::new(&lists.values)?;
            return Ok(Self::List(lists, Box::new(items)));
        }
        Ok(match kind {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Texts(Texts::new(&array)?)
            }
            DataType::UInt64 => Self::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            kind if kind.is_integer() => {
                let array = cast(&array, &DataType::Int64)?;
                Self::Signed(array.as_primitive::<Int64Type>().clone())
            }
            DataType::Float32 => Self::Single(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 | DataType::Float16 => {
                let array = cast(&array, &DataType::Float64)?;
                Self::Double(array.as_primitive::<Float64Type>().clone())
            }
            DataType::Struct(fields) => {
                let parts = fields.iter().zip(array.as_struct().columns());
                let parts = parts.map(|(field, part)| Ok((field.name().clone(), Self::new(part)?)));
                Self::Struct(parts.collect::<Result<_, String>>()?, array.nulls().cloned())
            }
            kind if kind.is_temporal() || kind.is_decimal() => {
                Self::Texts(Texts::Small(formatted(&array)?))
            }
            other => return Err(format!("{other} has no place in a payload")),
        })
    }

    /// A value without parts; `None` for one that has some.
    fn scalar(&self, row: usize) -> Option<Scalar<'_>> {
        let scalar = match self {
            Self::Bool(values) if values.is_valid(row) => Scalar::Bool(values.value(row)),
            Self::Signed(values) if values.is_valid(row) => Scalar::Integer(values.value(row)),
            Self::Unsigned(values) if values.is_valid(row) => unsigned(values.value(row)),
            Self::Single(values) if values.is_valid(row) => single(values.value(row)),
            Self::Double(values) if values.is_valid(row) => double(values.value(row)),
            Self::Texts(texts) => texts.get(row).map_or(Scalar::Null, Scalar::Text),
            Self::List(lists, _) if lists.get(row).is_some() => return None,
            Self::Struct(_, nulls) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                return None;
            }
            _ => Scalar::Null,
        };
        Some(scalar)
    }

    /// Writes the entry of a map.
    pub(super) fn put_entry(&self, out: &mut Vec<u8>, field: u32, name: &str, row: usize) {
        if let Some(scalar) = self.scalar(row) {
            return wire::scalar_entry(out, field, name, scalar);
        }
        let entry = wire::open(out, field);
        wire::bytes(out, wire::MAP_KEY, name.as_bytes());
        let value = wire::open(out, wire::MAP_VALUE);
        self.put_parts(out, row);
        wire::close(out, value);
        wire::close(out, entry);
    }

    /// The value as JSON, the same as is sent.
    pub(super) fn json(&self, row: usize) -> Value {
        match (self.scalar(row), self) {
            (Some(Scalar::Bool(bool)), _) => bool.into(),
            (Some(Scalar::Integer(integer)), _) => integer.into(),
            (Some(Scalar::Double(double)), _) => double.into(),
            (Some(Scalar::Text(text)), _) => text.into(),
            (None, Self::List(lists, items)) => {
                lists.get(row).unwrap_or_default().map(|item| items.json(item)).collect()
            }
            (None, Self::Struct(parts, _)) => {
                let parts = parts.iter().map(|(name, part)| (name.clone(), part.json(row)));
                Value::Object(parts.collect())
            }
            _ => Value::Null,
        }
    }

    fn put_parts(&self, out: &mut Vec<u8>, row: usize) {
        match self {
            Self::List(lists, items) => {
                let list = wire::open(out, wire::LIST);
                for item in lists.get(row).unwrap_or_default() {
                    items.put_item(out, item);
                }
                wire::close(out, list);
            }
            Self::Struct(parts, _) => {
                let object = wire::open(out, wire::STRUCT);
                for (name, part) in parts {
                    part.put_entry(out, wire::ENTRY, name, row);
                }
                wire::close(out, object);
            }
            _ => {}
        }
    }

    fn put_item(&self, out: &mut Vec<u8>, row: usize) {
        if let Some(scalar) = self.scalar(row) {
            wire::key(out, wire::ENTRY);
            wire::length(out, scalar.len());
            return scalar.put(out);
        }
        let value = wire::open(out, wire::ENTRY);
        self.put_parts(out, row);
        wire::close(out, value);
    }
}

/// The wire has no unsigned numbers.
fn unsigned(number: u64) -> Scalar<'static> {
    #[expect(clippy::cast_precision_loss, reason = "as JSON numbers beyond 63 bits are sent")]
    i64::try_from(number).map_or(Scalar::Double(number as f64), Scalar::Integer)
}

fn double(number: f64) -> Scalar<'static> {
    if number.is_finite() { Scalar::Double(number) } else { Scalar::Null }
}

/// As it is written in single precision: 0.1 and not 0.10000000149.
fn single(number: f32) -> Scalar<'static> {
    number.to_string().parse().map_or(Scalar::Null, double)
}

fn formatted(array: &ArrayRef) -> Result<StringArray, String> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
    (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return Ok(None);
            }
            formatter.value(row).try_to_string().map(Some).map_err(|error| error.to_string())
        })
        .collect()
}
