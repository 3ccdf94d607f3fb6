//! What could be brought back, and how sure that is.

use jiff::{SignedDuration, Timestamp};

use super::{Backup, Facts, Finding, Judged, Place, known};
use crate::config::StoreKind;
use crate::manifest::Grade;

/// A backup a day, and some room for one that runs late.
const BACKUP_OLD: SignedDuration = SignedDuration::from_hours(26);
/// Backups have ended for a week.
const BACKUP_TOO_OLD: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A drill a month.
const DRILL_OLD: SignedDuration = SignedDuration::from_hours(35 * 24);
/// A clock may differ by so much from the one that wrote a time.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// What the clients of Qdrant wait for an answer by default: the Python client over REST.
const CLIENT_TIMEOUT_MS: u128 = 5000;

const TAKE_ONE: &str = "qmoor backup";

/// The newest complete backup is young.
pub(super) fn backup_age(facts: &Facts) -> Judged {
    let Some(newest) = complete(facts)?.max_by_key(|backup| backup.at) else {
        return Ok(Finding::fail("there is no complete backup", TAKE_ONE));
    };
    let age = facts.now.duration_since(newest.at);
    let seen = format!("{} is {} old", newest.id, told(age));
    Ok(if age > BACKUP_TOO_OLD {
        Finding::fail(seen, TAKE_ONE)
    } else if age > BACKUP_OLD {
        Finding::warn(seen, TAKE_ONE)
    } else {
        Finding::pass(seen)
    })
}

/// The newest complete backup is of a grade that is consistent.
pub(super) fn backup_grade(facts: &Facts) -> Judged {
    let newest = complete(facts)?.max_by_key(|backup| backup.at);
    let newest = newest.ok_or("there is no complete backup")?;
    Ok(match newest.grade {
        Some(grade @ (Grade::Clean | Grade::Frozen)) => {
            Finding::pass(format!("{} is of grade {grade}", newest.id))
        }
        Some(Grade::Crash) => Finding::warn(
            format!("{} is what a power cut would have left", newest.id),
            "qmoor backup   without --allow-crash-consistent",
        ),
        None => Finding::warn(
            format!("of {} no grade is known: its manifest is inside its snapshot", newest.id),
            format!("qmoor drill {}   fetches it", newest.id),
        ),
    })
}

/// A restore was tried lately, and went well.
pub(super) fn drill_age(facts: &Facts) -> Judged {
    let drilled = complete(facts)?.filter_map(|backup| Some((backup, backup.drill?)));
    let Some((backup, drill)) = drilled.max_by_key(|(_, drill)| drill.at) else {
        return Ok(Finding::warn("no backup was ever restored in a drill", "qmoor drill"));
    };
    let age = facts.now.duration_since(drill.at);
    let seen = format!(
        "{} was drilled {} ago, back in {:.1} s",
        backup.id,
        told(age),
        drill.rto_ms / 1000.0
    );
    Ok(if !drill.ok {
        Finding::fail(
            format!("{seen}, and was not what its manifest says"),
            "qmoor backup && qmoor drill   and keep the one that failed for a look",
        )
    } else if age > DRILL_OLD {
        Finding::warn(seen, "qmoor drill")
    } else {
        Finding::pass(seen)
    })
}

/// Backups and drills do not depend on somebody thinking of them.
pub(super) fn schedule(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    let schedule = &config.schedule;
    let (backup, drill) = (schedule.backup.as_ref(), schedule.drill.as_ref());
    if backup.is_none() && drill.is_none() && config.gateway.listen.is_loopback() {
        let why = "nothing is scheduled, and a node that listens on loopback alone is tried out";
        return Err(why.to_owned());
    }
    let fix = |key, example| format!("schedule.{key} = \"{example}\"   in qmoor.toml");
    // On AWS a message has them made, and an alarm tells when there is none.
    let by_message = config.aws.is_some();
    Ok(match (backup, drill) {
        (None, _) if !by_message => Finding::warn(
            "the agent makes no backups by itself",
            format!("{}, or a timer of your own", fix("backup", "0 3 * * *")),
        ),
        (_, None) => {
            Finding::warn("the agent makes no drills by itself", fix("drill", "30 4 * * SUN"))
        }
        (Some(backup), Some(drill)) => {
            Finding::pass(format!("backups at `{backup}`, drills at `{drill}`, in UTC"))
        }
        (None, Some(drill)) => {
            Finding::pass(format!("backups on a message, drills at `{drill}`, in UTC"))
        }
    })
}

/// The store answers, and all of it can be read.
pub(super) fn store_reachable(facts: &Facts) -> Judged {
    let backups = match known(&facts.backups)? {
        Ok(backups) => backups,
        Err(why) => {
            return Ok(Finding::fail(
                format!("the store cannot be used: {why}"),
                "see whether its disk is mounted; `store` in qmoor.toml says where it is",
            ));
        }
    };
    let torn = backups.iter().find_map(|backup| Some((&backup.id, backup.trouble.as_ref()?)));
    if let Some((id, trouble)) = torn {
        return Ok(Finding::fail(
            format!("{id} cannot be read: {trouble}"),
            "restic check   tells more; another backup does not depend on it",
        ));
    }
    let left = backups.iter().filter(|backup| !backup.complete && !backup.in_progress).count();
    Ok(match left {
        0 => Finding::pass(format!("{} backups are listed", backups.len())),
        left => Finding::warn(
            format!("{left} of {} backups are incomplete: they cannot be restored", backups.len()),
            "qmoor prune   takes them away",
        ),
    })
}

