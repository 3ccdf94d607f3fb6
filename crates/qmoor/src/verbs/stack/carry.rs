//! Making a change.

use qmoor_aws::AwsError;
use qmoor_aws::cloudformation::{ChangeSet, ChangeSetKind};
use qmoor_plan::aws::{change, stack};
use uuid::Uuid;

use super::prepare::{Prepared, change_set, take_back};
use super::{Session, failed, stopped, watch};
use crate::error::CliError;
use crate::output::Output;

/// Carries a change set out, and follows it to its end.
pub(in crate::verbs) async fn make_so(
    session: &Session,
    set: &ChangeSet,
    out: Output,
) -> Result<(), CliError> {
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

/// Takes the machine away, and makes another one in its place. CloudFormation by itself would make the new one first,
/// which cannot have the address and the volume that the old one has.
pub(in crate::verbs) async fn make_machine_anew(
    session: &Session,
    prepared: &Prepared,
    out: Output,
) -> Result<(), CliError> {
    take_back(session, prepared).await?;
    if let (Some(before), Some(machine)) = (&prepared.before, &prepared.machine) {
        out.say(format_args!("taking {machine} away; the volume and the address stay"));
        stopped(session, machine, out).await?;
        let rest = change::without_machine(before, machine);
        let taken = match change_set(session, &rest, ChangeSetKind::Update).await {
            Ok(Some(set)) => make_so(session, &set, out).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            return Err(back_on(session, machine, error).await);
        }
    }
    out.say("making the machine anew");
    let set = change_set(session, &prepared.template, ChangeSetKind::Update).await?;
    let Some(set) = set else { return Ok(()) };
    make_so(session, &set, out).await.map_err(|error| {
        let message =
            format!("{}; the node has no machine now, and its data is safe", error.message);
        let hint = error.hint.unwrap_or_else(|| "mend that".to_owned());
        CliError::failed(message).hint(format!("{hint}; `qmoor up` makes the machine"))
    })
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
