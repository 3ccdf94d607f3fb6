//! `qmoor status`: the node at a glance, once or again and again.

mod watch;

use jiff::Timestamp;
use qmoor_agent::catalogue::BackupInfo;
use qmoor_agent::control::client::ClientError;
use qmoor_agent::control::wire::{ScheduleNow, Status};
use qmoor_agent::gate::Phase;
use serde_json::json;

use crate::cli::{self as args, Global};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::Output;
use crate::reach::Reach;
use crate::verbs::stack::{Session, drift};

/// Asks the agent and says it in a few lines.
pub(crate) async fn run(global: &Global, args: &args::Status, out: Output) -> Result<(), CliError> {
    let config = config(global)?;
    if args.watch {
        return watch::run(&agent(global, &config)?, args.every, out).await;
    }
    let asked = agent(global, &config)?.status().await;
    if let (Err(ClientError::NotRunning { .. }), Some(_), None) =
        (&asked, &config.aws, &global.node)
    {
        return of_the_stack(global, out).await;
    }
    let status = asked.map_err(|error| agent_error(&error))?;
    let backups = Reach::new(global, config, "status", out).await?.backups().await?;
    let (last_backup, last_drill) = (last_backup(&backups), last_drill(&backups));
    let text = status_text(&status, last_backup, last_drill);
    out.result(
        &json!({ "node": status, "last_backup": last_backup, "last_drill": last_drill }),
        text,
    )
}

fn last_backup(backups: &[BackupInfo]) -> Option<&BackupInfo> {
    backups.iter().rev().find(|backup| backup.complete)
}

fn last_drill(backups: &[BackupInfo]) -> Option<&BackupInfo> {
    let at = |backup: &&BackupInfo| backup.drilled.as_ref().map(|drill| drill.at);
    backups.iter().filter(|backup| backup.drilled.is_some()).max_by_key(at)
}

/// Where no agent runs and the file names a machine on AWS: what its stack says, and what other hands have changed.
async fn of_the_stack(global: &Global, out: Output) -> Result<(), CliError> {
    let session = Session::open(global).await?;
    let name = &session.machine.stack;
    let found =
        session.aws.cloudformation().stack(name).await.map_err(|error| CliError::of(&error))?;
    let Some(stack) = found else {
        return Err(CliError::failed(format!(
            "no agent runs here, and there is no stack `{name}`"
        ))
        .hint("`qmoor up` makes it, `qmoor serve` starts a node on this host"));
    };
    let drift = drift(&session, out).await?;
    let mut text = format!("stack     {name}: {}", stack.status);
    for drift in &drift {
        text.push_str(&format!("\ndrift     {drift}"));
    }
    if drift.is_empty() {
        text.push_str("\ndrift     none");
    }
    text.push_str("\nnode      `qmoor remote status` asks it");
    out.result(&json!({ "stack": name, "status": stack.status, "drift": drift }), text)
}

fn status_text(status: &Status, backup: Option<&BackupInfo>, drill: Option<&BackupInfo>) -> String {
    let now = Timestamp::now();
    let at = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "nowhere".to_owned(), |a| a.to_string())
    };
    let engine = match (&status.engine.trouble, status.engine.since) {
        (Some(trouble), _) => format!("DOWN: {trouble}"),
        (None, Some(since)) if status.engine.up => {
            format!("up for {}, started {} times", super::age(now, since), status.engine.starts)
        }
        (None, _) => "down".to_owned(),
    };
    let backup = backup.map_or_else(
        || "never: `qmoor backup` takes one".to_owned(),
        |b| {
            let grade = b.grade.map(|grade| grade.to_string()).unwrap_or_default();
            format!(
                "{} ago ({}, grade {grade}, pause {:.0} ms)",
                super::age(now, b.at),
                b.id,
                b.pause_ms
            )
        },
    );
    let drill = drill.and_then(|b| b.drilled.as_ref().map(|d| (b, d))).map_or_else(
        || "never: `qmoor drill` proves a backup".to_owned(),
        |(b, d)| {
            let verdict = if d.ok { "good" } else { "FAILED" };
            format!(
                "{} ago ({}, {verdict}, back in {:.1} s)",
                super::age(now, d.at),
                b.id,
                d.rto_ms / 1000.0
            )
        },
    );
    let gate = gate_text(status);
    let schedules: String =
        status.schedules.iter().map(|schedule| schedule_text(schedule, now)).collect();
    format!(
        "node         {} (qmoor {}, process {}, up for {})\n\
         address      {} (REST and gRPC), {}\n\
         engine       {engine}\n\
         gate         {gate}\n\
         data         {}\n\
         last backup  {backup}\n\
         last drill   {drill}{schedules}",
        status.name,
        status.version,
        status.pid,
        super::age(now, status.started),
        at(status.http),
        at(status.grpc),
        status.data.display(),
    )
}

/// What is held and for what, or what is in flight.
fn gate_text(status: &Status) -> String {
    let gate = &status.gate;
    let held = match gate.phase {
        Phase::Open => "open".to_owned(),
        Phase::WritesHeld => format!("HOLDS writes, {} wait", gate.held),
        Phase::AllHeld => format!("HOLDS reads and writes, {} wait", gate.held),
    };
    let doing = status.busy.as_ref().map_or_else(String::new, |busy| {
        format!("; {} for {}", busy.why, super::age(Timestamp::now(), busy.since))
    });
    let step = status.backup.as_ref().and_then(|backup| backup.step);
    let step = step.map_or_else(String::new, |step| format!(", at `{step}`"));
    format!(
        "{held}, {} reads and {} writes in flight{doing}{step}",
        gate.reads_in_flight, gate.writes_in_flight
    )
}

/// A line for the next run of a schedule.
fn schedule_text(schedule: &ScheduleNow, now: Timestamp) -> String {
    let next = match schedule.next {
        Some(next) if next > now => {
            format!("in {} ({next:.0})", super::age(next, now))
        }
        Some(_) => "now".to_owned(),
        None => "not known yet".to_owned(),
    };
    let missed = match schedule.missed {
        0 => String::new(),
        missed => format!(", {missed} missed so far"),
    };
    let name = format!("next {}", schedule.job);
    format!("\n{name:<13}{next}, by schedule `{}`{missed}", schedule.cron)
}
