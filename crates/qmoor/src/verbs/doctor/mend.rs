//! The one thing that is mended without knowing more: permissions that are too wide are narrowed.

use std::os::unix::fs::PermissionsExt;

use qmoor_plan::doctor::{Facts, FileMode, is_open};

use crate::cli::Doctor;
use crate::error::CliError;
use crate::output::Output;
use crate::verbs::confirm;

/// Takes from others what they must not have, after asking. Says whether anything was changed.
pub(super) fn permissions(facts: &Facts, args: &Doctor, out: Output) -> Result<bool, CliError> {
    let modes = facts.modes.as_deref().unwrap_or_default();
    let open: Vec<&FileMode> = modes.iter().filter(|file| is_open(file)).collect();
    if open.is_empty() {
        out.say("--fix: no permissions are too wide, and nothing else is mended");
        return Ok(false);
    }
    confirm::possible(args.yes)?;
    for file in &open {
        let (from, to) = (file.mode & 0o7777, narrowed(file));
        out.say(format_args!("{}: mode {from:04o} to {to:04o}", file.path.display()));
    }
    if !args.yes && !confirm::asked("Take these permissions away?", out)? {
        return Ok(false);
    }
    for file in open {
        let permissions = std::fs::Permissions::from_mode(narrowed(file));
        fs_err::set_permissions(&file.path, permissions).map_err(|error| CliError::of(&error))?;
    }
    Ok(true)
}

fn narrowed(file: &FileMode) -> u32 {
    file.mode & 0o7777 & !file.guard.forbidden()
}
