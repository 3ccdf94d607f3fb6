//! `qmoor serve` as a process of its own, to be killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use qdrant_client::Qdrant;
use qmoor_agent::control::client::Client as Control;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::bench::{client_at, program};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Agent {
    child: Child,
    grpc: String,
    key: String,
    pub(crate) control: Control,
}

impl Agent {
    /// Starts it in `dir` and waits until it serves. The first start shows a key, which later ones need.
    pub(crate) async fn start(dir: &Path, key: Option<&str>) -> Self {
        let config = "[node]\ndir = \"n\"\n[gateway]\nhttp_port = 0\ngrpc_port = 0\n";
        std::fs::write(dir.join("qmoor.toml"), config).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut child = tokio::process::Command::new(program())
            .args(["serve", "--json"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.unwrap().unwrap();
        let log = || std::fs::read_to_string(dir.join("log")).unwrap();
        let Some(line) = line else { panic!("it ended: {}", log()) };
        let ready: Value = serde_json::from_str(&line).unwrap();
        let key = match key {
            Some(key) => key.to_owned(),
            None => ready["keys"]["admin"].as_str().unwrap().to_owned(),
        };
        let grpc = ready["grpc"].as_str().unwrap().to_owned();
        Self { child, grpc, key, control: Control::new(&dir.join("n/state")) }
    }

    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    pub(crate) fn client(&self) -> Qdrant {
        client_at(&self.grpc, &self.key)
    }

    /// Kills with SIGKILL when called.
    pub(crate) fn killer(&self) -> impl Fn() + Send + use<> {
        let pid = self.child.id().unwrap().to_string();
        move || assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success())
    }

    pub(crate) async fn gone(mut self) {
        tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap();
    }

    /// Waits until it has cleaned up after its predecessor.
    pub(crate) async fn idle(&self) {
        let idle = async {
            while self.control.status().await.unwrap().busy.is_some() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, idle).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.gone().await;
    }
}
