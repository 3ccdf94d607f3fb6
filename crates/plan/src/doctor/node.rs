//! Whether the node is set up, and up.

use super::{Facts, Finding, Judged, known};

/// The configuration can be used.
pub(super) fn config_valid(facts: &Facts) -> Judged {
    Ok(match &facts.config {
        Ok(config) => Finding::pass(format!("of the node `{}`", config.node.name)),
        Err(why) => Finding::fail(
            why.as_str(),
            "docs/config.md lists every key; `qmoor init` writes a file with all of them",
        ),
    })
}

/// The agent answers.
pub(super) fn agent_up(facts: &Facts) -> Judged {
    if let Some(trouble) = &facts.agent_trouble {
        return Ok(Finding::fail(
            trouble.as_str(),
            "`qmoor serve` starts the node; --config names another one's file",
        ));
    }
    let node = known(&facts.node)?;
    Ok(Finding::pass(format!("process {}, since {:.0}", node.pid, node.started)))
}

/// The engine answers, and does not fall again and again.
pub(super) fn engine_up(facts: &Facts) -> Judged {
    /// Backups, restores and upgrades start it anew, too.
    const STARTS_PER_HOUR: u64 = 6;
    let node = known(&facts.node)?;
    let engine = &node.engine;
    let log = "the log of `qmoor serve` and `state/engine.log` say why";
    if let Some(trouble) = &engine.trouble {
        return Ok(Finding::fail(format!("down: {trouble}"), log));
    }
    if !engine.up {
        return Ok(Finding::fail("down", log));
    }
    let seconds = facts.now.duration_since(node.started).as_secs().max(0);
    let hours = u64::try_from(seconds / 3600).unwrap_or(0) + 1;
    let seen = format!("up; starts since {:.0}: {}", node.started, engine.starts);
    Ok(match engine.starts > hours * STARTS_PER_HOUR {
        true => Finding::warn(seen, log),
        false => Finding::pass(seen),
    })
}
