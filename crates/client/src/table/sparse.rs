//! Sparse vectors: a struct of two lists a row.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;

use super::columns::{Fault, Integers, Lists, column, unusable};
use super::vectors::Numbers;
use super::wire;
use crate::error::Error;

/// A column of sparse vectors.
#[derive(Debug)]
pub(super) struct Sparse {
    column: String,
    nulls: Option<NullBuffer>,
    indices: Lists,
    index_numbers: Integers,
    values: Lists,
    value_numbers: Numbers,
}

impl Sparse {
    pub(super) fn new(name: &str, batch: &RecordBatch) -> Result<Self, Error> {
        let wrong = |why: String| unusable(name, why);
        let (_, array) = column(batch, name)?;
        let kind = array.data_type();
        let unfit = || {
            let want = "a sparse vector is struct<indices: list<uint32>, values: list<float32>>";
            wrong(format!("it is {kind}; {want}"))
        };
        let parts = array.as_struct_opt().ok_or_else(unfit)?;
        let list = |name: &str| -> Result<Lists, Error> {
            let part = parts.column_by_name(name).ok_or_else(unfit)?;
            Lists::new(part).map_err(wrong)?.ok_or_else(unfit)
        };
        let (indices, values) = (list("indices")?, list("values")?);
        let index_numbers = Integers::new(&indices.values).map_err(wrong)?;
        let value_numbers = Numbers::new(&values.values).map_err(wrong)?;
        let nulls = array.nulls().cloned();
        Ok(Self { column: name.to_owned(), nulls, indices, index_numbers, values, value_numbers })
    }

    /// Writes the message `Vector` of a row.
    pub(super) fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        let fault = |why: String| Fault::new(&self.column, why);
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Err(Fault::null(&self.column));
        }
        let (Some(indices), Some(values)) = (self.indices.get(row), self.values.get(row)) else {
            return Err(fault("its indices or values are null".to_owned()));
        };
        if indices.len() != values.len() {
            return Err(fault(format!(
                "it has {} indices and {} values",
                indices.len(),
                values.len()
            )));
        }
        let mut numbers = Vec::with_capacity(indices.len());
        for at in indices {
            let number = self.index_numbers.get(&self.column, at)?;
            let number = u32::try_from(number);
            numbers.push(number.map_err(|_| fault("an index is beyond 32 bits".to_owned()))?);
        }
        let vector = wire::open(out, wire::SPARSE);
        self.value_numbers.put(values, out).map_err(fault)?;
        let packed = wire::open(out, wire::INDICES);
        for number in &numbers {
            wire::varint(out, u64::from(*number));
        }
        wire::close(out, packed);
        wire::close(out, vector);
        numbers.sort_unstable();
        if let Some([twice, _]) = numbers.array_windows().find(|[a, b]| a == b) {
            return Err(fault(format!("its index {twice} comes twice")));
        }
        Ok(())
    }
}
