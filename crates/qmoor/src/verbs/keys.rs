//! `qmoor keys`: who may come in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use qmoor_agent::control::client::Client;
use qmoor_agent::control::wire::RotateRequest;
use qmoor_agent::keys::KeyInfo;
use qmoor_plan::access::{Role, Scope};
use serde_json::json;

use crate::cli::{Global, Keys, KeysAction};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::{Output, table};

/// Lists, makes or ends keys, through the running agent.
pub(crate) async fn run(global: &Global, args: Keys, out: Output) -> Result<(), CliError> {
    let agent = agent(global, &config(global)?)?;
    match args.action {
        KeysAction::List => {
            let keys = agent.keys().await.map_err(|error| agent_error(&error))?;
            let now = Timestamp::now();
            let rows: Vec<Vec<String>> = keys.iter().map(|key| row(key, now)).collect();
            out.result(&keys, table(&["ID", "ROLE", "AGE", "ENDS", "COLLECTIONS"], &rows))
        }
        KeysAction::Rotate { role, overlap, collections } => {
            let wanted = wanted(&role, overlap.as_deref(), collections.as_deref())?;
            rotate(&agent, &wanted, out).await
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

fn row(key: &KeyInfo, now: Timestamp) -> Vec<String> {
    let ends = key.until.map_or_else(|| "-".to_owned(), |until| format!("{until:.0}"));
    let collections = key.collections.as_ref().map_or_else(|| "all".to_owned(), Scope::to_string);
    vec![key.id.clone(), key.role.to_string(), super::age(now, key.created), ends, collections]
}

async fn rotate(agent: &Client, wanted: &RotateRequest, out: Output) -> Result<(), CliError> {
    let fresh = agent.rotate_key_to(wanted).await.map_err(|error| agent_error(&error))?;
    let role = fresh.info.role;
    let limit = fresh.info.collections.as_ref();
    let limit = limit.map(|names| format!(", limited to {names}")).unwrap_or_default();
    let before = match wanted.overlap_ms {
        Some(_) => {
            "The key before it, if there was one, ends by itself: `qmoor keys list` shows when."
        }
        None => {
            "The key before it, if there was one, stays valid: `qmoor keys list` shows its id, `qmoor keys revoke ID` ends it."
        }
    };
    if let Some(place) = &fresh.kept_in {
        let text = format!(
            "There is a new {role} key, {}, in {place}: clients read it from there.\nThe key before it stays valid for a while: `qmoor keys list` shows till when.",
            fresh.info.id
        );
        return out.result(&fresh, text);
    }
    let text = format!(
        "{}\n\nThis is the new {role} key{limit}, shown this once. Its id is {}.\n{before}",
        fresh.key, fresh.info.id,
    );
    out.result(&fresh, text)
}

fn wanted(
    role: &str,
    overlap: Option<&str>,
    collections: Option<&str>,
) -> Result<RotateRequest, CliError> {
    let role = role_named(role)?;
    let collections = collections.map(Scope::parse).transpose().map_err(|error| {
        CliError::usage(format!("--collections: {error}"))
            .hint("names with commas between, each whole or its beginning and a `*`: docs,notes-*")
    })?;
    let overlap_ms = overlap.map(milliseconds).transpose()?;
    Ok(RotateRequest { role, collections, overlap_ms })
}

fn milliseconds(text: &str) -> Result<u64, CliError> {
    let wrong = || {
        CliError::usage(format!("--overlap: `{text}` is no time")).hint("like 30m, 1h or 2h 30m")
    };
    let signed: SignedDuration = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from(signed).map_err(|_| wrong())?;
    u64::try_from(time.as_millis()).map_err(|_| wrong())
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
