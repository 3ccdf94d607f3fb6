//! To the engine and back: the client's key comes off, the engine's own goes on, bodies stream.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use qmoor_plan::access::BodyCheck;

use super::Gateway;
use super::access_line::AccessLine;
use super::answer::{Body, Dialect, GRPC_STATUS, Refusal};
use super::body::{Allowance, Upload, discard, download};
use super::caller::API_KEY;
use crate::engine::Endpoint;
use crate::gate::Permit;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections to the engine are closed after this.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// HTTP/2 flow control towards the engine, in bytes: many clients share one connection on loopback.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Headers that concern one connection and not the request.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::PROXY_AUTHENTICATE,
    http::header::PROXY_AUTHORIZATION,
    TE,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

/// The connections to the engine.
#[derive(Debug)]
pub(super) struct Upstream {
    rest: Client<HttpConnector, Upload>,
    grpc: Client<HttpConnector, Upload>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(POOL_IDLE);
        let rest = builder.build(connector.clone());
        let grpc = builder
            .http2_only(true)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .build(connector);
        Self { rest, grpc }
    }
}

/// All that goes with an admitted request.
pub(super) struct Passage {
    pub(super) dialect: Dialect,
    pub(super) endpoint: Endpoint,
    /// What a limited key's body must pass.
    pub(super) check: Option<BodyCheck>,
    /// How many bytes the body may have; none for what the engine takes.
    pub(super) bytes_max: Option<u64>,
    /// Comes back when the engine has said everything.
    pub(super) permit: Permit,
    pub(super) line: AccessLine,
}

impl Gateway {
    /// Sends an admitted request to the engine and returns its answer as it comes.
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        passage: Passage,
    ) -> Response<Body> {
        let Passage { dialect, endpoint, check, bytes_max, permit, mut line } = passage;
        let rest_max = (dialect == Dialect::Rest).then_some(self.limits.rest_bytes_max);
        let bytes_max = bytes_max.or(rest_max);
        let allowance = Allowance { bytes_max, idle: self.limits.body_idle, check };
        let result = self.exchange(request, dialect, &endpoint, allowance, &permit).await;
        let mut response = match result {
            Ok(response) => response,
            Err(refusal) => {
                let response = refusal.answer(dialect);
                line.refused(&refusal, &response);
                return response;
            }
        };
        strip_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        line.status(response.status());
        line.grpc_status(response.headers().get(GRPC_STATUS));
        let (parts, body) = response.into_parts();
        match download(body, self.limits.body_idle, permit, line).await {
            Some(body) => Response::from_parts(parts, body),
            None => broken().answer(dialect),
        }
    }

    async fn exchange(
        &self,
        request: Request<Incoming>,
        dialect: Dialect,
        endpoint: &Endpoint,
        allowance: Allowance,
        permit: &Permit,
    ) -> Result<Response<Incoming>, Refusal> {
        let bytes_max = allowance.bytes_max.unwrap_or(u64::MAX);
        if request.body().size_hint().lower() > bytes_max {
            discard(request.into_body());
            return Err(Refusal::TooLarge { bytes_max });
        }
        let (mut parts, body) = request.into_parts();
        let (address, client, version) = match dialect {
            Dialect::Rest => (endpoint.http, &self.engine.rest, Version::HTTP_11),
            Dialect::Grpc => (endpoint.grpc, &self.engine.grpc, Version::HTTP_2),
        };
        let path = parts.uri.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(address.to_string())
            .path_and_query(path)
            .build()
            .map_err(|error| {
                Refusal::Bad(format!("the request's path cannot be passed on: {error}"))
            })?;
        parts.version = version;
        engine_headers(&mut parts.headers, dialect, endpoint)?;
        let (upload, trouble) = Upload::new(body, allowance, permit);
        let sent = client.request(Request::from_parts(parts, upload));
        match tokio::time::timeout(self.limits.answer_timeout, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) if trouble.too_large() => Err(Refusal::TooLarge { bytes_max }),
            Ok(Err(_)) if let Some(reason) = trouble.out_of_scope() => {
                Err(Refusal::Forbidden(reason.to_string()))
            }
            Ok(Err(_)) if trouble.hurried() => {
                Err(Refusal::Busy("the body came too slowly for a backup that waits".to_owned()))
            }
            Ok(Err(_)) if trouble.starved() => Err(Refusal::Starved),
            Ok(Err(error)) if error.is_connect() => {
                Err(Refusal::Down("the engine does not accept connections".to_owned()))
            }
            Ok(Err(_)) => Err(broken()),
            Err(_) => {
                let waited = self.limits.answer_timeout;
                Err(Refusal::TooSlow(format!("the engine did not answer within {waited:?}")))
            }
        }
    }
}

fn broken() -> Refusal {
    let what = "the connection to the engine broke; the request may have been carried out";
    Refusal::Broken(what.to_owned())
}

/// Makes a client's headers the engine's.
fn engine_headers(
    headers: &mut HeaderMap,
    dialect: Dialect,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    strip_hop_by_hop(headers);
    for name in [HOST, EXPECT, CONTENT_LENGTH, AUTHORIZATION, API_KEY] {
        headers.remove(name);
    }
    let mut key = HeaderValue::from_str(endpoint.api_key.expose())
        .map_err(|_| Refusal::Down("the engine's key is no header".to_owned()))?;
    key.set_sensitive(true);
    headers.insert(API_KEY, key);
    if dialect == Dialect::Grpc {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(())
}

/// Removes what concerns one connection alone, including what its `Connection` header names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(HOP_BY_HOP.iter()) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;

    #[test]
    fn only_the_engines_key_reaches_the_engine() {
        let endpoint = Endpoint {
            http: "127.0.0.1:1".parse().unwrap(),
            grpc: "127.0.0.1:2".parse().unwrap(),
            api_key: Secret::new("engine".to_owned()),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("api-key", "client"),
            ("authorization", "Bearer client"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("content-type", "application/json"),
        ] {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value));
        }
        engine_headers(&mut headers, Dialect::Rest, &endpoint).unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["api-key"], "engine");
        assert_eq!(headers["content-type"], "application/json");
    }
}
