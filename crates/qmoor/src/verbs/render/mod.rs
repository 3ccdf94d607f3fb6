//! `qmoor render`: what would be used elsewhere, as text on stdout.

mod cloudformation;
mod compose;
mod firewall;

use qmoor_plan::systemd;
use serde_json::json;

use crate::cli::{Global, Render, RenderWhat};
use crate::error::CliError;
use crate::node;
use crate::output::Output;

/// Prints it; writes nothing.
pub(crate) fn run(global: &Global, args: &Render, out: Output) -> Result<(), CliError> {
    match &args.what {
        RenderWhat::Compose => {
            let compose = compose::file(&node::config(global)?)?;
            out.result(&json!({ "compose": compose }), compose.trim_end())
        }
        RenderWhat::Firewall(wanted) => {
            let rules = firewall::rules(&node::config(global)?, &wanted.allow);
            out.result(&json!({ "rules": rules }), rules.trim_end())
        }
        RenderWhat::Cloudformation(wanted) => {
            let (template, text) = cloudformation::stack(&node::config(global)?, wanted)?;
            out.result(&json!({ "template": template }), text.trim_end())
        }
        RenderWhat::UserData => {
            let text = cloudformation::machine(&node::config(global)?)?;
            out.result(&json!({ "user_data": text }), text.trim_end())
        }
        RenderWhat::Iam => {
            let policies = cloudformation::policies(&node::config(global)?)?;
            out.result(&policies, format!("{policies:#}"))
        }
        RenderWhat::Systemd => {
            let config = node::config(global)?;
            let program = std::env::current_exe().map_err(|error| {
                CliError::failed(format!("cannot tell where qmoor is: {error}"))
            })?;
            let file =
                node::config_file(global).map(|file| std::path::absolute(&file).unwrap_or(file));
            let unit = systemd::unit(&program, file.as_deref(), &config);
            out.result(&json!({ "unit": unit }), unit.trim_end())
        }
    }
}
