//! Writing tables: Arrow columns to points, straight from Arrow's buffers to the wire.
//!
//! In reading order: what the columns mean, a writer and what it reports; then a row's parts (keys,
//! vectors, payload), rows packed into requests, requests sent, and what is stale removed.

mod report;
mod writer;

mod rows;

mod body;
mod cells;
mod columns;
mod keys;
mod sparse;
mod tensor;
mod vectors;
mod wire;

mod documents;
mod pack;
mod send;

mod changed;
mod clean;

mod budget;
mod ids;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use uuid::Uuid;

pub use self::budget::Budget;
pub use self::ids::{IdScheme, ids};
pub use self::report::{BadRow, WriteReport};
pub use self::writer::TableWriter;
use crate::error::Error;

/// What the columns of a table mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableSchema {
    /// The column of ids: whole numbers, UUIDs as text, or UUIDs as 16 bytes. Without it ids are
    /// made from document and chunk, see [`crate::ids::point_id`].
    pub id: Option<String>,
    /// The column that names the document, kept as `_doc`.
    pub doc: Option<String>,
    /// The column of chunk numbers, from 0 in each document, kept as `_ix`.
    pub chunk: Option<String>,
    /// The column that says how many chunks the document has.
    pub chunk_count: Option<String>,
    /// The column of hashes by which unchanged rows are told, kept as `_hash`.
    pub hash: Option<String>,
    /// Dense vectors and multivectors: name in the collection (`""` for the unnamed one) to column.
    pub vectors: BTreeMap<String, String>,
    /// Sparse vectors: name in the collection to column.
    pub sparse: BTreeMap<String, String>,
    /// Sparse vectors that the node makes from text by BM25: name in the collection to column. The
    /// column is kept in the payload too.
    pub bm25: BTreeMap<String, String>,
    /// The column of text, for the layouts that have a place for it.
    pub text: Option<String>,
    /// The columns kept as payload; without it all that have no other meaning.
    pub payload: Option<Vec<String>>,
    /// How the payload is laid out.
    pub layout: Layout,
    /// Sets ids made from document and chunk apart from those of others.
    pub namespace: Option<Uuid>,
}

/// How a payload is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Each column a key.
    #[default]
    Flat,
    /// As LangChain's Qdrant store reads it.
    LangChain,
    /// As LlamaIndex's Qdrant store reads it.
    LlamaIndex,
}

/// When a point counts as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it can be found.
    #[default]
    Applied,
    /// When it is in the node's log.
    Wal,
}

/// What is done with a row that cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// The write ends.
    #[default]
    Raise,
    /// It is set aside, and told in the report.
    DeadLetter,
}

/// What a write removes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// Of the documents written, the chunks that an earlier run wrote and this one has not.
    Scoped,
}

/// How tables are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteOptions {
    /// The most points sent at once.
    pub batch_points: usize,
    /// The most bytes sent at once, as encoded; a larger single point goes alone.
    pub batch_bytes: usize,
    /// The most requests on their way at a time, 1 to 16; fewer while the node is slow or says
    /// "later".
    pub max_inflight: usize,
    /// When a point counts as written.
    pub durability: Durability,
    /// Seconds the node may take to apply a request before it answers "accepted, not yet applied".
    pub server_wait_s: u64,
    /// Seconds one request may take; more than `server_wait_s`.
    pub deadline_s: u64,
    /// Seconds one request may be refused or unanswered before the write ends.
    pub give_up_after_s: u64,
    /// What is done with a row that cannot be used.
    pub on_bad_row: OnBadRow,
    /// The number of this run, larger than that of any before; points of a later run are never
    /// overwritten, and `_gen` keeps it.
    pub generation: Option<u64>,
    /// What a write removes by itself; needs `generation`.
    pub cleanup: Option<Cleanup>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            batch_points: 256,
            batch_bytes: 4 << 20,
            max_inflight: 4,
            durability: Durability::Applied,
            server_wait_s: 30,
            deadline_s: 45,
            give_up_after_s: 600,
            on_bad_row: OnBadRow::Raise,
            generation: None,
            cleanup: None,
        }
    }
}

/// The node compares generations as double-precision numbers.
const GENERATION_MAX: u64 = 1 << 53;

impl WriteOptions {
    fn check(&self) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::Schema { column: None, why: why.to_owned() });
        if self.batch_points == 0 || self.batch_bytes == 0 {
            return wrong("`batch_points` and `batch_bytes` must be at least 1");
        }
        if !(1..=16).contains(&self.max_inflight) {
            return wrong("`max_inflight` must be from 1 to 16");
        }
        if self.server_wait_s == 0 || self.server_wait_s >= self.deadline_s {
            return wrong("`server_wait_s` must be at least 1 and less than `deadline_s`");
        }
        if self.generation.is_some_and(|generation| generation > GENERATION_MAX) {
            return wrong("`generation` must not be more than 2^53");
        }
        if self.cleanup.is_some() && self.generation.is_none() {
            return wrong("`cleanup` needs a `generation`");
        }
        Ok(())
    }
}

impl TableSchema {
    fn check(&self, options: &WriteOptions) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::Schema { column: None, why: why.to_owned() });
        // Without the chunk number all rows of a document would be one point, and nothing would say so.
        if self.id.is_none() && (self.doc.is_none() || self.chunk.is_none()) {
            return wrong(
                "name the column of ids (`id`), or those they are made from (`doc` and `chunk`)",
            );
        }
        if self.vectors.is_empty() && self.sparse.is_empty() && self.bm25.is_empty() {
            return wrong("name at least one column of vectors");
        }
        if self.chunk.is_some() && self.doc.is_none() {
            return wrong("`chunk` needs `doc`");
        }
        if self.chunk_count.is_some() && self.chunk.is_none() {
            return wrong("`chunk_count` needs `doc` and `chunk`");
        }
        if options.cleanup.is_some() && self.doc.is_none() {
            return wrong("`cleanup` needs `doc`");
        }
        if self.layout != Layout::Flat && self.text.is_none() {
            return wrong("the layouts `langchain` and `llamaindex` need the column of `text`");
        }
        let names = self.vectors.keys().chain(self.sparse.keys()).chain(self.bm25.keys());
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                return wrong(&format!("two columns are to be the vector `{name}`"));
            }
        }
        Ok(())
    }

    /// The columns whose meaning is not to be payload.
    fn taken(&self) -> BTreeSet<&str> {
        let keys = [&self.id, &self.doc, &self.chunk, &self.chunk_count, &self.hash];
        let text = self.text.as_ref().filter(|_| self.layout != Layout::Flat);
        let names = keys.into_iter().flatten().chain(text);
        let vectors = self.vectors.values().chain(self.sparse.values());
        names.chain(vectors).map(String::as_str).collect()
    }
}
