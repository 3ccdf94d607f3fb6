//! The node's backups within reach: through its agent if one runs, else in this process under the node's lock.

use indicatif::ProgressBar;
use qmoor_agent::audit::this_process;
use qmoor_agent::backup::{BackupPlan, BackupReport, BackupRequest};
use qmoor_agent::catalogue::{self, BackupInfo};
use qmoor_agent::control::client::{Client, ClientError};
use qmoor_agent::drill::{self, DrillReport};
use qmoor_agent::error::NodeError;
use qmoor_agent::node::{NodeContext, Progress};
use qmoor_agent::prune::{self, PruneReport};
use qmoor_agent::restore::{self, RestorePlan, RestoreReport};
use qmoor_plan::config::Config;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::error::CliError;
use crate::node::{agent, agent_error};
use crate::output::Output;

/// The way to a node's backups.
pub(crate) enum Reach {
    /// A running agent does it.
    Agent(Client, Output),
    /// No agent runs: this process does it.
    Here(NodeContext, Output),
}

impl Reach {
    /// The node that `global` names, or the one on this host. `why` is what the lock says while this process has it.
    pub(crate) async fn new(
        global: &Global,
        config: Config,
        why: &str,
        out: Output,
    ) -> Result<Self, CliError> {
        if global.node.is_none() {
            return Self::here(config, why, out).await;
        }
        let agent = agent(global, &config)?;
        agent.status().await.map_err(|error| agent_error(&error))?;
        Ok(Self::Agent(agent, out))
    }

    /// The node on this host: through its agent if one runs.
    pub(crate) async fn here(config: Config, why: &str, out: Output) -> Result<Self, CliError> {
        let agent = Client::new(&config.node.state);
        match agent.status().await {
            Ok(_) => Ok(Self::Agent(agent, out)),
            Err(ClientError::NotRunning { .. }) => {
                if !config.node.state.is_dir() {
                    return Err(CliError::failed(format!(
                        "there is no node at `{}`",
                        config.node.dir.display()
                    ))
                    .hint("`qmoor serve` makes one; --config FILE names another"));
                }
                let program = program()?;
                let node =
                    NodeContext::open(config, program, why).map_err(|error| node_error(&error))?;
                Ok(Self::Here(node, out))
            }
            Err(error) => Err(agent_error(&error)),
        }
    }

    /// Takes a backup; only an agent can, because only it holds the gate.
    pub(crate) async fn backup(&self, request: &BackupRequest) -> Result<BackupReport, CliError> {
        match self {
            Self::Agent(agent, out) => {
                let job =
                    async |bar: ProgressBar| agent.backup(request, move |p| show(&bar, &p)).await;
                shown(*out, "backup", job).await
            }
            Self::Here(..) => Err(no_agent()),
        }
    }

    /// Begins a backup, and returns its id.
    pub(crate) async fn begin_backup(&self, request: &BackupRequest) -> Result<String, CliError> {
        match self {
            Self::Agent(agent, _) => {
                agent.begin_backup(request).await.map_err(|error| agent_error(&error))
            }
            Self::Here(..) => Err(no_agent()),
        }
    }

    /// What a backup would do.
    pub(crate) async fn explain(&self, request: &BackupRequest) -> Result<BackupPlan, CliError> {
        match self {
            Self::Agent(agent, _) => {
                agent.explain_backup(request).await.map_err(|error| agent_error(&error))
            }
            Self::Here(..) => Err(no_agent()),
        }
    }

    /// All backups, the oldest first.
    pub(crate) async fn backups(&self) -> Result<Vec<BackupInfo>, CliError> {
        match self {
            Self::Agent(agent, _) => agent.backups().await.map_err(|error| agent_error(&error)),
            Self::Here(node, _) => catalogue::list(node).await.map_err(|error| node_error(&error)),
        }
    }

    /// What a restore would do.
    pub(crate) async fn plan_restore(&self, id: &str) -> Result<RestorePlan, CliError> {
        match self {
            Self::Agent(agent, _) => {
                agent.plan_restore(id).await.map_err(|error| agent_error(&error))
            }
            Self::Here(node, _) => {
                restore::plan_restore(node, Some(id)).await.map_err(|error| node_error(&error))
            }
        }
    }

