//! Bodies on their way through: never kept, and never waited for without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use qmoor_plan::access::{BodyCheck, OutOfScope};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep, timeout};

use super::access_line::AccessLine;
use super::answer::{GRPC_STATUS, empty};
use crate::gate::Permit;

/// How many frames may lie between the engine and a slow client.
const FRAMES_AHEAD: usize = 4;
/// How much of an unwanted body is read and thrown away, in bytes, for how long, and how long it may pause.
const DISCARD_BYTES_MAX: usize = 128 * 1024 * 1024;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(10);
const DISCARD_IDLE_MAX: Duration = Duration::from_secs(1);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side's connection broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// No bytes came for too long.
    #[error("the body stopped coming for {0:?}")]
    Starved(Duration),
    /// More came than is allowed.
    #[error("the body is too large")]
    TooLarge,
    /// It is not what the key may send.
    #[error("the body is out of the key's scope")]
    OutOfScope,
    /// A body of too slow a client was given up.
    #[error("the body was cut off")]
    Cut,
}

impl BodyError {
    /// For bodies that cannot fail.
    pub(crate) fn never(error: Infallible) -> Self {
        match error {}
    }
}

/// A request's body, given up when nothing comes for a while or when too much does. What the engine leaves
/// unread is read and thrown away, so that the client can finish and see the answer.
pub(super) struct Upload {
    inner: Option<Incoming>,
    /// How many bytes may still come; none for no limit.
    left: Option<u64>,
    /// What a limited key's body must pass.
    check: Option<BodyCheck>,
    idle: Duration,
    /// Runs while the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Ends when there is no more time for a slow client.
    hurried: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    trouble: Arc<Trouble>,
}

/// What a body may be.
#[derive(Debug)]
pub(super) struct Allowance {
    /// How many bytes may come; none for no limit.
    pub(super) bytes_max: Option<u64>,
    /// How long nothing may come.
    pub(super) idle: Duration,
    /// What it must pass before any of it is passed on.
    pub(super) check: Option<BodyCheck>,
}

/// Why an upload ended early, if the client is to blame.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    starved: AtomicBool,
    too_large: AtomicBool,
    hurried: AtomicBool,
    out_of_scope: OnceLock<OutOfScope>,
}

impl Trouble {
    /// The client's key may not send this.
    pub(super) fn out_of_scope(&self) -> Option<&OutOfScope> {
        self.out_of_scope.get()
    }

    /// The client stopped sending.
    pub(super) fn starved(&self) -> bool {
        self.starved.load(Ordering::Acquire)
    }

    /// The client sent too slowly for a drain that waits for it.
    pub(super) fn hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    /// The client sent more than is allowed.
    pub(super) fn too_large(&self) -> bool {
        self.too_large.load(Ordering::Acquire)
    }
}

impl Upload {
    /// The body, and what says afterwards whether the client broke it off.
    pub(super) fn new(
        inner: Incoming,
        allowance: Allowance,
        permit: &Permit,
    ) -> (Self, Arc<Trouble>) {
        let trouble = Arc::new(Trouble::default());
        let hurried = (!inner.is_end_stream()).then(|| Box::pin(permit.hurried()) as _);
        let upload = Self {
            inner: Some(inner),
            left: allowance.bytes_max,
            check: allowance.check,
            idle: allowance.idle,
            timer: None,
            hurried,
            trouble: Arc::clone(&trouble),
        };
        (upload, trouble)
    }

    /// Ends with an error when there is no more time for the client.
    fn waits(&mut self, context: &mut Context<'_>) -> Poll<BodyError> {
        if self.hurried.as_mut().is_some_and(|hurried| hurried.as_mut().poll(context).is_ready()) {
            self.trouble.hurried.store(true, Ordering::Release);
            self.hurried = None;
            return Poll::Ready(BodyError::Cut);
        }
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(timer.as_mut().poll(context));
        self.trouble.starved.store(true, Ordering::Release);
        Poll::Ready(BodyError::Starved(idle))
    }

    /// Whether a frame may be passed on, by what it says; `last` when none comes after it.
    fn in_scope(&mut self, frame: Option<&Frame<Bytes>>, last: bool) -> Result<(), BodyError> {
        let Some(check) = self.check.as_mut() else { return Ok(()) };
        let data = frame.and_then(Frame::data_ref);
        let mut checked = data.map_or(Ok(()), |data| check.push(data));
        if last && checked.is_ok() {
            checked = check.end();
        }
        checked.map_err(|reason| {
            let _first = self.trouble.out_of_scope.set(reason);
            BodyError::OutOfScope
        })
    }

