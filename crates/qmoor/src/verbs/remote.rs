//! `qmoor remote`: a verb on the node, from a laptop, through SSM Run Command. There is no shell in between.

use std::collections::BTreeMap;
use std::time::Duration;

use qmoor_aws::Aws;
use qmoor_aws::ssm::{Invocation, NewCommand, Ssm};
use qmoor_plan::aws::names;
use qmoor_plan::aws::template::{VERBS, admits};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cli::{Global, Remote};
use crate::error::CliError;
use crate::node;
use crate::output::Output;

/// How often it is asked what became of the command, at the most.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long after it was sent a command may not be known yet.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// How long the machine may take to pick it up, in seconds.
const DELIVERED_WITHIN_S: u32 = 120;
/// What SSM adds to the time that the verb itself has.
const GRACE: Duration = Duration::from_secs(60);
/// The exit code of a node where somebody else is at work.
const LOCKED: i64 = 3;

/// Sends the verb, follows it to its end, and prints what it printed.
pub(crate) async fn run(global: &Global, args: Remote, out: Output) -> Result<(), CliError> {
    let config = node::config(global)?;
    let Some(machine) = &config.aws else {
        return Err(CliError::usage("this qmoor.toml names no machine on AWS")
            .hint("set `[aws]` in it, see docs/aws.md; on the node itself leave `remote` out"));
    };
    let (verb, arguments) = verb_of(&args.command)?;
    let timeout: jiff::SignedDuration = args.timeout.parse().map_err(|_| {
        CliError::usage(format!("--timeout: `{}` is no time", args.timeout)).hint("like 30m or 2h")
    })?;
    let timeout = Duration::try_from(timeout).unwrap_or_default().max(Duration::from_secs(1));
    let aws = Aws::load(Some(&machine.region)).await.map_err(|error| CliError::of(&error))?;
    let instance = instance(&aws, &machine.stack).await?;
    let command = NewCommand {
        document: &names::document(&config.node.name),
        instance: &instance,
        parameters: BTreeMap::from([
            ("Verb".to_owned(), vec![verb.clone()]),
            ("Arguments".to_owned(), vec![arguments]),
            ("Timeout".to_owned(), vec![timeout.as_secs().to_string()]),
        ]),
        comment: &format!("qmoor remote {verb}"),
        delivery_timeout_s: DELIVERED_WITHIN_S,
    };
    let ssm = aws.ssm();
    let id = ssm.send_command(&command).await.map_err(|error| {
        let sent = error.may_have_happened();
        let hint = "it may run all the same: `aws ssm list-commands` shows it";
        CliError::of(&error).maybe_hint(sent.then(|| hint.to_owned()))
    })?;
    let bar = out.spinner(format!("{verb} on {instance} ({id})"));
    let followed = follow(&ssm, &id, &instance, timeout + GRACE);
    let ended = tokio::select! {
        ended = followed => ended,
        _ = tokio::signal::ctrl_c() => {
            ssm.cancel_command(&id).await.map_err(|error| CliError::of(&error))?;
            Err(CliError::failed(format!("`{verb}` was cancelled ({id})"))
                .hint("a backup that has begun goes on: `qmoor remote status` tells"))
        }
    };
    bar.finish_and_clear();
    told(&verb, &ended?, out)
}

/// The verb and its arguments as the document takes them.
fn verb_of(words: &[String]) -> Result<(String, String), CliError> {
    let line = words.join(" ");
    let verb = VERBS.iter().find(|verb| line == **verb || line.starts_with(&format!("{verb} ")));
    let Some(verb) = verb else {
        return Err(CliError::usage(format!("`{line}` cannot be run from afar"))
            .hint(format!("one of: {}", VERBS.join(", "))));
    };
    let arguments = line.get(verb.len()..).unwrap_or_default().trim().to_owned();
    if let Some(word) = arguments.split(' ').find(|word| !word.is_empty() && !admits(word)) {
        return Err(CliError::usage(format!("`{word}` is not let through to the node")).hint(
            "flags that change what the verb does, and words of letters, digits and . _ : -",
        ));
    }
    Ok(((*verb).to_owned(), arguments))
}

async fn instance(aws: &Aws, stack: &str) -> Result<String, CliError> {
    let none = || {
        CliError::failed(format!("there is no stack `{stack}` with a machine"))
            .hint("`qmoor up` makes it")
    };
    let found = aws
        .cloudformation()
        .stack(stack)
        .await
        .map_err(|error| CliError::of(&error))?
        .ok_or_else(none)?;
    let output = found.outputs.into_iter().find(|output| output.key == names::output::INSTANCE);
    output.map(|output| output.value).ok_or_else(none)
}

async fn follow(
    ssm: &Ssm,
    id: &str,
    instance: &str,
    within: Duration,
) -> Result<Invocation, CliError> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match ssm.get_command_invocation(id, instance).await {
            Ok(invocation) if invocation.is_over() => return Ok(invocation),
            Err(error) if error.is_not_found() && begun.elapsed() < KNOWN_WITHIN => {}
            Err(error) => return Err(CliError::of(&error)),
            Ok(_) if begun.elapsed() > within => {
                return Err(CliError::failed(format!("no end of {id} within {within:?}"))
                    .hint("`qmoor remote status` tells what the node does"));
            }
            Ok(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY);
    }
}

fn told(verb: &str, ended: &Invocation, out: Output) -> Result<(), CliError> {
    let printed = ended.stdout.trim();
    if ended.status != "Success" {
        let said = ended.stderr.trim();
        let message = if said.is_empty() { ended.status_details.as_str() } else { said };
        let message = format!("`{verb}` on the node: {message}");
        return Err(match ended.response_code {
            LOCKED => CliError::locked(message),
            _ => CliError::failed(message),
        });
    }
    match serde_json::from_str::<Value>(printed) {
        Ok(answer) => {
            let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
            out.result(&answer, text)
        }
        // SSM gives back the beginning of what is long.
        Err(_) => out.result(&json!({ "output": printed, "cut": true }), printed),
    }
}
