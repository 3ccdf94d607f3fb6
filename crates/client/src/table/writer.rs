//! The writer: packing on a thread of its own, several requests on their way.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use qdrant_client::qdrant::CollectionInfo;
use tokio::sync::mpsc;

use super::columns::unusable;
use super::documents::Documents;
use super::pack::{Batch, Packer, Shapes};
use super::rows::Rows;
use super::send::{Sender, Sent};
use super::{Budget, TableSchema, WriteOptions, WriteReport};
use crate::ensure::{self, CHUNK_KEY, DOC_KEY, GENERATION_KEY, called, existing};
use crate::error::Error;
use crate::pace::Pace;
use crate::retry::Patience;
use crate::target::{Connection, Target};

/// Requests packed ahead of sending.
const PACKED_AHEAD: usize = 2;
/// Documents whose tails are removed in one go, unless there are no more.
const TAILS: usize = 256;

/// Writes tables into one collection. Cloning shares the connection.
#[derive(Clone)]
pub struct TableWriter {
    connection: Connection,
    schema: Arc<TableSchema>,
    options: WriteOptions,
    budget: Budget,
}

impl fmt::Debug for TableWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableWriter").field("url", &self.connection.url).finish_non_exhaustive()
    }
}

impl TableWriter {
    /// Connects. The collection is looked at when it is needed.
    ///
    /// # Errors
    /// Schema or options contradict themselves, the address is wrong, or nothing answers there.
    pub async fn open(
        target: &Target,
        schema: TableSchema,
        options: WriteOptions,
        budget: Budget,
    ) -> Result<Self, Error> {
        options.check()?;
        schema.check(&options)?;
        let connection = Connection::open(target).await?;
        Ok(Self { connection, schema: Arc::new(schema), options, budget })
    }

    /// Whether the collection can hold what the schema promises, has the payload indexes that
    /// removing stale points needs, and fits the columns of `table`. Reads only.
    ///
    /// # Errors
    /// It cannot or does not, or the node cannot be reached or refuses the key.
    pub async fn check(&self, table: Option<&Schema>) -> Result<(), Error> {
        let info = existing(&self.connection, &Patience::short()).await?;
        self.fits(&info)?;
        let Some(table) = table else { return Ok(()) };
        let rows = Rows::new(&self.schema, &RecordBatch::new_empty(Arc::new(table.clone())))?;
        let shapes = shapes(&info);
        for (name, vectors) in &rows.vectors {
            let shape = shapes.get(name);
            vectors
                .check(shape.map(|(size, _)| *size), shape.map(|(_, is_multi)| *is_multi))
                .map_err(|why| unusable(vectors.column(), why))?;
        }
        Ok(())
    }

    /// Whether the key may write. Asked by removing a point that does not exist.
    ///
    /// # Errors
    /// It may not, the collection is missing, or the node cannot be reached.
    pub async fn check_key(&self) -> Result<(), Error> {
        let mut sender = self.sender();
        sender.patience = Patience::short();
        sender.touch(false).await.map(|_| ())
    }

    /// Writes rows as points and waits until they are written. `batches` is read on a thread of its
    /// own, and only a few requests ahead.
    ///
    /// # Errors
    /// A row or column cannot be used, or the node refuses or stays away; all as
    /// [`Error::Write`], which tells what was written until then.
    pub async fn write(
        &self,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    ) -> Result<WriteReport, Error> {
        let begun = Instant::now();
        let sender = self.sender();
        let mut work = Work {
            sender: &sender,
            report: WriteReport::default(),
            documents: Documents::default(),
        };
        let outcome = self.write_all(batches, &mut work).await;
        let Work { mut report, documents, .. } = work;
        report.seconds = begun.elapsed().as_secs_f64();
        report.retried = sender.patience.retries();
        report.throttled_s = sender.patience.throttled().as_secs_f64();
        report.generation = self.options.generation;
        report.set_aside.sort_by_key(|bad| bad.row);
        report.open_documents = documents.into_open();
        match outcome {
            Ok(()) => Ok(report),
            Err(source) => Err(Error::Write { source: Box::new(source), report: Box::new(report) }),
        }
    }

