//! What the gateway says by itself, in the words of the dialect it was asked in.

use std::fmt;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use super::body::BodyError;

/// The body of every response.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// Seconds after which a client that was turned away may come again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The two protocols that come through one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Rest,
    Grpc,
}

impl Dialect {
    /// gRPC is HTTP/2 with its own content type; the rest is REST.
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Self {
        let grpc = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if grpc && version == Version::HTTP_2 { Self::Grpc } else { Self::Rest }
    }
}

/// Why the gateway did not pass a request on, or could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No key, a wrong key, or two different ones.
    Unauthorized(&'static str),
    /// No right key once more, from an address that had too many such requests.
    Stopped,
    /// The key's role does not allow it.
    Forbidden(String),
    /// The request makes no sense to a gateway.
    Bad(String),
    /// Held for too long, or too many are: come again.
    Busy(String),
    /// The engine is down; nothing has reached it.
    Down(String),
    /// The engine's connection broke; the request may have been carried out.
    Broken(String),
    /// The engine did not answer in time.
    TooSlow(String),
    /// The client stopped sending its body.
    Starved,
    /// The body is larger than the engine takes.
    TooLarge {
        /// What it takes.
        bytes_max: u64,
    },
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Busy(_) | Self::Stopped => StatusCode::TOO_MANY_REQUESTS,
            Self::Down(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::TooSlow(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Starved => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The gRPC status code with the same meaning.
    fn code(&self) -> tonic::Code {
        match self {
            Self::Unauthorized(_) => tonic::Code::Unauthenticated,
            Self::Forbidden(_) => tonic::Code::PermissionDenied,
            Self::Bad(_) => tonic::Code::InvalidArgument,
            Self::Busy(_) | Self::Stopped => tonic::Code::ResourceExhausted,
            Self::Down(_) | Self::Broken(_) => tonic::Code::Unavailable,
            Self::TooSlow(_) | Self::Starved => tonic::Code::DeadlineExceeded,
            Self::TooLarge { .. } => tonic::Code::OutOfRange,
        }
    }

    /// Whether the client is told when to come again.
    fn retry(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Down(_) => true,
            // The official uploaders come again for ever when they are told when; a wrong key stays wrong.
            Self::Stopped
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::Bad(_)
            | Self::Broken(_)
            | Self::TooSlow(_)
            | Self::Starved
            | Self::TooLarge { .. } => false,
        }
    }

    /// The answer in the dialect of the question.
    pub(super) fn answer(&self, dialect: Dialect) -> Response<Body> {
        let mut response = match dialect {
            Dialect::Rest => {
                let message =
                    serde_json::json!({"status": {"error": self.to_string()}, "time": 0.0});
                json(self.status(), &message)
            }
            Dialect::Grpc => {
                let mut response = Response::new(empty());
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, GRPC_TYPE);
                let status = tonic::Status::new(self.code(), self.to_string());
                headers.insert(GRPC_STATUS, HeaderValue::from(self.code() as i32));
                if let Some(message) = encoded_message(&status) {
                    headers.insert(GRPC_MESSAGE, message);
                }
                response
            }
        };
        if self.retry() {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if *self == Self::Stopped && dialect == Dialect::Rest {
            // The next guess costs a connection. HTTP/2 knows no such header.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized(what) => formatter.write_str(what),
            Self::Stopped => formatter.write_str("too many requests without a right API key"),
            Self::Forbidden(what) => write!(formatter, "Forbidden: {what}"),
            Self::Bad(what)
            | Self::Busy(what)
            | Self::Down(what)
            | Self::Broken(what)
            | Self::TooSlow(what) => formatter.write_str(what),
            Self::Starved => formatter.write_str("the request's body stopped coming"),
            Self::TooLarge { bytes_max } => {
                write!(formatter, "the request's body is larger than {bytes_max} bytes")
            }
        }
    }
}

/// The message as a header: `tonic` knows which bytes must be escaped.
fn encoded_message(status: &tonic::Status) -> Option<HeaderValue> {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).ok()?;
    headers.remove(GRPC_MESSAGE)
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON_TYPE);
    response
}

/// A plain text answer, as the health paths give.
pub(super) fn text(status: StatusCode, what: &'static str) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from_static(what.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A text that was just written, whose type the caller says.
pub(super) fn page(text: String) -> Response<Body> {
    Response::new(full(Bytes::from(text)))
}

/// A gRPC answer of one message, already encoded, with status OK.
pub(super) fn grpc_message(message: &[u8]) -> Response<Body> {
    let mut framed = vec![0];
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(framed))
        .with_trailers(std::future::ready(Some(Ok(trailers))))
        .map_err(BodyError::never);
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, GRPC_TYPE);
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(BodyError::never).boxed_unsync()
}

/// No body at all.
pub(super) fn empty() -> Body {
    Empty::new().map_err(BodyError::never).boxed_unsync()
}