/// The backups do not go down with the data.
pub(super) fn store_elsewhere(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    match config.store.kind {
        StoreKind::Ebs => {
            return Ok(Finding::pass("EBS keeps the snapshots, apart from the volume"));
        }
        StoreKind::Clone => {
            return Ok(Finding::warn(
                "clones lie on the disk of the volume, and are lost with it",
                "store.kind = \"restic\", with `store.path` on another disk",
            ));
        }
        StoreKind::Restic => {}
    }
    let disks = known(&facts.disks)?;
    let of = |place| disks.iter().find(move |disk| disk.place == place);
    let (Some(data), Some(store)) = (of(Place::Data), of(Place::Store)) else {
        return Err("data and store have not both been made yet".to_owned());
    };
    Ok(match data.device == store.device {
        true => Finding::warn(
            format!(
                "the store lies on the disk of the data ({}), and is lost with it",
                data.point.display()
            ),
            "store.path on another disk, or copy the repository away: `restic copy`, `rsync`",
        ),
        false => Finding::pass(format!("the store lies on {}", store.point.display())),
    })
}

/// Clients wait longer than they are held.
pub(super) fn hold_budget(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    if !config.gateway.enabled {
        return Err("there is no gateway that could hold requests".to_owned());
    }
    let budget = config.gateway.hold_budget.as_millis();
    if budget >= CLIENT_TIMEOUT_MS {
        return Ok(Finding::warn(
            format!(
                "requests are held up to {budget} ms, and the Python client gives up after {CLIENT_TIMEOUT_MS} ms"
            ),
            "gateway.hold_budget = \"4s\", or a longer timeout in every client",
        ));
    }
    let longest = complete(facts)
        .ok()
        .and_then(|all| all.map(|backup| backup.pause_ms).max_by(f64::total_cmp));
    #[expect(clippy::cast_precision_loss, reason = "a minute at most, in milliseconds")]
    let budget_ms = budget as f64;
    Ok(match longest {
        Some(pause) if pause > budget_ms => Finding::warn(
            format!(
                "a backup held requests for {pause:.0} ms, and after {budget} ms writes were told to come again"
            ),
            "qmoor backup --mode freeze, or a lower `backup.max_pause`; our writers and the official uploaders come again by themselves",
        ),
        Some(pause) => Finding::pass(format!(
            "held up to {budget} ms of the {CLIENT_TIMEOUT_MS} ms that clients wait; the longest pause was {pause:.0} ms"
        )),
        None => Finding::pass(format!(
            "held up to {budget} ms of the {CLIENT_TIMEOUT_MS} ms that clients wait"
        )),
    })
}

/// The clock is right, as far as can be told.
pub(super) fn clock(facts: &Facts) -> Judged {
    let ahead = complete(facts).ok().and_then(|mut all| {
        all.find(|backup| backup.at.duration_since(facts.now) > SLACK).map(|backup| &backup.id)
    });
    if let Some(id) = ahead {
        return Ok(Finding::fail(
            format!("{id} is of a time to come: the clock has gone back, and ages are wrong"),
            "timedatectl set-ntp true",
        ));
    }
    let clock = known(&facts.clock)?;
    Ok(match clock.is_synchronized {
        true => Finding::pass(format!("kept right, as {} says", clock.said_by)),
        false => Finding::warn(
            format!(
                "not kept right, as {} says: the ages of backups and the ends of keys drift",
                clock.said_by
            ),
            "timedatectl set-ntp true   or install chrony",
        ),
    })
}

/// The complete backups, or why they are not known.
fn complete(facts: &Facts) -> Result<impl Iterator<Item = &Backup>, String> {
    let listed = known(&facts.backups)?
        .as_ref()
        .map_err(|why| format!("the store cannot be used: {why}"))?;
    Ok(listed.iter().filter(|backup| backup.complete))
}

/// A time in its largest unit.
fn told(age: SignedDuration) -> String {
    match age.as_secs().max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} minutes", seconds / 60),
        seconds @ 7200..172_800 => format!("{} hours", seconds / 3600),
        seconds => format!("{} days", seconds / 86400),
    }
}

/// Bytes a day that the data grows by, between the oldest and the newest backup of the last month; nothing where they are
/// too close to tell.
pub(super) fn growth(backups: &[Backup], now: Timestamp) -> Option<f64> {
    const MONTH: SignedDuration = SignedDuration::from_hours(31 * 24);
    const CLOSE: SignedDuration = SignedDuration::from_hours(12);
    let young = || backups.iter().filter(|one| one.complete && now.duration_since(one.at) < MONTH);
    let oldest = young().min_by_key(|backup| backup.at)?;
    let newest = young().max_by_key(|backup| backup.at)?;
    let between = newest.at.duration_since(oldest.at);
    if between < CLOSE {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let grown = newest.bytes_total as f64 - oldest.bytes_total as f64;
    Some(grown / (between.as_secs_f64() / 86400.0))
}
