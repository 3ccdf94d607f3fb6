//! `qmoor keys`: who may come in.

use jiff::Timestamp;
use qmoor_plan::access::Role;
use serde_json::json;

use crate::cli::{Global, Keys, KeysAction};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::{Output, table};

/// Lists, makes or ends keys, through the running agent.
pub(crate) async fn run(global: &Global, args: Keys, out: Output) -> Result<(), CliError> {
    let agent = agent(&config(global)?);
    match args.action {
        KeysAction::List => {
            let keys = agent.keys().await.map_err(|error| agent_error(&error))?;
            let now = Timestamp::now();
            let rows: Vec<Vec<String>> = keys
                .iter()
                .map(|key| vec![key.id.clone(), key.role.to_string(), super::age(now, key.created)])
                .collect();
            out.result(&keys, table(&["ID", "ROLE", "AGE"], &rows))
        }
        KeysAction::Rotate { role } => {
            let role = role_named(&role)?;
            let fresh = agent.rotate_key(role).await.map_err(|error| agent_error(&error))?;
            let text = format!(
                "{}\n\nThis is the new {role} key, shown this once. Its id is {}.\n\
                 The key before it stays valid: `qmoor keys list` shows its id, `qmoor keys revoke ID` ends it.",
                fresh.key, fresh.info.id,
            );
            out.result(&fresh, text)
        }
        KeysAction::Revoke { id } => {
            let gone = agent.revoke_key(&id).await.map_err(|error| agent_error(&error))?;
            out.result(
                &json!({ "revoked": gone }),
                format_args!("revoked {} ({})", gone.id, gone.role),
            )
        }
    }
}

fn role_named(name: &str) -> Result<Role, CliError> {
    match name {
        "search" => Ok(Role::Search),
        "index" => Ok(Role::Index),
        "admin" => Ok(Role::Admin),
        _ => Err(CliError::usage(format!("there is no role `{name}`"))
            .hint("the roles are search, index and admin")),
    }
}
