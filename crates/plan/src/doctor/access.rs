//! Who gets in at the door.

use jiff::SignedDuration;

use super::{Facts, Finding, Judged, Seen, known};
use crate::config::Config;
use crate::engine::{Lineage, Version};

/// The server is there.
pub(super) fn reachable(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    Ok(match &door.greeting {
        Ok(200) => Finding::pass(format!("{} answers", door.url)),
        // A proxy in front, or a server of another make.
        Ok(status) => Finding::warn(
            format!("{} answers with status {status}", door.url),
            "see whether it is Qdrant that listens there",
        ),
        Err(why) => Finding::fail(
            why.as_str(),
            "see whether the server runs, and whether this host may reach its port",
        ),
    })
}

/// The server answers a request with a key.
pub(super) fn answers_with_key(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    Ok(match answered(&door.with_key)? {
        200 => Finding::pass("status 200 with a key"),
        status @ (401 | 403) => Finding::fail(
            format!("the key is refused with status {status}"),
            "the key is another one's, or has ended: `qmoor keys list` on the node; with --url, --key names the right one",
        ),
        status => Finding::fail(
            format!("status {status} with a key"),
            "see the log of the server, and whether its engine is up",
        ),
    })
}

/// The server does not answer a request without a key.
pub(super) fn refuses_without_key(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    let status = answered(&door.without_key)?;
    Ok(match status {
        // Told to come later is refused, too: of this address came too many wrong keys.
        401 | 403 | 429 => Finding::pass(format!("status {status} without a key")),
        200..300 => Finding::fail(
            format!("{} answers without a key: who reaches it owns the data", door.url),
            "set QDRANT__SERVICE__API_KEY (a wrong name is ignored without a word), or put it behind `qmoor serve`",
        ),
        _ => Finding::warn(
            format!("status {status} without a key: neither an answer nor a refusal"),
            "see the log of the server",
        ),
    })
}

/// The key for searching does not write.
pub(super) fn search_key_cannot_write(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    let status = answered(&door.search_key_write)?;
    Ok(match status {
        401 => Finding::warn(
            "the key for searching is refused altogether",
            "`qmoor keys rotate search` makes another; with --url, --search-key names the right one",
        ),
        403 | 429 => {
            Finding::pass(format!("a deletion of nothing is refused with status {status}"))
        }
        _ => Finding::fail(
            format!("a deletion with the key for searching is let through (status {status})"),
            "give readers a key that only reads: `qmoor keys rotate search`, or QDRANT__SERVICE__READ_ONLY_API_KEY",
        ),
    })
}

/// The key for searching does not get at snapshots, which hold everything.
pub(super) fn search_key_no_snapshots(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    Ok(match answered(&door.search_key_snapshots)? {
        status @ (401 | 403 | 429) => {
            Finding::pass(format!("a list of snapshots is refused with status {status}"))
        }
        status @ 200..300 => Finding::warn(
            format!(
                "the key for searching lists the server's snapshots (status {status}), and downloads them"
            ),
            "put a gateway in front: `qmoor serve` keeps snapshots from everybody but the admin",
        ),
        status => Finding::pass(format!("there are no snapshots to be had (status {status})")),
    })
}

/// What passes between clients and the server is encrypted.
pub(super) fn tls(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    if !door.is_encrypted {
        answered(&door.greeting)?;
        return Ok(match door.is_local {
            true => Finding::pass("not encrypted, and it does not leave this host"),
            false => Finding::warn(
                "keys and data cross the network as they are",
                "gateway.tls_cert and gateway.tls_key; leave them out only where the network itself is trusted",
            ),
        });
    }
    let certificate = known(&door.certificate)?;
    Ok(match &certificate.refused {
        None => Finding::pass("encrypted, with a certificate that clients take"),
        Some(why) => Finding::fail(
            format!("encrypted, with a certificate that clients refuse: {why}"),
            "a certificate for the name that clients use, from who they trust; --tls-ca names your own authority",
        ),
    })
}

