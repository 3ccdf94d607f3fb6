//! Health while the engine cannot be asked: a node that is being backed up is not a node to be replaced.

use http::{Response, StatusCode};
use qmoor_plan::access::Effect;

use super::answer::{Body, Dialect, Refusal, grpc_message, json, text};
use crate::control::Agent;

const TITLE: &str = "qdrant - vector search engine";

/// `HealthCheckResponse { status: SERVING }` of `grpc.health.v1`, encoded.
const SERVING: [u8; 2] = [0x08, 0x01];

/// The answer to a health path, or none when the engine shall give it itself.
pub(super) fn answer(agent: &Agent, dialect: Dialect, path: &str) -> Option<Response<Body>> {
    let held = agent.gate.status().phase.holds(Effect::Read);
    let up = agent.engine.endpoint().is_some();
    match dialect {
        Dialect::Rest => rest(path, held, up, agent),
        Dialect::Grpc => grpc(path, held, up, agent),
    }
}

fn rest(path: &str, held: bool, up: bool, agent: &Agent) -> Option<Response<Body>> {
    match path {
        "/healthz" | "/livez" => Some(text(StatusCode::OK, "healthz check passed")),
        "/readyz" if held || up => Some(text(StatusCode::OK, "all shards are ready")),
        "/readyz" => Some(text(StatusCode::SERVICE_UNAVAILABLE, "the engine is down")),
        "/" if held || !up => Some(json(
            StatusCode::OK,
            &serde_json::json!({"title": TITLE, "version": version(agent), "commit": null}),
        )),
        _ => None,
    }
}

fn grpc(path: &str, held: bool, up: bool, agent: &Agent) -> Option<Response<Body>> {
    if up && !held {
        return None;
    }
    match path {
        "/grpc.health.v1.Health/Check" if held => Some(grpc_message(&SERVING)),
        "/grpc.health.v1.Health/Check" => {
            Some(Refusal::Down("the engine is down".to_owned()).answer(Dialect::Grpc))
        }
        "/qdrant.Qdrant/HealthCheck" => {
            Some(grpc_message(&[text_field(1, TITLE), text_field(2, &version(agent))].concat()))
        }
        _ => None,
    }
}

/// The version of the engine, which cannot be asked for it now.
fn version(agent: &Agent) -> String {
    agent.context.api_version().to_string()
}

/// A short protobuf text field. Its length must be below 128, so that it takes one byte.
fn text_field(number: u8, value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or(0x7f);
    let mut bytes = vec![number << 3 | 2, length];
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_field_is_what_protobuf_says() {
        assert_eq!(text_field(2, "ab"), [0x12, 2, b'a', b'b']);
    }
}
