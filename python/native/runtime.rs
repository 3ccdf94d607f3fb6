//! One runtime a process, made when it is first needed.
//!
//! A forked child inherits the parent's runtime without its threads, so it gets one of its own. The
//! lock below is only ever taken while attached to the interpreter, and never let go of the
//! interpreter in between: the thread that forks is attached too, so no other can hold it then.

use std::future::Future;
use std::pin::Pin;
use std::process;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3_async_runtimes::TaskLocals;
use pyo3_async_runtimes::generic::{self, ContextExt, JoinError, Runtime as AsyncRuntime};
use tokio::runtime::{Builder, Handle, Runtime};

/// Requests wait for the network most of the time; encoding runs on the pool for blocking work.
const THREADS: usize = 2;

static CURRENT: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process.
fn handle(_attached: Python<'_>) -> PyResult<&'static Runtime> {
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

/// Runs to the end, with the interpreter free for others meanwhile. A signal (Ctrl-C) ends the wait.
pub(crate) fn block_on<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = PyResult<T>> + Send,
) -> PyResult<T> {
    let runtime = handle(py)?;
    py.detach(|| {
        runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
            loop {
                tokio::select! {
                    done = &mut future => return done,
                    _ = tick.tick() => Python::attach(|py| py.check_signals())?,
                }
            }
        })
    })
}

/// An awaitable of asyncio.
pub(crate) fn awaitable<'py, T>(
    py: Python<'py>,
    future: impl Future<Output = PyResult<T>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let runtime = handle(py)?;
    // What the bridge spawns, it spawns where it is called.
    let _entered = runtime.enter();
    generic::future_into_py::<Tokio, _, T>(py, future)
}

/// The bridge to asyncio, over the runtime that is entered.
struct Tokio;

/// Why a task ended without a result.
struct Ended(tokio::task::JoinError);

impl JoinError for Ended {
    fn is_panic(&self) -> bool {
        self.0.is_panic()
    }

    fn into_panic(self) -> Box<dyn std::any::Any + Send + 'static> {
        self.0.into_panic()
    }
}

type Joined = Pin<Box<dyn Future<Output = Result<(), Ended>> + Send>>;

tokio::task_local! {
    static LOCALS: TaskLocals;
}

impl AsyncRuntime for Tokio {
    type JoinError = Ended;
    type JoinHandle = Joined;

    fn spawn<F>(future: F) -> Joined
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = Handle::current().spawn(future);
        Box::pin(async { task.await.map_err(Ended) })
    }

    fn spawn_blocking<F>(work: F) -> Joined
    where
        F: FnOnce() + Send + 'static,
    {
        let task = Handle::current().spawn_blocking(work);
        Box::pin(async { task.await.map_err(Ended) })
    }
}

impl ContextExt for Tokio {
    fn scope<F, R>(locals: TaskLocals, future: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(LOCALS.scope(locals, future))
    }

    fn get_task_locals() -> Option<TaskLocals> {
        LOCALS.try_with(TaskLocals::clone).ok()
    }
}
