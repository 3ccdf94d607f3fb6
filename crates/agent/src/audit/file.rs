//! The files of the audit log: one that grows, and the ones before it, up to a bound.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use jiff::Timestamp;

use super::Queued;

/// The file that grows.
pub(super) const NAME: &str = "audit.jsonl";
/// How those before it begin; what follows says when they were full, so that names are in order.
pub(super) const BEFORE: &str = "audit-";
/// When a file is full, in bytes.
const FULL: u64 = 16 * 1024 * 1024;
/// How many full ones are kept.
const KEPT: usize = 8;
/// Records written at once, at most.
const AT_ONCE: usize = 256;

/// The file that grows. It is opened when it is needed, and again after an error.
#[derive(Debug)]
pub(super) struct File {
    dir: PathBuf,
    open: Option<std::fs::File>,
    full: u64,
}

impl File {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None, full: FULL }
    }

    #[cfg(test)]
    pub(super) fn full_at(self, full: u64) -> Self {
        Self { full, ..self }
    }

    /// Adds whole lines, and waits until they are on the disk.
    pub(super) fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let added = self.try_append(lines);
        if added.is_err() {
            self.open = None;
        }
        added
    }

    fn try_append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let path = self.dir.join(NAME);
        if let Some(file) = &self.open
            && file.metadata()?.len() >= self.full
        {
            self.open = None;
            self.set_aside(&path)?;
        }
        let file = match &mut self.open {
            Some(file) => file,
            closed @ None => closed.insert(open(&path)?),
        };
        let length = file.metadata()?.len();
        let added = file.write_all(lines).and_then(|()| file.sync_data());
        if added.is_err() {
            // No half line is left behind for the next one to stand on.
            file.set_len(length).ok();
        }
        added
    }

    fn set_aside(&self, path: &Path) -> std::io::Result<()> {
        let name = format!("{BEFORE}{}.jsonl", Timestamp::now().as_microsecond());
        fs_err::rename(path, self.dir.join(name))?;
        let before = before(&self.dir)?;
        for old in before.iter().take(before.len().saturating_sub(KEPT)) {
            fs_err::remove_file(old)?;
        }
        crate::durable::sync_dir(&self.dir)
    }
}

/// The full files, the oldest first.
pub(super) fn before(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(BEFORE)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let mut file =
        std::fs::File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
    // A power cut may have torn the last line: it ends here, and the next one is whole.
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Writes what comes until nobody is left to send any more. Blocks; a thread of its own.
pub(super) fn write(mut file: File, records: &Receiver<Queued>, lost: &AtomicU64) {
    while let Ok(first) = records.recv() {
        let batch: Vec<Queued> =
            std::iter::once(first).chain(records.try_iter()).take(AT_ONCE).collect();
        let mut lines = Vec::new();
        let records = batch.iter().filter_map(|queued| queued.record.as_ref());
        for mut line in records.clone().filter_map(|record| serde_json::to_vec(record).ok()) {
            line.push(b'\n');
            lines.append(&mut line);
        }
        if !lines.is_empty()
            && let Err(error) = file.append(&lines)
        {
            lose(lost, records.count() as u64, &error.to_string());
        }
        for queued in batch {
            if let Some(written) = queued.written {
                // Whoever began may have stopped waiting.
                written.send(()).ok();
            }
        }
    }
}

/// Counts what is lost, and says so when the count comes to a power of two: a full disk must not fill the log too.
pub(super) fn lose(lost: &AtomicU64, many: u64, why: &str) {
    let before = lost.fetch_add(many, Ordering::Relaxed);
    if (before + 1..=before + many).any(u64::is_power_of_two) {
        tracing::error!(
            lost = before + many,
            why,
            "audit: records could not be written; they are in the log only (hint: is the disk of node.state full?)"
        );
    }
}
