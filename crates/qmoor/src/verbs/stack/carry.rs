//! Making a change.

use qmoor_aws::AwsError;
use qmoor_aws::cloudformation::{ChangeSet, ChangeSetKind};
use qmoor_plan::aws::change::{self, Step};
use qmoor_plan::aws::stack;
use serde_json::Value;
use uuid::Uuid;

use super::prepare::{Prepared, change_set, take_back};
use super::{Session, failed, stopped, watch};
use crate::error::CliError;
use crate::output::Output;

/// Carries a change set out, and follows it to its end.
async fn make_so(session: &Session, set: &ChangeSet, out: Output) -> Result<(), CliError> {
    let cloudformation = session.aws.cloudformation();
    let before = cloudformation.describe_stack_events(&set.stack_id, None).await.map_err(failed)?;
    let last = before.last().map(|event| event.id.clone());
    let token = format!("qmoor-{}", Uuid::new_v4());
    if let Err(error) = cloudformation.execute_change_set(&set.id, &token).await {
        // The answer to an earlier attempt may have been lost.
        let begun = error.may_have_happened()
            && cloudformation
                .describe_change_set(&set.id)
                .await
                .is_ok_and(|set| set.execution_status.starts_with("EXECUTE_"));
        if !begun {
            return Err(outrun(error, session));
        }
    }
    let (status, events) = watch(session, &set.stack_id, last, out).await?;
    if stack::went_well(&status) {
        return Ok(());
    }
    Err(explained(session, &status, &events))
}

/// Somebody else was faster: the change set is of a state that is no more.
fn outrun(error: AwsError, session: &Session) -> CliError {
    let is_outrun = match error.code() {
        Some("InvalidChangeSetStatus" | "ChangeSetNotFound") => true,
        Some("ValidationError") => error.to_string().contains("_IN_PROGRESS state"),
        _ => false,
    };
    if !is_outrun {
        return failed(error);
    }
    let stack = &session.machine.stack;
    CliError::locked(format!("somebody else has changed the stack `{stack}` meanwhile"))
        .hint("run it again: it looks anew, and shows what is left to do")
}

/// What failed first, and how the stack is now.
pub(in crate::verbs) fn explained(
    session: &Session,
    status: &str,
    events: &[stack::Event],
) -> CliError {
    let stack = &session.machine.stack;
    let state = match status {
        "ROLLBACK_COMPLETE" => "what was made is taken back".to_owned(),
        "UPDATE_ROLLBACK_COMPLETE" => "all is as it was before".to_owned(),
        other => format!("the stack is in {other}"),
    };
    let Some(cause) = stack::first_cause(events) else {
        return CliError::failed(format!("the stack `{stack}` is not as asked; {state}"));
    };
    let reason = stack::plain_reason(cause.reason.as_deref().unwrap_or("AWS does not say why"));
    let message = format!("{} ({}): {reason}; {state}", cause.name, cause.kind);
    let next = stack::why_not(stack, status, &session.machine.region).map(|(_, hint)| hint);
    let hint = match (stack::what_to_do(reason), next) {
        (Some(first), Some(next)) => Some(format!("{first}; then {next}")),
        (Some(first), None) => Some(first.to_owned()),
        (None, next) => next,
    };
    CliError::failed(message).maybe_hint(hint)
}

/// Makes all changes, one step after the other.
pub(in crate::verbs) async fn carry_out(
    session: &Session,
    prepared: &Prepared,
    out: Output,
) -> Result<(), CliError> {
    let before = prepared.before.as_ref();
    let machine = prepared.machine.as_deref();
    let steps = change::steps(&prepared.changes, before, &prepared.template, machine);
    if let ([Step::Rest], Some(set)) = (steps.as_slice(), &prepared.change_set) {
        return make_so(session, set, out).await;
    }
    // What was shown is made in parts: none of them is the whole.
    take_back(session, prepared).await?;
    let mut is_away = false;
    for step in &steps {
        match step {
            Step::TakeMachine(rest) => {
                take_machine(session, rest, machine.unwrap_or_default(), out).await?;
                is_away = true;
                continue;
            }
            Step::AllButVolume(template) => reach(session, template, out).await,
            Step::Rest => reach(session, &prepared.template, out).await,
        }
        .map_err(|error| if is_away { without_machine(error) } else { error })?;
        is_away = false;
    }
    Ok(())
}

/// Brings the stack to a template.
async fn reach(session: &Session, template: &Value, out: Output) -> Result<(), CliError> {
    match change_set(session, template, ChangeSetKind::Update).await? {
        Some(set) => make_so(session, &set, out).await,
        None => Ok(()),
    }
}

/// Shuts the machine down, and brings the stack to `rest`, which has none.
async fn take_machine(
    session: &Session,
    rest: &Value,
    machine: &str,
    out: Output,
) -> Result<(), CliError> {
    out.say(format_args!("taking {machine} away; the volume and the address stay"));
    stopped(session, machine, out).await?;
    match reach(session, rest, out).await {
        Ok(()) => {
            out.say("making the machine anew");
            Ok(())
        }
        Err(error) => Err(back_on(session, machine, error).await),
    }
}

fn without_machine(error: CliError) -> CliError {
    let message = format!("{}; the node has no machine now, and its data is safe", error.message);
    let hint = error.hint.unwrap_or_else(|| "mend that".to_owned());
    CliError::failed(message).hint(format!("{hint}; `qmoor up` makes the machine"))
}

/// Starts a machine that could not be taken away.
async fn back_on(session: &Session, machine: &str, error: CliError) -> CliError {
    let started = session.aws.ec2().start_instance(machine).await;
    let told = match started {
        Ok(()) => format!("{machine} starts again"),
        Err(why) => {
            format!("{machine} is shut down, and cannot be started: {}", failed(why).message)
        }
    };
    CliError::failed(format!("{}; {told}", error.message)).maybe_hint(error.hint)
}
