//! The verbs, one file each.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod backups;
pub(crate) mod completions;
mod confirm;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod drill;
pub(crate) mod engine;
pub(crate) mod hold;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod notify;
pub(crate) mod pin;
pub(crate) mod plan;
pub(crate) mod prune;
pub(crate) mod quickstart;
pub(crate) mod remote;
pub(crate) mod render;
pub(crate) mod restore;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod size;
mod stack;
pub(crate) mod status;
pub(crate) mod thaw_watchdog;
pub(crate) mod up;
pub(crate) mod upgrade;

use jiff::Timestamp;

/// How long ago, in its largest unit: "3 m", "2 h", "5 d".
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}
