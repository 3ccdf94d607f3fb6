//! A server that qmoor did not set up, seen from outside.

use jiff::Timestamp;
use qmoor_plan::doctor::{Facts, Seen};

use super::door::{Keys, look};
use super::http::Server;
use super::tls::Trust;
use crate::cli::Doctor;
use crate::error::CliError;
use crate::node::key_from;

/// What can be seen of it.
pub(super) async fn facts(url: &str, args: &Doctor, now: Timestamp) -> Result<Facts, CliError> {
    let server = Server::parse(url)?;
    let named = |flag: &str, place: &Option<String>| -> Result<Seen<String>, CliError> {
        Ok(match place {
            Some(place) => Ok(key_from(flag, place)?),
            None => Err(format!("no key was given: {flag} env:NAME or file:PATH")),
        })
    };
    let keys =
        Keys { full: named("--key", &args.key)?, search: named("--search-key", &args.search_key)? };
    let pem = args
        .tls_ca
        .as_ref()
        .map(fs_err::read_to_string)
        .transpose()
        .map_err(|error| CliError::usage(format!("--tls-ca: {error}")))?;
    let trust = match server.is_encrypted {
        true => Some(Ok(Trust::authorities(pem.as_deref())
            .map_err(|why| CliError::usage(format!("--tls-ca: {why}")))?)),
        false => None,
    };
    let door = look(&server, trust.as_ref(), &keys).await;
    let why = "it is looked at on the node's own host, without --url";
    Ok(Facts { door: Ok(door), ..Facts::unseen(now, why) })
}
