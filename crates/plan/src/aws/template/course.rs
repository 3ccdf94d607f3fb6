//! The state machine of a backup on a message: it runs the verb on the node, follows it until its snapshot is complete,
//! and tells the alarm topic when there is none.
//!
//! It holds nothing on the node: where it dies, the lease of the hold brings the node back.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html>

use serde_json::{Map, Value, json};

use super::names;
use crate::config::{Aws, Config, StoreKind};

/// Longest time for the verb: it comes back when the snapshot is complete, which takes hours for the first of a large
/// volume.
const VERB_SECONDS: u64 = 12 * 3600;

/// Longest time after that for EC2 to say that the snapshot is complete.
const SNAPSHOT_SECONDS: u64 = 24 * 3600;

/// Each wait is so much longer than the one before: the first answer comes soon, and a day has few of them. An execution
/// may have 25,000 events.
const STEP: u64 = 5;

/// The state machine. Its input is the event. `${…}` stands for what the stack knows.
#[must_use]
pub fn definition(config: &Config, aws: &Aws) -> Value {
    let (node, store) = (config.node.name.as_str(), config.store.kind);
    let task = |what: &str| format!("arn:{}:states:::{what}", names::partition(&aws.region));
    let asking = task("aws-sdk:ssm:getCommandInvocation");
    let mut states = Map::new();
    let mut add = |name: &str, state: Value| states.insert(name.to_owned(), state);
    add("Begin", restart("Send"));
    add("Send", send(&task("aws-sdk:ssm:sendCommand")));
    add("Wait", json!({ "Type": "Wait", "SecondsPath": "$.pause.seconds", "Next": "Ask" }));
    add("Ask", ask(&asking));
    let done = if store == StoreKind::Ebs { "Read" } else { "Done" };
    let running = ["Pending", "InProgress", "Delayed"]
        .map(|status| json!({ "Variable": "$.asked.status", "StringEquals": status }));
    add(
        "Answered",
        json!({
            "Type": "Choice",
            "Choices": [
                { "Variable": "$.asked.status", "StringEquals": "Success", "Next": done },
                { "And": [{ "Or": running }, waited(VERB_SECONDS)], "Next": "Overdue" },
                { "Or": running, "Next": "Longer" },
            ],
            "Default": "Refused",
        }),
    );
    add("Longer", longer("Wait"));
    add(
        "Overdue",
        problem(
            "Overdue",
            "States.Format('the command {} has not ended in time', $.command.id)",
            "Tell",
        ),
    );
    add(
        "Refused",
        problem(
            "Refused",
            "States.Format('the command ended as {}: {}', $.asked.status, $.asked.error)",
            "Tell",
        ),
    );
    if store == StoreKind::Ebs {
        follow(&mut add, &asking, &task("aws-sdk:ec2:describeSnapshots"), node);
    }
    add("Tell", tell(&task("sns:publish"), node));
    add(
        "Failed",
        json!({ "Type": "Fail", "Error": "NoBackup", "Cause": "the reason was sent to the alarm topic" }),
    );
    add("Done", json!({ "Type": "Succeed" }));
    let mut definition = json!({
        "Comment": format!("Backs up the qmoor node {node}"),
        "StartAt": "Begin",
        "TimeoutSeconds": VERB_SECONDS + SNAPSHOT_SECONDS + 4 * 3600,
        "States": states,
    });
    definition.sort_all_objects();
    definition
}

/// From the answer of the verb to its snapshot.
fn follow(add: &mut impl FnMut(&str, Value) -> Option<Value>, ask: &str, look: &str, node: &str) {
    // The answer is read apart from the question, because there is none before the verb has ended.
    add("Read", read(ask));
    add("Again", restart("Look"));
    add("Look", look_for(look, node));
    let is =
        |state: &str| json!({ "Variable": format!("$.snapshot.{state}"), "BooleanEquals": true });
    add(
        "Complete",
        json!({
            "Type": "Choice",
            "Choices": [
                { "Variable": "$.snapshot.failed", "BooleanEquals": true, "Next": "Broken" },
                { "And": [is("pending"), waited(SNAPSHOT_SECONDS)], "Next": "Unfinished" },
                { "Variable": "$.snapshot.pending", "BooleanEquals": true, "Next": "LookLater" },
                { "Variable": "$.snapshot.completed", "BooleanEquals": true, "Next": "Done" },
            ],
            "Default": "Broken",
        }),
    );
    add("LookLater", longer("LookWait"));
    add("LookWait", json!({ "Type": "Wait", "SecondsPath": "$.pause.seconds", "Next": "Look" }));
    let backup = "$.answer.backup.id";
    add(
        "Unfinished",
        problem(
            "Unfinished",
            &format!(
                "States.Format('the snapshot of backup {{}} is still not complete', {backup})"
            ),
            "Tell",
        ),
    );
    add(
        "Broken",
        problem(
            "Broken",
            &format!(
                "States.Format('the snapshot of backup {{}} failed, or is not there', {backup})"
            ),
            "Tell",
        ),
    );
}