    /// Removes, of each document, the chunks from its number of chunks on that no run from this
    /// generation on wrote; how many. Only to be called once all chunks of these documents are
    /// written.
    ///
    /// # Errors
    /// There is no generation, or the node refuses or stays away.
    pub async fn delete_tails(&self, documents: &[(String, u64)]) -> Result<u64, Error> {
        self.sender().delete_tails(documents).await
    }

    /// Removes all chunks of these documents that no run from this generation on wrote; how many.
    /// Only to be called once all chunks of these documents are written.
    ///
    /// # Errors
    /// There is no generation, or the node refuses or stays away.
    pub async fn delete_older_of(&self, docs: &[String]) -> Result<u64, Error> {
        self.sender().delete_older_of(docs).await
    }

    /// Removes all points of documents that no run from this generation on wrote; how many. Points
    /// without a document stay. Only to be called once all is written.
    ///
    /// # Errors
    /// There is no generation, or the node refuses or stays away.
    pub async fn delete_older(&self) -> Result<u64, Error> {
        self.sender().delete_older().await
    }

    /// How many points the collection has.
    ///
    /// # Errors
    /// The node refuses or stays away.
    pub async fn count(&self) -> Result<u64, Error> {
        self.sender().count(None).await
    }

    /// The largest generation in the collection; `None` if no point has one. Needs the payload
    /// index that [`ensure::ensure_collection`] makes.
    ///
    /// # Errors
    /// The node refuses or stays away.
    pub async fn newest_generation(&self) -> Result<Option<u64>, Error> {
        self.sender().newest_generation().await
    }

    /// Of each row, whether it is to be written: it is not in the collection with the same hash, or
    /// it is the last chunk of a document that has chunks behind it there. With a generation, the
    /// rows that are not get it, unless they have a later one. No vectors are needed.
    ///
    /// # Errors
    /// The schema has no hash, a row's keys cannot be used, or the node refuses or stays away.
    pub async fn changed(&self, batch: &RecordBatch) -> Result<Vec<bool>, Error> {
        self.sender().changed(&self.schema, batch).await
    }

    fn sender(&self) -> Sender {
        Sender::new(&self.connection, &self.options, &self.budget)
    }

    async fn write_all(
        &self,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
        work: &mut Work<'_>,
    ) -> Result<(), Error> {
        let shapes = match existing(&self.connection, &work.sender.patience).await {
            Ok(info) => {
                self.fits(&info)?;
                Some(shapes(&info))
            }
            // A key that may write and not look: the node checks.
            Err(Error::Forbidden { .. }) => None,
            Err(error) => return Err(error),
        };
        let (to, from) = mpsc::channel(PACKED_AHEAD);
        let head = work.sender.head();
        let packer = Packer::new(&self.schema, &self.options, shapes, &head, to);
        let packed = tokio::task::spawn_blocking(move || packer.run(batches));
        let sent = work.send_all(from, self.options.max_inflight).await;
        let packed = packed.await.map_err(|error| Error::Internal(error.to_string()));
        sent?;
        packed??;
        work.remove_tails(1).await
    }

    /// Whether the collection can hold what the schema promises.
    fn fits(&self, info: &CollectionInfo) -> Result<(), Error> {
        let mismatch = |difference: String| {
            Err(Error::Mismatch { collection: self.connection.collection.clone(), difference })
        };
        let dense = ensure::dense(info);
        for name in self.schema.vectors.keys() {
            if !dense.contains_key(name.as_str()) {
                return mismatch(format!("it has no {}", called(name)));
            }
        }
        for name in self.schema.sparse.keys().chain(self.schema.bm25.keys()) {
            if ensure::sparse(info, name).is_none() {
                return mismatch(format!("it has no sparse vector `{name}`"));
            }
        }
        if self.options.cleanup.is_some() {
            for key in [DOC_KEY, CHUNK_KEY, GENERATION_KEY] {
                if !info.payload_schema.contains_key(key) {
                    return mismatch(format!("its payload key `{key}` is not indexed"));
                }
            }
        }
        Ok(())
    }
}

