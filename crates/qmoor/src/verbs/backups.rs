//! `qmoor backups`: what there is to restore.

use jiff::Timestamp;
use qmoor_agent::catalogue::BackupInfo;

use crate::cli::Global;
use crate::error::CliError;
use crate::node;
use crate::output::{Output, bytes, table};
use crate::reach::Reach;

/// Lists the backups, the newest first.
pub(crate) async fn run(global: &Global, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "backups", out).await?;
    let mut backups = reach.backups().await?;
    backups.reverse();
    if backups.is_empty() {
        return out.result(&backups, "there is no backup yet: `qmoor backup` takes one");
    }
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = backups.iter().map(|backup| row(now, backup)).collect();
    let header = ["ID", "AGE", "GRADE", "POINTS", "SIZE", "PAUSE", "PROVED", "BATCH"];
    out.result(&backups, table(&header, &rows))
}

fn row(now: Timestamp, backup: &BackupInfo) -> Vec<String> {
    let points: u64 = backup.collections.values().sum();
    let grade = match (backup.complete, backup.in_progress, backup.grade) {
        (_, true, _) => "running".to_owned(),
        (false, false, _) => "incomplete".to_owned(),
        (true, false, Some(grade)) => grade.to_string(),
        (true, false, None) => "unknown".to_owned(),
    };
    let proved = match (&backup.drilled, backup.verified) {
        (Some(drill), _) if drill.ok => format!("drilled {} ago", super::age(now, drill.at)),
        (Some(drill), _) => format!("drill FAILED {} ago", super::age(now, drill.at)),
        (None, Some(at)) => format!("read back {} ago", super::age(now, at)),
        (None, None) => "no".to_owned(),
    };
    let batch = backup.batch_id.clone().unwrap_or_default();
    vec![
        backup.id.clone(),
        super::age(now, backup.at),
        grade,
        points.to_string(),
        bytes(backup.bytes_total),
        format!("{:.0} ms", backup.pause_ms),
        proved,
        if backup.pinned { format!("{batch} (pinned)") } else { batch },
    ]
}
