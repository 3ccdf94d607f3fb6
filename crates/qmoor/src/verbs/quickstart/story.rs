//! The story, step by step. Each step does the real thing and returns its figures.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use qmoor_agent::backup::{BackupReport, BackupRequest};
use qmoor_client::index::{IndexOptions, Summary};
use qmoor_client::search::{Hit, Searcher};
use qmoor_client::source::{Source, SourceOptions, open};
use serde_json::json;

use super::load::{Load, Seen};
use super::manual;
use super::node::{Door, Running};
use super::points::{self, Point};
use super::report::{Backup, Drill, Found, Indexed, Reindexed, Report, Restore, Search};
use crate::error::CliError;
use crate::output::Output;
use crate::reach::Reach;
use crate::verbs::index::{client_error, summary_text, write};
use crate::verbs::search::hits_text;

/// The collection of the story.
const COLLECTION: &str = "manual";
/// Hits shown for each question.
const HITS: u64 = 3;
/// Requests that must be answered before the backup begins and after it has ended, so that it is
/// surrounded by load.
const REQUESTS_AROUND: u64 = 50;
/// Longest wait for those.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells the whole story and returns its figures.
pub(super) async fn tell(
    node: &mut Running,
    docs: Option<&Path>,
    out: Output,
) -> Result<Report, CliError> {
    let say = |text: String| {
        if out.is_json() {
            out.say(text);
            return Ok(());
        }
        out.line(text)
    };
    let door = node.door().await?;
    say(format!("1  a node is up on {}: an engine, a gateway, three keys", door.address))?;

    let (first, second) = (index(&door, docs, out).await?, index(&door, docs, out).await?);
    say(format!(
        "2  indexed:   {}\n   once more: {}",
        summary_text(&first),
        summary_text(&second)
    ))?;

    let searches = ask(&door, docs.is_none()).await?;
    for (query, hits) in &searches {
        say(format!("3  \"{query}\"\n{}", indented(&hits_text(hits))))?;
    }

    let denied = denied_write(&door).await?;
    say(format!("4  a write with the search key is refused: status {denied}"))?;

    let reach = Reach::here(node.config.clone(), "quickstart", out).await?;
    let before = points::all(&door.searcher(), COLLECTION).await?;
    let (backup, seen) = back_up(&reach, &door, &before).await?;
    say(format!(
        "5  backup {}: grade {}, pause {:.0} ms; {} requests meanwhile, {} failed",
        backup.id, backup.grade, backup.pause_ms, seen.requests, seen.failed
    ))?;

    destroy(&node.config.node.data)?;
    say(format!("6  destroyed {}", node.config.node.data.display()))?;
    let restored = reach.restore(&backup.id).await?;
    let after = points::all(&door.searcher(), COLLECTION).await?;
    let equal = before == after;
    say(format!(
        "   restored in {:.1} s: {} points before, {} after, {}",
        restored.total_ms / 1000.0,
        before.len(),
        after.len(),
        if equal { "each with the same payload and vectors" } else { "NOT equal" },
    ))?;

    let drill = reach.drill(&backup.id).await?;
    say(format!(
        "7  drilled: {}, back in {:.1} s",
        if drill.ok { "the backup restores" } else { "the backup does NOT restore" },
        drill.rto_ms / 1000.0
    ))?;

    let report = Report {
        indexed: Indexed { documents: first.documents, chunks: first.chunks },
        reindexed: Reindexed { written: second.written, unchanged: second.unchanged },
        searches: searches.iter().map(|(query, hits)| found(query, hits)).collect(),
        denied_write_status: denied,
        backup: Backup {
            id: backup.id,
            grade: backup.grade.to_string(),
            pause_ms: backup.pause_ms,
            requests_during: seen.requests,
            failed_requests: seen.failed,
        },
        restore: Restore { points_before: before.len(), points_after: after.len(), equal },
        drill: Drill { ok: drill.ok, rto_ms: drill.rto_ms },
    };
    judge(&report)?;
    Ok(report)
}

/// The story must end as it should; if not, the figures go into the error.
fn judge(report: &Report) -> Result<(), CliError> {
    let good = report.reindexed.written == 0
        && report.denied_write_status == 403
        && report.backup.failed_requests == 0
        && report.restore.equal
        && report.drill.ok;
    if good {
        return Ok(());
    }
    let figures = serde_json::to_string(report).unwrap_or_default();
    Err(CliError::failed(format!("the story did not end as it should: {figures}")))
}

async fn index(door: &Door, docs: Option<&Path>, out: Output) -> Result<Summary, CliError> {
    let options = SourceOptions::default();
    let source = match docs {
        Some(dir) => {
            let dir = dir.to_owned();
            tokio::task::spawn_blocking(move || open(&dir, &options)).await.map_err(|error| {
                CliError::failed(format!("reading the source ended early: {error}"))
            })?
        }
        None => Source::documents(manual::documents(), &options),
    };
    let source = source.map_err(|error| client_error(&error.into()))?;
    write(&door.index_target(COLLECTION), source, &IndexOptions::default(), out).await
}

/// Three questions: the manual's own, or the first words of three hits when it is somebody's folder.
async fn ask(door: &Door, manual: bool) -> Result<Vec<(String, Vec<Hit>)>, CliError> {
    let searcher =
        Searcher::open(&door.search_target(COLLECTION)).await.map_err(|e| client_error(&e))?;
    let questions: Vec<String> = if manual {
        manual::QUESTIONS.map(str::to_owned).to_vec()
    } else {
        let points = points::all(&door.searcher(), COLLECTION).await?;
        let step = (points.len() / 3).max(1);
        points.iter().step_by(step).take(3).map(Point::first_words).collect()
    };
    let mut searches = Vec::new();
    for question in questions {
        let hits =
            searcher.text(&question, HITS, None).await.map_err(|error| client_error(&error))?;
        searches.push((question, hits));
    }
    Ok(searches)
}

fn found(query: &str, hits: &[Hit]) -> Search {
    Search { query: query.to_owned(), hits: hits.iter().map(Found::from).collect() }
}

/// A write with the search key; the status it is answered with.
async fn denied_write(door: &Door) -> Result<u16, CliError> {
    let path = format!("/collections/{COLLECTION}/points?wait=true");
    let body =
        json!({ "points": [{ "id": 1, "vector": {}, "payload": { "text": "not allowed" } }] });
    let (status, _) = door.searcher().send(Method::PUT, &path, &body).await?;
    Ok(status.as_u16())
}

/// A backup in the middle of reads and writes.
async fn back_up(
    reach: &Reach,
    door: &Door,
    before: &[Point],
) -> Result<(BackupReport, Seen), CliError> {
    let load = Load::start(&door.searcher(), &door.indexer(), COLLECTION, before);
    load.wait_for(REQUESTS_AROUND, LOAD_TIMEOUT).await?;
    let request = BackupRequest { why: "quickstart".to_owned(), ..BackupRequest::default() };
    let backup = reach.backup(&request).await?;
    load.wait_for(load.requests() + REQUESTS_AROUND, LOAD_TIMEOUT).await?;
    Ok((backup, load.finish().await))
}

/// What a lost volume looks like: everything under the data directory is gone.
fn destroy(data: &Path) -> Result<(), CliError> {
    fs_err::remove_dir_all(data).map_err(|error| CliError::failed(error.to_string()))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