fn shapes(info: &CollectionInfo) -> Shapes {
    let dense = ensure::dense(info).into_iter();
    let shape = dense.map(|(name, params)| {
        let size = usize::try_from(params.size).unwrap_or(usize::MAX);
        (name.to_owned(), (size, params.multivector_config.is_some()))
    });
    shape.collect()
}

/// One write under way.
struct Work<'a> {
    sender: &'a Sender,
    report: WriteReport,
    documents: Documents,
}

/// What came back.
#[expect(
    clippy::large_enum_variant,
    reason = "a few are alive at a time, and each is taken apart at once"
)]
enum Done {
    Sent(Batch, Sent),
    Removed(Result<u64, Error>),
}

impl Work<'_> {
    /// Sends requests, as many at a time as the node likes, until there are no more. After an error
    /// those on their way are waited for, so that what is written is known.
    async fn send_all(
        &mut self,
        mut from: mpsc::Receiver<Batch>,
        max_inflight: usize,
    ) -> Result<(), Error> {
        let sender = self.sender;
        let mut pace = Pace::new(max_inflight);
        let mut inflight: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        let mut has_more = true;
        let mut error = None;
        while has_more || !inflight.is_empty() {
            tokio::select! {
                batch = from.recv(), if has_more && inflight.len() < pace.limit() => match batch {
                    Some(mut batch) => {
                        self.read(&mut batch);
                        if batch.len() > 0 {
                            inflight.push(Box::pin(async move {
                                let sent = sender.send(&batch).await;
                                Done::Sent(batch, sent)
                            }));
                        }
                    }
                    None => has_more = false,
                },
                Some(done) = inflight.next() => {
                    let failed = match done {
                        Done::Sent(batch, sent) => {
                            pace.came_back(batch.len(), sent.took, sent.repeated);
                            self.sent(batch, sent)
                        }
                        Done::Removed(removed) => {
                            removed.map(|removed| self.report.stale_deleted += removed)
                        }
                    };
                    if let Err(failed) = failed {
                        error.get_or_insert(failed);
                        // The packer notices, and ends.
                        from.close();
                        has_more = false;
                    }
                    if error.is_none()
                        && let Some(whole) = self.documents.take_whole(TAILS)
                    {
                        inflight.push(Box::pin(async move {
                            Done::Removed(sender.delete_tails(&whole).await)
                        }));
                    }
                }
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// Takes note of a request before it is sent.
    fn read(&mut self, batch: &mut Batch) {
        self.report.rows_in = batch.rows_read;
        for (bad, doc) in batch.bad.drain(..) {
            self.report.set_aside(bad);
            if let Some(doc) = doc {
                self.documents.has_bad_row(doc);
            }
        }
    }

    /// Takes note of what became of a request.
    fn sent(&mut self, batch: Batch, sent: Sent) -> Result<(), Error> {
        self.report.points_acked += sent.acked;
        self.report.points_pending += sent.pending;
        self.report.bytes += u64::try_from(batch.bytes()).unwrap_or(u64::MAX);
        for (_, bad) in &sent.refused {
            self.report.set_aside(bad.clone());
        }
        if let Some(error) = sent.error {
            return Err(error);
        }
        let is_refused = |point| sent.refused.iter().any(|(refused, _)| *refused == point);
        self.documents.add(batch.runs, is_refused);
        Ok(())
    }

    async fn remove_tails(&mut self, least: usize) -> Result<(), Error> {
        if let Some(whole) = self.documents.take_whole(least) {
            self.report.stale_deleted += self.sender.delete_tails(&whole).await?;
        }
        Ok(())
    }
}
