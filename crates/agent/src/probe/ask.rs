//! One request to the engine, one JSON answer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::ProbeError;
use crate::engine::Endpoint;
use crate::keys::Secret;

/// The largest answer that is taken: a sample of points with large payloads fits.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection to one engine.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    api_key: Secret,
    timeout: Duration,
}

impl Client {
    /// Talks to the engine at `endpoint`; each request may take as long as `timeout`.
    pub fn new(endpoint: &Endpoint, timeout: Duration) -> Self {
        Self {
            pool: Pool::builder(TokioExecutor::new()).build_http(),
            address: endpoint.http,
            api_key: endpoint.api_key.clone(),
            timeout,
        }
    }

    /// `GET path`, and the `result` of the answer.
    pub async fn get(&self, path: &str) -> Result<Value, ProbeError> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        result_of(answer, &format!("GET {path}"))
    }

    /// `GET /`, which answers without the usual frame.
    pub async fn version(&self) -> Result<String, ProbeError> {
        let answer = self.send(Method::GET, "/", Bytes::new()).await?;
        let version = answer.get("version").and_then(Value::as_str);
        version
            .map(str::to_owned)
            .ok_or_else(|| ProbeError::Shape { request: "GET /".to_owned(), field: "version" })
    }

    /// `POST path` with a JSON body, and the `result` of the answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ProbeError> {
        let answer = self.send(Method::POST, path, Bytes::from(body.to_string())).await?;
        result_of(answer, &format!("POST {path}"))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Value, ProbeError> {
        let request = format!("{method} {path}");
        let sent = self.exchange(method, path, body);
        match tokio::time::timeout(self.timeout, sent).await {
            Err(_) => Err(ProbeError::TooSlow { request, after: self.timeout }),
            Ok(Err(message)) => {
                Err(ProbeError::Unreachable { address: self.address, request, message })
            }
            Ok(Ok((status, body))) if status != 200 => {
                let message = String::from_utf8_lossy(&body).chars().take(500).collect();
                Err(ProbeError::Status { request, status, message })
            }
            Ok(Ok((_, body))) => serde_json::from_slice(&body)
                .map_err(|_| ProbeError::Shape { request, field: "JSON" }),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("api-key", self.api_key.expose())
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|err| err.to_string())?;
        let answer = self.pool.request(request).await.map_err(|err| err.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|err| err.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

fn result_of(mut answer: Value, request: &str) -> Result<Value, ProbeError> {
    answer
        .get_mut("result")
        .map(Value::take)
        .ok_or_else(|| ProbeError::Shape { request: request.to_owned(), field: "result" })
}

/// A collection's name as one part of a path.
#[must_use]
pub fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").ok();
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_odd_letters_stays_one_part_of_the_path() {
        assert_eq!(escaped("a b/ü?"), "a%20b%2F%C3%BC%3F");
    }
}
