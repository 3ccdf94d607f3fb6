//! `qmoor index`: documents or vectors in.

use std::time::Duration;

use indicatif::ProgressBar;
use qmoor_client::error::Error;
use qmoor_client::index::{IndexOptions, Phase, Progress, Summary, index};
use qmoor_client::source::{Columns, Source, SourceOptions, open};
use qmoor_client::target::Target;
use qmoor_plan::access::Role;

use crate::cli::{self, Global};
use crate::error::{CliError, chain};
use crate::node;
use crate::output::{Output, bytes};

/// How long one batch may be refused before the run ends.
const GIVE_UP_AFTER: Duration = Duration::from_mins(10);

/// Reads the source, writes what changed, tells what was done.
pub(crate) async fn run(global: &Global, args: cli::Index, out: Output) -> Result<(), CliError> {
    // A run with --bulk that was killed left its former settings here; any later run restores them.
    let bulk_state = bulk_state(&args.connection.collection);
    // Changing a collection's settings, even for a while, is not for the index key.
    let role = if args.bulk || bulk_state.exists() { Role::Admin } else { Role::Index };
    let target = node::target(global, &args.connection, role).await?;
    let options = IndexOptions {
        batch_points: args.batch_points,
        distance: args.distance.map(distance),
        mirror: args.mirror,
        bulk: args.bulk,
        bulk_state: Some(bulk_state),
        dead_letter: args.dead_letter.clone(),
        give_up_after: GIVE_UP_AFTER,
        ..IndexOptions::default()
    };
    let source_options = SourceOptions {
        chunk_chars: args.chunk_size,
        columns: Columns { vector: args.vector_column.clone(), ..Columns::default() },
        ..SourceOptions::default()
    };
    let path = args.source.clone();
    let source = tokio::task::spawn_blocking(move || open(&path, &source_options))
        .await
        .map_err(|error| CliError::failed(format!("reading the source ended early: {error}")))?
        .map_err(|error| client_error(&Error::from(error)))?;
    let summary = write(&target, source, &options, out).await?;
    let unusable = unusable(&summary).filter(|_| args.dead_letter.is_none());
    if args.backup && unusable.is_none() {
        let request = cli::Backup { batch_id: args.batch_id, ..cli::Backup::plain() };
        return super::backup::run(global, request, out).await;
    }
    out.result(&summary, summary_text(&summary))?;
    unusable.map_or(Ok(()), Err)
}

/// Files that could not be used are a failure unless they were set aside, said when all others are in.
fn unusable(summary: &Summary) -> Option<CliError> {
    let first = summary.rejected.first()?;
    let message = format!(
        "what could not be used: {} in all, the first {}: {}",
        summary.rejected_count, first.place, first.why
    );
    let hint = "mend it and run it again, or set such files aside with --dead-letter FILE";
    Some(CliError::failed(message).hint(hint))
}

/// Writes a source with a progress bar.
pub(crate) async fn write(
    target: &Target,
    source: Source,
    options: &IndexOptions,
    out: Output,
) -> Result<Summary, CliError> {
    let bar = out.bar(source.documents_total(), "documents");
    let shown = bar.clone();
    let summary = index(target, source, options, &move |progress| show(&shown, &progress)).await;
    bar.finish_and_clear();
    summary.map_err(|error| client_error(&error))
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.documents_done);
    let text = match (progress.phase, progress.waiting) {
        (_, true) => "the node asks us to wait".to_owned(),
        (Phase::Writing, false) => {
            format!("{} written, {} unchanged", progress.written, progress.unchanged)
        }
        (Phase::Removing, false) => format!("{} removed", progress.removed),
    };
    bar.set_message(text);
}

/// The summary for people. Its numbers add up: read = written + unchanged + rejected.
pub(crate) fn summary_text(summary: &Summary) -> String {
    let mut text = format!(
        "{} documents, {} chunks ({}) in {:.1} s: {} written, {} unchanged, {} rejected; {} removed",
        summary.documents,
        summary.chunks,
        bytes(summary.bytes),
        summary.seconds,
        summary.written,
        summary.unchanged,
        summary.rejected_count,
        summary.removed,
    );
    if summary.skipped > 0 {
        text.push_str(&format!("\n{} files passed over: they are not text", summary.skipped));
    }
    if summary.retries > 0 {
        text.push_str(&format!("\n{} calls were repeated", summary.retries));
    }
    for rejected in &summary.rejected {
        text.push_str(&format!("\nrejected: {}: {}", rejected.place, rejected.why));
    }
    if let Some(why) = &summary.removals_left {
        text.push_str(&format!("\nnothing was removed: {why}"));
    }
    text
}

/// In the working directory, named for the collection, so that a run after a crash finds it.
fn bulk_state(collection: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(format!(".qmoor-bulk-{}.json", collection.replace(['/', '\\'], "_")))
}

/// A client's error with its hint.
pub(crate) fn client_error(error: &Error) -> CliError {
    CliError::failed(chain(error)).maybe_hint(error.hint())
}

fn distance(distance: cli::Distance) -> qmoor_client::ensure::Distance {
    use qmoor_client::ensure::Distance;
    match distance {
        cli::Distance::Cosine => Distance::Cosine,
        cli::Distance::Dot => Distance::Dot,
        cli::Distance::Euclid => Distance::Euclid,
        cli::Distance::Manhattan => Distance::Manhattan,
    }
}
