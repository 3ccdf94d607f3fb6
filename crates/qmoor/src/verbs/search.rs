//! `qmoor search`: the read side.

use qmoor_client::search::{Hit, search};
use qmoor_plan::access::Role;
use serde_json::Value;

use super::index::client_error;
use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::Output;

/// Longest piece of a hit's text that is shown, in characters.
const EXCERPT_CHARS: usize = 160;

/// Asks and shows the hits.
pub(crate) async fn run(global: &Global, args: cli::Search, out: Output) -> Result<(), CliError> {
    let filter: Option<Value> = match &args.filter {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| {
            CliError::usage(format!("--filter is not JSON: {error}")).hint(
                r#"for example --filter '{"must":[{"key":"_doc","match":{"value":"a.md"}}]}'"#,
            )
        })?),
        None => None,
    };
    let target = node::target(global, &args.connection, Role::Search).await?;
    let limit = u64::try_from(args.limit).unwrap_or(u64::MAX);
    let hits = search(&target, &args.text, limit, filter.as_ref())
        .await
        .map_err(|error| client_error(&error))?;
    out.result(&hits, hits_text(&hits))
}

/// The hits for people, the best first.
pub(crate) fn hits_text(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "no hits".to_owned();
    }
    let lines = hits.iter().map(|hit| {
        format!("{:>7.3}  {} #{}  {}", hit.score, hit.doc, hit.chunk, excerpt(&hit.text))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn excerpt(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or(&words)),
        None => words,
    }
}
