//! Listeners and connections: how many, for how long, and how they end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Gateway;
use super::caller::Peer;
use super::preface::{Guarded, Speaks, detect};

/// HTTP/2 flow control towards clients, in bytes: what a held connection may cost in memory.
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What one HTTP/1.1 connection may buffer, in bytes.
const BUFFER_MAX: usize = 64 * 1024;
/// An HTTP/2 peer that does not answer a ping within this is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
/// The pause after an accept that failed, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open listeners of a gateway and all its connections.
#[derive(Debug)]
pub struct Listening {
    tasks: TaskTracker,
    /// Stops accepting, and lets each connection finish what it has begun.
    stop: CancellationToken,
    /// Ends connections at once.
    cut: CancellationToken,
}

/// Opens a listening socket.
///
/// # Errors
/// When the address is taken or not this host's.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

impl Listening {
    /// Serves the gateway on these listeners; each speaks both dialects.
    #[must_use]
    pub fn start(gateway: &Arc<Gateway>, listeners: Vec<TcpListener>) -> Self {
        let tasks = TaskTracker::new();
        let stop = gateway.stop.clone();
        let cut = CancellationToken::new();
        let places = Arc::new(Semaphore::new(gateway.limits.max_connections));
        if let Some(tls) = &gateway.tls {
            tasks.spawn(Arc::clone(tls).watch(stop.clone()));
        }
        let watching = Arc::clone(gateway);
        tasks.spawn(async move {
            let Gateway { history, metrics, agent, stop, .. } = watching.as_ref();
            history.watch(&metrics.requests, &agent.gate, stop.clone()).await;
        });
        for listener in listeners {
            let door = Door {
                gateway: Arc::clone(gateway),
                tasks: tasks.clone(),
                stop: stop.clone(),
                cut: cut.clone(),
                places: Arc::clone(&places),
            };
            tasks.spawn(async move { door.accept(listener).await });
        }
        Self { tasks, stop, cut }
    }

    /// Stops accepting, waits for requests in flight, and cuts what is left when the time is over.
    /// Says whether everything ended by itself.
    pub async fn end(self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let orderly = tokio::time::timeout(within, self.tasks.wait()).await.is_ok();
        self.cut.cancel();
        self.tasks.wait().await;
        orderly
    }
}

type Encrypted = tokio_rustls::server::TlsStream<TcpStream>;

/// What a listener hands to each of its connections.
#[derive(Clone)]
struct Door {
    gateway: Arc<Gateway>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
    places: Arc<Semaphore>,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            // A connection waits for its place, and not a place for a connection: listeners share them.
            let next = async {
                let accepted = listener.accept().await;
                // The semaphore is never closed.
                (Arc::clone(&self.places).acquire_owned().await.ok(), accepted)
            };
            let (place, accepted) = tokio::select! {
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.tasks.spawn(self.clone().connection(stream, peer.ip(), place));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(
        self,
        stream: TcpStream,
        address: IpAddr,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let streams_max = usize::try_from(self.gateway.limits.streams_max).unwrap_or(usize::MAX);
        let peer = Arc::new(Peer::new(address, streams_max));
        let served = async {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            let Some(tls) = self.gateway.tls.clone() else {
                return Box::pin(self.speak(stream, peer)).await;
            };
            let within = self.gateway.limits.header_timeout;
            let shaken = tokio::select! {
                () = self.stop.cancelled() => return,
                shaken = tokio::time::timeout(within, Box::pin(shake(stream, tls.acceptor()))) => shaken,
            };
            match shaken {
                Ok(Ok(Some(stream))) => Box::pin(self.speak(stream, peer)).await,
                Ok(Ok(None)) => tracing::debug!("a connection without TLS was told so"),
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        };
        tokio::select! {
            () = self.cut.cancelled() => {}
            () = served => {}
        }
        drop(place);
    }

    /// Serves whichever protocol the peer speaks.
    async fn speak<S>(&self, stream: S, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.gateway.limits;
        let detected = tokio::select! {
            () = self.stop.cancelled() => return,
            detected = detect(stream, limits.header_timeout, limits.body_idle) => detected,
        };
        match detected {
            // An HTTP/1.1 connection without a request ends by itself, with its header timeout.
            // Each boxed: ten thousand of the one have no need of the room of the other.
            Ok((Speaks::Http1, io)) => Box::pin(self.http1(io, peer)).await,
            Ok((Speaks::Http2, io)) => Box::pin(self.http2(io, peer)).await,
            Err(error) => tracing::debug!(%error, "a connection said nothing"),
        }
    }

    async fn http1<S>(&self, io: Guarded<S>, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gateway = Arc::clone(&self.gateway);
        let limits = gateway.limits;
        let service =
            service_fn(move |request| Arc::clone(&gateway).handle(request, Arc::clone(&peer)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        log_end(ended);
    }

    async fn http2<S>(&self, io: Guarded<S>, peer: Arc<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gateway = Arc::clone(&self.gateway);
        let limits = gateway.limits;
        let service = {
            let peer = Arc::clone(&peer);
            service_fn(move |request| Arc::clone(&gateway).handle(request, Arc::clone(&peer)))
        };
        let header_bytes_max = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(header_bytes_max)
            .serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        // A peer that answers pings could keep its place for ever without ever showing a key, or with one
        // that has been revoked.
        let unknown = async {
            loop {
                tokio::time::sleep(limits.unknown_timeout).await;
                if !peer.proven(&self.gateway.agent.keys) {
                    return;
                }
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = unknown => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        log_end(ended);
    }
}

/// The answer to whoever speaks no TLS.
const NO_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 35\r\n\
    connection: close\r\n\r\nthis port speaks TLS: use https://\n";
/// How much is read of what such a peer still sends, in bytes, so that it sees the answer.
const NO_TLS_READ_MAX: u64 = 64 * 1024;
/// What every TLS connection begins with: a handshake record.
const HANDSHAKE: u8 = 0x16;

/// Begins TLS; none for a peer that does not speak it, and was told so.
async fn shake(mut stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<Option<Encrypted>> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first == [HANDSHAKE] {
        return acceptor.accept(stream).await.map(Some);
    }
    stream.write_all(NO_TLS).await?;
    stream.shutdown().await?;
    // Ends with the peer, with the amount, or with the header timeout.
    tokio::io::copy(&mut stream.take(NO_TLS_READ_MAX), &mut tokio::io::sink()).await?;
    Ok(None)
}

/// Clients break off all the time: no news.
fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
