//! A batch of rows and the points they become.

use arrow_array::RecordBatch;

use super::body::Body;
use super::columns::{Fault, Texts, column, unusable};
use super::keys::{Key, Keys};
use super::sparse::Sparse;
use super::vectors::Vectors;
use super::{TableSchema, wire};
use crate::error::Error;

/// A batch whose columns are known by their meaning.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) len: usize,
    pub(super) keys: Keys,
    /// In the order of their names, as in the schema.
    pub(super) vectors: Vec<(String, Vectors)>,
    sparse: Vec<(String, Sparse)>,
    /// Name of the vector, column, and its text.
    bm25: Vec<(String, String, Texts)>,
    body: Body,
}

impl Rows {
    pub(super) fn new(schema: &TableSchema, batch: &RecordBatch) -> Result<Self, Error> {
        let texts = |name: &String| -> Result<Texts, Error> {
            Texts::new(column(batch, name)?.1).map_err(|why| unusable(name, why))
        };
        let vectors = schema.vectors.iter();
        let vectors =
            vectors.map(|(name, column)| Ok((name.clone(), Vectors::new(column, batch)?)));
        let sparse = schema.sparse.iter();
        let sparse = sparse.map(|(name, column)| Ok((name.clone(), Sparse::new(column, batch)?)));
        let bm25 = schema.bm25.iter();
        let bm25 = bm25.map(|(name, column)| Ok((name.clone(), column.clone(), texts(column)?)));
        Ok(Self {
            len: batch.num_rows(),
            keys: Keys::new(schema, batch)?,
            vectors: vectors.collect::<Result<_, Error>>()?,
            sparse: sparse.collect::<Result<_, Error>>()?,
            bm25: bm25.collect::<Result<_, Error>>()?,
            body: Body::new(schema, batch)?,
        })
    }

    /// Writes a row as one of the `points` of `UpsertPoints`. `sizes` are the lengths that dense
    /// vectors must have; what is not known yet is taken from this row.
    pub(super) fn put(
        &self,
        row: usize,
        key: &Key<'_>,
        generation: Option<u64>,
        sizes: &mut [Option<usize>],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let begin = out.len();
        let point = wire::open(out, wire::POINT);
        key.id.put(out);
        self.body.put(row, key, generation, out)?;
        let vectors = wire::open(out, wire::VECTORS);
        self.put_vectors(row, sizes, out)?;
        wire::close(out, vectors);
        wire::close(out, point);
        if out.len() - begin > wire::LENGTH_MAX {
            return Err(Fault { column: None, why: "it is larger than 256 MB".to_owned() });
        }
        Ok(())
    }

    fn put_vectors(
        &self,
        row: usize,
        sizes: &mut [Option<usize>],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let is_only = self.vectors.len() == 1 && self.sparse.is_empty() && self.bm25.is_empty();
        if is_only
            && let [(name, vectors)] = self.vectors.as_slice()
            && let [size] = sizes
            && name.is_empty()
        {
            let vector = wire::open(out, wire::ONLY_VECTOR);
            vectors.put(row, size, out)?;
            wire::close(out, vector);
            return Ok(());
        }
        let all = wire::open(out, wire::NAMED_VECTORS);
        for ((name, vectors), size) in self.vectors.iter().zip(sizes) {
            named(out, name, |out| vectors.put(row, size, out))?;
        }
        for (name, sparse) in &self.sparse {
            named(out, name, |out| sparse.put(row, out))?;
        }
        for (name, column, texts) in &self.bm25 {
            let text = texts.get(row).ok_or_else(|| Fault::null(column))?;
            named(out, name, |out| {
                wire::document(out, text);
                Ok(())
            })?;
        }
        wire::close(out, all);
        Ok(())
    }
}

fn named(
    out: &mut Vec<u8>,
    name: &str,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let entry = wire::open(out, wire::ENTRY);
    wire::bytes(out, wire::MAP_KEY, name.as_bytes());
    let value = wire::open(out, wire::MAP_VALUE);
    put(out)?;
    wire::close(out, value);
    wire::close(out, entry);
    Ok(())
}
