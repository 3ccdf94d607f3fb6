//! Reads the audit log back.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use qmoor_plan::audit::{Entry, Reader, Wanted};

use super::file;

/// The longest line that is read, in bytes; more of it is passed over.
const LINE_MAX: u64 = 1024 * 1024;

/// The entries that are wanted, the oldest first. Blocks, and reads all files: some hundred MiB at the most.
///
/// # Errors
/// When a file cannot be read. A log that was not begun yet has no entries.
pub fn read(state: &Path, wanted: Wanted) -> std::io::Result<Vec<Entry>> {
    let mut files = file::before(state)?;
    files.push(state.join(file::NAME));
    let mut reader = Reader::new(wanted);
    for path in files {
        let opened = match fs_err::File::open(&path) {
            Ok(opened) => opened,
            // It was set aside since, or never begun.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(opened);
        let mut line = Vec::new();
        while lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? > 0 {
            if let Ok(text) = std::str::from_utf8(&line) {
                reader.line(text);
            }
            line.clear();
        }
    }
    Ok(reader.entries())
}
