//! An engine to test: in this process, on ports of the system's choice, in a directory of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use qdrant_client::{Qdrant, QdrantError};
use qmoor_engine::{Options, Ready, ServeError};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;

/// Nothing here takes as long, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running engine.
pub(crate) struct Engine {
    ready: Ready,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
    dir: TempDir,
}

/// What REST answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// The whole body.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The `result` of a request that must have succeeded.
    pub(crate) fn result(&self) -> Json {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["result"].clone()
    }

    /// The `status.error` of a request that must have failed.
    pub(crate) fn error(&self) -> String {
        assert!(self.status >= 400, "{self:?}");
        self.json()["status"]["error"].as_str().expect("an error").to_owned()
    }
}

/// Options for a directory, with ports of the system's choice and no keys.
pub(crate) fn options(data: &Path) -> Options {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Options {
        data: data.to_owned(),
        http: anywhere,
        grpc: anywhere,
        api_key: None,
        read_only_api_key: None,
        max_request_bytes: 32 * 1024 * 1024,
        says_version: None,
    }
}

impl Engine {
    /// An engine in a new directory, without keys.
    pub(crate) async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), |_| ()).await
    }

    /// An engine in a directory, with options set.
    pub(crate) async fn start_in(dir: TempDir, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(&dir.path().join("data"));
        set(&mut options);
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let (on_ready, ready) = oneshot::channel();
            let (stop, stopped) = oneshot::channel::<()>();
            let task = tokio::spawn(qmoor_engine::serve(
                options.clone(),
                move |ready| on_ready.send(ready).expect("the test waits"),
                async {
                    let _ended_either_way = stopped.await;
                },
            ));
            let ready = tokio::time::timeout(DEADLINE, ready).await.expect("ready in time");
            if let Ok(ready) = ready {
                return Self { ready, stop: Some(stop), task, dir };
            }
            let ended = task.await.expect("no panic");
            // A stopped engine keeps the directory until its last thread is done with it, which ends with the process; here
            // the process goes on.
            let is_held = matches!(&ended, Err(ServeError::Held { .. }));
            assert!(
                is_held && tokio::time::Instant::now() < deadline,
                "the engine did not start: {ended:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops in order, and hands back the directory.
    pub(crate) async fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        let ended = tokio::time::timeout(DEADLINE, &mut self.task).await.expect("stops in time");
        ended.expect("no panic").expect("an orderly end");
        self.dir
    }

    /// The directory that the engine keeps its data in.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// The official client.
    pub(crate) fn client(&self) -> Qdrant {
        self.client_with(None)
    }

    /// The official client with a key.
    pub(crate) fn client_with(&self, key: Option<&str>) -> Qdrant {
        let mut config = Qdrant::from_url(&format!("http://{}", self.ready.grpc))
            .skip_compatibility_check()
            .timeout(DEADLINE);
        if let Some(key) = key {
            config = config.api_key(key);
        }
        config.build().expect("a client")
    }

    /// Where gRPC is served.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.ready.grpc)
    }

    /// One REST request.
    pub(crate) async fn rest(&self, method: &str, path: &str, body: Json) -> Answer {
        self.rest_with(method, path, &[], body).await
    }

    /// One REST request with headers. A null body is no body.
    pub(crate) async fn rest_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Json,
    ) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.ready.http.to_string())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        tokio::time::timeout(DEADLINE, send(self.ready.http, request)).await.expect("in time")
    }
}

async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(to).await.expect("REST listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    connection.abort();
    Answer { status, text: String::from_utf8(body.to_vec()).expect("text") }
}

/// The status that a call of the client failed with.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, QdrantError>) -> (Code, String) {
    match result.expect_err("the call must fail") {
        QdrantError::ResponseError { status } => (status.code(), status.message().to_owned()),
        other => panic!("no answer: {other}"),
    }
}
