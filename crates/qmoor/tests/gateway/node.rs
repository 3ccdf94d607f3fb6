//! A node in a temporary directory, served inside the test, and clients of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use qdrant_client::qdrant::PointStruct;
use qdrant_client::{Payload, Qdrant};
use qmoor_agent::control::client::Client as Control;
use qmoor_agent::gate::Phase;
use qmoor_agent::keys::NewKeys;
use qmoor_agent::serve::{ServeError, serve};
use qmoor_plan::access::Role;
use qmoor_plan::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A node that is up.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    keys: Option<NewKeys>,
    dir: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qmoor"))
}

/// A configuration below a directory, on free ports.
pub(crate) fn config(dir: &Path) -> Config {
    let mut config = Config::for_dir(dir);
    config.gateway.http_port = 0;
    config.gateway.grpc_port = 0;
    config
}

/// Serves until it is ready, or says why it is not.
pub(crate) async fn serve_once(config: Config) -> Result<(), ServeError> {
    let (ready, stop) = oneshot::channel::<()>();
    let on_ready = move |_| drop(ready);
    serve(config, program(), None, on_ready, async { drop(stop.await) }).await
}

impl Node {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        Self::start_in(dir, config).await
    }

    pub(crate) async fn start_in(dir: TempDir, config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let on_ready = move |info| drop(tell.send(info));
        let served = tokio::spawn(serve(config.clone(), program(), None, on_ready, async {
            drop(stopped.await);
        }));
        let Ok(ready) = told.await else { panic!("{:?}", served.await.unwrap()) };
        Self { config, http: ready.http, grpc: ready.grpc, keys: ready.new_keys, dir, stop, served }
    }

    /// Takes the node down in order; the directory stays.
    pub(crate) async fn stop(self) -> (TempDir, Config) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
        (self.dir, self.config)
    }

    pub(crate) fn key(&self, role: Role) -> &str {
        let keys = self.keys.as_ref().expect("a first start");
        match role {
            Role::Search => keys.search.expose(),
            Role::Index => keys.index.expose(),
            Role::Admin => keys.admin.expose(),
        }
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(&self.config.node.state)
    }

    pub(crate) fn client(&self, role: Role) -> Qdrant {
        self.client_at(self.grpc, role)
    }

    pub(crate) fn client_at(&self, address: SocketAddr, role: Role) -> Qdrant {
        client(address, self.key(role))
    }

    pub(crate) fn client_with(&self, key: &str) -> Qdrant {
        client(self.grpc, key)
    }

    /// A client that gives up after a while, and tells the node so.
    pub(crate) fn client_patient_for(&self, role: Role, timeout: std::time::Duration) -> Qdrant {
        Qdrant::from_url(&format!("http://{}", self.grpc))
            .api_key(self.key(role))
            .timeout(timeout)
            .skip_compatibility_check()
            .build()
            .unwrap()
    }

    /// A collection of four dimensions.
    pub(crate) async fn create(&self, name: &str) {
        let body = json!({"vectors": {"size": 4, "distance": "Cosine"}});
        let path = format!("/collections/{name}");
        let answer = self.rest(Method::PUT, &path, Some(self.key(Role::Admin)), &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }

    pub(crate) async fn rest(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Answer {
        let key = key.map(|key| ("api-key", key.to_owned()));
        self.rest_with(method, path, key.as_slice(), body).await
    }

    pub(crate) async fn rest_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &Value,
    ) -> Answer {
        let url = match path.strip_prefix("http://") {
            Some(_) => path.to_owned(),
            None => format!("http://{}{path}", self.http),
        };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let bytes = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(bytes))).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// How many REST requests the engine has answered, besides this question.
    pub(crate) async fn engine_requests(&self) -> u64 {
        let answer = self.rest(Method::GET, "/metrics", Some(self.key(Role::Admin)), &json!(null));
        let text = answer.await.text;
        let counts = text.lines().filter(|line| {
            line.starts_with("rest_responses_total") && !line.contains("\"/metrics\"")
        });
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    }

    /// Waits until the gate counts so many: reads and writes in flight, and held.
    pub(crate) async fn counted(&self, reads: usize, writes: usize, held: usize) {
        let wanted = (reads, writes, held);
        let mut seen = (0, 0, 0);
        let waited = tokio::time::timeout(crate::LONG, async {
            loop {
                let gate = self.control().status().await.unwrap().gate;
                seen = (gate.reads_in_flight, gate.writes_in_flight, gate.held);
                if seen == wanted {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "{seen:?} and not {wanted:?}");
    }

    /// A write whose client has not sent all of it. While it is there, a backup holds what else comes.
    pub(crate) async fn block_drain(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let head = format!(
            "PUT /collections/c/points HTTP/1.1\r\nhost: x\r\napi-key: {}\r\n\
             content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{",
            self.key(Role::Index)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        self.counted(0, 1, 0).await;
        stream
    }

    /// Waits until the gate holds.
    pub(crate) async fn holds(&self) {
        let held = async {
            while self.control().status().await.unwrap().gate.phase == Phase::Open {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::LONG, held).await.expect("nothing is held");
    }

    /// Sends bytes as they are, and reads until the other side closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A key for what needs one after a second start, which shows none.
pub(crate) async fn session(node: &Node) -> String {
    node.control().session_key(Role::Index).await.unwrap().key
}

pub(crate) fn client(address: SocketAddr, key: &str) -> Qdrant {
    Qdrant::from_url(&format!("http://{address}"))
        .api_key(key)
        .timeout(std::time::Duration::from_secs(30))
        .skip_compatibility_check()
        .build()
        .unwrap()
}

/// Points of four dimensions with these numbers as ids.
pub(crate) fn points(ids: Range<u64>) -> Vec<PointStruct> {
    ids.map(|id| {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let x = (id % 97) as f32;
        let mut payload = Payload::new();
        payload.insert("number", i64::try_from(id).unwrap());
        PointStruct::new(id, vec![1.0, x, 2.0, 3.0], payload)
    })
    .collect()
}

/// Ends a process without a chance to do anything about it.
pub(crate) fn kill(pid: u32) {
    signal(pid, "KILL");
}

pub(crate) fn signal(pid: u32, name: &str) {
    let command = format!("kill -{name} {pid}");
    let ended = std::process::Command::new("sh").args(["-c", &command]).status();
    assert!(ended.unwrap().success());
}

/// Whether a process is still at work. One that has ended and waits to be reaped is not.
pub(crate) fn alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z'))
}

/// Waits for the end of a process that is not our child.
pub(crate) async fn ended(pid: u32) {
    while alive(pid) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// What a process has in memory, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// `qmoor serve` as a process of its own, to be killed.
pub(crate) struct Process {
    child: tokio::process::Child,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) index_key: String,
    state: PathBuf,
}

impl Process {
    /// A node with all its files below a directory.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, "").await
    }

    /// The same, with more lines of configuration.
    pub(crate) async fn start_with(dir: &Path, more: &str) -> Self {
        let file = dir.join("qmoor.toml");
        let text = format!("{more}\n[node]\ndir = {:?}\n", dir.display().to_string());
        std::fs::write(&file, text).unwrap();
        let log = std::fs::File::create(dir.join("agent.log")).unwrap();
        let mut child = tokio::process::Command::new(program())
            .args(["serve", "--json", "--http-port", "0", "--grpc-port", "0", "--config"])
            .arg(&file)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let mut stdout = child.stdout.take().unwrap();
        let ready: Value = loop {
            assert!(stdout.read_buf(&mut said).await.unwrap() > 0, "the agent ended");
            if let Ok(ready) = serde_json::from_slice(&said) {
                break ready;
            }
        };
        let grpc = ready["grpc"].as_str().unwrap().parse().unwrap();
        let http = ready["http"].as_str().unwrap().parse().unwrap();
        let index_key = ready["keys"]["index"].as_str().unwrap().to_owned();
        let state = dir.join("state");
        Self { child, http, grpc, index_key, state }
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(&self.state)
    }

    /// What the agent itself has in memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.child.id().unwrap())
    }

    /// The processor time that the agent itself has used.
    pub(crate) fn processor(&self) -> std::time::Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap()));
        let stat = stat.unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        std::time::Duration::from_millis(ticks * 10)
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
