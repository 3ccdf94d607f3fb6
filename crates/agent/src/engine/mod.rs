//! The engine: started, watched, stopped, whatever it runs in.
//!
//! The embedded engine is a child process. One task owns the child and is the only one that signals or reaps it, so
//! a signal can never hit a process that took over its id. Its standard input is a pipe that nobody writes to: it
//! closes when this process ends, however it ends, and the engine takes that as the order to flush and exit. The
//! docker engine is a container; see [`container`].

mod child;
pub mod container;
pub mod lineage;
mod ready;
mod running;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use container::ContainerSpec;
use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::config::EngineKind;
use qmoor_plan::engine::{Image, Lineage, LineageError, Version};
use running::Running;
use tokio::sync::{Semaphore, watch};

use crate::keys::Secret;

/// The version of Qdrant's API that the embedded engine speaks.
pub const EMBEDDED_API: Version = Version { major: 1, minor: 19, patch: 0 };

/// How long the owner of an engine that is not up any more may take to say that it has ended.
const END_SEEN: Duration = Duration::from_secs(1);

/// What an engine runs in.
#[derive(Debug, Clone)]
pub enum RunsIn {
    /// A child process of this program, which has the `engine` command: the running `qmoor` binary.
    Child(PathBuf),
    /// A container.
    Container(Box<ContainerSpec>),
}

/// How to run an engine.
#[derive(Debug, Clone)]
pub struct EngineSpec {
    /// What it runs in.
    pub runs_in: RunsIn,
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
    /// Whether the kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Whether the engine ended by itself with exit code 0, which means that everything is flushed.
    pub clean: bool,
    /// From the first SIGTERM to the end of the process.
    pub took: Duration,
}

