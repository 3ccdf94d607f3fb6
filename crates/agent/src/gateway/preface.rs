//! Tells HTTP/2 from HTTP/1.1 by the first bytes, and guards a connection against peers that stall.
//!
//! An HTTP/2 client without TLS begins with a fixed preface. It is read under a deadline, so that a peer
//! that connects and says nothing does not keep its place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// Reads as much as decides which protocol it is. Nothing that was read is lost.
pub(super) async fn detect<S: AsyncRead + Unpin>(
    mut stream: S,
    within: Duration,
    stall: Duration,
) -> io::Result<(Speaks, Guarded<S>)> {
    let mut first = Vec::with_capacity(PREFACE.len());
    let reading = async {
        loop {
            let mut buffer = [0_u8; 24];
            let space = PREFACE.len() - first.len();
            let count = stream.read(buffer.get_mut(..space).unwrap_or_default()).await?;
            first.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if !PREFACE.starts_with(&first) || count == 0 {
                return io::Result::Ok(Speaks::Http1);
            }
            if first.len() == PREFACE.len() {
                return Ok(Speaks::Http2);
            }
        }
    };
    let speaks = tokio::time::timeout(within, reading)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok((speaks, Guarded { first, read: 0, stream, stall, timer: None }))
}

/// A connection whose first bytes have been looked at, and that fails when its peer does not take what is
/// written for too long.
pub(super) struct Guarded<S> {
    first: Vec<u8>,
    read: usize,
    stream: S,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// Passes a write's result on; one that waits starts the clock, one that went through stops it.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.timer = None;
            return result;
        }
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(stall)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.first.get(self.read..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes what is written, and waits here.
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, result)
    }
}
