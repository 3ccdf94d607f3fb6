//! The Docker engine of this host, the images, and nodes whose engines run there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use qmoor_agent::backup::{BackupReport, BackupRequest};
use qmoor_agent::control::client::{Client as Control, ClientError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::LONG;

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qmoor"))
}

/// What a command printed; it must have ended well.
pub(crate) fn output(command: &mut Command) -> String {
    let ended = command.output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {errors}");
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    output(Command::new("docker").args(arguments))
}

/// Whether the test can run; says loudly why not. The images are built once.
pub(crate) fn ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| {
        let mut info = Command::new("docker");
        let answers = info.arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !answers.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no Docker engine answers on this host");
            return false;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/docker/build-images");
        output(Command::new(script).arg(program()));
        true
    })
}

/// The stand-in with this tag.
pub(crate) fn stand_in(tag: &str) -> String {
    format!("qmoor-stand-in:{tag}")
}

/// The image that most tests run: a real one where one is named.
pub(crate) fn image() -> String {
    std::env::var("QMOOR_TEST_IMAGE").unwrap_or_else(|_| stand_in("v1.19.0"))
}

/// A directory for a node, and its containers, which are removed with it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) name: String,
    socket: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::on("/var/run/docker.sock")
    }

    /// On the Docker engine behind this socket.
    pub(crate) fn on(socket: &str) -> Self {
        Self::of(tempfile::tempdir().unwrap(), socket)
    }

    /// With its files below this directory.
    pub(crate) fn within(dir: &Path) -> Self {
        Self::of(tempfile::tempdir_in(dir).unwrap(), "/var/run/docker.sock")
    }

    fn of(dir: tempfile::TempDir, socket: &str) -> Self {
        let name = format!("t{:x}", rand::random::<u64>());
        Self { dir, name, socket: socket.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn container(&self) -> String {
        format!("qmoor-{}", self.name)
    }

    /// One field of the container, as `docker inspect` shows it.
    pub(crate) fn inspect(&self, field: &str) -> String {
        self.docker(&["inspect", "-f", field, &self.container()])
    }

    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let host = format!("unix://{}", self.socket);
        output(Command::new("docker").args(["-H", &host]).args(arguments))
    }

    /// Writes the configuration: this image, free ports, and what is added, as `table.key = value` lines.
    pub(crate) fn configure(&self, image: &str, more: &str) {
        let text = format!(
            "node.name = \"{}\"\nnode.dir = \"n\"\nengine.kind = \"docker\"\nengine.image = \"{image}\"\n\
             engine.socket = \"{}\"\nengine.nofile = 0\n{more}\n",
            self.name, self.socket
        );
        let ports = ["gateway.http_port", "gateway.grpc_port"];
        let free = ports.iter().filter(|port| !more.contains(**port));
        let text = free.fold(text, |text, port| format!("{text}{port} = 0\n"));
        std::fs::write(self.path().join("qmoor.toml"), text).unwrap();
    }

    /// A verb on this node: what it printed as JSON, or said as it failed.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Result<Value, String> {
        let ended = Command::new(program())
            .args(["--json", "--quiet"])
            .args(arguments)
            .current_dir(self.path())
            .env("QMOOR_LOG", "off")
            .output()
            .unwrap();
        match ended.status.success() {
            true => Ok(serde_json::from_slice(&ended.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&ended.stderr).into_owned()),
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let host = format!("unix://{}", self.socket);
        for suffix in ["", "-scratch"] {
            let name = format!("{}{suffix}", self.container());
            let removed = Command::new("docker")
                .args(["-H", &host, "rm", "-f", &name])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(removed.is_ok());
        }
    }
}

/// `qmoor serve` as a process of its own.
pub(crate) struct Agent {
    child: Child,
    pub(crate) http: String,
    pub(crate) key: String,
    pub(crate) control: Control,
}

impl Agent {
    /// Starts it and waits until it serves. Later starts are given the key that the first has shown.
    pub(crate) async fn start(place: &Place, key: Option<&str>) -> Self {
        match Self::try_start(place, key).await {
            Some(agent) => agent,
            None => panic!("it ended: {}", place.log()),
        }
    }

