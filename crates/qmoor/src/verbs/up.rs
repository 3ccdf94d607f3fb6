//! `qmoor up`: the node on AWS as the file says.

use super::confirm;
use super::stack::{Prepared, Session, carry_out, failed, outputs, plan, prepare, take_back};
use crate::cli::{self, Global};
use crate::error::CliError;
use crate::output::Output;

/// Shows the change, asks, makes it, and tells what is there then.
pub(crate) async fn run(global: &Global, args: cli::Up, out: Output) -> Result<(), CliError> {
    confirm::possible(args.yes)?;
    let session = Session::open(global).await?;
    let prepared = prepare(&session, args.new_ami, out).await?;
    if prepared.change_set.is_none() {
        return tell(&session, false, out).await;
    }
    out.say(plan(&session, &prepared, Vec::new()));
    if let Err(refused) = agreed(&prepared, args.yes, out) {
        take_back(&session, &prepared).await?;
        return Err(refused);
    }
    carry_out(&session, &prepared, out).await?;
    protect(&session, out).await;
    tell(&session, true, out).await
}

fn agreed(prepared: &Prepared, yes: bool, out: Output) -> Result<(), CliError> {
    if let Some(refusal) = prepared.refusals.first() {
        let message = format!("this change is not made: {}", refusal.what);
        return Err(CliError::failed(message).hint(refusal.hint.clone()));
    }
    if !yes && !confirm::asked("Make it so?", out)? {
        return Err(CliError::failed("nothing was changed: the plan was not confirmed")
            .hint("--yes confirms it without asking"));
    }
    Ok(())
}

/// Keeps the stack from being deleted by a slip in the console.
async fn protect(session: &Session, out: Output) {
    let (cloudformation, stack) = (session.aws.cloudformation(), &session.machine.stack);
    if let Err(error) = cloudformation.update_termination_protection(stack, true).await {
        let why = failed(error).message;
        out.warn(format_args!("the stack is not protected against being deleted: {why}"));
    }
}

async fn tell(session: &Session, changed: bool, out: Output) -> Result<(), CliError> {
    let stack = &session.machine.stack;
    let found = session.aws.cloudformation().stack(stack).await.map_err(failed)?;
    let found = found.ok_or_else(|| CliError::failed(format!("the stack `{stack}` is gone")))?;
    let outputs = outputs(session, changed, &found.outputs);
    out.result(&outputs, &outputs)
}
