//! The engine as a child process: started, watched, stopped, and never left behind.
//!
//! One task owns the child and is the only one that signals or reaps it, so a signal can never hit a
//! process that took over its id. The engine's standard input is a pipe that nobody writes to: it closes
//! when this process ends, however it ends, and the engine takes that as the order to flush and exit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::keys::Secret;

/// The longest greeting line accepted from an engine, in bytes.
const GREETING_BYTES_MAX: u64 = 4096;
/// How often SIGTERM is repeated: one that arrives while the engine still starts may be lost.
const TERM_EVERY: Duration = Duration::from_secs(1);
/// How long a killed process may take to be reaped.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);
/// The engine's log is moved aside at a start when it is larger than this, in bytes.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How to run an engine.
#[derive(Debug, Clone)]
pub struct EngineSpec {
    /// The program that has the `engine` command: the running `qmoor` binary.
    pub program: PathBuf,
    /// The directory the engine keeps its storage in.
    pub data: PathBuf,
    /// The file the engine's standard error is appended to.
    pub log: PathBuf,
    /// How long the engine may take from its start until it answers.
    pub start_timeout: Duration,
    /// How long the engine may take from SIGTERM to its end; then it is killed.
    pub stop_timeout: Duration,
}

/// Where a running engine answers, and with which key.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The REST listener, on loopback.
    pub http: SocketAddr,
    /// The gRPC listener, on loopback.
    pub grpc: SocketAddr,
    /// The engine's own full-rights key, new at each start.
    pub api_key: Secret,
}

/// How an engine was stopped.
#[derive(Debug, Clone)]
pub struct StopReport {
    /// The exit code; none when a signal ended it or when it was not running.
    pub exit_code: Option<i32>,
    /// Whether the engine ended by itself with exit code 0, which means that everything is flushed.
    pub clean: bool,
    /// From the first SIGTERM to the end of the process.
    pub took: Duration,
}

/// An end of the engine, as seen by whoever watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitSeen {
    /// The exit code; none when a signal ended it or when it never ran.
    pub exit_code: Option<i32>,
    /// Whether it was asked to stop.
    pub on_purpose: bool,
}

/// Why an engine could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum EngineError {
    #[error("cannot prepare the engine's directory or log `{}`", path.display())]
    Prepare { path: PathBuf, source: std::io::Error },
    #[error("cannot run the engine program `{}`", program.display())]
    Spawn { program: PathBuf, source: std::io::Error },
    #[error("the engine did not become ready within {after:?}; see `{}`", log.display())]
    TooSlow { after: Duration, log: PathBuf },
    #[error("the engine ended with {} before it was ready: {last_words}", code_text(*exit_code))]
    Died { exit_code: Option<i32>, last_words: String },
    #[error("the engine greeted with `{line}` instead of its addresses")]
    Greeting { line: String },
    #[error("the engine answers requests without a key, with status {status}: it was stopped")]
    Unguarded { status: u16 },
    #[error("the engine at {address} cannot be asked whether it is guarded: {reason}")]
    Probe { address: SocketAddr, reason: String },
    #[error("data directory `{}` is missing (hint: `qmoor restore` brings it back from the last backup)", data.display())]
    DataMissing { data: PathBuf },
    #[error("the engine (process {pid}) is still there {after:?} after SIGKILL")]
    Unkillable { pid: u32, after: Duration },
}

fn code_text(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"))
}

/// One engine, running or not. Starts and stops are serialised; each may be called at any time.
#[derive(Debug)]
pub struct EngineProcess {
    spec: EngineSpec,
    /// A file that says that there has been data, so that a directory that is gone is not taken for a new
    /// one: an empty engine would look healthy, and lose what is written into it.
    marker: Option<PathBuf>,
    /// One permit: whoever holds it is starting or stopping the engine.
    turn: Semaphore,
    running: Mutex<Option<Running>>,
    /// How often it has come up, and when last.
    starts: Mutex<(u64, Option<Timestamp>)>,
    /// Whether the engine should run; what [`EngineProcess::keep_up`] goes by.
    wanted: watch::Sender<bool>,
    up: watch::Sender<Option<Endpoint>>,
}

