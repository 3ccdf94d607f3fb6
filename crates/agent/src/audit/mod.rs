//! The audit log of a node: who did what from where, in `audit.jsonl` of its state, and in the log under `audit`.
//!
//! What changes keys, backups, holds or the configuration is written down before it is done, and again when it has ended.
//! A disk that is full or hangs does not keep anything from being done: what could not be written is counted and said.

mod file;
mod read;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::audit::{Actor, Outcome, Record};
use serde_json::Value;
use tokio::sync::oneshot;

pub use read::read;

/// How many records may wait for the disk; more are lost, and counted.
const QUEUE: usize = 1024;
/// How long something waits for its first record to be on the disk, and is done all the same.
const WAIT: Duration = Duration::from_secs(2);

/// The way to the log. Cheap to clone; a thread of its own writes.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: SyncSender<Queued>,
    lost: Arc<AtomicU64>,
}

/// A record on its way to the disk.
#[derive(Debug)]
struct Queued {
    /// None where only its turn is waited for.
    record: Option<Record>,
    /// Told when it is there.
    written: Option<oneshot::Sender<()>>,
}

/// Something that has begun and whose end is not written yet.
#[derive(Debug)]
#[must_use = "its end is to be written"]
pub struct Begun {
    audit: Audit,
    record: Record,
}

impl Audit {
    /// The log in this state directory. Nothing is opened before there is something to write.
    ///
    /// # Errors
    /// When the system has no thread to spare.
    pub fn new(state: &Path) -> std::io::Result<Self> {
        let (queue, records) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let file = file::File::new(state);
        let count = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || file::write(file, &records, &count))?;
        Ok(Self { queue, lost })
    }

    /// Writes that something is about to be done, and waits for a while until that is on the disk.
    pub async fn begin(&self, actor: Actor, action: &str, what: Value) -> Begun {
        let record = record(actor, action, what, Outcome::Begun);
        let (written, on_disk) = oneshot::channel();
        self.send(record.clone(), Some(written));
        if tokio::time::timeout(WAIT, on_disk).await.is_err() {
            tracing::warn!(action, "audit: the disk is slow; going on");
        }
        Begun { audit: self.clone(), record }
    }

    /// Writes what is over already.
    pub fn note(&self, actor: Actor, action: &str, what: Value, result: Outcome, message: &str) {
        let record = record(actor, action, what, result);
        self.send(Record { message: message.to_owned(), ..record }, None);
    }

    /// Writes that someone was turned away, and how many others were since the last that was written.
    pub fn denied(&self, actor: Actor, action: &str, message: &str, unseen: u64) {
        let record = record(actor, action, Value::Null, Outcome::Denied);
        self.send(Record { message: message.to_owned(), unseen, ..record }, None);
    }

    /// Does something between its two records.
    ///
    /// # Errors
    /// Those of what is done.
    pub async fn around<T, E: std::fmt::Display>(
        &self,
        actor: Actor,
        action: &str,
        what: Value,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = self.begin(actor, action, what).await;
        let done = work.await;
        begun.end(done.as_ref().err().map(ToString::to_string));
        done
    }

    /// Waits for a while until what was written so far is on the disk, for a process that is about to end.
    pub async fn settle(&self) {
        let (written, on_disk) = oneshot::channel();
        if self.queue.try_send(Queued { record: None, written: Some(written) }).is_ok()
            && tokio::time::timeout(WAIT, on_disk).await.is_err()
        {
            tracing::warn!("audit: the disk is slow; the last records may be in the log only");
        }
    }

    /// How many records could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn send(&self, record: Record, written: Option<oneshot::Sender<()>>) {
        say(&record);
        if self.queue.try_send(Queued { record: Some(record), written }).is_err() {
            file::lose(&self.lost, 1, "more records wait for the disk than may");
        }
    }
}

impl Begun {
    /// Writes how it ended, with the reason if it failed.
    pub fn end(self, failed: Option<String>) {
        let result = if failed.is_some() { Outcome::Failed } else { Outcome::Done };
        let message = failed.unwrap_or_default();
        self.audit.send(Record { at: Timestamp::now(), result, message, ..self.record }, None);
    }
}

/// The process that does something to a node by itself, without being asked.
#[must_use]
pub fn this_process() -> Actor {
    Actor::user(rustix::process::getuid().as_raw(), Some(std::process::id()))
}

fn record(actor: Actor, action: &str, what: Value, result: Outcome) -> Record {
    Record {
        at: Timestamp::now(),
        id: uuid::Uuid::new_v4().simple().to_string(),
        actor,
        action: action.to_owned(),
        what,
        result,
        message: String::new(),
        unseen: 0,
    }
}

/// The record in the node's log, which is often kept elsewhere than on this machine.
fn say(record: &Record) {
    tracing::info!(
        target: "audit",
        who = record.actor.who,
        role = record.actor.role.map_or("-", qmoor_plan::access::Role::as_str),
        from = record.actor.from,
        action = record.action,
        result = record.result.as_str(),
        message = record.message,
    );
}

#[cfg(test)]
mod tests;
