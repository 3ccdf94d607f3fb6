//! Programs of the system, run to their end within a bound.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::VolumeError;

/// Longer than the check of any file system should take.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// Where they are, whatever `PATH` says: a service often has no `sbin` in it.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A program about to be run.
pub(super) struct Tool {
    program: &'static str,
    package: &'static str,
    command: Command,
}

/// How it ended.
pub(super) struct Ended {
    command: String,
    pub(super) code: Option<i32>,
    /// What it wrote to standard output.
    pub(super) out: String,
    /// What it wrote to standard error, on one line.
    pub(super) said: String,
}

impl Tool {
    /// `package` is what it comes in on Debian.
    pub(super) fn new(program: &'static str, package: &'static str) -> Self {
        let mut command = Command::new(program);
        command.env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { program, package, command }
    }

    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Runs it, however it ends.
    pub(super) fn run(mut self) -> Result<Ended, VolumeError> {
        let command = format!("{:?}", self.command).replace('"', "");
        let command = command
            .split_once(self.program)
            .map_or(command.clone(), |(_, arguments)| format!("{}{arguments}", self.program));
        let failed = |how: String| VolumeError::Tool { command: command.clone(), how };
        let child = self.command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                VolumeError::ToolMissing { program: self.program, package: self.package }
            }
            _ => failed(format!("could not be run: {error}")),
        })?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (tell, told) = mpsc::channel::<io::Result<Output>>();
        std::thread::spawn(move || drop(tell.send(child.wait_with_output())));
        let output = match told.recv_timeout(LONGEST) {
            Ok(output) => output.map_err(|error| failed(format!("could not be run: {error}")))?,
            Err(_) => {
                pid.and_then(|pid| kill_process(pid, Signal::KILL).ok());
                return Err(failed(format!("did not end within {LONGEST:?} and was killed")));
            }
        };
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Ended { command, code: output.status.code(), out, said })
    }

    /// Runs it, and takes everything but exit code 0 for a failure. Returns its standard output.
    pub(super) fn done(self) -> Result<String, VolumeError> {
        let ended = self.run()?;
        if ended.code == Some(0) { Ok(ended.out) } else { Err(ended.failure()) }
    }
}

impl Ended {
    /// As an error.
    pub(super) fn failure(self) -> VolumeError {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        VolumeError::Tool {
            command: self.command,
            how: format!(
                "ended with {code}: {}",
                if self.said.is_empty() { self.out } else { self.said }
            ),
        }
    }
}