/// The handle on the task that owns a child.
#[derive(Debug, Clone)]
struct Running {
    pid: u32,
    orders: mpsc::Sender<Order>,
    exit: watch::Receiver<Option<ExitCode>>,
    on_purpose: watch::Sender<bool>,
}

/// What the process ended with; none for a signal.
type ExitCode = Option<i32>;

#[derive(Debug, Clone, Copy)]
enum Order {
    Term,
    Kill,
}

impl EngineProcess {
    /// An engine that is not running yet.
    #[must_use]
    pub fn new(spec: EngineSpec) -> Self {
        Self {
            spec,
            marker: None,
            turn: Semaphore::new(1),
            running: Mutex::new(None),
            starts: Mutex::new((0, None)),
            wanted: watch::Sender::new(false),
            up: watch::Sender::new(None),
        }
    }

    /// With a file that remembers that there has been data: from the first start on, the engine is not
    /// started where its data directory is missing.
    #[must_use]
    pub fn remembering(mut self, marker: PathBuf) -> Self {
        self.marker = Some(marker);
        self
    }

    /// Whether the data was there once and is gone.
    #[must_use]
    pub fn data_missing(&self) -> bool {
        self.marker.as_ref().is_some_and(|marker| marker.exists()) && !self.spec.data.exists()
    }

    /// How this engine is run.
    pub fn spec(&self) -> &EngineSpec {
        &self.spec
    }

