//! A batch of rows and the points they become.

use arrow_array::RecordBatch;

use super::cells::Cells;
use super::columns::{Fault, Texts, column, unusable};
use super::keys::{Key, Keys};
use super::sparse::Sparse;
use super::vectors::Vectors;
use super::wire::{self, Scalar};
use super::{Layout, TableSchema};
use crate::ensure::{CHUNK_KEY, DOC_KEY, GENERATION_KEY, HASH_KEY};
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
    /// The column of text, for the layouts that have a place for it.
    text: Option<(String, Texts)>,
    payload: Vec<(String, Cells)>,
    layout: Layout,
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
        let text = schema.text.as_ref().filter(|_| schema.layout != Layout::Flat);
        Ok(Self {
            len: batch.num_rows(),
            keys: Keys::new(schema, batch)?,
            vectors: vectors.collect::<Result<_, Error>>()?,
            sparse: sparse.collect::<Result<_, Error>>()?,
            bm25: bm25.collect::<Result<_, Error>>()?,
            text: match text {
                Some(name) => Some((name.clone(), texts(name)?)),
                None => None,
            },
            payload: payload(schema, batch)?,
            layout: schema.layout,
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
        self.put_payload(row, key, generation, out)?;
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

    fn put_payload(
        &self,
        row: usize,
        key: &Key<'_>,
        generation: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let integer = |number: u64| Scalar::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let own = [
            (DOC_KEY, key.doc.map(Scalar::Text)),
            (CHUNK_KEY, key.chunk.map(integer)),
            (HASH_KEY, key.hash.map(Scalar::Text)),
            (GENERATION_KEY, generation.map(integer)),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                wire::scalar_entry(out, wire::PAYLOAD, name, value);
            }
        }
        let text = match &self.text {
            Some((name, texts)) => Some(texts.get(row).ok_or_else(|| Fault::null(name))?),
            None => None,
        };
        match self.layout {
            Layout::Flat => self.put_columns(row, wire::PAYLOAD, out),
            Layout::LangChain | Layout::LlamaIndex => {
                let text = Scalar::Text(text.unwrap_or_default());
                wire::scalar_entry(out, wire::PAYLOAD, "page_content", text);
                let entry = wire::open(out, wire::PAYLOAD);
                wire::bytes(out, wire::MAP_KEY, b"metadata");
                let value = wire::open(out, wire::MAP_VALUE);
                let object = wire::open(out, wire::STRUCT);
                self.put_columns(row, wire::ENTRY, out);
                wire::close(out, object);
                wire::close(out, value);
                wire::close(out, entry);
            }
        }
        Ok(())
    }

    fn put_columns(&self, row: usize, field: u32, out: &mut Vec<u8>) {
        for (name, cells) in &self.payload {
            cells.put_entry(out, field, name, row);
        }
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

/// The columns that become payload.
fn payload(schema: &TableSchema, batch: &RecordBatch) -> Result<Vec<(String, Cells)>, Error> {
    let taken = schema.taken();
    let names: Vec<String> = match &schema.payload {
        Some(names) => names.clone(),
        None => {
            let names = batch.schema_ref().fields().iter().map(|field| field.name().clone());
            names.filter(|name| !taken.contains(name.as_str())).collect()
        }
    };
    let is_flat = schema.layout == Layout::Flat;
    let bound = names.into_iter().map(|name| {
        if is_flat && [DOC_KEY, CHUNK_KEY, HASH_KEY, GENERATION_KEY].contains(&name.as_str()) {
            return Err(unusable(&name, "the payload key of this name is qmoor's own"));
        }
        let cells = Cells::new(column(batch, &name)?.1);
        let cells = cells.map_err(|why| {
            unusable(&name, format!("{why}; `payload` names the columns to keep"))
        })?;
        Ok((name, cells))
    });
    bound.collect()
}