    /// As [`Agent::start`], or nothing if it ends before it serves.
    pub(crate) async fn try_start(place: &Place, key: Option<&str>) -> Option<Self> {
        let log = std::fs::File::options().create(true).append(true).open(place.path().join("log"));
        let mut child = tokio::process::Command::new(program())
            .args(["serve", "--json"])
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.unwrap().unwrap()?;
        let ready: Value = serde_json::from_str(&line).unwrap();
        let key = match key {
            Some(key) => key.to_owned(),
            None => ready["keys"]["admin"].as_str().unwrap().to_owned(),
        };
        let http = ready["http"].as_str().unwrap().to_owned();
        let control = Control::new(&place.path().join("n/state"));
        Some(Self { child, http, key, control })
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        ask(&self.http, &self.key, method, path, body).await
    }

    /// Makes the collection `docs` with points 0 to `count`.
    pub(crate) async fn fill(&self, count: u64) {
        fill(&self.http, &self.key, count).await;
    }

    /// The ids in `docs`, in their order.
    pub(crate) async fn points(&self) -> Vec<u64> {
        points(&self.http, &self.key).await
    }

    pub(crate) async fn backup(
        &self,
        request: &BackupRequest,
    ) -> Result<BackupReport, ClientError> {
        self.control.backup(request, |_| {}).await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.key
    }

    /// SIGTERM, and waits until it has ended in order.
    pub(crate) async fn stop(mut self) -> String {
        signal(self.pid(), "TERM");
        let ended = tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
        self.key
    }

    /// Waits until this many points are there: an engine that has just died is not known to be down at once.
    pub(crate) async fn points_back(&self, count: usize) {
        until("the points are back", async || {
            let found = try_points(&self.http, &self.key).await;
            found.is_ok_and(|points| points.len() == count).then_some(())
        })
        .await;
    }

    /// Waits until what it has to do at its start is done.
    pub(crate) async fn idle(&self) {
        until("the agent is idle", async || {
            self.control.status().await.unwrap().busy.is_none().then_some(())
        })
        .await;
    }

    /// Waits until the engine answers.
    pub(crate) async fn engine_up(&self) {
        until("the engine is up", async || {
            self.control.status().await.unwrap().engine.up.then_some(())
        })
        .await;
    }
}

pub(crate) async fn fill(http: &str, key: &str, count: u64) {
    let vectors = json!({"vectors": {"size": 2, "distance": "Dot"}});
    let (status, answer) = ask(http, key, Method::PUT, "/collections/docs", &vectors).await;
    assert!(status == 200 || status == 409 || status == 400, "{answer}");
    let points: Vec<Value> = (0..count)
        .map(|id| json!({"id": id, "vector": [1.0, id], "payload": {"number": id}}))
        .collect();
    let path = "/collections/docs/points?wait=true";
    let (status, answer) = ask(http, key, Method::PUT, path, &json!({ "points": points })).await;
    assert_eq!(status, 200, "{answer}");
}

pub(crate) async fn points(http: &str, key: &str) -> Vec<u64> {
    try_points(http, key).await.unwrap_or_else(|answer| panic!("{answer}"))
}

async fn try_points(http: &str, key: &str) -> Result<Vec<u64>, Value> {
    let path = "/collections/docs/points/scroll";
    let (status, answer) = ask(http, key, Method::POST, path, &json!({"limit": 10_000})).await;
    let found = answer["result"]["points"].as_array().filter(|_| status == 200);
    match found {
        Some(points) => Ok(points.iter().map(|point| point["id"].as_u64().unwrap()).collect()),
        None => Err(answer),
    }
}

pub(crate) async fn ask(
    http: &str,
    key: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let bytes = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{http}{path}"))
        .header("api-key", key)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(bytes)))
        .unwrap();
    let response =
        Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) fn signal(pid: u32, name: &str) {
    output(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]));
}

impl Agent {
    /// SIGTERM to an agent whose engine does not stop cleanly.
    pub(crate) async fn stop_unclean(mut self) {
        signal(self.pid(), "TERM");
        tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap();
    }
}

impl Agent {
    /// Waits for the end of one that has been told to end.
    pub(crate) async fn stop_term_sent(mut self) -> String {
        let ended = tokio::time::timeout(LONG, self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
        self.key
    }
}
