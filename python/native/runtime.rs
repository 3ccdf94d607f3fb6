//! One runtime a process, made when it is first needed.
//!
//! A forked child inherits the parent's runtime without its threads, so it gets one of its own. The
//! lock below is only ever taken while attached to the interpreter, and never let go of the
//! interpreter in between: the thread that forks is attached too, so no other can hold it then.

use std::future::Future;
use std::process;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

/// Requests wait for the network most of the time, and encoding runs on the pool for blocking work. A second thread
/// would make each search cost a tenth to a quarter more, to wake the one from the other.
const THREADS: usize = 1;
/// How often a thread that waits looks for signals.
const SIGNALS: Duration = Duration::from_millis(100);

static CURRENT: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process.
pub(crate) fn handle(_attached: Python<'_>) -> PyResult<&'static Runtime> {
    let mut current = CURRENT.lock();
    let pid = process::id();
    if let Some((owner, runtime)) = *current
        && owner == pid
    {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("qmoor")
        .enable_all()
        .build()?;
    // Never dropped: it serves as long as the process, and one that a fork left behind has no threads to join.
    let runtime = Box::leak(Box::new(runtime));
    *current = Some((pid, runtime));
    Ok(runtime)
}

/// Runs on this thread to the end, with the interpreter free for others meanwhile. A signal (Ctrl-C) ends the wait.
pub(crate) fn block_on<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = PyResult<T>> + Send,
) -> PyResult<T> {
    let runtime = handle(py)?;
    py.detach(|| {
        runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            let mut tick = tokio::time::interval(SIGNALS);
            loop {
                tokio::select! {
                    done = &mut future => return done,
                    _ = tick.tick() => Python::attach(|py| py.check_signals())?,
                }
            }
        })
    })
}

/// As [`block_on`], on the runtime's own threads: this one is woken once, by the end, and not at each packet.
pub(crate) fn wait_for<T: Send + 'static>(
    py: Python<'_>,
    future: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let runtime = handle(py)?;
    let (done, end) = sync_channel(1);
    let task = runtime.spawn(async move {
        // Whoever waited may have been interrupted.
        let _gone = done.send(future.await);
    });
    py.detach(move || {
        loop {
            match end.recv_timeout(SIGNALS) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => {
                    Python::attach(|py| py.check_signals()).inspect_err(|_| task.abort())?;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("the request ended without an answer"));
                }
            }
        }
    })
}
