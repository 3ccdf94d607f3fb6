//! `qmoor pin`: keeps a backup whatever the rules say.

use serde_json::json;

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::Output;
use crate::reach::Reach;

/// Pins, or takes the pin away.
pub(crate) async fn run(global: &Global, args: cli::Pin, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "pin", out).await?;
    let id = reach.resolve(&args.id).await?;
    reach.pin(&id, args.remove).await?;
    let what = if args.remove { "is left to the retention rules again" } else { "is pinned" };
    out.result(&json!({ "id": id, "pinned": !args.remove }), format_args!("backup {id} {what}"))
}
