//! A node whose volume is an image on a disk that shares blocks, as the real program, to be killed and asked.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::disk::Disk;
use crate::freeze::program;

/// Nothing here takes as long, unless it hangs.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Node {
    child: Option<Child>,
    pub(crate) disk: Disk,
}

impl Node {
    /// With this kind of store, and this in the image. Not up yet.
    pub(crate) fn or_skip(store: &str, filesystem: &str) -> Option<Self> {
        let disk = Disk::or_skip("xfs", 3 * 1024)?;
        let config = format!(
            "[node]\ndir = \"n\"\n[gateway]\nhttp_port = 0\ngrpc_port = 0\n[store]\nkind = \"{store}\"\n\
             [volume]\nkind = \"image\"\nsize = \"1GiB\"\nfilesystem = \"{filesystem}\"\n"
        );
        std::fs::write(disk.path().join("qmoor.toml"), config).unwrap();
        Some(Self { child: None, disk })
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.disk.path().join("n").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.disk.path()).stdin(Stdio::null());
        for name in ["QMOOR_CONFIG", "QMOOR_KEY", "QMOOR_URL", "QMOOR_LOG"] {
            command.env_remove(name);
        }
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.disk.path().join("log")).unwrap_or_default()
    }

    /// Serves, or ends with what it says.
    pub(crate) fn try_start(&mut self) -> Result<(), String> {
        let path = self.disk.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(path).unwrap();
        let mut command = self.command(&["serve", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out);
            let mut line = String::new();
            lines.read_line(&mut line).ok();
            tell.send(line).ok();
            std::io::copy(&mut lines, &mut std::io::sink()).ok();
        });
        let line = told.recv_timeout(LONG).expect("a line in time");
        if line.is_empty() {
            child.wait().unwrap();
            return Err(self.log());
        }
        self.child = Some(child);
        Ok(())
    }

    pub(crate) fn start(&mut self) {
        self.try_start().unwrap();
    }

    fn signal(&mut self, signal: &str) {
        let Some(mut child) = self.child.take() else { return };
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        child.wait().unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.signal("-KILL");
    }

    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// A verb that does its work, and its result.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// A verb that is refused, and what it says.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Writes rows by number into the collection `docs`, and waits until they are in.
    pub(crate) fn index(&self, rows: std::ops::Range<u32>) {
        let text: String = rows
            .map(|n| format!("{{\"id\": \"d{n}\", \"text\": \"word{n} and more of it\"}}\n"))
            .collect();
        std::fs::write(self.disk.path().join("rows.jsonl"), text).unwrap();
        self.run(&["index", "rows.jsonl", "-c", "docs"]);
    }

    /// What a search for each of these rows finds.
    pub(crate) fn found(&self, rows: impl Iterator<Item = u32>) -> Vec<String> {
        let first = |n: u32| {
            let hit = &self.run(&["search", "-c", "docs", "-k", "1", &format!("word{n}")])[0];
            format!("{} {} {}", hit["id"], hit["doc"], hit["text"])
        };
        rows.map(first).collect()
    }

    /// A reader of every point would need a key: what `status` counts.
    pub(crate) fn status(&self) -> Value {
        self.run(&["status"])["node"].clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
            // The engine ends when its standard input closes, which takes it a moment.
            let data = self.at("volume/data");
            let uses = || {
                let all = std::fs::read_dir("/proc").unwrap().flatten();
                all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok()).any(
                    |line| {
                        let line = String::from_utf8_lossy(&line).into_owned();
                        line.contains(data.to_str().unwrap_or_default())
                    },
                )
            };
            let deadline = std::time::Instant::now() + LONG;
            while uses() && std::time::Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}
