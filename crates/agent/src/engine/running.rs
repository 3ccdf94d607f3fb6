//! The handle on an engine that runs, whatever it runs in: orders go in, its end comes out.
//!
//! One task owns the process or the container and is the only one that signals it.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::{Endpoint, EngineError};

/// How often SIGTERM is repeated: one that arrives while the engine still starts may be lost.
const TERM_EVERY: Duration = Duration::from_secs(1);
/// How long a killed engine may take to be gone.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);

/// What the owner is told to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Term,
    Kill,
}

/// How an engine ended by itself, or by what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// The exit code; none when a signal ended it, or when it is not known.
    pub(super) code: Option<i32>,
    /// Whether the kernel ended it for want of memory.
    pub(super) out_of_memory: bool,
}

/// How an engine that was told to end has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    killed: bool,
}

impl Ended {
    pub(super) fn clean(&self) -> bool {
        self.exit.code == Some(0) && !self.exit.out_of_memory && !self.killed
    }
}

/// The handle on the task that owns an engine.
#[derive(Debug, Clone)]
pub(super) struct Running {
    /// The process id of the engine on this host.
    pub(super) pid: u32,
    orders: mpsc::Sender<Order>,
    exit: watch::Receiver<Option<Exit>>,
    on_purpose: watch::Sender<bool>,
}

impl Running {
    /// Hands an engine over to its owner: a future that takes orders and ends with the engine. `up` is emptied
    /// then.
    pub(super) fn owned<F>(
        pid: u32,
        up: watch::Sender<Option<Endpoint>>,
        owner: impl FnOnce(mpsc::Receiver<Order>) -> F,
    ) -> Self
    where
        F: Future<Output = Exit> + Send + 'static,
    {
        let (orders, inbox) = mpsc::channel(4);
        let (exit_seen, exit) = watch::channel(None);
        let run = Self { pid, orders, exit, on_purpose: watch::Sender::new(false) };
        let on_purpose = run.on_purpose.clone();
        let owned = owner(inbox);
        tokio::spawn(async move {
            let exit = owned.await;
            if !*on_purpose.borrow() {
                tracing::error!(pid, exit_code = ?exit.code, exit.out_of_memory, "the engine ended by itself");
            }
            up.send_replace(None);
            exit_seen.send_replace(Some(exit));
        });
        run
    }

    pub(super) fn has_ended(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Whether it has ended although nobody told it to.
    pub(super) fn has_broken(&self) -> bool {
        self.has_ended() && !*self.on_purpose.borrow()
    }

    /// Waits for the end; none when the deadline comes first.
    pub(super) async fn exited(&self, deadline: Instant) -> Option<Exit> {
        let mut exit = self.exit.clone();
        let seen = timeout_at(deadline, exit.wait_for(Option::is_some)).await.ok()?;
        let unknown = Exit { code: None, out_of_memory: false };
        Some(seen.ok().and_then(|exit| *exit).unwrap_or(unknown))
    }

    /// SIGTERM until it has ended or the time is over, then SIGKILL.
    pub(super) async fn end(&self, timeout: Duration) -> Result<Ended, EngineError> {
        self.on_purpose.send_replace(true);
        let deadline = Instant::now() + timeout;
        loop {
            // A closed channel means that it has ended, which the wait below sees.
            let _sent = self.orders.send(Order::Term).await;
            if let Some(exit) = self.exited(deadline.min(Instant::now() + TERM_EVERY)).await {
                return Ok(Ended { exit, killed: false });
            }
            if Instant::now() >= deadline {
                tracing::warn!(pid = self.pid, ?timeout, "the engine did not stop and is killed");
                return self.kill().await;
            }
        }
    }

    pub(super) async fn kill(&self) -> Result<Ended, EngineError> {
        self.on_purpose.send_replace(true);
        let _sent = self.orders.send(Order::Kill).await;
        match self.exited(Instant::now() + REAP_TIMEOUT).await {
            Some(exit) => Ok(Ended { exit, killed: true }),
            None => Err(EngineError::Unkillable { pid: self.pid, after: REAP_TIMEOUT }),
        }
    }
}
