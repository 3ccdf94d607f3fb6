//! The moment an engine is ready: it says where it listens, and refuses whoever has no key.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout_at};

use super::running::Running;
use super::{Endpoint, EngineError, EngineSpec};
use crate::durable;
use crate::keys::Secret;

/// The longest greeting line accepted from an engine, in bytes.
const GREETING_BYTES_MAX: u64 = 4096;
/// With less room than this on its disk, in bytes, an engine that dies has most likely died of that.
const ROOM_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// The line an engine prints once both its listeners are up.
#[derive(Debug, serde::Deserialize)]
struct Greeting {
    http: SocketAddr,
    grpc: SocketAddr,
}

/// Waits for the addresses, then makes sure that the engine refuses a request without a key.
pub(super) async fn greet(
    spec: &EngineSpec,
    run: &Running,
    stdout: ChildStdout,
    api_key: Secret,
    log_start: u64,
) -> Result<Endpoint, EngineError> {
    let timeout = spec.start_timeout;
    let too_slow = || EngineError::TooSlow { after: timeout, log: spec.log.clone() };
    let mut lines = BufReader::new(stdout.take(GREETING_BYTES_MAX));
    let mut line = String::new();
    let deadline = Instant::now() + timeout;
    let read = timeout_at(deadline, lines.read_line(&mut line)).await;
    match read {
        Ok(Ok(count)) if count > 0 => {}
        Ok(Ok(_) | Err(_)) => {
            // Standard output closed: the process is ending, or has.
            let exit_code = run.exited(deadline).await.ok_or_else(too_slow)?.code;
            let last_words = match out_of_room(&spec.data).filter(|_| exit_code.is_none()) {
                Some(why) => why,
                None => last_words(&spec.log, log_start),
            };
            return Err(EngineError::Died { exit_code, last_words });
        }
        Err(_) => return Err(too_slow()),
    }
    let greeting: Greeting = serde_json::from_str(&line)
        .map_err(|_| EngineError::Greeting { line: line.trim_end().chars().take(200).collect() })?;
    // Whatever else it prints must not fill the pipe.
    tokio::spawn(async move {
        let mut rest = lines.into_inner().into_inner();
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    });
    let guarded = refuses_without_key(greeting.http);
    timeout_at(deadline, guarded).await.map_err(|_| too_slow())??;
    Ok(Endpoint { http: greeting.http, grpc: greeting.grpc, api_key })
}

/// Asks for the collections without a key; anything but 401 is an engine open to everyone on this host.
pub(super) async fn refuses_without_key(address: SocketAddr) -> Result<(), EngineError> {
    let failed = |reason: String| EngineError::Probe { address, reason };
    let stream =
        tokio::net::TcpStream::connect(address).await.map_err(|error| failed(error.to_string()))?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get("/collections")
        .header(http::header::HOST, address.to_string())
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(error.to_string()));
    driver.abort();
    match answer?.status().as_u16() {
        401 => Ok(()),
        status => Err(EngineError::Unguarded { status }),
    }
}

/// What to say of an engine that a signal ended on a full disk: its storage is mapped into memory, so that it
/// cannot say it itself.
fn out_of_room(data: &Path) -> Option<String> {
    let free = durable::free_bytes(data).ok().filter(|free| *free < ROOM_BYTES_MIN)?;
    Some(format!(
        "No space left on device: {free} bytes are free where {} is (hint: free some space; it is tried again by itself)",
        data.display()
    ))
}

/// The last line that a failed start wrote to its log, for the error.
fn last_words(log: &Path, log_start: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(log_start.max(length.saturating_sub(4096))))?;
        let mut bytes = Vec::new();
        file.take(4096).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("nothing in `{}`", log.display()), |line| line.trim().to_owned())
}