    /// Counts what came against the limit.
    fn within_limit(&mut self, frame: &Frame<Bytes>) -> bool {
        let Some(left) = self.left else { return true };
        let count = frame.data_ref().map_or(0, Bytes::len);
        self.left = left.checked_sub(u64::try_from(count).unwrap_or(u64::MAX));
        self.left.is_some()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let Poll::Ready(next) = Pin::new(&mut *inner).poll_frame(context) else {
            return Poll::Ready(Some(Err(ready!(self.waits(context)))));
        };
        let last = inner.is_end_stream();
        self.timer = None;
        Poll::Ready(match next {
            Some(Ok(frame)) if self.within_limit(&frame) => {
                Some(self.in_scope(Some(&frame), last).map(|()| frame))
            }
            Some(Ok(_)) => {
                self.trouble.too_large.store(true, Ordering::Release);
                Some(Err(BodyError::TooLarge))
            }
            Some(Err(error)) => {
                self.trouble.starved.store(true, Ordering::Release);
                Some(Err(BodyError::Broken(error)))
            }
            None => self.in_scope(None, true).err().map(Err),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            discard(inner);
        }
    }
}

/// Reads what a client still sends, and throws it away: were the connection closed over it, the client
/// would see that and not the answer. Ends by itself, soon.
pub(super) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let reading = async {
            let mut left = DISCARD_BYTES_MAX;
            while let Ok(Some(Ok(frame))) = timeout(DISCARD_IDLE_MAX, body.frame()).await {
                let count = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(count) else { return };
                left = rest;
            }
        };
        // What is over the limits is cut with the connection.
        let _ended = timeout(DISCARD_TIME_MAX, reading).await;
    });
}

/// A response's body, carried from the engine to the client by a task of its own: a client that does not
/// read is noticed, and the engine's part is over (and its permit back) once the engine has said everything.
struct Download {
    /// What came before the task was begun.
    first: std::vec::IntoIter<Frame<Bytes>>,
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
        if let Some(frame) = self.first.next() {
            return Poll::Ready(Some(Ok(frame)));
        }
        Poll::Ready(match ready!(self.frames.poll_recv(context)) {
            Some(frame) => Some(Ok(frame)),
            None if self.complete.load(Ordering::Acquire) => None,
            None => Some(Err(BodyError::Cut)),
        })
    }
}

/// An answer of no more bytes than this is taken whole before it is passed on: no task of its own, and no
/// channel. Most are.
const SMALL: usize = 16 * 1024;
/// The most frames of such an answer.
const SMALL_FRAMES: usize = 8;

/// Carries an engine's answer to the client. A small one is read here, and the permit is back when this
/// returns; of a larger one the rest comes as [`Download`] says. None when the engine broke off a small one.
pub(super) async fn download(
    mut from: Incoming,
    idle: Duration,
    permit: Permit,
    mut line: AccessLine,
) -> Option<super::answer::Body> {
    let mut frames = Vec::new();
    let mut bytes = 0;
    while !from.is_end_stream() && bytes <= SMALL && frames.len() < SMALL_FRAMES {
        match timeout(idle, from.frame()).await {
            Ok(Some(Ok(frame))) => {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if let Some(trailers) = frame.trailers_ref() {
                    line.grpc_status(trailers.get(GRPC_STATUS));
                }
                frames.push(frame);
            }
            Ok(None) => return Some(whole(frames)),
            Ok(Some(Err(_))) | Err(_) => {
                line.status(http::StatusCode::BAD_GATEWAY);
                line.cut();
                return None;
            }
        }
    }
    if from.is_end_stream() {
        return Some(whole(frames));
    }
    let (sender, rest) = mpsc::channel(FRAMES_AHEAD);
    let complete = Arc::new(AtomicBool::new(false));
    let carried = carry(from, sender, Arc::clone(&complete), idle, permit, line);
    tokio::spawn(carried);
    Some(Download { first: frames.into_iter(), frames: rest, complete }.boxed_unsync())
}

/// A body that is all here.
fn whole(frames: Vec<Frame<Bytes>>) -> super::answer::Body {
    let mut data = frames.iter().filter_map(Frame::data_ref);
    match (data.next(), data.next(), frames.iter().any(Frame::is_trailers)) {
        (None, None, false) => empty(),
        (Some(only), None, false) => {
            Full::new(only.clone()).map_err(BodyError::never).boxed_unsync()
        }
        _ => Whole(frames.into_iter()).boxed_unsync(),
    }
}

/// Frames that are all here.
struct Whole(std::vec::IntoIter<Frame<Bytes>>);

impl Body for Whole {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.next().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.len() == 0
    }
}

async fn carry(
    mut from: Incoming,
    to: mpsc::Sender<Frame<Bytes>>,
    complete: Arc<AtomicBool>,
    idle: Duration,
    permit: Permit,
    mut line: AccessLine,
) {
    let hurried = permit.hurried();
    tokio::pin!(hurried);
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
        let sent = tokio::select! {
            biased;
            sent = timeout(idle, to.send(frame)) => matches!(sent, Ok(Ok(()))),
            // Without a permit there is no hurry.
            () = hurried.as_mut(), if permit.is_some() => false,
        };
        match sent {
            true => {}
            false => {
                complete.store(false, Ordering::Release);
                line.cut();
                return;
            }
        }
    }
    complete.store(true, Ordering::Release);
}
