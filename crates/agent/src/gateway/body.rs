//! Bodies on their way through: never kept, and never waited for without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::access_line::AccessLine;
use super::answer::{GRPC_STATUS, empty};
use crate::gate::Permit;

/// How many frames may lie between the engine and a slow client.
const FRAMES_AHEAD: usize = 4;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side's connection broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// No bytes came for too long.
    #[error("the body stopped coming for {0:?}")]
    Starved(Duration),
    /// The engine's part was given up.
    #[error("the answer was cut off")]
    Cut,
}

impl BodyError {
    /// For bodies that cannot fail.
    pub(crate) fn never(error: Infallible) -> Self {
        match error {}
    }
}

/// A request's body, given up when nothing comes for a while.
pub(super) struct Upload {
    inner: Incoming,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    starved: Arc<AtomicBool>,
}

impl Upload {
    /// The body, and a flag that says afterwards whether it was the client that stopped.
    pub(super) fn new(inner: Incoming, idle: Duration) -> (Self, Arc<AtomicBool>) {
        let starved = Arc::new(AtomicBool::new(false));
        let upload =
            Self { inner, idle, timer: Box::pin(sleep(idle)), starved: Arc::clone(&starved) };
        (upload, starved)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            let next = Instant::now() + self.idle;
            self.timer.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| {
                    self.starved.store(true, Ordering::Release);
                    BodyError::Broken(error)
                })
            }));
        }
        ready!(self.timer.as_mut().poll(context));
        self.starved.store(true, Ordering::Release);
        Poll::Ready(Some(Err(BodyError::Starved(self.idle))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body, carried from the engine to the client by a task of its own: a client that does not
/// read is noticed, and the engine's part is over (and its permit back) once the engine has said everything.
struct Download {
    frames: mpsc::Receiver<Frame<Bytes>>,
    complete: Arc<AtomicBool>,
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(match ready!(self.frames.poll_recv(context)) {
            Some(frame) => Some(Ok(frame)),
            None if self.complete.load(Ordering::Acquire) => None,
            None => Some(Err(BodyError::Cut)),
        })
    }
}

/// Carries an engine's answer to the client; see [`Download`].
pub(super) fn download(
    from: Incoming,
    idle: Duration,
    permit: Permit,
    line: AccessLine,
) -> super::answer::Body {
    if from.is_end_stream() {
        return empty();
    }
    let (sender, frames) = mpsc::channel(FRAMES_AHEAD);
    let complete = Arc::new(AtomicBool::new(false));
    let carried = carry(from, sender, Arc::clone(&complete), idle, permit, line);
    tokio::spawn(carried);
    Download { frames, complete }.boxed_unsync()
}

async fn carry(
    mut from: Incoming,
    to: mpsc::Sender<Frame<Bytes>>,
    complete: Arc<AtomicBool>,
    idle: Duration,
    permit: Permit,
    mut line: AccessLine,
) {
    let mut permit = Some(permit);
    loop {
        let next = tokio::select! {
            next = timeout(idle, from.frame()) => next,
            () = to.closed() => return,
        };
        let frame = match next {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => {
                line.cut();
                return;
            }
        };
        if let Some(trailers) = frame.trailers_ref() {
            line.grpc_status(trailers.get(GRPC_STATUS));
        }
        if from.is_end_stream() {
            permit.take();
            // Told before the last frame, so that the end is known when the channel is empty.
            complete.store(true, Ordering::Release);
        }
        match timeout(idle, to.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                complete.store(false, Ordering::Release);
                line.cut();
                return;
            }
        }
    }
    complete.store(true, Ordering::Release);
}
