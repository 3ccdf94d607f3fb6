//! Which node is meant: its configuration, its address, the key to it.

use std::path::{Path, PathBuf};

use qmoor_agent::control::client::{Client, ClientError};
use qmoor_agent::control::wire::FailureKind;
use qmoor_client::target::{Secret, Target};
use qmoor_plan::access::Role;
use qmoor_plan::config::Config;

use crate::cli::{Connection, Global};
use crate::error::{CliError, chain, hint_taken_out, next_step};

/// Used when it lies in the working directory and no other is named.
const DEFAULT_FILE: &str = "qmoor.toml";
/// The node's folder when there is no configuration at all.
const DEFAULT_DIR: &str = "qmoor-data";

/// The configuration file that is meant, if there is one.
pub(crate) fn config_file(global: &Global) -> Option<PathBuf> {
    global.config.clone().or_else(|| {
        let default = PathBuf::from(DEFAULT_FILE);
        default.is_file().then_some(default)
    })
}

/// The configuration: the file that was named, or ./qmoor.toml, or the defaults.
pub(crate) fn config(global: &Global) -> Result<Config, CliError> {
    let Some(file) = config_file(global) else {
        let dir = std::path::absolute(DEFAULT_DIR).map_err(|error| {
            CliError::failed(format!("cannot tell the working directory: {error}"))
        })?;
        return Ok(Config::for_dir(&dir));
    };
    let text = fs_err::read_to_string(&file).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => format!("qmoor init {}   writes one", file.display()),
            _ => "--config names a file of text, in UTF-8".to_owned(),
        };
        CliError::usage(error.to_string()).hint(hint)
    })?;
    let file = std::path::absolute(&file).unwrap_or(file);
    Config::parse(&text, &file).map_err(|error| {
        let (message, nearest) = hint_taken_out(&error.to_string());
        let keys = "docs/config.md lists every key; `qmoor init` writes a file with all of them";
        CliError::usage(message)
            .hint(nearest.map_or_else(|| keys.to_owned(), |nearest| format!("{nearest} {keys}")))
    })
}

/// Where to send requests, and the key for `role`.
pub(crate) async fn target(
    global: &Global,
    connection: &Connection,
    role: Role,
) -> Result<Target, CliError> {
    // A key that was named and is not there is said before anybody is asked.
    let named = connection.key.as_deref().map(|place| key_from("--key", place)).transpose()?;
    let grpc_url = match &connection.url {
        Some(url) => url.clone(),
        None => {
            let status = agent(global, &config(global)?)?
                .status()
                .await
                .map_err(|error| agent_error(&error))?;
            let address =
                status.grpc.ok_or_else(|| CliError::failed("the node listens nowhere yet"))?;
            format!("http://{address}")
        }
    };
    let key = match named {
        Some(key) => Some(key),
        None => match std::env::var("QMOOR_KEY") {
            Ok(key) if !key.is_empty() => Some(key),
            Ok(_) | Err(_) if connection.url.is_some() => None,
            Ok(_) | Err(_) => session_key(global, &config(global)?, role).await?,
        },
    };
    Ok(Target {
        grpc_url,
        collection: connection.collection.clone(),
        key: key.map(Secret::new),
        tls_ca: None,
    })
}

/// `env:NAME` or `file:PATH`: a key itself never stands on a command line.
pub(crate) fn key_from(flag: &str, place: &str) -> Result<String, CliError> {
    let key = match place.split_once(':') {
        Some(("env", name)) => std::env::var(name)
            .map_err(|_| CliError::usage(format!("{flag}: there is no variable `{name}`")))?,
        Some(("file", path)) => fs_err::read_to_string(Path::new(path))
            .map_err(|error| CliError::usage(format!("{flag}: {error}")))?,
        Some(_) | None => {
            return Err(CliError::usage(format!(
                "{flag} is env:NAME or file:PATH, so that no key stands on a command line"
            )));
        }
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(CliError::usage(format!("{flag}: the key at `{place}` is empty")));
    }
    Ok(key.to_owned())
}

/// A key for this role from the agent on this host, which trusts whoever may open its socket.
async fn session_key(
    global: &Global,
    config: &Config,
    role: Role,
) -> Result<Option<String>, CliError> {
    match agent(global, config)?.session_key(role).await {
        Ok(fresh) => Ok(Some(fresh.key)),
        Err(error) => Err(agent_error(&error)),
    }
}

/// The way to the agent: of the node that is named, or of the one on this host.
pub(crate) fn agent(global: &Global, config: &Config) -> Result<Client, CliError> {
    let Some(url) = &global.node else { return Ok(Client::new(&config.node.state)) };
    let key = qmoor_agent::keys::Secret::new(key_from("--node-key", &global.node_key)?);
    Client::through(url, key).map_err(|error| agent_error(&error))
}

/// An agent's refusal with its hint and exit code.
pub(crate) fn agent_error(error: &ClientError) -> CliError {
    let message = chain(error);
    let failure = match error {
        ClientError::Refused(failure) => match failure.kind {
            FailureKind::Busy => CliError::locked(message),
            FailureKind::Usage => CliError::usage(message),
            FailureKind::Unknown | FailureKind::Failed => CliError::failed(message),
        },
        ClientError::NotRunning { .. }
        | ClientError::Connect { .. }
        | ClientError::Broken { .. } => CliError::failed(message),
        ClientError::NotAGateway { .. } => CliError::usage(message),
    };
    let step = next_step(&failure.message).map(str::to_owned);
    failure.maybe_hint(error.hint().or(step))
}
