//! `qmoor serve` as a process of its own, and its engine, to be killed.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use qdrant_client::Qdrant;
use qmoor_agent::control::client::Client as Control;
use qmoor_agent::control::wire::Status;
use qmoor_plan::config::Config;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::LONG;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The files of a node, whatever runs on them.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    /// Whether the engine is a child of the agent, whose end is in the agent's log.
    pub(crate) is_embedded: bool,
    /// Whether backups go into a restic repository.
    pub(crate) is_restic: bool,
}

/// An agent that was just started.
pub(crate) struct Starting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// An agent that serves.
pub(crate) struct Agent {
    child: Child,
    grpc: String,
    key: String,
    pub(crate) control: Control,
}

/// Waits for what must come.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LONG, future).await;
    ended.unwrap_or_else(|_| panic!("{what} takes longer than {LONG:?}"))
}

/// Sends a signal to a process that may have ended already.
pub(crate) fn signal(which: Signal, pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // An error means that it has ended.
    kill_process(pid, which).ok();
}

impl Place {
    /// Writes the settings into a new folder.
    pub(crate) fn new(dir: PathBuf, settings: &toml::Table) -> Self {
        let (file, text) = (dir.join("qmoor.toml"), settings.to_string());
        std::fs::write(&file, &text).unwrap();
        let config = Config::parse(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        let is = |table: &str, kind: &str| {
            let set = settings.get(table).and_then(|table| table.get("kind"));
            set.is_none_or(|set| set.as_str() == Some(kind))
        };
        Self {
            dir,
            config,
            is_embedded: is("engine", "embedded"),
            is_restic: is("store", "restic"),
        }
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.config.node.state.join("journal.jsonl")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Waits until a former engine, which may still be flushing, is gone.
    pub(crate) async fn at_most_one_engine(&self) {
        while self.engines() > 1 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many embedded engines have this node's data.
    fn engines(&self) -> usize {
        let data = self.config.node.data.to_str().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let commands =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let has_data = |command: &Vec<u8>| {
            let mut words = command.split(|byte| *byte == 0);
            words.any(|word| word == b"engine") && words.any(|word| word == data.as_bytes())
        };
        commands.filter(has_data).count()
    }

    /// Starts an agent, and does not wait.
    pub(crate) fn spawn(&self) -> Starting {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let program =
            std::env::var_os("QMOOR_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_qmoor").into());
        let mut child = Command::new(program)
            .args(["serve", "--json"])
            .current_dir(&self.dir)
            // A line for each request of a thousand rounds is too much.
            .env("QMOOR_LOG", "info,access=warn,rustic_core=warn,qdrant_edge=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Starting { child, lines }
    }

    fn tail(&self) -> String {
        tail(&self.log())
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Starting {
    /// Waits until it serves. The first start shows a key, which later ones need.
    pub(crate) async fn serves(mut self, place: &Place, key: Option<&str>) -> Agent {
        let line = in_time("coming back", self.lines.next_line()).await.unwrap();
        let Some(line) = line else {
            let ended = in_time("ending", self.child.wait()).await;
            panic!("the agent did not come back ({ended:?}):\n{}", place.tail());
        };
        let ready: Value = serde_json::from_str(&line).unwrap();
        let shown = || ready["keys"]["admin"].as_str().expect("a first start").to_owned();
        Agent {
            child: self.child,
            grpc: ready["grpc"].as_str().unwrap().to_owned(),
            key: key.map_or_else(shown, str::to_owned),
            control: Control::new(&place.config.node.state),
        }
    }

    /// SIGKILL after a while, whatever it does by then.
    pub(crate) async fn kill_after(mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
        in_time("dying", self.child.kill()).await.unwrap();
    }
}

impl Agent {
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn client(&self) -> Qdrant {
        Qdrant::from_url(&format!("http://{}", self.grpc))
            .api_key(self.key.as_str())
            .timeout(LONG)
            .skip_compatibility_check()
            .build()
            .unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    pub(crate) async fn status(&self) -> Status {
        self.control.status().await.unwrap()
    }

    /// The engine's process, as soon as there is one; none of an engine whose process nobody knows.
    pub(crate) async fn engine(&self) -> Option<u32> {
        let there = async {
            loop {
                let engine = self.status().await.engine;
                if engine.pid.is_some() || engine.up {
                    return engine.pid;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        in_time("starting the engine", there).await
    }

    /// Waits until another engine than this one answers.
    pub(crate) async fn engine_after(&self, dead: u32) {
        let up = async {
            loop {
                let engine = self.status().await.engine;
                if engine.up && engine.pid.is_some_and(|pid| pid != dead) {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        in_time("bringing the engine back", up).await;
    }

    /// Waits until nothing is done with the backups, and says what the node is like then.
    pub(crate) async fn idle(&self) -> Status {
        let idle = async {
            loop {
                let status = self.status().await;
                if status.busy.is_none() {
                    return status;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        in_time("cleaning up", idle).await
    }

    pub(crate) async fn ended(mut self) -> ExitStatus {
        in_time("ending", self.child.wait()).await.unwrap()
    }
}
