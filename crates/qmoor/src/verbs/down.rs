//! `qmoor down`: the machine goes, the data stays.

use std::time::Duration;

use qmoor_aws::cloudformation::Stack;
use qmoor_aws::ec2::{Snapshot, SnapshotFilter, Volume};
use qmoor_plan::aws::{names, stack};
use serde::Serialize;
use uuid::Uuid;

use super::confirm;
use super::stack::{Pace, Session, explained, failed, stopped, watch};
use crate::cli::{self, Global};
use crate::error::CliError;
use crate::output::Output;

/// The longest that a volume may take to come off a machine that is gone.
const COMES_OFF: Duration = Duration::from_secs(300);

/// What was done, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Report {
    stack: String,
    /// Whether there was one.
    deleted: bool,
    kept_volumes: Vec<String>,
    kept_snapshots: Vec<String>,
    deleted_volumes: Vec<String>,
    deleted_snapshots: Vec<String>,
}

/// Shows what goes and what stays, asks, takes it away.
pub(crate) async fn run(global: &Global, args: cli::Down, out: Output) -> Result<(), CliError> {
    let session = Session::open(global).await?;
    let with_data = told_twice(&session, &args)?;
    confirm::possible(args.yes)?;
    let there = session.aws.cloudformation().stack(&session.machine.stack).await.map_err(failed)?;
    if let Some(there) = &there {
        check(&session, there)?;
    }
    let data = Data::of(&session).await?;
    out.say(plan_text(&session, there.as_ref(), &data, with_data));
    if there.is_none() && !(with_data && data.is_some()) {
        let report = report(&session, false, &Data::default(), &data);
        let text = format!("there is no stack {}: nothing was done", session.machine.stack);
        return out.result(&report, text);
    }
    if !args.yes && !confirm::asked("Take it away?", out)? {
        return Err(CliError::failed("nothing was taken away: it was not confirmed")
            .hint("--yes does it without asking"));
    }
    if let Some(there) = &there {
        delete_stack(&session, there, out).await?;
    }
    let deleted = if with_data { data.delete(&session, out).await? } else { Data::default() };
    let left = Data::of(&session).await?;
    let report = report(&session, there.is_some(), &deleted, &left);
    out.result(&report, report_text(&session, &left))
}

/// Whether the data goes too: that has to be said twice, the second time with the name of the node.
fn told_twice(session: &Session, args: &cli::Down) -> Result<bool, CliError> {
    let node = session.node();
    match (&args.yes_delete_data, args.delete_data) {
        (None, false) => Ok(false),
        (Some(name), true) if name == node => Ok(true),
        (Some(_), false) => Err(CliError::usage("--yes-delete-data without --delete-data")),
        (Some(name), true) => {
            Err(CliError::usage(format!("the node is `{node}`, and not `{name}`"))
                .hint("see which file --config names"))
        }
        (None, true) => Err(CliError::usage(format!(
            "--delete-data deletes the volumes and all snapshots of the node `{node}`, for good"
        ))
        .hint(format!("if that is meant: --delete-data --yes-delete-data {node}"))),
    }
}

/// Whether the stack may be deleted. What failed may, what somebody is changing may not.
fn check(session: &Session, there: &Stack) -> Result<(), CliError> {
    let name = &there.name;
    let state = stack::state(Some(&there.status));
    if there.tags.get(names::NODE).map(String::as_str) != Some(session.node())
        && state != stack::State::Absent
    {
        return Err(CliError::failed(format!(
            "the stack `{name}` is not of the node `{}`",
            session.node()
        ))
        .hint("see which file --config names"));
    }
    match (state, stack::why_not(name, &there.status, &session.machine.region)) {
        (stack::State::Busy, Some((what, hint))) => Err(CliError::locked(what).hint(hint)),
        _ => Ok(()),
    }
}

async fn delete_stack(session: &Session, there: &Stack, out: Output) -> Result<(), CliError> {
    let cloudformation = session.aws.cloudformation();
    let resources = cloudformation.describe_stack_resources(&there.id).await.map_err(failed)?;
    let machine = resources.iter().find(|resource| resource.logical_id == names::resource::MACHINE);
    if let Some(id) = machine.and_then(|machine| machine.physical_id.as_deref()) {
        stopped(session, id, out).await?;
    }
    if there.termination_protection {
        cloudformation.update_termination_protection(&there.id, false).await.map_err(failed)?;
    }
    let before = cloudformation.describe_stack_events(&there.id, None).await.map_err(failed)?;
    let last = before.last().map(|event| event.id.clone());
    let token = format!("qmoor-{}", Uuid::new_v4());
    cloudformation.delete_stack(&there.id, &[], &token).await.map_err(failed)?;
    let (status, events) = watch(session, &there.id, last, out).await?;
    if stack::went_well(&status) {
        return Ok(());
    }
    Err(explained(session, &status, &events))
}