    /// Where the engine answers; none while it is down or not ready yet.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.up.borrow().clone()
    }

    /// Follows [`EngineProcess::endpoint`] as it changes.
    pub fn watch(&self) -> watch::Receiver<Option<Endpoint>> {
        self.up.subscribe()
    }

    /// The process id of the running engine.
    pub fn pid(&self) -> Option<u32> {
        self.running.lock().as_ref().filter(|run| run.exit.borrow().is_none()).map(|run| run.pid)
    }

    /// How often the engine has come up, and when last.
    pub fn starts(&self) -> (u64, Option<Timestamp>) {
        *self.starts.lock()
    }

    /// Whether the engine is meant to run. False between [`EngineProcess::stop`] and the next start.
    pub fn wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Starts the engine and waits until it has loaded everything and refuses a request without a key.
    /// Returns the present endpoint when it runs already. From this call on the engine is wanted: should
    /// the start fail, [`EngineProcess::keep_up`] goes on trying.
    ///
    /// # Errors
    /// When the process cannot be run, ends, is too slow, or would answer without a key. Nothing is left
    /// running then.
    pub async fn start(&self) -> Result<Endpoint, EngineError> {
        self.wanted.send_replace(true);
        let _turn = self.turn.acquire().await;
        if let Some(endpoint) = self.endpoint() {
            return Ok(endpoint);
        }
        self.launch().await
    }

    /// Waits until the engine is wanted and down, then tries once to start it. Called in a loop this is the
    /// supervision; it never starts an engine that [`EngineProcess::stop`] has stopped.
    ///
    /// # Errors
    /// As [`EngineProcess::start`]. The caller waits a while and calls again.
    pub async fn keep_up(&self) -> Result<Endpoint, EngineError> {
        let mut wanted = self.wanted.subscribe();
        let mut up = self.up.subscribe();
        loop {
            if *wanted.borrow_and_update() && up.borrow_and_update().is_none() {
                let _turn = self.turn.acquire().await;
                if self.wanted() && self.endpoint().is_none() {
                    return self.launch().await;
                }
                continue;
            }
            // The senders live in `self`, so neither channel can be closed here.
            tokio::select! {
                _ = wanted.changed() => {}
                _ = up.changed() => {}
            }
        }
    }

    /// Stops the engine: SIGTERM, repeated, and SIGKILL once the stop timeout is over. When it is not
    /// running the report says so: no exit code, and not clean. The engine stays down until
    /// [`EngineProcess::start`]. A cancelled call leaves it signalled and unwanted.
    ///
    /// # Errors
    /// When the process is still there after SIGKILL.
    pub async fn stop(&self) -> Result<StopReport, EngineError> {
        self.wanted.send_replace(false);
        let _turn = self.turn.acquire().await;
        let begun = Instant::now();
        let Some(run) = self.running.lock().clone() else {
            return Ok(StopReport { exit_code: None, clean: false, took: Duration::ZERO });
        };
        if run.exit.borrow().is_some() {
            return Ok(StopReport { exit_code: None, clean: false, took: Duration::ZERO });
        }
        self.up.send_replace(None);
        run.on_purpose.send_replace(true);
        let ended = end(&run, self.spec.stop_timeout).await?;
        let took = begun.elapsed();
        tracing::info!(pid = run.pid, exit_code = ?ended.code, clean = ended.clean(), ms = took.as_millis(), "engine: up -> down");
        Ok(StopReport { exit_code: ended.code, clean: ended.clean(), took })
    }

    /// Kills the engine without letting it flush: for data that is gone or given up. It stays wanted.
    ///
    /// # Errors
    /// When the process is still there after SIGKILL.
    pub async fn kill(&self) -> Result<(), EngineError> {
        let run = self.running.lock().clone();
        let Some(run) = run.filter(|run| run.exit.borrow().is_none()) else { return Ok(()) };
        self.up.send_replace(None);
        run.on_purpose.send_replace(true);
        kill(&run).await.map(drop)
    }

    /// Waits until the engine that runs now has ended; returns at once when none runs.
    pub async fn exited(&self) -> ExitSeen {
        let Some(mut run) = self.running.lock().clone() else {
            return ExitSeen { exit_code: None, on_purpose: true };
        };
        let exit_code = match run.exit.wait_for(Option::is_some).await {
            Ok(code) => code.flatten(),
            Err(_) => None,
        };
        ExitSeen { exit_code, on_purpose: *run.on_purpose.borrow() }
    }

    /// One start, by the holder of the turn, of an engine that is down.
    async fn launch(&self) -> Result<Endpoint, EngineError> {
        let begun = Instant::now();
        if self.data_missing() {
            return Err(EngineError::DataMissing { data: self.spec.data.clone() });
        }
        let log_start = prepare(&self.spec)?;
        let api_key = Secret::random();
        let (mut child, stdin, stdout) = spawn(&self.spec, &api_key)?;
        let pid = child.id().unwrap_or_default();
        let (orders, inbox) = mpsc::channel(4);
        let (exit_seen, exit) = watch::channel(None);
        let run = Running { pid, orders, exit, on_purpose: watch::Sender::new(false) };
        *self.running.lock() = Some(run.clone());
        let (up, on_purpose) = (self.up.clone(), run.on_purpose.clone());
        tokio::spawn(async move {
            let code = own(&mut child, stdin, inbox).await;
            if !*on_purpose.borrow() {
                tracing::error!(pid, exit_code = ?code, "the engine ended by itself");
            }
            up.send_replace(None);
            exit_seen.send_replace(Some(code));
        });
        match self.greet(&run, stdout, api_key, log_start).await {
            Ok(endpoint) => {
                self.remember();
                {
                    let mut starts = self.starts.lock();
                    *starts = (starts.0 + 1, Some(Timestamp::now()));
                }
                tracing::info!(pid, http = %endpoint.http, grpc = %endpoint.grpc, ms = begun.elapsed().as_millis(), "engine: down -> up");
                self.up.send_replace(Some(endpoint.clone()));
                // It may have ended between its greeting and the line above.
                if run.exit.borrow().is_some() {
                    self.up.send_replace(None);
                }
                Ok(endpoint)
            }
            Err(error) => {
                run.on_purpose.send_replace(true);
                kill(&run).await?;
                Err(error)
            }
        }
    }

    fn remember(&self) {
        if let Some(marker) = self.marker.as_ref().filter(|marker| !marker.exists())
            && let Err(error) = std::fs::write(marker, "")
        {
            tracing::warn!(%error, "it could not be noted that there is data");
        }
    }

    /// Waits for the addresses, then makes sure that the engine refuses a request without a key.
    async fn greet(
        &self,
        run: &Running,
        stdout: ChildStdout,
        api_key: Secret,
        log_start: u64,
    ) -> Result<Endpoint, EngineError> {
        let timeout = self.spec.start_timeout;
        let too_slow = || EngineError::TooSlow { after: timeout, log: self.spec.log.clone() };
        let mut lines = BufReader::new(stdout.take(GREETING_BYTES_MAX));
        let mut line = String::new();
        let deadline = tokio::time::Instant::now() + timeout;
        let read = tokio::time::timeout_at(deadline, lines.read_line(&mut line)).await;
        match read {
            Ok(Ok(count)) if count > 0 => {}
            Ok(Ok(_) | Err(_)) => {
                // Standard output closed: the process is ending, or has.
                let mut exit = run.exit.clone();
                let code = tokio::time::timeout_at(deadline, exit.wait_for(Option::is_some)).await;
                let exit_code = code.map_err(|_| too_slow())?.ok().and_then(|code| code.flatten());
                let last_words = last_words(&self.spec.log, log_start);
                return Err(EngineError::Died { exit_code, last_words });
            }
            Err(_) => return Err(too_slow()),
        }
        let greeting: Greeting = serde_json::from_str(&line).map_err(|_| {
            EngineError::Greeting { line: line.trim_end().chars().take(200).collect() }
        })?;
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move {
            let mut rest = lines.into_inner().into_inner();
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        });
        let guarded = refuses_without_key(greeting.http);
        tokio::time::timeout_at(deadline, guarded).await.map_err(|_| too_slow())??;
        Ok(Endpoint { http: greeting.http, grpc: greeting.grpc, api_key })
    }
}

