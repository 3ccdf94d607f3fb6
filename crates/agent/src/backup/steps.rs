//! Taking one step: journaled before, timed, journaled after, and said.

use std::time::Instant;

use jiff::Timestamp;
use qmoor_plan::backup::{Event, RECORD_VERSION, Record, State, Step};
use qmoor_plan::manifest::Phase;

use crate::error::NodeError;
use crate::node::{NodeContext, Progress, Watch};

/// The steps of one backup or restore so far.
pub(crate) struct Steps<'a> {
    node: &'a NodeContext,
    id: String,
    watch: Watch<'a>,
    /// What the journal says, or would say if it could be written: a disk that is full in the middle must not make
    /// a backup forget that it has stopped the engine.
    state: State,
    /// The steps that are done, in order.
    pub(crate) phases: Vec<Phase>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(node: &'a NodeContext, id: &str, watch: Watch<'a>) -> Self {
        Self { node, id: id.to_owned(), watch, state: node.state(), phases: Vec::new() }
    }

    /// What is true after all records so far.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Writes a record, and remembers it even if that fails.
    pub(crate) async fn record(&mut self, event: Event) -> Result<(), NodeError> {
        let (seq, at, backup) = (self.state.last_seq + 1, Timestamp::now(), self.id.clone());
        self.state.apply(&Record {
            version: RECORD_VERSION,
            seq,
            at,
            backup,
            event: event.clone(),
        });
        self.node.record(&self.id, event).await
    }

    async fn try_record(&mut self, event: Event) {
        if let Err(error) = self.record(event).await {
            tracing::error!(id = self.id, %error, "journal: a record could not be written");
        }
    }

    /// Takes a step that may be refused. The work returns what it made, and a note for the journal.
    pub(crate) async fn take<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<(T, String), NodeError>>,
    ) -> Result<T, NodeError> {
        if let Err(error) = self.record(Event::Intent { step }).await {
            self.failed(step, &error).await;
            return Err(error);
        }
        self.timed(step, true, work).await
    }

    /// Takes a step that brings the service back. Nothing may get in its way, not even a full disk.
    pub(crate) async fn bring_back<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<(T, String), NodeError>>,
    ) -> Result<T, NodeError> {
        self.try_record(Event::Intent { step }).await;
        self.timed(step, false, work).await
    }

    async fn timed<T>(
        &mut self,
        step: Step,
        needs_journal: bool,
        work: impl Future<Output = Result<(T, String), NodeError>>,
    ) -> Result<T, NodeError> {
        self.say(step, None, String::new());
        let begun = Instant::now();
        match work.await {
            Ok((made, note)) => {
                let ms = millis(begun);
                let noted = self.record(Event::Done { step, note: note.clone() }).await;
                match noted {
                    Err(error) if needs_journal => {
                        self.failed(step, &error).await;
                        return Err(error);
                    }
                    Err(error) => {
                        tracing::error!(id = self.id, %error, "journal: a record could not be written");
                    }
                    Ok(()) => {}
                }
                self.phases.push(Phase { name: step.to_string(), ms });
                self.say(step, Some(ms), note);
                Ok(made)
            }
            Err(error) => {
                self.failed(step, &error).await;
                Err(error)
            }
        }
    }

    async fn failed(&mut self, step: Step, error: &NodeError) {
        let error = error.to_string();
        self.say(step, None, format!("failed: {error}"));
        self.try_record(Event::Failed { step, error }).await;
    }

    fn say(&self, step: Step, ms: Option<f64>, note: String) {
        tracing::debug!(id = self.id, step = step.as_str(), ms, note, "backup: step");
        (self.watch)(Progress { step: step.to_string(), ms, note });
    }
}

/// Milliseconds since `begun`.
pub(crate) fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
