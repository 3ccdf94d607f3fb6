//! One request, one answer, over a connection of its own: a doctor's questions are few, and each may be the one that a
//! server cuts the connection for.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::Trust;
use crate::error::{CliError, chain};

/// The longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where a server is.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// As it is written.
    pub(super) url: String,
    /// Name or address.
    pub(super) host: String,
    port: u16,
    prefix: String,
    /// Whether it is spoken to over TLS.
    pub(super) is_encrypted: bool,
}

impl Server {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`, with the beginning of a path behind it if need be.
    pub(super) fn parse(url: &str) -> Result<Self, CliError> {
        let wrong = || {
            CliError::usage(format!("`{url}` is no address of a server"))
                .hint("http://HOST:6333, or https://HOST:6333")
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            // An IPv6 address stands in brackets there.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            is_encrypted,
        })
    }

    /// A connection to it, not encrypted yet.
    pub(super) async fn connect(&self) -> Result<TcpStream, String> {
        TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("{} cannot be reached: {error}", self.url))
    }

    /// Asks, and waits for the answer: its status, and its body as JSON.
    pub(super) async fn ask(
        &self,
        trust: Option<&Trust>,
        method: Method,
        path: &str,
        key: Option<&str>,
    ) -> Result<(u16, Value), String> {
        let body = if method == Method::GET { "" } else { "{\"points\":[]}" };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.prefix))
            .header("host", format!("{}:{}", self.host, self.port))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("api-key", key);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| format!("{method} {path}: {error}"))?;
        let asked = async {
            let stream = self.connect().await?;
            match trust {
                Some(trust) => answer(trust.wrap(&self.host, stream).await?, request).await,
                None => answer(stream, request).await,
            }
        };
        tokio::time::timeout(TIMEOUT, asked)
            .await
            .map_err(|_| {
                format!("{} does not answer {method} {path} within {TIMEOUT:?}", self.url)
            })?
            .map_err(|why| format!("{method} {path}: {why}"))
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Value), String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    // Ends with the answer.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| chain(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| format!("the answer broke off: {error}"))?;
    Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn an_address_is_read_and_nonsense_is_not() {
        let server = Server::parse("https://[fd00::1]:6333/qdrant/").unwrap();
        assert_eq!((server.host.as_str(), server.port), ("fd00::1", 6333));
        assert_eq!((server.prefix.as_str(), server.is_encrypted), ("/qdrant", true));
        assert_eq!(Server::parse("http://node").unwrap().port, 80);
        for url in ["node:6333", "ftp://node", "http://", "", "http:///x"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }
}