/// What has become of an engine since the agent started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Life {
    /// How often it has come up.
    pub starts: u64,
    /// When it last did.
    pub since: Option<Timestamp>,
    /// How long it took then until it answered.
    pub ready_in: Option<Duration>,
    /// How often it ended otherwise than by itself, with exit code 0, when it was told to.
    pub unclean_ends: u64,
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
    #[error("{doing}: {message}")]
    Docker { doing: &'static str, message: String },
    #[error("the image {image} {message}")]
    Image { image: String, message: String },
    #[error(transparent)]
    Lineage(LineageError),
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
    life: Mutex<Life>,
    /// Whether the engine should run; what [`EngineProcess::keep_up`] goes by.
    wanted: watch::Sender<bool>,
    up: watch::Sender<Option<Endpoint>>,
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
            life: Mutex::default(),
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

    /// Whether the data was there once and is gone: the directory itself, or all that was in it.
    #[must_use]
    pub fn data_missing(&self) -> bool {
        self.marker.as_ref().is_some_and(|marker| marker.exists()) && !self.has_data()
    }

    /// Whether there is anything in the data directory but hidden files, such as a lock. A directory
    /// that cannot be read is not an empty one.
    fn has_data(&self) -> bool {
        match std::fs::read_dir(&self.spec.data) {
            Ok(entries) => entries
                .filter_map(Result::ok)
                .any(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
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
        self.running.lock().as_ref().filter(|run| !run.has_ended()).map(|run| run.pid)
    }

    /// What has become of the engine so far.
    pub fn life(&self) -> Life {
        let life = *self.life.lock();
        let broken = self.running.lock().as_ref().is_some_and(Running::has_broken);
        Life { unclean_ends: life.unclean_ends + u64::from(broken), ..life }
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
        let run = self.running.lock().clone();
        let Some(run) = run.filter(|run| !run.has_ended()) else {
            let took = Duration::ZERO;
            return Ok(StopReport { exit_code: None, out_of_memory: false, clean: false, took });
        };
        if let RunsIn::Container(container) = &self.spec.runs_in {
            container::will_stop(container).await?;
        }
        self.up.send_replace(None);
        let ended = run.end(self.spec.stop_timeout).await?;
        let took = begun.elapsed();
        let ms = took.as_millis();
        let (exit, clean) = (ended.exit, ended.clean());
        self.life.lock().unclean_ends += u64::from(!clean);
        tracing::info!(pid = run.pid, exit_code = ?exit.code, exit.out_of_memory, clean, ms, "engine: up -> down");
        let (exit_code, out_of_memory) = (exit.code, exit.out_of_memory);
        Ok(StopReport { exit_code, out_of_memory, clean, took })
    }

    /// Whether nothing runs on the data at this moment. Asked again after a snapshot: something other than us may
    /// have started the container meanwhile.
    ///
    /// # Errors
    /// When that is not known.
    pub async fn is_down(&self) -> Result<bool, EngineError> {
        let ended = self.running.lock().as_ref().is_none_or(Running::has_ended);
        match &self.spec.runs_in {
            RunsIn::Child(_) => Ok(ended),
            RunsIn::Container(container) => container::is_down(container).await,
        }
    }

    /// Brings a stop to its end that a former agent may have begun before it was killed.
    ///
    /// # Errors
    /// When that cannot be done; the engine must not be taken over then.
    pub async fn finish_stop(&self) -> Result<(), EngineError> {
        let _turn = self.turn.acquire().await;
        match &self.spec.runs_in {
            RunsIn::Child(_) => Ok(()),
            RunsIn::Container(container) => container::finish_stop(&self.spec, container).await,
        }
    }

    /// Makes sure that an image is there, pulling it if it is not.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn fetch(&self, image: &Image) -> Result<(), EngineError> {
        match &self.spec.runs_in {
            RunsIn::Child(_) => Ok(()),
            RunsIn::Container(container) => container::fetch(container, image).await,
        }
    }

    /// The keys of a container that clients talk to themselves.
    #[must_use]
    pub fn door_keys(&self) -> Option<container::DoorKeys> {
        match &self.spec.runs_in {
            RunsIn::Container(container) if container.is_door => container::door_keys(container),
            RunsIn::Container(_) | RunsIn::Child(_) => None,
        }
    }

    /// Removes the container of an engine that is not needed any more; a child process leaves nothing.
    ///
    /// # Errors
    /// When the daemon does not do it, or the container is not ours.
    pub async fn discard(&self) -> Result<(), EngineError> {
        match &self.spec.runs_in {
            RunsIn::Child(_) => Ok(()),
            RunsIn::Container(container) => container::discard(container).await,
        }
    }

    /// Kills the engine without letting it flush: for data that is gone or given up. It stays wanted.
    ///
    /// # Errors
    /// When the process is still there after SIGKILL.
    pub async fn kill(&self) -> Result<(), EngineError> {
        let run = self.running.lock().clone();
        let Some(run) = run.filter(|run| !run.has_ended()) else { return Ok(()) };
        self.up.send_replace(None);
        self.life.lock().unclean_ends += 1;
        run.kill().await.map(drop)
    }

    /// One start, by the holder of the turn, of an engine that is down.
    async fn launch(&self) -> Result<Endpoint, EngineError> {
        let begun = Instant::now();
        if self.data_missing() {
            return Err(EngineError::DataMissing { data: self.spec.data.clone() });
        }
        self.count_the_former().await;
        let (run, endpoint) = match &self.spec.runs_in {
            RunsIn::Child(program) => self.launch_child(program).await?,
            RunsIn::Container(container) => {
                // Large, and awaited deep inside of everything that starts an engine.
                Box::pin(container::launch(&self.spec, container, self.up.clone())).await?
            }
        };
        *self.running.lock() = Some(run.clone());
        self.remember();
        {
            let mut life = self.life.lock();
            life.starts += 1;
            life.since = Some(Timestamp::now());
            life.ready_in = Some(begun.elapsed());
        }
        let (pid, http, grpc) = (run.pid, endpoint.http, endpoint.grpc);
        let ms = begun.elapsed().as_millis();
        tracing::info!(pid, %http, %grpc, ms, "engine: down -> up");
        self.up.send_replace(Some(endpoint.clone()));
        // It may have ended between its greeting and the line above.
        if run.has_ended() {
            self.up.send_replace(None);
        }
        Ok(endpoint)
    }

    /// Counts the engine that was there before, if it ended by itself. Its owner says that it is not up a moment before it
    /// says that it has ended, and whoever starts the next one may be quicker than that.
    async fn count_the_former(&self) {
        let former = self.running.lock().clone();
        let Some(former) = former else { return };
        let _exit = former.exited(tokio::time::Instant::now() + END_SEEN).await;
        if former.has_broken() && self.running.lock().take().is_some() {
            self.life.lock().unclean_ends += 1;
        }
    }

    async fn launch_child(&self, program: &Path) -> Result<(Running, Endpoint), EngineError> {
        let log_start = child::prepare(&self.spec)?;
        // The version of another kind's data says nothing about ours, and ours reads all of its own.
        let before = lineage::of(&self.spec.data)?;
        let version = before.map_or(EMBEDDED_API, |before| before.version.max(EMBEDDED_API));
        lineage::check(&self.spec.data, Lineage { kind: EngineKind::Embedded, version })?;
        let api_key = Secret::random();
        let (run, stdout) = child::run(&self.spec, program, &api_key, self.up.clone())?;
        *self.running.lock() = Some(run.clone());
        match ready::greet(&self.spec, &run, stdout, api_key, log_start).await {
            Ok(endpoint) => {
                lineage::note(&self.spec.data, Lineage { kind: EngineKind::Embedded, version });
                Ok((run, endpoint))
            }
            Err(error) => {
                run.kill().await?;
                Err(error)
            }
        }
    }

    fn remember(&self) {
        if let Some(marker) = self.marker.as_ref().filter(|marker| !marker.exists())
            && self.has_data()
            && let Err(error) = std::fs::write(marker, "")
        {
            tracing::warn!(%error, "it could not be noted that there is data");
        }
    }
}

#[cfg(test)]
mod tests;
