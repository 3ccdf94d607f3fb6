//! Processes and sockets, as `/proc` shows them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use qmoor_plan::doctor::{Process, Seen, listeners, open_files_limit};

/// A socket that listens, and its number.
pub(super) type Listener = (SocketAddr, u64);

/// All sockets of this host that listen for TCP.
pub(super) fn listening() -> Seen<Vec<Listener>> {
    let mut found = listeners(&read("/proc/net/tcp")?);
    // Where IPv6 is off there is no such file.
    found.extend(listeners(&read("/proc/net/tcp6").unwrap_or_default()));
    Ok(found)
}

/// What can be seen of a process.
pub(super) fn look(pid: u32, listening: &Seen<Vec<Listener>>) -> Process {
    let open = open_files(pid);
    let listens = match (&open, listening) {
        (Ok(open), Ok(listening)) => Ok(listening
            .iter()
            .filter(|(_, number)| open.contains(&format!("socket:[{number}]")))
            .map(|(at, _)| *at)
            .collect()),
        (Err(why), _) | (_, Err(why)) => Err(why.clone()),
    };
    let limits = read(&format!("/proc/{pid}/limits"));
    Process {
        listens,
        open_files: open.map(|open| u64::try_from(open.len()).unwrap_or(u64::MAX)),
        open_files_max: limits.and_then(|text| {
            open_files_limit(&text)
                .ok_or_else(|| format!("/proc/{pid}/limits names no limit of open files"))
        }),
        maps: read(&format!("/proc/{pid}/maps"))
            .map(|text| u64::try_from(text.lines().count()).unwrap_or(u64::MAX)),
    }
}

/// What each open file of a process is.
fn open_files(pid: u32) -> Seen<Vec<String>> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder).map_err(|error| why_not(&folder, &error))?;
    // One that is closed meanwhile is not open.
    let names = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
}

/// The text of a file in `/proc`.
pub(super) fn read(path: &str) -> Seen<String> {
    let bytes = std::fs::read(path).map_err(|error| why_not(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn why_not(path: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("{path} may be looked at by root, and by the user that the node runs as")
        }
        _ => format!("{path}: {error}"),
    }
}
