//! Rows to requests: each as large as is allowed, encoded once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use bytes::Bytes;
use prost::Message;
use qdrant_client::qdrant::UpsertPoints;
use tokio::sync::mpsc;

use super::columns::{Fault, unusable};
use super::documents::Run;
use super::keys::{Id, Key};
use super::rows::Rows;
use super::{BadRow, OnBadRow, TableSchema, WriteOptions};
use crate::error::Error;
use crate::spill::Spill;

/// Bad rows told with one request.
const BAD_ROWS_MAX: usize = 1000;

/// One request, and what is known of its points.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The message `UpsertPoints`.
    message: Bytes,
    /// Where the points begin in it.
    head: usize,
    /// Where each point ends in it.
    ends: Vec<usize>,
    pub(super) ids: Vec<Id>,
    /// The row of each point.
    pub(super) rows: Vec<u64>,
    /// With cleanup, the documents of the points.
    pub(super) runs: Vec<Run>,
    /// Rows before this request's end that could not be used, and their documents where known.
    pub(super) bad: Vec<(BadRow, Option<String>)>,
    /// All rows until this request's end.
    pub(super) rows_read: u64,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.message.len()
    }

    /// The request with only some of its points.
    pub(super) fn message(&self, points: &[usize]) -> Bytes {
        if points.len() == self.len() {
            return self.message.clone();
        }
        let mut part = self.message.get(..self.head).unwrap_or_default().to_vec();
        for point in points {
            part.extend_from_slice(self.message.get(self.place(*point)).unwrap_or_default());
        }
        part.into()
    }

    fn place(&self, point: usize) -> Range<usize> {
        let begin = point.checked_sub(1).map_or(Some(self.head), |at| self.ends.get(at).copied());
        begin.unwrap_or_default()..self.ends.get(point).copied().unwrap_or_default()
    }
}

/// The dense vectors of a collection: their length, and whether there are several a point.
pub(super) type Shapes = BTreeMap<String, (usize, bool)>;

/// Makes requests of rows.
pub(super) struct Packer {
    schema: Arc<TableSchema>,
    shapes: Option<Shapes>,
    generation: Option<u64>,
    batch_points: usize,
    batch_bytes: usize,
    on_bad_row: OnBadRow,
    keeps_documents: bool,
    /// What each request begins with.
    head: Vec<u8>,
    to: mpsc::Sender<Batch>,
    /// The request in the making.
    buffer: Vec<u8>,
    batch: Batch,
    /// The length of each dense vector, as far as known.
    sizes: Vec<Option<usize>>,
    seen: Spill,
    row: u64,
}

impl Packer {
    pub(super) fn new(
        schema: &Arc<TableSchema>,
        options: &WriteOptions,
        shapes: Option<Shapes>,
        head: &UpsertPoints,
        to: mpsc::Sender<Batch>,
    ) -> Self {
        let size = |name: &String| Some(shapes.as_ref()?.get(name)?.0);
        let sizes = schema.vectors.keys().map(size).collect();
        let head = head.encode_to_vec();
        Self {
            schema: Arc::clone(schema),
            shapes,
            generation: options.generation,
            batch_points: options.batch_points,
            batch_bytes: options.batch_bytes,
            on_bad_row: options.on_bad_row,
            keeps_documents: options.cleanup.is_some(),
            buffer: head.clone(),
            head,
            to,
            batch: Batch::default(),
            sizes,
            seen: Spill::new(),
            row: 0,
        }
    }

    /// Packs all rows, or until nobody wants more. Blocking.
    pub(super) fn run(
        mut self,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    ) -> Result<(), Error> {
        for batch in batches {
            let batch = batch.map_err(|error| Error::Schema {
                column: None,
                why: format!("the Arrow data cannot be read: {error}"),
            })?;
            let rows = Rows::new(&self.schema, &batch)?;
            self.check(&rows)?;
            for row in 0..rows.len {
                if !self.row(&rows, row)? {
                    return Ok(());
                }
            }
        }
        self.send();
        self.find_duplicates()
    }

