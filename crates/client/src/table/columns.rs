//! Arrow columns by what they hold, whatever of Arrow's many types they are.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
    UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, FieldRef};

use crate::error::Error;

/// What is wrong with one row.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) column: Option<String>,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(column: &str, why: impl Into<String>) -> Self {
        Self { column: Some(column.to_owned()), why: why.into() }
    }

    pub(super) fn null(column: &str) -> Self {
        Self::new(column, "it is null")
    }
}

/// What is wrong with a whole column.
pub(super) fn unusable(column: &str, why: impl Into<String>) -> Error {
    Error::Schema { column: Some(column.to_owned()), why: why.into() }
}

/// A column by its name.
pub(super) fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<(&'a FieldRef, &'a ArrayRef), Error> {
    let schema = batch.schema_ref();
    let Ok(at) = schema.index_of(name) else {
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(unusable(name, format!("there is none; there are {}", names.join(", "))));
    };
    match (schema.fields().get(at), batch.columns().get(at)) {
        (Some(field), Some(array)) => Ok((field, array)),
        _ => Err(unusable(name, "it is declared and not there")),
    }
}

/// Replaces what is only another way to store values by the values.
pub(super) fn plain(array: &ArrayRef) -> Result<ArrayRef, String> {
    let to = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::ListView(item) => DataType::List(Arc::clone(item)),
        DataType::LargeListView(item) => DataType::LargeList(Arc::clone(item)),
        _ => return Ok(Arc::clone(array)),
    };
    cast(array, &to)
}

pub(super) fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    arrow_cast::cast(array, to).map_err(|error| error.to_string())
}

/// A column of text.
#[derive(Debug)]
pub(super) enum Texts {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Texts {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        let array = plain(array)?;
        match array.data_type() {
            DataType::Utf8 => Ok(Self::Small(array.as_string().clone())),
            DataType::LargeUtf8 => Ok(Self::Large(array.as_string().clone())),
            DataType::Utf8View => Ok(Self::View(array.as_string_view().clone())),
            other => Err(format!("it is {other}, not text")),
        }
    }

    pub(super) fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Small(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}

/// A column of whole numbers.
#[derive(Debug)]
pub(super) enum Integers {
    Signed(Int64Array),
    Unsigned(UInt64Array),
}

impl Integers {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, String> {
        let array = plain(array)?;
        match array.data_type() {
            DataType::UInt64 => Ok(Self::Unsigned(array.as_primitive::<UInt64Type>().clone())),
            kind if kind.is_integer() => {
                let array = cast(&array, &DataType::Int64)?;
                Ok(Self::Signed(array.as_primitive::<Int64Type>().clone()))
            }
            other => Err(format!("it is {other}, not whole numbers")),
        }
    }

    /// A number that must be there and not negative.
    pub(super) fn get(&self, column: &str, row: usize) -> Result<u64, Fault> {
        match self {
            Self::Unsigned(numbers) if numbers.is_valid(row) => Ok(numbers.value(row)),
            Self::Signed(numbers) if numbers.is_valid(row) => {
                let number = numbers.value(row);
                u64::try_from(number)
                    .map_err(|_| Fault::new(column, format!("{number} is negative")))
            }
            _ => Err(Fault::null(column)),
        }
    }
}

/// A column of lists: where each begins and ends among the values of all.
#[derive(Debug)]
pub(super) struct Lists {
    ends: Ends,
    nulls: Option<NullBuffer>,
    pub(super) values: ArrayRef,
}

#[derive(Debug)]
enum Ends {
    Fixed(usize),
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

impl Lists {
    /// `None` if it is no column of lists.
    pub(super) fn new(array: &ArrayRef) -> Result<Option<Self>, String> {
        let array = plain(array)?;
        let (ends, values) = match array.data_type() {
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).map_err(|error| error.to_string())?;
                (Ends::Fixed(size), array.as_fixed_size_list().values())
            }
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                (Ends::Small(lists.offsets().clone()), lists.values())
            }
            DataType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                (Ends::Large(lists.offsets().clone()), lists.values())
            }
            _ => return Ok(None),
        };
        let values = Arc::clone(values);
        Ok(Some(Self { ends, nulls: array.nulls().cloned(), values }))
    }

    /// The length that all have.
    pub(super) fn size(&self) -> Option<usize> {
        match self.ends {
            Ends::Fixed(size) => Some(size),
            Ends::Small(_) | Ends::Large(_) => None,
        }
    }

    /// Where the values of a row are; `None` if it is null.
    pub(super) fn get(&self, row: usize) -> Option<Range<usize>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        match &self.ends {
            Ends::Fixed(size) => Some(row * size..(row + 1) * size),
            Ends::Small(ends) => {
                let end = |at: usize| usize::try_from(*ends.get(at)?).ok();
                Some(end(row)?..end(row + 1)?)
            }
            Ends::Large(ends) => {
                let end = |at: usize| usize::try_from(*ends.get(at)?).ok();
                Some(end(row)?..end(row + 1)?)
            }
        }
    }
}
