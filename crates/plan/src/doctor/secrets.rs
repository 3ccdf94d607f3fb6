//! Whether keys are kept from others.

use super::{Facts, FileMode, Finding, Guard, Judged, known};

/// Nobody but the owner reads the node's secrets, or writes what it does as it is told.
pub(super) fn secrets_modes(facts: &Facts) -> Judged {
    let modes = known(&facts.modes)?;
    let mut open: Vec<&FileMode> = modes.iter().filter(|file| is_open(file)).collect();
    // What may be read is worse than what may be changed, which is told as a warning.
    open.sort_by_key(|file| file.guard == Guard::NotWritten);
    let Some(first) = open.first() else {
        return Ok(Finding::pass(format!(
            "{} files and folders are kept from others",
            modes.len()
        )));
    };
    let more = match open.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let seen = format!("{} has the mode {:04o}{more}", first.path.display(), first.mode & 0o7777);
    let take = match first.guard {
        Guard::OwnerOnly => "go-rwx",
        Guard::NotOthers => "o-rwx",
        Guard::NotWritten => "go-w",
    };
    let fix = format!("chmod {take} {}   or all of them: qmoor doctor --fix", first.path.display());
    Ok(match first.guard {
        Guard::NotWritten => Finding::warn(seen, fix),
        Guard::OwnerOnly | Guard::NotOthers => Finding::fail(seen, fix),
    })
}

/// Whether others may do with it what they must not.
pub fn is_open(file: &FileMode) -> bool {
    file.mode & file.guard.forbidden() != 0
}

/// No key stands where others read it: on command lines, in environments, in logs, in the configuration.
pub(super) fn secrets_hidden(facts: &Facts) -> Judged {
    let leaks = known(&facts.leaks)?;
    Ok(match leaks.first() {
        None => Finding::pass(
            "no key on a command line, in the node's environment, log or configuration",
        ),
        Some(first) => Finding::fail(
            match leaks.len() {
                1 => format!("a key stands in {first}"),
                count => format!("a key stands in {first}, and in {} more places", count - 1),
            },
            "qmoor keys rotate ROLE, give clients the new one by a file or the environment, then qmoor keys revoke ID",
        ),
    })
}
