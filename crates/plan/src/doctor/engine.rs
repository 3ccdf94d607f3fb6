//! What the engine runs as, and what the host lets it do.

use super::{Facts, Finding, Judged, known};
use crate::config::EngineKind;

/// What the image has as its program.
const PROGRAM: &str = "./qdrant";
/// Fewer open files than this do not last: each segment of a collection takes some dozens.
const OPEN_FILES: u64 = 10_000;
/// Fewer mapped parts of memory than this do not last: each file of a segment takes one.
const MAPS: u64 = 262_144;
/// Of what a limit admits, so much may be used, in percent.
const USED: u64 = 80;

/// The container is of one image, runs the server itself, and is started again by the right one.
pub(super) fn image_pinned(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    if config.engine.kind == EngineKind::Embedded {
        return Err("the engine is part of this program".to_owned());
    }
    let container =
        known(&facts.docker)?.own.as_ref().ok_or("the node's container is not there")?;
    if container.command.first().map(String::as_str) != Some(PROGRAM) {
        return Ok(Finding::fail(
            format!(
                "process 1 of `{}` is `{}` and not the server: a stop kills it",
                container.name,
                container.command.join(" ")
            ),
            format!("docker rm -f {}, and restart `qmoor serve`: it makes it anew", container.name),
        ));
    }
    let wanted = if config.gateway.enabled { ["no", ""] } else { ["unless-stopped"; 2] };
    if !wanted.contains(&container.restart.as_str()) {
        return Ok(Finding::fail(
            format!(
                "`{}` is started again by the daemon as `{}`, in the middle of a backup if need be",
                container.name, container.restart
            ),
            "restart `qmoor serve`: it sets the policy as it must be",
        ));
    }
    Ok(match &config.engine.image.digest {
        Some(_) => Finding::pass(format!("{} by its digest", config.engine.image.tagged())),
        None => Finding::pass(format!(
            "{}, and held to what it was at first ({})",
            config.engine.image.tagged(),
            container.image
        )),
    })
}

/// The engine may open the files that it needs.
pub(super) fn open_files(facts: &Facts) -> Judged {
    let engine = known(&facts.engine)?;
    let most = *known(&engine.open_files_max)?;
    let config = facts.config.as_ref();
    let fix = match config.map(|config| config.engine.kind) {
        Ok(EngineKind::Docker) => "engine.nofile = 65536, and a restart of `qmoor serve`",
        Ok(EngineKind::Embedded) | Err(_) => {
            "LimitNOFILE=65536 in the unit, as `qmoor render systemd` has it; by hand `ulimit -n 65536`"
        }
    };
    let open = engine.open_files.as_ref().ok();
    let seen = match open {
        Some(open) => format!("{open} of {most} files are open"),
        None => format!("up to {most} files"),
    };
    Ok(if open.is_some_and(|open| too_much(*open, most)) {
        Finding::fail(seen, fix)
    } else if most < OPEN_FILES {
        Finding::warn(seen, fix)
    } else {
        Finding::pass(seen)
    })
}

/// The engine may map the files that it needs.
pub(super) fn map_count(facts: &Facts) -> Judged {
    let most = *known(&facts.map_count)?;
    let used = facts.engine.as_ref().ok().and_then(|engine| engine.maps.as_ref().ok());
    let seen = match used {
        Some(used) => format!("vm.max_map_count is {most}, and the engine uses {used}"),
        None => format!("vm.max_map_count is {most}"),
    };
    let fix = format!(
        "sysctl -w vm.max_map_count={MAPS}   and the same in /etc/sysctl.d/90-qmoor.conf, which holds after a restart"
    );
    Ok(if used.is_some_and(|used| too_much(*used, most)) {
        Finding::fail(seen, fix)
    } else if most < MAPS {
        Finding::warn(seen, fix)
    } else {
        Finding::pass(seen)
    })
}

fn too_much(used: u64, most: u64) -> bool {
    u128::from(used) * 100 > u128::from(most) * u128::from(USED)
}
