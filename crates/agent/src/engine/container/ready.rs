//! The moment a container is ready: both ports answer, what was queued is applied, and whoever has no key is refused.

use std::time::Duration;

use bollard::Docker;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use qmoor_plan::engine::Version as EngineVersion;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::ready::refuses_without_key;
use super::super::running::Running;
use super::{ContainerSpec, READY_POLL, last_words};
use crate::engine::{Endpoint, EngineError, EngineSpec};
use crate::probe;

/// How long one question of this may take.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until the container may be given requests, or says why it may not.
pub(super) async fn wait(
    docker: &Docker,
    spec: &EngineSpec,
    container: &ContainerSpec,
    run: &Running,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<(), EngineError> {
    let too_slow = || EngineError::TooSlow {
        after: spec.start_timeout,
        log: format!("docker logs {}", container.name).into(),
    };
    let waiting = async {
        // A signal to stop that comes before the second port listens is heard by half of the server only.
        while !(rest_answers(endpoint).await && grpc_answers(endpoint).await) {
            sleep(READY_POLL).await;
        }
    };
    tokio::select! {
        waited = timeout_at(deadline, waiting) => waited.map_err(|_| too_slow())?,
        exit = run.exited(deadline) => {
            let exit_code = exit.ok_or_else(too_slow)?.code;
            return Err(EngineError::Died { exit_code, last_words: last_words(docker, container).await });
        }
    }
    let client = probe::Client::new(endpoint, QUESTION_TIMEOUT);
    let failed = |error: probe::ProbeError| EngineError::Probe {
        address: endpoint.http,
        reason: error.to_string(),
    };
    // A server may answer before it has applied all that it had acknowledged.
    let applied = async {
        while !probe::updates_queued(&client).await.map_err(failed)?.is_empty() {
            sleep(READY_POLL).await;
        }
        Ok(())
    };
    timeout_at(deadline, applied).await.map_err(|_| too_slow())??;
    timeout_at(deadline, refuses_without_key(endpoint.http)).await.map_err(|_| too_slow())??;
    is_its_version(container, &client.version().await.map_err(failed)?)
}

/// A tag that says another version than the server does would make the note beside the data a lie.
fn is_its_version(container: &ContainerSpec, says: &str) -> Result<(), EngineError> {
    let tag = container.image.version;
    let same = EngineVersion::parse(says)
        .is_some_and(|version| (version.major, version.minor) == (tag.major, tag.minor));
    match same {
        true => Ok(()),
        false => Err(EngineError::Image {
            image: container.image.to_string(),
            message: format!("says it is version {says}, and its tag says {tag}"),
        }),
    }
}

async fn rest_answers(endpoint: &Endpoint) -> bool {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{}/readyz", endpoint.http);
    let Ok(request) = Request::get(uri).body(Empty::<Bytes>::new()) else { return false };
    let answer = tokio::time::timeout(QUESTION_TIMEOUT, client.request(request)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
}

/// Any answer in HTTP/2 comes from a gRPC server that listens.
async fn grpc_answers(endpoint: &Endpoint) -> bool {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", endpoint.grpc))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0; 5])));
    let Ok(request) = request else { return false };
    let answer = tokio::time::timeout(QUESTION_TIMEOUT, client.request(request)).await;
    matches!(answer, Ok(Ok(_)))
}
