//! Dense vectors and multivectors, from Arrow's buffers to the wire.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int8Type, UInt8Type};
use arrow_array::{
    Array, ArrayRef, Float16Array, Float32Array, Float64Array, Int8Array, RecordBatch, UInt8Array,
};
use arrow_schema::DataType;

use super::columns::{Fault, Integers, Lists, column, unusable};
use super::tensor::{Tensor, tensor};
use super::wire;
use crate::error::Error;

// Arrow keeps numbers as the machine does, the wire little-endian: the same here, so they are copied.
const _: () = assert!(cfg!(target_endian = "little"), "vectors are sent as they lie in memory");

const FLOAT_BYTES: usize = size_of::<f32>();

/// A column of vectors.
#[derive(Debug)]
pub(super) struct Vectors {
    column: String,
    rows: Lists,
    shape: Shape,
    numbers: Numbers,
}

/// How the numbers of a row are vectors.
#[derive(Debug)]
enum Shape {
    /// One vector.
    One,
    /// A list of lists of numbers.
    Nested(Lists),
    /// So many vectors of one length, one after another.
    Even { count: usize, size: usize },
    /// As another column says: how many, and how long.
    Said { shapes: Lists, sizes: Integers },
}

impl Vectors {
    pub(super) fn new(name: &str, batch: &RecordBatch) -> Result<Self, Error> {
        let wrong = |why: String| unusable(name, why);
        let (field, array) = column(batch, name)?;
        let kind = array.data_type().clone();
        let not_vectors = || wrong(format!("it is {kind}, not vectors"));
        let (array, told) = tensor(field, array).map_err(wrong)?;
        let rows = Lists::new(&array).map_err(wrong)?.ok_or_else(not_vectors)?;
        let inner = Lists::new(&rows.values).map_err(wrong)?;
        let (shape, numbers) = match (told, inner) {
            (None, Some(inner)) => {
                let numbers = Numbers::new(&inner.values).map_err(wrong)?;
                (Shape::Nested(inner), numbers)
            }
            (None, None) => (Shape::One, Numbers::new(&rows.values).map_err(wrong)?),
            (Some(_), Some(_)) => return Err(not_vectors()),
            (Some(told), None) => {
                let numbers = Numbers::new(&rows.values).map_err(wrong)?;
                let shape = match told {
                    Tensor::Of(shape) => match shape.as_slice() {
                        [_] => Shape::One,
                        [count, size] => Shape::Even { count: *count, size: *size },
                        _ => {
                            let why = format!("its tensors have {} dimensions", shape.len());
                            return Err(wrong(format!(
                                "{why}; a vector has one, several have two"
                            )));
                        }
                    },
                    Tensor::Said(shapes) => {
                        let shapes = Lists::new(&shapes).map_err(wrong)?.ok_or_else(not_vectors)?;
                        let sizes = Integers::new(&shapes.values).map_err(wrong)?;
                        Shape::Said { shapes, sizes }
                    }
                };
                (shape, numbers)
            }
        };
        Ok(Self { column: name.to_owned(), rows, shape, numbers })
    }

    pub(super) fn column(&self) -> &str {
        &self.column
    }

    /// Whether all of it can be the vector of a collection whose vectors have this length, one or
    /// several a point.
    pub(super) fn check(&self, size: Option<usize>, is_multi: Option<bool>) -> Result<(), String> {
        match (matches!(self.shape, Shape::One), is_multi) {
            (true, Some(true)) => {
                return Err("it has one vector a row, the collection a multivector".to_owned());
            }
            (false, Some(false)) => {
                return Err("it has several vectors a row, the collection one a point".to_owned());
            }
            _ => {}
        }
        match (self.size(), size) {
            (Some(found), Some(expected)) if found != expected => {
                Err(format!("its vectors have {found} numbers, those of the collection {expected}"))
            }
            _ => Ok(()),
        }
    }

    /// The length that all vectors have.
    fn size(&self) -> Option<usize> {
        match &self.shape {
            Shape::One => self.rows.size(),
            Shape::Nested(inner) => inner.size(),
            Shape::Even { size, .. } => Some(*size),
            Shape::Said { .. } => None,
        }
    }

    /// Writes the message `Vector` of a row. `size` is the length that its vectors must have; if
    /// none is known yet, that of the first.
    pub(super) fn put(
        &self,
        row: usize,
        size: &mut Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let fault = |why: String| Fault::new(&self.column, why);
        let range = self.rows.get(row).ok_or_else(|| Fault::null(&self.column))?;
        if matches!(self.shape, Shape::One) {
            check_size(range.len(), size).map_err(fault)?;
            let bytes = range.len() * FLOAT_BYTES;
            wire::key(out, wire::DENSE);
            wire::length(out, 1 + wire::length_len(bytes) + bytes);
            return self.numbers.put(range, out).map_err(fault);
        }
        let multi = wire::open(out, wire::MULTI);
        let parts = self.parts(row, range)?;
        if parts.is_empty() {
            return Err(fault("it holds no vector".to_owned()));
        }
        for (at, part) in parts.into_iter().enumerate() {
            let fault = |why: String| fault(format!("vector {at}: {why}"));
            let part = part.ok_or_else(|| fault("it is null".to_owned()))?;
            check_size(part.len(), size).map_err(fault)?;
            let one = wire::open(out, wire::ENTRY);
            self.numbers.put(part, out).map_err(fault)?;
            wire::close(out, one);
        }
        wire::close(out, multi);
        Ok(())
    }