    /// Restores.
    pub(crate) async fn restore(&self, id: &str) -> Result<RestoreReport, CliError> {
        match self {
            Self::Agent(agent, out) => {
                let job = async |bar: ProgressBar| agent.restore(id, move |p| show(&bar, &p)).await;
                shown(*out, "restore", job).await
            }
            Self::Here(node, out) => {
                let bar = out.spinner("restore");
                let watch = |progress| show(&bar, &progress);
                let work = Box::pin(restore::restore(node, None, None, Some(id), &watch));
                let done = here(node, "restore", json!({ "id": id }), work).await;
                bar.finish_and_clear();
                done.map_err(|error| node_error(&error))
            }
        }
    }

    /// Drills.
    pub(crate) async fn drill(&self, id: &str) -> Result<DrillReport, CliError> {
        match self {
            Self::Agent(agent, out) => {
                let job = async |bar: ProgressBar| agent.drill(id, move |p| show(&bar, &p)).await;
                shown(*out, "drill", job).await
            }
            Self::Here(node, out) => {
                let bar = out.spinner("drill");
                let watch = |progress| show(&bar, &progress);
                let work = drill::drill(node, Some(id), &watch);
                let done = here(node, "drill", json!({ "id": id }), work).await;
                bar.finish_and_clear();
                done.map_err(|error| node_error(&error))
            }
        }
    }

    /// Removes what no rule keeps.
    pub(crate) async fn prune(&self, dry_run: bool) -> Result<PruneReport, CliError> {
        match self {
            Self::Agent(agent, out) => {
                shown(*out, "prune", async |_bar| agent.prune(dry_run).await).await
            }
            Self::Here(node, _) => {
                let work = prune::prune(node, dry_run);
                let done = here(node, "prune", json!({ "dry_run": dry_run }), work).await;
                done.map_err(|error| node_error(&error))
            }
        }
    }

    /// Keeps a backup whatever the rules say, or leaves it to them again.
    pub(crate) async fn pin(&self, id: &str, remove: bool) -> Result<(), CliError> {
        match self {
            Self::Agent(agent, _) => {
                agent.pin(id, !remove).await.map(drop).map_err(|error| agent_error(&error))
            }
            Self::Here(node, _) => {
                let work = catalogue::set_pinned(node, id, !remove);
                let done = here(node, "pin", json!({ "id": id, "pinned": !remove }), work).await;
                done.map_err(|error| node_error(&error))
            }
        }
    }

    /// The full id of what was typed: an id, the beginning of one, or `latest`.
    pub(crate) async fn resolve(&self, typed: &str) -> Result<String, CliError> {
        let backups = self.backups().await?;
        if typed == "latest" {
            let newest = backups.iter().rev().find(|backup| backup.complete);
            return newest.map(|backup| backup.id.clone()).ok_or_else(|| {
                CliError::failed("there is no complete backup").hint("`qmoor backup` takes one")
            });
        }
        let mut matches = backups.iter().filter(|backup| backup.id.starts_with(typed));
        match (matches.next(), matches.next()) {
            (Some(one), None) => Ok(one.id.clone()),
            (Some(_), Some(_)) => {
                Err(CliError::usage(format!("more than one backup begins with `{typed}`"))
                    .hint("`qmoor backups` shows them"))
            }
            (None, _) => Err(CliError::failed(format!("there is no backup `{typed}`"))
                .hint("`qmoor backups` shows them")),
        }
    }
}

/// What this process does to the node, written down as what an agent does is.
async fn here<T>(
    node: &NodeContext,
    action: &str,
    what: Value,
    work: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    let done = node.audit().around(this_process(), action, what, work).await;
    node.audit().settle().await;
    done
}

/// The running binary, which is the engine too.
pub(crate) fn program() -> Result<std::path::PathBuf, CliError> {
    std::env::current_exe()
        .map_err(|error| CliError::failed(format!("cannot tell where qmoor is: {error}")))
}

/// Runs a job of the agent with a spinner that tells what it is at.
pub(crate) async fn shown<T>(
    out: Output,
    what: &str,
    job: impl AsyncFnOnce(ProgressBar) -> Result<T, ClientError>,
) -> Result<T, CliError> {
    let bar = out.spinner(what);
    let done = job(bar.clone()).await;
    bar.finish_and_clear();
    done.map_err(|error| agent_error(&error))
}

pub(crate) fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_message(format!("{} {}", progress.step.replace('_', " "), progress.note));
}

fn no_agent() -> CliError {
    CliError::failed("no agent runs here, and only it can hold the requests")
        .hint("`qmoor serve` starts the node")
}

fn node_error(error: &NodeError) -> CliError {
    CliError::of(error).locked_if(error.is_busy())
}
