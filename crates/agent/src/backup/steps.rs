//! Taking one step: journaled before, timed, journaled after, and said.

use std::time::Instant;

use qmoor_plan::backup::{Event, Step};
use qmoor_plan::manifest::Phase;

use crate::error::NodeError;
use crate::node::{NodeContext, Progress, Watch};

/// The steps of one backup so far.
pub(crate) struct Steps<'a> {
    node: &'a NodeContext,
    id: String,
    watch: Watch<'a>,
    /// The steps that are done, in order.
    pub(crate) phases: Vec<Phase>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(node: &'a NodeContext, id: &str, watch: Watch<'a>) -> Self {
        Self { node, id: id.to_owned(), watch, phases: Vec::new() }
    }

    /// Takes a step that may be refused. The work returns what it made, and a note for the journal.
    pub(crate) async fn take<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<(T, String), NodeError>>,
    ) -> Result<T, NodeError> {
        self.node.record(&self.id, Event::Intent { step }).await?;
        self.say(step, None, String::new());
        let begun = Instant::now();
        match work.await {
            Ok((made, note)) => {
                let ms = millis(begun);
                self.node.record(&self.id, Event::Done { step, note: note.clone() }).await?;
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

    /// Notes a step that brings the service back. Nothing may get in its way, not even a full disk.
    pub(crate) async fn bring_back<T>(
        &mut self,
        step: Step,
        work: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        self.node.try_record(&self.id, Event::Intent { step }).await;
        self.say(step, None, String::new());
        let begun = Instant::now();
        match work.await {
            Ok(made) => {
                let ms = millis(begun);
                self.node.try_record(&self.id, Event::Done { step, note: String::new() }).await;
                self.phases.push(Phase { name: step.to_string(), ms });
                self.say(step, Some(ms), String::new());
                Ok(made)
            }
            Err(error) => {
                self.failed(step, &error).await;
                Err(error)
            }
        }
    }

    async fn failed(&self, step: Step, error: &NodeError) {
        let error = error.to_string();
        self.say(step, None, format!("failed: {error}"));
        self.node.try_record(&self.id, Event::Failed { step, error }).await;
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
