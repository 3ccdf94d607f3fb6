//! Following what CloudFormation does, to its end.

use std::time::Duration;

use qmoor_aws::AwsError;
use qmoor_aws::cloudformation::StackEvent;
use qmoor_plan::aws::stack::{self, Event, STACK};

use super::{Pace, Session, failed};
use crate::error::CliError;
use crate::output::Output;

/// The longest that a change is followed. It goes on by itself.
const LONGEST: Duration = Duration::from_secs(90 * 60);

/// The longest that a machine may take to shut down: the engine has to write what it has in memory.
const SHUT_DOWN: Duration = Duration::from_secs(15 * 60);

/// How many questions in a row may go unanswered.
const UNANSWERED: u32 = 20;

/// Tells what happens to a stack after the event `since`, until it is over; gives its last status and what happened.
/// `id` is the stack's ARN, since a deleted one is not found by name.
pub(in crate::verbs) async fn watch(
    session: &Session,
    id: &str,
    since: Option<String>,
    out: Output,
) -> Result<(String, Vec<Event>), CliError> {
    let cloudformation = session.aws.cloudformation();
    let spinner = out.spinner("CloudFormation is at work");
    let mut pace = Pace::new(LONGEST);
    let (mut since, mut events, mut unanswered) = (since, Vec::new(), 0);
    loop {
        let fresh = match cloudformation.describe_stack_events(id, since.as_deref()).await {
            Ok(fresh) => fresh,
            Err(error) if unanswered < UNANSWERED && may_pass(&error) => {
                unanswered += 1;
                Vec::new()
            }
            Err(error) => return Err(goes_on(&failed(error).message)),
        };
        for event in fresh {
            unanswered = 0;
            // Told of each resource a second time, when its id is known.
            if event.reason.as_deref() != Some("Resource creation Initiated") {
                spinner.suspend(|| out.say(line(&event)));
            }
            since = Some(event.id.clone());
            let end = event.resource_type == STACK && stack::is_over(&event.status);
            let status = event.status.clone();
            events.push(Event {
                name: event.logical_id,
                kind: event.resource_type,
                status: event.status,
                reason: event.reason,
            });
            if end {
                spinner.finish_and_clear();
                return Ok((status, events));
            }
        }
        if !pace.wait().await {
            return Err(goes_on("the stack is still changing after 90 minutes"));
        }
    }
}

/// An error that says nothing about the stack.
fn may_pass(error: &AwsError) -> bool {
    error.code().is_none() || error.is_throttling()
}

fn goes_on(what: &str) -> CliError {
    CliError::failed(what).hint("CloudFormation goes on by itself: `qmoor plan` tells what is left")
}

fn line(event: &StackEvent) -> String {
    let time = event.timestamp.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
    let what = format!("{time}  {:<28}  {:<14}", event.status, event.logical_id);
    match event.reason.as_deref() {
        Some(reason) => format!("{what}  {}", stack::plain_reason(reason)),
        None => what.trim_end().to_owned(),
    }
}

/// Shuts a machine down, and waits until it is. CloudFormation takes a volume off while the machine runs, and that never
/// ends for one that is mounted.
pub(in crate::verbs) async fn stopped(
    session: &Session,
    machine: &str,
    out: Output,
) -> Result<(), CliError> {
    let ec2 = session.aws.ec2();
    let spinner = out.spinner(format!("shutting {machine} down"));
    let mut pace = Pace::new(SHUT_DOWN);
    let mut asked = false;
    loop {
        let found = ec2.instance(machine).await.map_err(failed)?;
        match found.as_ref().map(qmoor_aws::ec2::Instance::state) {
            None | Some("stopped" | "terminated" | "shutting-down") => break,
            Some("stopping" | "pending") => {}
            Some(_) if asked => {}
            Some(_) => {
                ec2.stop_instance(machine).await.map_err(failed)?;
                asked = true;
            }
        }
        if !pace.wait().await {
            let message = format!("{machine} has not shut down in 15 minutes");
            return Err(CliError::failed(message)
                .hint("see what holds it in its console log, then run this again"));
        }
    }
    spinner.finish_and_clear();
    Ok(())
}