    /// Where the vectors of a row are.
    fn parts(&self, row: usize, range: Range<usize>) -> Result<Vec<Option<Range<usize>>>, Fault> {
        let even = |count: usize, size: usize| {
            if count.checked_mul(size) != Some(range.len()) {
                return Err(Fault::new(&self.column, "its shape is not that of its numbers"));
            }
            let begins = range.clone().step_by(size.max(1));
            Ok(begins.map(|begin| Some(begin..begin + size)).collect())
        };
        match &self.shape {
            Shape::One => Ok(vec![Some(range)]),
            Shape::Nested(inner) => Ok(range.map(|at| inner.get(at)).collect()),
            Shape::Even { count, size } => even(*count, *size),
            Shape::Said { shapes, sizes } => {
                let said = shapes.get(row).ok_or_else(|| Fault::null(&self.column))?;
                let said: Vec<_> =
                    said.map(|at| sizes.get(&self.column, at)).collect::<Result<_, _>>()?;
                match said.as_slice() {
                    [count, size] => {
                        let small = |number| usize::try_from(number).unwrap_or(usize::MAX);
                        even(small(*count), small(*size))
                    }
                    _ => Err(Fault::new(
                        &self.column,
                        format!("it has {} dimensions; several vectors have two", said.len()),
                    )),
                }
            }
        }
    }
}

fn check_size(found: usize, size: &mut Option<usize>) -> Result<(), String> {
    if found == 0 {
        return Err("it has no numbers".to_owned());
    }
    let expected = *size.get_or_insert(found);
    if found == expected {
        return Ok(());
    }
    Err(format!("it has {found} numbers, not {expected}"))
}

/// The numbers of vectors, sent as `f32`.
#[derive(Debug)]
pub(super) enum Numbers {
    F16(Float16Array),
    F32(Float32Array),
    F64(Float64Array),
    I8(Int8Array),
    U8(UInt8Array),
}

impl Numbers {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        match array.data_type() {
            DataType::Float16 => Ok(Self::F16(array.as_primitive::<Float16Type>().clone())),
            DataType::Float32 => Ok(Self::F32(array.as_primitive::<Float32Type>().clone())),
            DataType::Float64 => Ok(Self::F64(array.as_primitive::<Float64Type>().clone())),
            DataType::Int8 => Ok(Self::I8(array.as_primitive::<Int8Type>().clone())),
            DataType::UInt8 => Ok(Self::U8(array.as_primitive::<UInt8Type>().clone())),
            other => Err(format!(
                "its numbers are {other}; vectors are float16, float32, float64, int8 or uint8"
            )),
        }
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::F16(array) => array,
            Self::F32(array) => array,
            Self::F64(array) => array,
            Self::I8(array) => array,
            Self::U8(array) => array,
        }
    }

    /// Writes the numbers in `range` as a packed field.
    pub(super) fn put(&self, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(nulls) = self.array().nulls()
            && nulls.null_count() > 0
            && let Some(at) = range.clone().find(|at| nulls.is_null(*at))
        {
            return Err(format!("its number {} is null", at - range.start));
        }
        wire::key(out, wire::NUMBERS);
        wire::length(out, range.len() * FLOAT_BYTES);
        let whole = |found: bool| if found { Ok(()) } else { Err("it is cut short".to_owned()) };
        match self {
            Self::F32(array) => {
                let numbers = array.values().get(range.clone()).unwrap_or_default();
                finite(numbers.iter().copied())?;
                let bytes = array.values().inner().as_slice();
                let bytes = bytes.get(range.start * FLOAT_BYTES..range.end * FLOAT_BYTES);
                out.extend_from_slice(bytes.unwrap_or_default());
                whole(bytes.is_some())
            }
            Self::F16(array) => {
                let numbers = array.values().get(range);
                converted(numbers.unwrap_or_default().iter().map(|number| number.to_f32()), out)?;
                whole(numbers.is_some())
            }
            #[expect(clippy::cast_possible_truncation, reason = "what is out of range is refused")]
            Self::F64(array) => {
                let numbers = array.values().get(range);
                converted(numbers.unwrap_or_default().iter().map(|number| *number as f32), out)?;
                whole(numbers.is_some())
            }
            Self::I8(array) => {
                let numbers = array.values().get(range);
                converted(
                    numbers.unwrap_or_default().iter().map(|number| f32::from(*number)),
                    out,
                )?;
                whole(numbers.is_some())
            }
            Self::U8(array) => {
                let numbers = array.values().get(range);
                converted(
                    numbers.unwrap_or_default().iter().map(|number| f32::from(*number)),
                    out,
                )?;
                whole(numbers.is_some())
            }
        }
    }
}

fn converted(numbers: impl Iterator<Item = f32> + Clone, out: &mut Vec<u8>) -> Result<(), String> {
    finite(numbers.clone())?;
    out.extend(numbers.flat_map(f32::to_le_bytes));
    Ok(())
}

/// Looks at all numbers without stopping at the first, which is faster.
fn finite(numbers: impl Iterator<Item = f32> + Clone) -> Result<(), String> {
    if numbers.clone().fold(true, |all, number| all & number.is_finite()) {
        return Ok(());
    }
    let found = numbers.enumerate().find(|(_, number)| !number.is_finite());
    let (at, number) = found.unwrap_or_default();
    Err(format!("its number {at} is {number}, not a finite single-precision number"))
}