/// The certificate does not end soon.
pub(super) fn tls_expiry(facts: &Facts) -> Judged {
    const SOON: SignedDuration = SignedDuration::from_hours(21 * 24);
    let door = known(&facts.door)?;
    if !door.is_encrypted {
        return Err("the server speaks without TLS".to_owned());
    }
    let end = known(&door.certificate)?.not_after;
    let left = end.duration_since(facts.now);
    let fix = "rename a new certificate over `gateway.tls_cert`, its key first: the gateway takes it within two seconds";
    Ok(if left.is_negative() {
        Finding::fail(format!("the certificate has ended at {end:.0}"), fix)
    } else if left < SOON {
        Finding::warn(
            format!("the certificate ends in {} days, at {end:.0}", left.as_hours() / 24),
            fix,
        )
    } else {
        Finding::pass(format!("the certificate ends in {} days", left.as_hours() / 24))
    })
}

/// All collections are as they should be.
pub(super) fn collections_green(facts: &Facts) -> Judged {
    let collections = known(&known(&facts.door)?.collections)?;
    let broken =
        collections.iter().find(|one| one.optimizer_error.is_some() || one.status == "red");
    if let Some(broken) = broken {
        let why = broken.optimizer_error.as_deref().unwrap_or("its status is red");
        return Ok(Finding::fail(
            format!("`{}`: {why}", broken.name),
            "see the log of the engine; a full disk is the usual cause, and a restart tries again",
        ));
    }
    // Yellow is at work, as after every load; grey waits for a first write to go on.
    Ok(match collections.iter().find(|one| one.status == "grey") {
        Some(grey) => Finding::warn(
            format!("`{}` is grey: its optimizations wait since the last restart", grey.name),
            format!(
                "any write lets them go on, such as PATCH /collections/{} with {{\"optimizers_config\": {{}}}}",
                grey.name
            ),
        ),
        None => {
            Finding::pass(match collections.iter().filter(|one| one.status == "yellow").count() {
                0 => format!("{} collections, all green", collections.len()),
                busy => {
                    format!("{} collections, {busy} of them being optimized", collections.len())
                }
            })
        }
    })
}

/// Collections limit what one request may ask for.
pub(super) fn strict_mode(facts: &Facts) -> Judged {
    let collections = known(&known(&facts.door)?.collections)?;
    if collections.is_empty() {
        return Err("there is no collection".to_owned());
    }
    Ok(match collections.iter().find(|one| !one.is_strict) {
        Some(one) => Finding::warn(
            format!("`{}` has no strict mode: one request may ask for everything", one.name),
            format!(
                "PATCH /collections/{} with {{\"strict_mode_config\": {{\"enabled\": true, \"max_query_limit\": 1000}}}}",
                one.name
            ),
        ),
        None => Finding::pass(format!("on in all {} collections", collections.len())),
    })
}

/// The server is of a version that is looked after, and the way to the next one is open.
pub(super) fn version_current(facts: &Facts) -> Judged {
    let door = known(&facts.door)?;
    let text = known(&door.version)?;
    let kind = facts.config.as_ref().map(|config| config.engine.kind).ok();
    if kind == Some(crate::config::EngineKind::Embedded) {
        return Err(format!("the engine is part of qmoor, and speaks as Qdrant {text}"));
    }
    let running =
        Version::parse(text).ok_or_else(|| format!("`{text}` is no version of Qdrant"))?;
    // What this qmoor takes by default is what it was tested with.
    let tested = Config::for_dir(std::path::Path::new("/")).engine.image.version;
    if running >= tested {
        return Ok(Finding::pass(format!("{running}; this qmoor was made with {tested}")));
    }
    let docker = |version| Lineage { kind: crate::config::EngineKind::Docker, version };
    let step = match docker(running).may_open(docker(tested)) {
        Ok(()) => tested.to_string(),
        Err(_) => format!("{}.{}.x", running.major, running.minor + 1),
    };
    Ok(Finding::warn(
        format!("{running}, and there is {tested}"),
        format!("qmoor upgrade {step}   one minor version at a time, a backup first"),
    ))
}

fn answered(status: &Seen<u16>) -> Result<u16, String> {
    known(status).copied()
}
