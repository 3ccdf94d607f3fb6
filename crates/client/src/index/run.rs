//! One run from beginning to end: read, compare and write side by side, then remove.

use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dead::DeadLetters;
use super::read::{Read, Reading, spill_error};
use super::write::{Done, Run, count};
use super::{IndexOptions, Phase, Progress, Summary, bulk, remove};
use crate::ensure::{
    CHUNK_KEY, CollectionSpec, DOC_KEY, IndexKind, SparseSpec, TEXT_VECTOR, VectorSpec, check,
    ensure, index_payload, info,
};
use crate::error::Error;
use crate::pace::Pace;
use crate::retry::Patience;
use crate::source::{Shape, Source};
use crate::spill::Spill;
use crate::target::{Connection, Target};

/// Rejected rows named in the summary.
const REJECTED_NAMED: usize = 1000;

/// How often progress is told while nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Batches read ahead of writing.
const READ_AHEAD: usize = 2;

pub(super) async fn run(
    target: &Target,
    source: Source,
    options: &IndexOptions,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Summary, Error> {
    let begun = Instant::now();
    let connection = Connection::open(target).await?;
    let (source, shape) = peek(source).await?;
    let run = prepare(connection, shape, options).await?;
    let state = options.bulk_state.as_deref();
    if let Some(state) = state
        && !options.dry_run
    {
        bulk::recover(&run.connection, &run.patience, state).await?;
    }
    let former = if options.bulk && !options.dry_run {
        Some(bulk::begin(&run.connection, &run.patience, state).await?)
    } else {
        None
    };
    let mut tally = Tally::new(&source, progress);
    let written = write_and_remove(&run, source, options, &mut tally).await;
    // Whatever happened, the settings go back; the first error is the one to tell.
    let restored = match &former {
        Some(former) => bulk::end(&run.connection, &run.patience, former, state).await,
        None => Ok(()),
    };
    written?;
    restored?;
    let mut summary = tally.summary;
    summary.seconds = begun.elapsed().as_secs_f64();
    summary.retries = run.patience.retries();
    summary.throttled_seconds = run.patience.throttled().as_secs_f64();
    Ok(summary)
}

/// Finds out what the source holds.
async fn peek(mut source: Source) -> Result<(Source, Shape), Error> {
    let peeked = tokio::task::spawn_blocking(move || {
        let shape = source.shape();
        (source, shape)
    });
    let (source, shape) = peeked.await.map_err(|error| Error::Internal(error.to_string()))?;
    Ok((source, shape?))
}

/// Makes or checks the collection.
async fn prepare(
    connection: Connection,
    shape: Shape,
    options: &IndexOptions,
) -> Result<Run, Error> {
    let patience = Patience::new(options.give_up_after);
    let spec = spec(shape, options);
    let is_fresh = if options.dry_run {
        let info = info(&connection, &patience).await?;
        if let Some(info) = &info {
            check(&connection.collection, info, &spec)?;
        }
        info.is_none()
    } else {
        let created = ensure(&connection, &spec, &patience).await?.created;
        match index_payload(&connection, &spec, &patience).await {
            Err(Error::Forbidden { .. }) => {
                tracing::warn!("the key may not index the payload; lookups will be slower");
            }
            indexed => indexed?,
        }
        created
    };
    Ok(Run {
        connection,
        patience,
        give_up_after: options.give_up_after,
        is_fresh,
        dry_run: options.dry_run,
        dead: options.dead_letter.as_deref().map(DeadLetters::new),
    })
}

/// What the collection must hold. A key that may only write points cannot index the payload; lookups
/// are then slower and still right.
fn spec(shape: Shape, options: &IndexOptions) -> CollectionSpec {
    let mut spec = CollectionSpec::default();
    if let Some(length) = shape.vector {
        let dense =
            VectorSpec { size: count(length), distance: options.distance, multivector: false };
        spec.vectors.insert(String::new(), dense);
    }
    if shape.text {
        spec.sparse.insert(TEXT_VECTOR.to_owned(), SparseSpec { idf: true });
    }
    spec.payload_indexes.insert(DOC_KEY.to_owned(), IndexKind::Keyword);
    spec.payload_indexes.insert(CHUNK_KEY.to_owned(), IndexKind::Integer);
    spec
}

async fn write_and_remove(
    run: &Run,
    source: Source,
    options: &IndexOptions,
    tally: &mut Tally<'_>,
) -> Result<(), Error> {
    let (to, from) = mpsc::channel(READ_AHEAD);
    let reading = Reading::new(source, options, run.dead.clone(), to);
    let reader = tokio::task::spawn_blocking(move || reading.run());
    let written = write(run, from, options.max_inflight, tally).await;
    // Nobody receives any more, so the reader ends at its next batch.
    let read = joined(reader).await;
    let (orphans, read) = (written?, read?);
    tally.summary.removals_left = why_not(&read, options.mirror);
    tally.phase = Phase::Removing;
    tally.tell(run);
    let before = tally.summary.clone();
    let (tell, base) = (tally.tell, tally.progress(run));
    let removed = |removed| tell(Progress { removed, ..base });
    let total = if options.mirror && !read.has_rejected && !(run.is_fresh && run.dry_run) {
        remove::all_but(run, read.seen, &removed).await?
    } else if !read.has_unknown {
        remove::orphans(run, orphans, read.seen, &removed).await?
    } else {
        0
    };
    tally.summary = Summary { removed: total, ..before };
    Ok(())
}

/// Why something that is not in the source is left where it is.
fn why_not(read: &Read, mirror: bool) -> Option<String> {
    if read.has_unknown {
        return Some("rows were rejected, and which documents they belong to is not known".into());
    }
    if mirror && read.has_rejected {
        return Some(
            "files were rejected, so what vanished is not known; shrunk documents were \\
                     still tidied"
                .into(),
        );
    }
    None
}

async fn joined(reader: JoinHandle<Result<Read, Error>>) -> Result<Read, Error> {
    reader.await.map_err(|error| Error::Internal(format!("the reader ended early: {error}")))?
}

/// Writes batches, as many at a time as the node likes, until there are no more; what to remove.
async fn write(
    run: &Run,
    mut from: mpsc::Receiver<super::read::Batch>,
    max_inflight: usize,
    tally: &mut Tally<'_>,
) -> Result<Spill, Error> {
    let mut pace = Pace::new(max_inflight);
    let mut orphans = Spill::new();
    let mut inflight = FuturesUnordered::new();
    let mut has_more = true;
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    while has_more || !inflight.is_empty() {
        tokio::select! {
            batch = from.recv(), if has_more && inflight.len() < pace.limit() => match batch {
                Some(batch) => inflight.push(run.write(batch)),
                None => has_more = false,
            },
            Some(done) = inflight.next() => {
                let done = done?;
                pace.came_back(done.points, done.took, done.repeated);
                for id in &done.orphans {
                    orphans.insert(id.as_u128(), 0);
                }
                if orphans.is_full() {
                    orphans = flushed(orphans).await?;
                }
                tally.add(done);
                tally.tell(run);
            }
            _ = heartbeat.tick() => tally.tell(run),
        }
    }
    Ok(orphans)
}

async fn flushed(mut spill: Spill) -> Result<Spill, Error> {
    tokio::task::spawn_blocking(move || spill.flush().map(|()| spill))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(spill_error)
}

/// What was done so far, and whom to tell.
struct Tally<'a> {
    summary: Summary,
    phase: Phase,
    documents_total: Option<u64>,
    bytes_total: u64,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Tally<'a> {
    fn new(source: &Source, tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self {
            summary: Summary::default(),
            phase: Phase::Writing,
            documents_total: source.documents_total(),
            bytes_total: source.bytes_total(),
            tell,
        }
    }

    fn add(&mut self, done: Done) {
        let summary = &mut self.summary;
        summary.documents += done.documents;
        summary.written += done.written;
        summary.unchanged += done.unchanged;
        summary.skipped += done.skipped;
        summary.bytes = summary.bytes.max(done.bytes_read);
        summary.rejected_count += count(done.rejected.len());
        let room = REJECTED_NAMED.saturating_sub(summary.rejected.len());
        summary.rejected.extend(done.rejected.into_iter().take(room));
        summary.chunks = summary.written + summary.unchanged + summary.rejected_count;
    }

    fn progress(&self, run: &Run) -> Progress {
        Progress {
            phase: self.phase,
            documents_done: self.summary.documents,
            documents_total: self.documents_total,
            bytes_done: self.summary.bytes,
            bytes_total: Some(self.bytes_total),
            written: self.summary.written,
            unchanged: self.summary.unchanged,
            removed: self.summary.removed,
            rejected: self.summary.rejected_count,
            waiting: run.patience.is_waiting(),
        }
    }

    fn tell(&self, run: &Run) {
        (self.tell)(self.progress(run));
    }
}