/// The data of a node: all that carries its name.
#[derive(Default)]
struct Data {
    volumes: Vec<Volume>,
    snapshots: Vec<Snapshot>,
}

impl Data {
    async fn of(session: &Session) -> Result<Self, CliError> {
        let (ec2, node) = (session.aws.ec2(), session.node().to_owned());
        let tag = vec![(format!("tag:{}", names::NODE), vec![node.clone()])];
        let mut volumes = ec2.describe_volumes(&tag).await.map_err(failed)?;
        volumes.retain(|volume| !volume.state.starts_with("delet"));
        let tags = [(names::NODE.to_owned(), node)].into();
        let filter = SnapshotFilter { tags, ..SnapshotFilter::default() };
        let snapshots = ec2.describe_snapshots(&filter).await.map_err(failed)?;
        Ok(Self { volumes, snapshots })
    }

    fn is_some(&self) -> bool {
        !self.volumes.is_empty() || !self.snapshots.is_empty()
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self
            .volumes
            .iter()
            .map(|volume| {
                let role = volume.tags.get(names::ROLE).map_or("", String::as_str);
                format!("  volume {}, {} GiB, {role}", volume.id, volume.size_gib)
            })
            .collect();
        if !self.snapshots.is_empty() {
            lines.push(format!("  {} snapshots", self.snapshots.len()));
        }
        lines.join("\n")
    }

    /// Deletes all of it, and gives what was deleted. What cannot be is told at the end.
    async fn delete(self, session: &Session, out: Output) -> Result<Self, CliError> {
        let ec2 = session.aws.ec2();
        let mut refused = Vec::new();
        let mut deleted = Self::default();
        let spinner = out.spinner("deleting the data");
        for volume in self.volumes {
            let mut pace = Pace::new(COMES_OFF);
            let gone = loop {
                match ec2.delete_volume(&volume.id).await {
                    Err(error) if error.code() == Some("VolumeInUse") && pace.wait().await => {}
                    other => break other,
                }
            };
            match gone {
                Err(error) if !error.is_not_found() => refused.push(failed(error).message),
                _ => deleted.volumes.push(volume),
            }
        }
        for snapshot in self.snapshots {
            match ec2.delete_snapshot(&snapshot.id).await {
                Err(error) if !error.is_not_found() => refused.push(failed(error).message),
                _ => deleted.snapshots.push(snapshot),
            }
        }
        spinner.finish_and_clear();
        match refused.first() {
            None => Ok(deleted),
            Some(first) => Err(CliError::failed(format!(
                "{} of the volumes and snapshots cannot be deleted, the first because: {first}",
                refused.len()
            ))
            .hint("a snapshot that is locked goes when its lock ends; run this again then")),
        }
    }
}

fn plan_text(session: &Session, there: Option<&Stack>, data: &Data, with_data: bool) -> String {
    let stack = match there {
        Some(there) => format!("stack {} in {} goes", there.name, session.machine.region),
        None => format!("there is no stack {}", session.machine.stack),
    };
    match (data.is_some(), with_data) {
        (false, _) => stack,
        (true, false) => format!("{stack}; what stays:\n{}", data.text()),
        (true, true) => format!("{stack}; what is DELETED FOR GOOD:\n{}", data.text()),
    }
}

fn report(session: &Session, was_there: bool, deleted: &Data, left: &Data) -> Report {
    let volumes = |of: &[Volume]| of.iter().map(|one| one.id.clone()).collect();
    let snapshots = |of: &[Snapshot]| of.iter().map(|one| one.id.clone()).collect();
    Report {
        stack: session.machine.stack.clone(),
        deleted: was_there,
        kept_volumes: volumes(&left.volumes),
        kept_snapshots: snapshots(&left.snapshots),
        deleted_volumes: volumes(&deleted.volumes),
        deleted_snapshots: snapshots(&deleted.snapshots),
    }
}

fn report_text(session: &Session, left: &Data) -> String {
    let node = session.node();
    if !left.is_some() {
        return format!("the node `{node}` is down, and nothing of it is left");
    }
    let mut text =
        format!("the node `{node}` is down; what stays, and is paid for:\n{}", left.text());
    let data = left
        .volumes
        .iter()
        .find(|volume| volume.tags.get(names::ROLE).is_some_and(|role| role == names::DATA));
    if let Some(volume) = data {
        text.push_str(&format!(
            "\nto go on with it: volume.id = \"{}\" in the file, then `qmoor up`",
            volume.id
        ));
    }
    text
}
