//! Answers for asyncio.
//!
//! The runtime's threads never touch Python: they put an answer into the mailbox of the event loop that waits for it,
//! and wake the loop through a socket that it watches, once for all answers that it has not fetched yet. So no thread
//! competes with the loop for the interpreter, which would cost milliseconds where a request takes a tenth of one.

use std::collections::HashMap;
use std::future::Future;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use arrow_array::RecordBatch;
use parking_lot::Mutex;
use pyo3::prelude::*;
use qmoor_client::error::Error;
use tokio::task::AbortHandle;

use crate::arrow::Stream;
use crate::errors::from_client;
use crate::runtime::handle;

type Answer = Result<RecordBatch, Error>;

/// The mailbox of one event loop, which calls `deliver` whenever `fileno` can be read.
#[pyclass(module = "qmoor._native", frozen)]
pub(crate) struct Mailbox {
    arrived: Arc<Arrived>,
    watched: UnixStream,
    waiting: Mutex<Waiting>,
}

struct Arrived {
    answers: Mutex<Vec<(u64, Answer)>>,
    bell: UnixStream,
}

/// The futures that wait, and the tasks that work for them, by number.
#[derive(Default)]
struct Waiting {
    last: u64,
    futures: HashMap<u64, (Py<PyAny>, AbortHandle)>,
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> PyResult<Self> {
        let (watched, bell) = UnixStream::pair()?;
        watched.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let arrived = Arc::new(Arrived { answers: Mutex::default(), bell });
        Ok(Self { arrived, watched, waiting: Mutex::default() })
    }

    fn fileno(&self) -> i32 {
        self.watched.as_raw_fd()
    }

    /// Gives each future the answer that has come for it.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        // One ring at a time, but for one that came just after the answers were fetched.
        let mut rings = [0; 16];
        let _none_left = (&self.watched).read(&mut rings);
        let answers = std::mem::take(&mut *self.arrived.answers.lock());
        for (number, answer) in answers {
            let waiting = self.waiting.lock().futures.remove(&number);
            let Some((future, _)) = waiting else { continue };
            let future = future.bind(py);
            if future.call_method0("done")?.is_truthy()? {
                continue;
            }
            match answer {
                Ok(batch) => future.call_method1("set_result", (Stream::from(batch),))?,
                Err(error) => future.call_method1("set_exception", (from_client(&error),))?,
            };
        }
        Ok(())
    }

    /// Gives up what this future waits for.
    fn cancel(&self, number: u64) {
        let waiting = self.waiting.lock().futures.remove(&number);
        if let Some((_, task)) = waiting {
            task.abort();
        }
    }
}

/// Where an answer goes: the mailbox of an event loop, and a future of that loop.
#[derive(FromPyObject)]
pub(crate) struct Post(Py<Mailbox>, Py<PyAny>);

impl Post {
    /// Does the work on the runtime, and gives the future its answer. The number is for `cancel`.
    pub(crate) fn answer(
        self,
        py: Python<'_>,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> PyResult<u64> {
        let runtime = handle(py)?;
        let Self(mailbox, future) = self;
        let mailbox = mailbox.get();
        let mut waiting = mailbox.waiting.lock();
        waiting.last += 1;
        let number = waiting.last;
        let arrived = Arc::clone(&mailbox.arrived);
        let task = runtime.spawn(async move {
            let answer = work.await;
            arrived.put(number, answer);
        });
        waiting.futures.insert(number, (future, task.abort_handle()));
        Ok(number)
    }
}

impl Arrived {
    fn put(&self, number: u64, answer: Answer) {
        let mut answers = self.answers.lock();
        answers.push((number, answer));
        if answers.len() == 1 {
            drop(answers);
            // A full socket has rung already; one whose loop is gone has nobody to wake.
            let _rung = (&self.bell).write(&[1]);
        }
    }
}
