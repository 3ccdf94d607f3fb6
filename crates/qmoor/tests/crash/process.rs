//! The engine as a child process that ends with the test, however that ends.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use qdrant_client::Qdrant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// Nothing here takes as long, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running engine.
pub(crate) struct Engine {
    child: Child,
    grpc: String,
}

/// An engine that was just started, and may not come up.
pub(crate) struct Starting {
    child: Child,
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} takes longer than {DEADLINE:?}"))
}

impl Engine {
    /// Starts one on `<dir>/data`, and waits until it listens.
    pub(crate) async fn start(dir: &Path) -> Self {
        let Starting { mut child } = Self::spawn(dir);
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        in_time("starting", output.read_line(&mut line)).await.expect("readable");
        if line.is_empty() {
            let (status, message) = end(child).await;
            panic!("the engine did not start ({status}): {message}");
        }
        let ready: serde_json::Value = serde_json::from_str(&line).expect("one JSON line");
        let grpc = ready.get("grpc").and_then(|address| address.as_str()).expect("an address");
        drain_errors(&mut child);
        Self { child, grpc: format!("http://{grpc}") }
    }

    /// Starts one on `<dir>/data`, and does not wait.
    pub(crate) fn spawn(dir: &Path) -> Starting {
        let child = Command::new(env!("CARGO_BIN_EXE_qmoor"))
            .arg("engine")
            .arg("--data")
            .arg(dir.join("data"))
            .args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--until-stdin-closes"])
            .env("QMOOR_LOG", "warn,qdrant_edge=error")
            .env_remove("QDRANT__SERVICE__API_KEY")
            .env_remove("QDRANT__SERVICE__READ_ONLY_API_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary runs");
        Starting { child }
    }

    /// How many KiB of the write-ahead logs the process has changed in memory that are not yet on
    /// the disk. The kernel takes a page off this list when its write has ended.
    pub(crate) fn unsynced_log_kib(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("readable");
        let mut of_a_log = false;
        let mut dirty = 0;
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("Shared_Dirty:" | "Private_Dirty:"), Some(kib)) if of_a_log => {
                    dirty += kib.parse::<u64>().expect("a number");
                }
                // A mapping starts with its addresses, and ends its line with the file.
                (Some(first), _) if !first.ends_with(':') => of_a_log = line.contains("/wal/"),
                _ => {}
            }
        }
        dirty
    }

    /// The official client.
    pub(crate) fn client(&self) -> Qdrant {
        Qdrant::from_url(&self.grpc)
            .skip_compatibility_check()
            .timeout(DEADLINE)
            .build()
            .expect("a client")
    }

    /// Kill -9.
    pub(crate) async fn kill(&mut self) {
        in_time("dying", self.child.kill()).await.expect("killed");
    }

    /// Asks it to end, and checks that it ends with 0.
    pub(crate) async fn terminate(self) {
        self.stop_by("-TERM").await;
    }

    /// The same with any signal.
    pub(crate) async fn stop_by(mut self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await.expect("kill runs");
        assert!(sent.success());
        self.ended_well(signal).await;
    }

    /// Closes its standard input, as the death of its parent would.
    pub(crate) async fn stop_by_closing_its_input(mut self) {
        drop(self.child.stdin.take());
        self.ended_well("closing its input").await;
    }

    async fn ended_well(&mut self, how: &str) {
        // Waiting closes standard input, which would end it too: keep it open.
        let input = self.child.stdin.take();
        let status = in_time("stopping", self.child.wait()).await.expect("a status");
        drop(input);
        assert_eq!(status.code(), Some(0), "after {how}: {status}");
    }
}

impl Starting {
    /// Kill -9 after a while, whatever it does by then.
    pub(crate) async fn kill_while_it_starts(mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
        in_time("dying", self.child.kill()).await.expect("killed");
    }

    /// Waits for it to end by itself: its exit code, and what it said.
    pub(crate) async fn refused(self) -> (Option<i32>, String) {
        let (status, message) = end(self.child).await;
        (status.code(), message)
    }
}

async fn end(mut child: Child) -> (ExitStatus, String) {
    let input = child.stdin.take();
    let mut message = String::new();
    let mut errors = child.stderr.take().expect("piped");
    in_time("ending", errors.read_to_string(&mut message)).await.expect("readable");
    let status = in_time("ending", child.wait()).await.expect("a status");
    drop(input);
    (status, message)
}

/// Passes on what the engine says, so that its pipe never fills. It ends with the engine.
fn drain_errors(child: &mut Child) {
    let errors = child.stderr.take().expect("piped");
    tokio::spawn(async move {
        let mut lines = BufReader::new(errors).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("engine: {line}");
        }
    });
}
