//! The engine's own metrics, if it gives them in time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::engine::Endpoint;

/// The largest page that is taken: some ten thousand collections.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Asker {
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Asker {
    pub(super) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The engine's page, whole lines of text. None if it is down, late or wrong: its page is a help and never a need.
    pub(super) async fn ask(&self, endpoint: Option<&Endpoint>, wait: Duration) -> Option<String> {
        let asked = tokio::time::timeout(wait, self.exchange(endpoint?)).await;
        let mut text = String::from_utf8(asked.ok()??.to_vec()).ok()?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Some(text)
    }

    async fn exchange(&self, endpoint: &Endpoint) -> Option<Bytes> {
        let request = Request::get(format!("http://{}/metrics", endpoint.http))
            .header("api-key", endpoint.api_key.expose())
            .body(Empty::new())
            .ok()?;
        let answer = self.client.request(request).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(answer.into_body(), PAGE_BYTES_MAX).collect().await.ok()?;
        Some(body.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::keys::Secret;

    /// An engine that answers every request with these bytes, or with nothing and stays.
    async fn engine(answer: Option<&'static str>) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let count = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..count]).into_owned();
                    assert!(head.starts_with("GET /metrics ") && head.contains("api-key: k"));
                    if let Some(answer) = answer {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    std::future::pending::<()>().await;
                });
            }
        });
        Endpoint { http, grpc: http, api_key: Secret::new("k".to_owned()) }
    }

    #[tokio::test]
    async fn whole_lines_come_through_and_nothing_else() {
        let cases = [
            (Some("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na 1"), Some("a 1\n")),
            (Some("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na 1\n"), Some("a 1\n")),
            (Some("HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\na 1"), None),
            (Some("SSH-2.0-x\r\n"), None),
        ];
        for (answer, expected) in cases {
            let asked =
                Asker::new().ask(Some(&engine(answer).await), Duration::from_secs(60)).await;
            assert_eq!(asked.as_deref(), expected, "{answer:?}");
        }
        assert_eq!(Asker::new().ask(None, Duration::from_secs(60)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_in_time_is_left_out() {
        for answer in [None, Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na 1\n")] {
            let late = engine(answer).await;
            assert_eq!(Asker::new().ask(Some(&late), Duration::from_millis(100)).await, None);
        }
    }
}
