//! `qmoor init`: a commented configuration that equals the defaults.

use std::io::Write;

use serde_json::json;

use crate::cli::Init;
use crate::error::CliError;
use crate::output::Output;

/// Writes the file; refuses to overwrite one unless told.
pub(crate) fn run(args: &Init, out: Output) -> Result<(), CliError> {
    let path = &args.path;
    let mut options = fs_err::OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let write = || -> std::io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(qmoor_plan::config::template().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            CliError::failed(format!("`{}` is there already", path.display()))
                .hint(format!("qmoor init --force {}   to overwrite it", path.display()))
        } else {
            CliError::failed(error.to_string())
        }
    })?;
    out.result(
        &json!({ "path": path }),
        format_args!("wrote {}\nnext: qmoor serve --config {0}", path.display()),
    )
}
