//! Plain REST requests, as any client would send them: one attempt each, no retry, a deadline.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::error::{CliError, chain};

/// What the Python client waits for an answer by default. Who takes longer has failed it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of one node with one key.
#[derive(Clone)]
pub(super) struct Rest {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    key: String,
}

impl Rest {
    /// A client with a pool of its own.
    pub(super) fn new(address: SocketAddr, key: impl Into<String>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address, key: key.into() }
    }

    /// Sends one request; the status and the body as JSON, whatever the status is.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), CliError> {
        let what = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("api-key", &self.key)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| CliError::failed(format!("{what}: {error}")))?;
        let answer = async {
            let answer = self.client.request(request).await.map_err(|error| chain(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| chain(&error))?;
            Ok::<_, String>((status, body.to_bytes()))
        };
        let (status, bytes) = tokio::time::timeout(TIMEOUT, answer)
            .await
            .map_err(|_| CliError::failed(format!("{what}: no answer within {TIMEOUT:?}")))?
            .map_err(|error| CliError::failed(format!("{what}: {error}")))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// As [`Rest::send`], and the `result` of an answer with status 200.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, CliError> {
        let (status, mut answer) = self.send(method.clone(), path, body).await?;
        if status != StatusCode::OK {
            return Err(CliError::failed(format!("{method} {path}: status {status}: {answer}")));
        }
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }
}
