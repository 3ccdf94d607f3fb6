//! `qmoor init`: a commented configuration that equals the defaults.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::cli::Init;
use crate::error::{CliError, next_step};
use crate::output::Output;

/// Writes the file; refuses to overwrite one unless told.
pub(crate) fn run(args: &Init, out: Output) -> Result<(), CliError> {
    let path = &args.path;
    write(path, args.force).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            CliError::failed(format!("`{}` is there already", path.display()))
                .hint(format!("qmoor init --force {}   to overwrite it", path.display()))
        } else {
            let message = format!("cannot write `{}`: {error}", path.display());
            let step = next_step(&message).map(str::to_owned);
            CliError::failed(message).maybe_hint(step)
        }
    })?;
    out.result(
        &json!({ "path": path }),
        format_args!("wrote {}\nnext: qmoor serve --config {0}", path.display()),
    )
}

/// All of it or nothing: a disk that is full leaves no half of a file, and the file before as it was.
fn write(path: &Path, overwrite: bool) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // What the process's umask leaves of it.
    let readable = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .prefix(".qmoor-init-")
        .permissions(readable)
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(qmoor_plan::config::template().as_bytes())?;
    file.as_file().sync_all()?;
    if overwrite {
        file.persist(path)?;
    } else {
        file.persist_noclobber(path)?;
    }
    Ok(())
}
