//! Handing a message to the command.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::outline;

/// All that the command finds in its environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// More of what it says is not kept.
const SAID_BYTES_MAX: usize = 4096;
/// How long the last words of one that has ended may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The processes of a command. They are killed when this is dropped before the command has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended this moment.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs a program with `message` on its standard input. It and what it has started are killed after the timeout.
pub(super) async fn run(
    words: &[String],
    message: &[u8],
    timeout: Duration,
) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("there is no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(leader);
    let ended = tokio::time::timeout(timeout, through(&mut child, message)).await;
    let Ok((status, said)) = ended else {
        return Err(format!("`{program}` did not end within {timeout:?} and was killed"));
    };
    group.0 = None;
    let status = status.map_err(|error| format!("`{program}`: {error}"))?;
    let said = outline(&said);
    let told = match said.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {said}"),
    };
    if status.success() { Ok(told) } else { Err(format!("`{program}` ended with {told}")) }
}

/// Hands it the message, and waits for its end and its last words.
async fn through(
    child: &mut Child,
    message: &[u8],
) -> (std::io::Result<std::process::ExitStatus>, Vec<u8>) {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // It need not read it.
            let _closed = stdin.write_all(message).await;
        }
    };
    let listen = async {
        let (mut said, mut chunk) = (Vec::new(), [0; 1024]);
        let Some(mut stderr) = stderr else { return (child.wait().await, said) };
        let mut status = None;
        loop {
            tokio::select! {
                ended = child.wait(), if status.is_none() => status = Some(ended),
                read = stderr.read(&mut chunk) => {
                    let bytes = chunk.get(..read.unwrap_or(0)).unwrap_or_default();
                    if bytes.is_empty() {
                        break;
                    }
                    let room = SAID_BYTES_MAX.saturating_sub(said.len());
                    said.extend(bytes.iter().take(room));
                }
                // What it has left running may hold the pipe open.
                () = tokio::time::sleep(LAST_WORDS), if status.is_some() => break,
            }
        }
        match status {
            Some(status) => (status, said),
            None => (child.wait().await, said),
        }
    };
    let ((), ended) = tokio::join!(write, listen);
    ended
}
