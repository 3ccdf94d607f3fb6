//! The child process itself, in the hands of the one task that may signal and reap it.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use super::running::{Exit, Order, Running};
use super::{Endpoint, EngineError, EngineSpec};
use crate::keys::Secret;

/// The engine's log is moved aside at a start when it is larger than this, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Runs the engine. `up` is emptied when it ends.
pub(super) fn run(
    spec: &EngineSpec,
    program: &Path,
    api_key: &Secret,
    up: watch::Sender<Option<Endpoint>>,
) -> Result<(Running, ChildStdout), EngineError> {
    let (mut child, stdin, stdout) = spawn(spec, program, api_key)?;
    let pid = child.id().unwrap_or_default();
    let run = Running::owned(pid, up, |inbox| async move { own(&mut child, stdin, inbox).await });
    Ok((run, stdout))
}

/// Makes the directories, moves an overgrown log aside, and returns the log's length.
pub(super) fn prepare(spec: &EngineSpec) -> Result<u64, EngineError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::Prepare { path, source }
    };
    fs_err::create_dir_all(&spec.data).map_err(fail(&spec.data))?;
    let length = match fs_err::metadata(&spec.log) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(fail(&spec.log)(error)),
    };
    if length <= LOG_BYTES_MAX {
        return Ok(length);
    }
    let aside = spec.log.with_extension("log.old");
    fs_err::rename(&spec.log, &aside).map_err(fail(&spec.log))?;
    Ok(0)
}

fn spawn(
    spec: &EngineSpec,
    program: &Path,
    api_key: &Secret,
) -> Result<(Child, Option<ChildStdin>, ChildStdout), EngineError> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&spec.log)
        .map_err(|source| EngineError::Prepare { path: spec.log.clone(), source })?;
    let failed = |source| EngineError::Spawn { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg("engine")
        .arg("--data")
        .arg(&spec.data)
        .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--until-stdin-closes"])
        .env("QDRANT__SERVICE__API_KEY", api_key.expose())
        .env_remove("QDRANT__SERVICE__READ_ONLY_API_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        // A terminal's Ctrl-C goes to the whole process group; the engine is stopped by us, in order.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take();
    let stdout =
        child.stdout.take().ok_or_else(|| failed(std::io::Error::other("no standard output")))?;
    Ok((child, stdin, stdout))
}

/// Owns the child until it has ended. When nobody can give orders any more, standard input is closed, which
/// is the engine's order to flush and exit.
async fn own(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    mut inbox: mpsc::Receiver<Order>,
) -> Exit {
    loop {
        tokio::select! {
            status = child.wait() => return exit(status),
            order = inbox.recv() => match order {
                Some(Order::Term) => signal(child, Signal::TERM),
                Some(Order::Kill) => signal(child, Signal::KILL),
                None => break,
            },
        }
    }
    drop(stdin);
    exit(child.wait().await)
}

fn exit(status: std::io::Result<std::process::ExitStatus>) -> Exit {
    Exit { code: status.ok().and_then(|status| status.code()), out_of_memory: false }
}

/// Signals a child that has not been reaped, so its id is still its own.
fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, signal)
    {
        tracing::warn!(?pid, ?signal, %error, "the engine could not be signalled");
    }
}
