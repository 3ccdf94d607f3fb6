//! The reading half: records become points, points become batches, on a thread of their own that
//! waits when the writing half is behind.

use tokio::sync::mpsc;
use uuid::Uuid;

use super::dead::DeadLetters;
use super::point::Point;
use super::{IndexOptions, Rejected};
use crate::error::Error;
use crate::source::{Item, Record, Source, SourceError};
use crate::spill::Spill;

/// Rejected rows that are worth a batch of their own.
const REJECTED_MAX: usize = 1000;

/// Points that are sent together, and what was come across on the way to them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) points: Vec<Point>,
    /// Documents that end here; what they had more of before is not in the source any more.
    pub(super) ended: Vec<String>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) skipped: u64,
    /// Bytes of the source read up to here.
    pub(super) bytes_read: u64,
    bytes: usize,
}

/// What is known once all was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The ids of all points of the source.
    pub(super) seen: Spill,
    /// Whether a row was rejected whose document is not known.
    pub(super) has_unknown: bool,
    /// Whether anything was rejected.
    pub(super) has_rejected: bool,
}

/// Reads a source into batches.
pub(super) struct Reading {
    source: Source,
    namespace: Uuid,
    batch_points: usize,
    batch_bytes: usize,
    dead: Option<DeadLetters>,
    to: mpsc::Sender<Batch>,
    batch: Batch,
    /// The document of the last record.
    doc: Option<String>,
    read: Read,
    ordinal: u64,
}

impl Reading {
    pub(super) fn new(
        source: Source,
        options: &IndexOptions,
        dead: Option<DeadLetters>,
        to: mpsc::Sender<Batch>,
    ) -> Self {
        Self {
            source,
            namespace: options.namespace,
            batch_points: options.batch_points.max(1),
            batch_bytes: options.batch_bytes.max(1),
            dead,
            to,
            batch: Batch::default(),
            doc: None,
            read: Read { seen: Spill::new(), has_unknown: false, has_rejected: false },
            ordinal: 0,
        }
    }

    /// Reads to the end, or until nobody wants more. Blocking.
    pub(super) fn run(mut self) -> Result<Read, Error> {
        loop {
            let item = match self.source.next() {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(SourceError::Row { place, fault }) => {
                    let Some(dead) = &self.dead else {
                        return Err(SourceError::Row { place, fault }.into());
                    };
                    let rejected = Rejected { place: place.to_string(), why: fault.to_string() };
                    dead.write(&rejected)?;
                    self.read.has_unknown = true;
                    if self.reject(rejected) {
                        continue;
                    }
                    return Ok(self.read);
                }
                Err(other) => return Err(other.into()),
            };
            let wanted = match item {
                Item::Record(record) => self.record(record)?,
                Item::EmptyDocument { doc } => {
                    self.ends();
                    self.batch.ended.push(doc);
                    self.batch.ended.len() < self.batch_points || self.send()
                }
                Item::Rejected { place, why } => {
                    let rejected = Rejected { place: place.to_string(), why };
                    if let Some(dead) = &self.dead {
                        dead.write(&rejected)?;
                    }
                    self.reject(rejected)
                }
                Item::Skipped(files) => {
                    self.batch.skipped += files;
                    true
                }
            };
            if !wanted {
                return Ok(self.read);
            }
        }
        self.ends();
        self.send();
        self.find_duplicates()
    }

    /// Adds a record; false when nobody wants more.
    fn record(&mut self, record: Record) -> Result<bool, Error> {
        if self.doc.as_deref() != Some(record.doc.as_str()) {
            self.ends();
            self.doc = Some(record.doc.clone());
        }
        self.ordinal += 1;
        let row = record.place.row.unwrap_or(self.ordinal);
        let (doc, chunk) = (record.doc.clone(), record.chunk);
        let point = Point::new(record, &self.namespace);
        if let Some(earlier) = self.read.seen.insert(point.id.as_u128(), row) {
            return Err(SourceError::Duplicate { place: point.place, earlier, doc, chunk }.into());
        }
        if self.read.seen.is_full() {
            self.read.seen.flush().map_err(spill_error)?;
        }
        let is_room = self.batch.bytes + point.bytes <= self.batch_bytes
            && self.batch.points.len() < self.batch_points;
        let wanted = is_room || self.batch.points.is_empty() || self.send();
        self.batch.bytes += point.bytes;
        self.batch.points.push(point);
        Ok(wanted)
    }

    /// The document that was being read has ended.
    fn ends(&mut self) {
        self.batch.ended.extend(self.doc.take());
    }

    fn reject(&mut self, rejected: Rejected) -> bool {
        self.read.has_rejected = true;
        self.batch.rejected.push(rejected);
        self.batch.rejected.len() < REJECTED_MAX || self.send()
    }

    /// Hands the batch over, waiting for room; false when nobody wants it.
    fn send(&mut self) -> bool {
        self.batch.bytes_read = self.source.bytes_read();
        self.to.blocking_send(std::mem::take(&mut self.batch)).is_ok()
    }

    /// Ids too far apart to be noticed while reading.
    fn find_duplicates(mut self) -> Result<Read, Error> {
        if !self.read.seen.has_spilled() {
            return Ok(self.read);
        }
        let mut entries = self.read.seen.sorted().map_err(spill_error)?;
        let mut last = None;
        while let Some((id, row)) = entries.next().map_err(spill_error)? {
            if let Some((last_id, last_row)) = last
                && last_id == id
            {
                let (earlier, later) = (row.min(last_row), row.max(last_row));
                let path = self.source.path().to_owned();
                return Err(SourceError::DuplicateRows { path, earlier, later }.into());
            }
            last = Some((id, row));
        }
        Ok(self.read)
    }
}

pub(super) fn spill_error(source: std::io::Error) -> Error {
    Error::File { action: "keep ids in", path: std::env::temp_dir(), source }
}
