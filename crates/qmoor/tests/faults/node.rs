//! A node of the real program in a temporary directory, and what is in it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{Ended, qmoor, run};
use crate::small_disk::{Disk, Spaces};

/// Nothing here takes as long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A node that is up, and ends with this.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) address: String,
    keys: Value,
    /// The configuration as the node itself sees it, mounts and all.
    config: PathBuf,
}

/// A temporary directory with the configuration of a node on free ports, and more lines of it.
pub(crate) fn configured(more: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[node]\ndir = \"n\"\n[gateway]\nhttp_port = 0\ngrpc_port = 0\n{more}\n");
    std::fs::write(dir.path().join("qmoor.toml"), text).unwrap();
    std::fs::create_dir(dir.path().join("n")).unwrap();
    dir
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::start_in(configured(""))
    }

    /// The node of a directory.
    pub(crate) fn start_in(dir: TempDir) -> Self {
        let command = qmoor(dir.path(), &["serve", "--json"]);
        Self::up(command, dir)
    }

    /// A node with a small disk of its own for one of its folders, `data` or `store`.
    pub(crate) fn on_small_disk(spaces: Spaces, folder: &str, mib: u32) -> (Self, Disk) {
        let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$1\"");
        let node = Self::with_mount(spaces, &mount, folder);
        let disk = Disk::of(node.child.id(), &node.path().join("n").join(folder));
        (node, disk)
    }

    /// A node for which something is mounted on one of its folders: `$1` in `mount`.
    pub(crate) fn with_mount(spaces: Spaces, mount: &str, folder: &str) -> Self {
        let dir = configured("");
        let place = dir.path().join("n").join(folder);
        std::fs::create_dir_all(&place).unwrap();
        let command = spaces.command(dir.path(), mount, &[&place], &["serve", "--json"]);
        Self::up(command, dir)
    }

    fn up(mut command: Command, dir: TempDir) -> Self {
        let log = dir.path().join("serve.log");
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("it did not start: {line}{}", std::fs::read_to_string(&log).unwrap())
        });
        let address = ready["http"].as_str().unwrap().to_owned();
        let inner = dir.path().strip_prefix("/").unwrap().join("qmoor.toml");
        let config = Path::new(&format!("/proc/{}/root", child.id())).join(inner);
        Self { child, dir, address, keys: ready["keys"].clone(), config }
    }

    /// Ends the node and leaves its directory.
    pub(crate) fn stop(mut self) -> TempDir {
        let empty = tempfile::tempdir().unwrap();
        self.end();
        std::mem::replace(&mut self.dir, empty)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn key(&self, role: &str) -> &str {
        self.keys[role].as_str().expect("a first start")
    }

    /// A verb on this node, run to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }

    /// The same, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = qmoor(self.path(), arguments);
        command.env("QMOOR_CONFIG", &self.config);
        command
    }

    /// Writes a file and says its path.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `qmoor index` of a file in the node's directory.
    pub(crate) fn index(&self, file: &str, collection: &str) -> Ended {
        self.run(&["--json", "index", file, "-c", collection])
    }

    pub(crate) fn status(&self) -> Value {
        self.run(&["--json", "status"]).json()["node"].clone()
    }

    /// Waits until this is true of the node's status.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !is_so(&self.status()) {
            assert!(Instant::now() < deadline, "not {what}: {}", self.status());
        }
    }

    /// A request with the admin key: status and answer.
    pub(crate) fn rest(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.rest_with(self.key("admin"), method, path, body)
    }

    pub(crate) fn rest_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url()))
            .header("api-key", key)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let answer = tokio::time::timeout(DEADLINE, client.request(request)).await;
            let (head, body) = answer.expect("an answer in time").unwrap().into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        })
    }

    /// Each chunk of a collection, as `document/number`, with its text or its vector.
    pub(crate) fn content(&self, collection: &str) -> BTreeMap<String, String> {
        let path = format!("/collections/{collection}/points/scroll");
        let body = json!({ "limit": 100_000, "with_payload": true, "with_vector": true });
        let (status, answer) = self.rest("POST", &path, &body);
        assert_eq!(status, 200, "{answer}");
        let points = answer["result"]["points"].as_array().unwrap();
        let content: BTreeMap<_, _> = points.iter().map(chunk).collect();
        assert_eq!(content.len(), points.len(), "a chunk stands there twice");
        content
    }
}

fn chunk(point: &Value) -> (String, String) {
    let payload = &point["payload"];
    let name = format!("{}/{}", payload["_doc"].as_str().unwrap(), payload["_ix"]);
    let what = payload["text"].as_str().map_or_else(|| point["vector"].to_string(), str::to_owned);
    (name, what)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

impl Node {
    /// In order, so that nothing is written into a directory that is being removed.
    fn end(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let term =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        if !term.is_ok_and(|status| status.success()) {
            self.child.kill().ok();
        }
        self.child.wait().ok();
        let log = std::fs::read_to_string(self.path().join("serve.log")).unwrap_or_default();
        let engine =
            std::fs::read_to_string(self.path().join("n/state/engine.log")).unwrap_or_default();
        for log in [log, engine] {
            if log.contains("panicked") && !std::thread::panicking() {
                panic!("something panicked: {log}");
            }
        }
    }
}

/// The first line a process says, or what there was when it ended.
fn first_line(out: ChildStdout) -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(out);
        let mut line = String::new();
        lines.read_line(&mut line).ok();
        tell.send(line).ok();
        // Whatever else comes must not fill the pipe.
        std::io::copy(&mut lines, &mut std::io::sink()).ok();
    });
    told.recv_timeout(DEADLINE).expect("a line in time")
}
