//! What is told of the end of a backup or a drill.

use jiff::Timestamp;
use qmoor_plan::notify::{By, Event};
use qmoor_plan::schedule::Work;

use super::agent::Agent;
use super::wire::Failure;
use crate::backup::BackupReport;
use crate::drill::DrillReport;
use crate::error::NodeError;

impl Agent {
    /// Tells how a backup ended. One that did not begin, because the node was busy, has not ended.
    pub(super) fn tell_of_backup(
        &self,
        by: By,
        begun: Timestamp,
        made: &Result<BackupReport, NodeError>,
    ) {
        let (id, text) = match made {
            Err(error) if error.is_busy() => return,
            Ok(report) => {
                let (grade, pause) = (report.grade, report.pause_ms);
                let text = format!(
                    "backup {} is complete, of grade {grade}; writes waited for {pause:.0} ms",
                    report.id
                );
                (Some(report.id.clone()), text)
            }
            Err(error) => {
                let given_up = self.context.state().last_abandoned;
                let this_one = given_up.filter(|given_up| given_up.begun_at >= begun);
                (this_one.map(|given_up| given_up.id), format!("no backup: {}", said(error)))
            }
        };
        self.notify.tell(Event::ended(Work::Backup, made.is_ok()), Some(by), id, text);
    }

    /// Tells how a drill ended.
    pub(super) fn tell_of_drill(
        &self,
        by: By,
        id: Option<String>,
        made: &Result<DrillReport, NodeError>,
    ) {
        let (ok, id, text) = match made {
            Err(error) if error.is_busy() => return,
            Ok(report) => {
                let seconds = report.rto_ms / 1000.0;
                let text = match report.differences.first() {
                    None => format!("backup {} restores: back in {seconds:.1} s", report.id),
                    Some(first) => format!(
                        "backup {} does not restore as it should: {} differences, the first: {first}",
                        report.id,
                        report.differences.len()
                    ),
                };
                (report.ok, Some(report.id.clone()), text)
            }
            Err(error) => (false, id, format!("no drill: {}", said(error))),
        };
        self.notify.tell(Event::ended(Work::Drill, ok), Some(by), id, text);
    }
}

/// An error as the command line tells it.
fn said(error: &NodeError) -> String {
    let failure = Failure::failed(error);
    match failure.hint {
        Some(hint) => format!("{} (hint: {hint})", failure.message),
        None => failure.message,
    }
}
