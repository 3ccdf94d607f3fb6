//! The child process itself, in the hands of the one task that may signal and reap it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::{Endpoint, EngineError, EngineSpec};
use crate::keys::Secret;

/// How often SIGTERM is repeated: one that arrives while the engine still starts may be lost.
const TERM_EVERY: Duration = Duration::from_secs(1);
/// How long a killed process may take to be reaped.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);
/// The engine's log is moved aside at a start when it is larger than this, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a process ended with; none for a signal.
pub(super) type ExitCode = Option<i32>;

#[derive(Debug, Clone, Copy)]
enum Order {
    Term,
    Kill,
}

/// The handle on the task that owns a child.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) pid: u32,
    orders: mpsc::Sender<Order>,
    exit: watch::Receiver<Option<ExitCode>>,
    on_purpose: watch::Sender<bool>,
}

/// How a process ended: its code, and whether it had to be killed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: ExitCode,
    killed: bool,
}

impl Ended {
    pub(super) fn clean(&self) -> bool {
        self.code == Some(0) && !self.killed
    }
}

impl Running {
    /// Runs the engine. `up` is emptied when it ends.
    pub(super) fn spawn(
        spec: &EngineSpec,
        api_key: &Secret,
        up: watch::Sender<Option<Endpoint>>,
    ) -> Result<(Self, ChildStdout), EngineError> {
        let (mut child, stdin, stdout) = spawn(spec, api_key)?;
        let pid = child.id().unwrap_or_default();
        let (orders, inbox) = mpsc::channel(4);
        let (exit_seen, exit) = watch::channel(None);
        let run = Self { pid, orders, exit, on_purpose: watch::Sender::new(false) };
        let on_purpose = run.on_purpose.clone();
        tokio::spawn(async move {
            let code = own(&mut child, stdin, inbox).await;
            if !*on_purpose.borrow() {
                tracing::error!(pid, exit_code = ?code, "the engine ended by itself");
            }
            up.send_replace(None);
            exit_seen.send_replace(Some(code));
        });
        Ok((run, stdout))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Waits for the end; none when the deadline comes first.
    pub(super) async fn exited(&self, deadline: Instant) -> Option<ExitCode> {
        let mut exit = self.exit.clone();
        let code = timeout_at(deadline, exit.wait_for(Option::is_some)).await.ok()?;
        Some(code.ok().and_then(|code| code.flatten()))
    }

    /// SIGTERM until it has ended or the time is over, then SIGKILL.
    pub(super) async fn end(&self, timeout: Duration) -> Result<Ended, EngineError> {
        self.on_purpose.send_replace(true);
        let deadline = Instant::now() + timeout;
        loop {
            // A closed channel means that it has ended, which the wait below sees.
            let _sent = self.orders.send(Order::Term).await;
            if let Some(code) = self.exited(deadline.min(Instant::now() + TERM_EVERY)).await {
                return Ok(Ended { code, killed: false });
            }
            if Instant::now() >= deadline {
                tracing::warn!(pid = self.pid, ?timeout, "the engine did not stop and is killed");
                return self.kill().await;
            }
        }
    }

    pub(super) async fn kill(&self) -> Result<Ended, EngineError> {
        self.on_purpose.send_replace(true);
        let _sent = self.orders.send(Order::Kill).await;
        match self.exited(Instant::now() + REAP_TIMEOUT).await {
            Some(code) => Ok(Ended { code, killed: true }),
            None => Err(EngineError::Unkillable { pid: self.pid, after: REAP_TIMEOUT }),
        }
    }
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
    api_key: &Secret,
) -> Result<(Child, Option<ChildStdin>, ChildStdout), EngineError> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&spec.log)
        .map_err(|source| EngineError::Prepare { path: spec.log.clone(), source })?;
    let failed = |source| EngineError::Spawn { program: spec.program.clone(), source };
    let mut child = Command::new(&spec.program)
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
) -> ExitCode {
    loop {
        tokio::select! {
            status = child.wait() => return status.ok().and_then(|status| status.code()),
            order = inbox.recv() => match order {
                Some(Order::Term) => signal(child, Signal::TERM),
                Some(Order::Kill) => signal(child, Signal::KILL),
                None => break,
            },
        }
    }
    drop(stdin);
    child.wait().await.ok().and_then(|status| status.code())
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