    /// Whether whole columns fit the collection.
    fn check(&self, rows: &Rows) -> Result<(), Error> {
        for ((name, vectors), size) in rows.vectors.iter().zip(&self.sizes) {
            let shape = self.shapes.as_ref().and_then(|shapes| shapes.get(name));
            let is_multi = shape.map(|(_, is_multi)| *is_multi);
            vectors.check(*size, is_multi).map_err(|why| unusable(vectors.column(), why))?;
        }
        Ok(())
    }

    /// Adds a row; false when nobody wants more.
    fn row(&mut self, rows: &Rows, row: usize) -> Result<bool, Error> {
        let begin = self.buffer.len();
        let added = self.put(rows, row);
        let number = self.row;
        self.row += 1;
        let key = match added {
            Ok(key) => key,
            Err(Fault { column, why }) => {
                self.buffer.truncate(begin);
                let bad = BadRow { row: number, column, why };
                if self.on_bad_row == OnBadRow::Raise {
                    let BadRow { row, column, why } = bad;
                    return Err(Error::BadRow { row, column, why });
                }
                let doc = rows.keys.doc(row).filter(|_| self.keeps_documents);
                self.batch.bad.push((bad, doc.map(str::to_owned)));
                return Ok(self.batch.bad.len() < BAD_ROWS_MAX || self.send());
            }
        };
        if self.seen.is_full() {
            self.seen.flush().map_err(spill_error)?;
        }
        let is_over = self.buffer.len() > self.batch_bytes && !self.batch.ends.is_empty();
        if is_over {
            // This row is one too many: it begins the next request.
            let rest = self.buffer.split_off(begin);
            self.row = number;
            let wanted = self.send();
            self.row = number + 1;
            self.buffer.extend_from_slice(&rest);
            if !wanted {
                return Ok(false);
            }
        }
        self.add(number, &key);
        Ok(self.batch.ends.len() < self.batch_points || self.send())
    }

    fn put<'a>(&mut self, rows: &'a Rows, row: usize) -> Result<Key<'a>, Fault> {
        let key = rows.keys.row(row)?;
        rows.put(row, &key, self.generation, &mut self.sizes, &mut self.buffer)?;
        if let Some(earlier) = self.seen.insert(key.id.number(), self.row) {
            let why = format!("its id {} is that of row {earlier} too", key.id);
            return Err(Fault { column: self.schema.id.clone(), why });
        }
        Ok(key)
    }

    /// Keeps account of the point that is last in the buffer.
    fn add(&mut self, row: u64, key: &Key<'_>) {
        let first = self.batch.ends.len();
        self.batch.ends.push(self.buffer.len());
        self.batch.ids.push(key.id);
        self.batch.rows.push(row);
        let Some(doc) = key.doc.filter(|_| self.keeps_documents) else { return };
        if let Some(run) = self.batch.runs.last_mut()
            && run.doc == doc
            && run.count == key.count
        {
            run.chunks.push(key.chunk);
            return;
        }
        let (doc, count, chunks) = (doc.to_owned(), key.count, vec![key.chunk]);
        self.batch.runs.push(Run { doc, count, first, chunks });
    }

    /// Hands the request over, waiting for room; false when nobody wants it.
    fn send(&mut self) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        let mut next = Vec::with_capacity(self.buffer.len() + self.buffer.len() / 8);
        next.extend_from_slice(&self.head);
        batch.message = std::mem::replace(&mut self.buffer, next).into();
        batch.head = self.head.len();
        batch.rows_read = self.row;
        self.to.blocking_send(batch).is_ok()
    }

    /// Ids too far apart to be noticed while packing.
    fn find_duplicates(mut self) -> Result<(), Error> {
        if !self.seen.has_spilled() {
            return Ok(());
        }
        let mut entries = self.seen.sorted().map_err(spill_error)?;
        let mut last = None;
        while let Some((id, row)) = entries.next().map_err(spill_error)? {
            if let Some((last_id, last_row)) = last
                && last_id == id
            {
                let (earlier, row) = (row.min(last_row), row.max(last_row));
                let why = format!("its id is that of row {earlier} too");
                return Err(Error::BadRow { row, column: self.schema.id.clone(), why });
            }
            last = Some((id, row));
        }
        Ok(())
    }
}

fn spill_error(source: std::io::Error) -> Error {
    Error::File { action: "keep ids in", path: std::env::temp_dir(), source }
}
