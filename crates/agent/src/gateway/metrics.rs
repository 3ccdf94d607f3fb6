//! The page of metrics, as the gateway gives it.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::Gateway;
use super::answer::{Body, json, page};
use crate::metrics::Door;

/// Where it is. The access list has it too: whoever asks has the admin key.
pub(super) const PATH: &str = "/qmoor/metrics";

/// The text format that Prometheus has always read.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

impl Gateway {
    /// How the node is, for Prometheus. Never waits at the gate.
    pub(super) async fn metrics_page(&self) -> Response<Body> {
        let wrong = self.wrong_keys();
        let door = Door {
            no_key: wrong.told,
            too_many: wrong.stopped,
            certificate_ends: self.tls.as_ref().and_then(|tls| tls.ends()),
            forecast: self.history.forecast(),
        };
        match self.metrics.page(&self.agent, door).await {
            Ok(text) => {
                let mut response = page(text);
                response.headers_mut().insert(CONTENT_TYPE, TEXT_FORMAT);
                response
            }
            Err(error) => {
                tracing::error!(%error, "no metrics");
                let what = serde_json::json!({ "status": { "error": error.to_string() } });
                json(StatusCode::INTERNAL_SERVER_ERROR, &what)
            }
        }
    }
}
