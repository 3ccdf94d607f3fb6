//! `qmoor notify`: whether messages arrive.

use qmoor_agent::notify::Tried;

use crate::cli::Global;
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::Output;

/// Has the agent send one, and tells what came back.
pub(crate) async fn run(global: &Global, out: Output) -> Result<(), CliError> {
    let config = config(global)?;
    let trial = agent(global, &config)?.try_notify().await.map_err(|error| agent_error(&error))?;
    let tried: Vec<(&str, &Tried)> =
        [("webhook", trial.webhook.as_ref()), ("command", trial.command.as_ref())]
            .into_iter()
            .filter_map(|(name, tried)| Some((name, tried?)))
            .collect();
    if tried.is_empty() {
        return Err(CliError::failed("the node has nobody to tell".to_owned()).hint(
            "set `notify.webhook` or `notify.command` in qmoor.toml, and start the node again",
        ));
    }
    let line = |(name, tried): &(&str, &Tried)| {
        let verdict = if tried.ok { "" } else { "FAILED: " };
        format!("{name}   {}: {verdict}{} ({:.0} ms)", tried.to, tried.answer, tried.ms)
    };
    out.result(&trial, tried.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    match tried.iter().find(|(_, tried)| !tried.ok) {
        None => Ok(()),
        Some((name, _)) => Err(CliError::failed(format!("the {name} did not take the message"))
            .hint("see `[notify]` in qmoor.toml; messages that fail are in the log of the agent")),
    }
}
