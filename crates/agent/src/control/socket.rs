//! The control socket: a file in the node's state that only its owner may open.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use qmoor_plan::audit::Actor;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agent::Agent;
use super::routes;

/// The socket's file in the state directory.
pub(super) const FILE: &str = "agent.sock";
/// The longest path a socket may have on Linux, in bytes, with the zero at its end.
const PATH_BYTES_MAX: usize = 108;
const CONNECTIONS_MAX: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ControlError {
    #[error("`{}` is in the way: it is not a socket (hint: move it aside)", path.display())]
    InTheWay { path: PathBuf },
    #[error("another agent answers at `{}` (hint: `qmoor status` shows it)", path.display())]
    Alive { path: PathBuf },
    #[error("the path `{}` is too long for a socket (hint: set a shorter node.state)", path.display())]
    TooLong { path: PathBuf },
    #[error("cannot open the control socket `{}`", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// The open control socket. Dropping it leaves the file; [`Control::end`] removes it.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Control {
    /// Opens the socket of a node and answers on it.
    ///
    /// # Errors
    /// When another agent answers there, or something is in the way.
    pub async fn start(agent: Arc<Agent>) -> Result<Self, ControlError> {
        let path = agent.config.node.state.join(FILE);
        let listener = bind(&path).await?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(accept(agent, listener, tasks.clone(), stop.clone()));
        Ok(Self { path, stop, tasks })
    }

    /// Stops answering, and removes the file.
    pub async fn end(self, within: Duration) {
        self.stop.cancel();
        self.tasks.close();
        // Whoever still asks is told nothing more: the process is about to end.
        let _ended = tokio::time::timeout(within, self.tasks.wait()).await;
        if let Err(error) = fs_err::remove_file(&self.path) {
            tracing::warn!(%error, "the control socket could not be removed");
        }
    }
}

async fn bind(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |source| ControlError::Io { path: path.to_owned(), source };
    if path.as_os_str().len() >= PATH_BYTES_MAX {
        return Err(ControlError::TooLong { path: path.to_owned() });
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ControlError::InTheWay { path: path.to_owned() });
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            return Err(ControlError::Alive { path: path.to_owned() });
        }
        // Left behind by an agent that was killed.
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    // The state directory is closed to others, so there is no moment in which they could connect.
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Who has opened the socket.
fn actor(stream: &UnixStream) -> Actor {
    match stream.peer_cred() {
        Ok(peer) => Actor::user(peer.uid(), peer.pid().and_then(|pid| pid.try_into().ok())),
        Err(_) => Actor { who: "unknown".to_owned(), role: None, from: "this host".to_owned() },
    }
}

async fn accept(
    agent: Arc<Agent>,
    listener: UnixListener,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a control connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let agent = Arc::clone(&agent);
        let stop = stop.clone();
        let actor = actor(&stream);
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                routes::over_socket(Arc::clone(&agent), actor.clone(), request)
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(served);
            let ended = tokio::select! {
                ended = served.as_mut() => ended,
                () = stop.cancelled() => {
                    served.as_mut().graceful_shutdown();
                    served.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a control connection ended early");
            }
            drop(place);
        });
    }
}
