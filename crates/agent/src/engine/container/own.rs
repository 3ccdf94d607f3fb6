//! The task that owns a container: signals it, and sees its end, through a daemon that may be restarted meanwhile.

use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{KillContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::super::running::{Exit, Order};
use super::{ContainerSpec, is_missing, is_running, remove};

/// How long the daemon may take over a signal.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether the container still runs the same process.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause before a daemon that did not answer is asked again.
const DAEMON_PAUSE: Duration = Duration::from_millis(250);

/// Owns the container until it has ended. When nobody can give orders any more it is left running: the next agent
/// adopts it. One for scratch is removed.
pub(super) async fn own(
    docker: &Docker,
    container: &ContainerSpec,
    pid: i64,
    mut inbox: mpsc::Receiver<Order>,
) -> Exit {
    let ended = ended(docker, &container.name, pid);
    tokio::pin!(ended);
    let exit = loop {
        tokio::select! {
            exit = ended.as_mut() => break exit,
            order = inbox.recv() => match order {
                Some(Order::Term) => signal(docker, &container.name, "SIGTERM").await,
                Some(Order::Kill) => signal(docker, &container.name, "SIGKILL").await,
                None => break Exit { code: None, out_of_memory: false },
            },
        }
    };
    if container.is_scratch
        && let Err(error) = remove(docker, &container.name).await
    {
        tracing::warn!(name = container.name, %error, "a scratch container is still there");
    }
    exit
}

/// Waits for the end of this process. A daemon that goes away is waited for: only it knows how the container ended. One
/// that it starts again at once, as its restart policy says, is another: the daemon does not call that an end.
async fn ended(docker: &Docker, name: &str, pid: i64) -> Exit {
    loop {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut told = docker.wait_container(name, Some(options));
        // Whatever comes, an error too, is a reason to look, and so is time.
        let _told = timeout(LOOK_EVERY, told.next()).await;
        match docker.inspect_container(name, None).await {
            Ok(found) if is_running(&found) && is_process(&found, pid) => continue,
            Ok(found) if is_running(&found) => {
                return Exit { code: None, out_of_memory: false };
            }
            Ok(found) => {
                let state = found.state.unwrap_or_default();
                let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
                // Docker counts a signal as 128 and its number.
                let code = code.filter(|code| !(129..=192).contains(code));
                return Exit { code, out_of_memory: state.oom_killed.unwrap_or(false) };
            }
            Err(error) if is_missing(&error) => return Exit { code: None, out_of_memory: false },
            Err(error) => tracing::warn!(%error, "the Docker daemon does not answer"),
        }
        sleep(DAEMON_PAUSE).await;
    }
}

fn is_process(container: &ContainerInspectResponse, pid: i64) -> bool {
    container.state.as_ref().and_then(|state| state.pid) == Some(pid)
}

/// A signal that does not arrive is repeated by whoever wants the end.
async fn signal(docker: &Docker, name: &str, signal: &str) {
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    match timeout(SIGNAL_TIMEOUT, docker.kill_container(name, Some(options))).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(name, signal, %error, "the container was not signalled"),
        Err(_) => tracing::warn!(name, signal, "the Docker daemon took no signal"),
    }
}
