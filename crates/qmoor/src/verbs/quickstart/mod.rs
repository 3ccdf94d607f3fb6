//! `qmoor quickstart`: the whole story of a node, told in a minute by doing it.

mod http;
mod load;
mod manual;
mod node;
mod points;
mod report;
mod story;

use std::path::PathBuf;

use crate::cli;
use crate::error::CliError;
use crate::output::Output;
use crate::process;

/// Where `--keep` puts the node.
const KEPT_DIR: &str = "qmoor-data";

/// Makes a node, tells the story, takes the node down, and says what to type next.
pub(crate) async fn run(args: cli::Quickstart, out: Output) -> Result<(), CliError> {
    // The story is on stdout; `QMOOR_LOG` brings the log back.
    let _log = process::log("off", false);
    let place = Place::new(args.keep)?;
    let mut node = node::Running::start(place.dir())?;
    let told = story::tell(&mut node, args.docs.as_deref(), out).await;
    let ended = node.stop().await;
    let report = told?;
    ended?;
    if !out.is_json() {
        return out.line(next(&place));
    }
    out.result(&report, "")
}

/// Where the node lives: a directory that goes away again, or one that stays.
enum Place {
    Passing(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(keep: bool) -> Result<Self, CliError> {
        if !keep {
            let dir = tempfile::Builder::new().prefix("qmoor-quickstart-").tempdir();
            return dir.map(Self::Passing).map_err(|error| {
                CliError::failed(format!("cannot make a temporary directory: {error}"))
            });
        }
        let dir = std::path::absolute(KEPT_DIR).map_err(|error| {
            CliError::failed(format!("cannot tell the working directory: {error}"))
        })?;
        if dir.exists() {
            return Err(CliError::failed(format!("`{}` is there already", dir.display()))
                .hint("leave --keep out, or go to another directory"));
        }
        Ok(Self::Kept(dir))
    }

    fn dir(&self) -> &std::path::Path {
        match self {
            Self::Passing(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }
}

fn next(place: &Place) -> String {
    match place {
        Place::Passing(_) => "\nThe node is gone again. Next:\n  \
             qmoor quickstart --keep   the same, and the node stays in ./qmoor-data\n  \
             qmoor init                a node of your own, in ./qmoor.toml\n  \
             qmoor serve               runs it"
            .to_owned(),
        Place::Kept(dir) => format!(
            "\nThe node is in {}. Next:\n  \
             qmoor serve                                 runs it on 127.0.0.1:6333\n  \
             qmoor search -c manual \"how do I restore?\"  asks it, from another terminal\n  \
             qmoor status                                what runs",
            dir.display()
        ),
    }
}