/// The line an engine prints once both its listeners are up.
#[derive(Debug, serde::Deserialize)]
struct Greeting {
    http: SocketAddr,
    grpc: SocketAddr,
}

/// How a process ended: its code, and whether it had to be killed.
#[derive(Debug)]
struct Ended {
    code: ExitCode,
    killed: bool,
}

impl Ended {
    fn clean(&self) -> bool {
        self.code == Some(0) && !self.killed
    }
}

/// Makes the directories, moves an overgrown log aside, and returns the log's length.
fn prepare(spec: &EngineSpec) -> Result<u64, EngineError> {
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

/// SIGTERM until it has ended or the time is over, then SIGKILL.
async fn end(run: &Running, timeout: Duration) -> Result<Ended, EngineError> {
    let mut exit = run.exit.clone();
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        // A closed channel means that it has ended, which the wait below sees.
        let _sent = run.orders.send(Order::Term).await;
        let until = deadline.min(tokio::time::Instant::now() + TERM_EVERY);
        if let Ok(code) = tokio::time::timeout_at(until, exit.wait_for(Option::is_some)).await {
            let code = code.ok().and_then(|code| code.flatten());
            return Ok(Ended { code, killed: false });
        }
        if tokio::time::Instant::now() >= deadline {
            tracing::warn!(pid = run.pid, ?timeout, "the engine did not stop and is killed");
            return kill(run).await;
        }
    }
}

async fn kill(run: &Running) -> Result<Ended, EngineError> {
    let mut exit = run.exit.clone();
    let _sent = run.orders.send(Order::Kill).await;
    match tokio::time::timeout(REAP_TIMEOUT, exit.wait_for(Option::is_some)).await {
        Ok(code) => Ok(Ended { code: code.ok().and_then(|code| code.flatten()), killed: true }),
        Err(_) => Err(EngineError::Unkillable { pid: run.pid, after: REAP_TIMEOUT }),
    }
}

/// Asks for the collections without a key; anything but 401 is an engine open to everyone on this host.
async fn refuses_without_key(address: SocketAddr) -> Result<(), EngineError> {
    let failed = |reason: String| EngineError::Probe { address, reason };
    let stream =
        tokio::net::TcpStream::connect(address).await.map_err(|error| failed(error.to_string()))?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get("/collections")
        .header(http::header::HOST, address.to_string())
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(error.to_string()));
    driver.abort();
    match answer?.status().as_u16() {
        401 => Ok(()),
        status => Err(EngineError::Unguarded { status }),
    }
}

/// The last line that a failed start wrote to its log, for the error.
fn last_words(log: &Path, log_start: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(log_start.max(length.saturating_sub(4096))))?;
        let mut bytes = Vec::new();
        file.take(4096).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("nothing in `{}`", log.display()), |line| line.trim().to_owned())
}