fn read(task: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": task,
        "Parameters": { "CommandId.$": "$.command.id", "InstanceId": "${Machine}" },
        "ResultSelector": { "backup.$": "States.StringToJson($.StandardOutputContent)" },
        "ResultPath": "$.answer",
        "Retry": again(),
        "Catch": caught(),
        "Next": "Again",
    })
}

fn look_for(task: &str, node: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": task,
        "Parameters": {
            "OwnerIds": ["self"],
            "Filters": [
                { "Name": format!("tag:{}", names::NODE), "Values": [node] },
                { "Name": format!("tag:{}", names::BACKUP), "Values.$": "States.Array($.answer.backup.id)" },
            ],
        },
        "ResultSelector": {
            "completed.$": "States.ArrayContains($.Snapshots[*].State, 'completed')",
            "pending.$": "States.ArrayContains($.Snapshots[*].State, 'pending')",
            "failed.$": "States.ArrayContains($.Snapshots[*].State, 'error')",
        },
        "ResultPath": "$.snapshot",
        "Retry": again(),
        "Catch": caught(),
        "Next": "Complete",
    })
}

fn send(task: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": task,
        "Parameters": {
            "DocumentName": "${Document}",
            "InstanceIds": ["${Machine}"],
            // Longest wait for the machine to take the command.
            "TimeoutSeconds": 600,
            "Parameters": {
                "Verb": ["backup"],
                // Two batches at once: the second backup waits for the first.
                "Arguments.$": "States.Array(States.Format('--batch-id={} --lock-wait=2h', $.detail.batch_id))",
                "Timeout": [VERB_SECONDS.to_string()],
            },
        },
        "ResultSelector": { "id.$": "$.Command.CommandId" },
        "ResultPath": "$.command",
        "Retry": again(),
        "Catch": caught(),
        "Next": "Wait",
    })
}

fn ask(task: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": task,
        "Parameters": { "CommandId.$": "$.command.id", "InstanceId": "${Machine}" },
        // Times in what is kept would be no JSON.
        "ResultSelector": { "status.$": "$.Status", "error.$": "$.StandardErrorContent" },
        "ResultPath": "$.asked",
        "Retry": again(),
        "Catch": caught(),
        "Next": "Answered",
    })
}

fn tell(task: &str, node: &str) -> Value {
    let message = format!(
        "States.Format('No backup of the qmoor node {node} for batch {{}}: {{}}: {{}} (hint: qmoor backups shows what there is, and qmoor status what is going on)', $.detail.batch_id, $.problem.Error, $.problem.Cause)"
    );
    json!({
        "Type": "Task",
        "Resource": task,
        "Parameters": {
            "TopicArn": "${Topic}",
            "Subject": format!("qmoor node {node}: no backup"),
            "Message.$": message,
        },
        "ResultSelector": { "id.$": "$.MessageId" },
        "ResultPath": "$.told",
        "Retry": again(),
        "Catch": [{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.untold", "Next": "Failed" }],
        "Next": "Failed",
    })
}

/// Calls that may fail once: throttled, or too soon after what they ask for was made.
fn again() -> Value {
    json!([{ "ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "MaxAttempts": 4, "BackoffRate": 2.0 }])
}

fn caught() -> Value {
    json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.problem", "Next": "Tell" }])
}

fn problem(name: &str, cause: &str, next: &str) -> Value {
    json!({
        "Type": "Pass",
        "Parameters": { "Error": name, "Cause.$": cause },
        "ResultPath": "$.problem",
        "Next": next,
    })
}

/// Waits are short again.
fn restart(next: &str) -> Value {
    json!({ "Type": "Pass", "Result": { "seconds": STEP }, "ResultPath": "$.pause", "Next": next })
}

fn longer(next: &str) -> Value {
    json!({
        "Type": "Pass",
        "Parameters": { "seconds.$": format!("States.MathAdd($.pause.seconds, {STEP})") },
        "ResultPath": "$.pause",
        "Next": next,
    })
}

/// Whether all waits together came to `seconds`: with steps of S, waits up to W make W²/2S.
fn waited(seconds: u64) -> Value {
    let last = (2 * STEP * seconds).isqrt();
    json!({ "Variable": "$.pause.seconds", "NumericGreaterThan": last })
}
