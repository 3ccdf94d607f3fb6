//! `qmoor audit`: who did what, from where, and how it ended.

use jiff::{SignedDuration, Timestamp};
use qmoor_agent::control::client::ClientError;
use qmoor_plan::audit::{Entry, Wanted};
use serde_json::Value;

use crate::cli::{Audit, Global};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::{Output, table};

/// Shows the newest entries, the oldest of them first.
pub(crate) async fn run(global: &Global, args: Audit, out: Output) -> Result<(), CliError> {
    let config = config(global)?;
    let wanted = wanted(args)?;
    let entries = match agent(global, &config)?.audit(&wanted).await {
        // The log outlives the agent.
        Err(ClientError::NotRunning { .. }) if global.node.is_none() => {
            qmoor_agent::audit::read(&config.node.state, wanted).map_err(|error| {
                CliError::failed(format!("cannot read the audit log: {error}"))
                    .hint("`qmoor serve` makes a node; --config FILE names another")
            })?
        }
        asked => asked.map_err(|error| agent_error(&error))?,
    };
    if entries.is_empty() {
        return out.result(&entries, "there is nothing of that kind in the audit log");
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let header = ["WHEN", "WHO", "FROM", "ACTION", "RESULT", "WHAT"];
    out.result(&entries, table(&header, &rows))
}

fn wanted(args: Audit) -> Result<Wanted, CliError> {
    let since = args.since.as_deref().map(since).transpose()?;
    let last = Some(args.last.into());
    Ok(Wanted { last, since, action: args.action, denied: args.denied })
}

/// A time, or how long ago.
fn since(text: &str) -> Result<Timestamp, CliError> {
    let ago = text.parse::<SignedDuration>().ok().map(SignedDuration::abs);
    let at = ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok());
    at.or_else(|| text.parse().ok()).ok_or_else(|| {
        CliError::usage(format!("--since: `{text}` is no time"))
            .hint("like 2h, 7d, or 2026-11-24T08:00:00Z")
    })
}

fn row(entry: &Entry) -> Vec<String> {
    let record = &entry.record;
    let role = record.actor.role.map(|role| format!(" ({role})")).unwrap_or_default();
    let mut what = match &record.what {
        Value::Null => String::new(),
        Value::Object(fields) => fields.iter().filter_map(field).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    if !record.message.is_empty() {
        what.push_str(if what.is_empty() { "" } else { ": " });
        what.push_str(&record.message);
    }
    if record.unseen > 0 {
        what.push_str(&format!(" ({} more like it before)", record.unseen));
    }
    vec![
        format!("{:.0}", record.at),
        format!("{}{role}", record.actor.who),
        record.actor.from.clone(),
        record.action.clone(),
        record.result.as_str().to_owned(),
        what,
    ]
}

fn field((name, value): (&String, &Value)) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Object(inner) if inner.is_empty() => None,
        Value::String(text) => Some(format!("{name}={text}")),
        other => Some(format!("{name}={other}")),
    }
}
