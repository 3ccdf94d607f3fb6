//! Places where a key would be read by others.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use qmoor_plan::config::Config;
use qmoor_plan::doctor::{Seen, shows_a_key};

/// How much of the end of a log is read, in bytes.
const LOG_END: u64 = 8 * 1024 * 1024;
/// Where cloud-init keeps the user data of this machine.
const USER_DATA: &str = "/var/lib/cloud/instance/user-data.txt";

/// Looks for the node's keys where they should not stand. What this process may not read, others may not either, but
/// for root.
pub(super) fn look(config: &Config, file: Option<&Path>, pids: &[u32]) -> Seen<Vec<String>> {
    let mut leaks = Vec::new();
    let entries = std::fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.bytes().all(|byte| byte.is_ascii_digit()) && shows(&entry.path().join("cmdline")) {
            leaks.push(format!("the command line of process {name}"));
        }
    }
    for pid in pids {
        if shows(Path::new(&format!("/proc/{pid}/environ"))) {
            leaks.push(format!("the environment of process {pid}"));
        }
    }
    let log = config.node.state.join("engine.log");
    let files = [Some(log.as_path()), file, Some(Path::new(USER_DATA))];
    for file in files.into_iter().flatten().filter(|file| shows(file)) {
        leaks.push(file.display().to_string());
    }
    Ok(leaks)
}

/// Whether the end of a file shows a key.
fn shows(path: &Path) -> bool {
    let read = || {
        let mut file = std::fs::File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).ok()?;
        let mut bytes = Vec::new();
        file.take(LOG_END).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    read().is_some_and(|bytes| shows_a_key(&bytes))
}
