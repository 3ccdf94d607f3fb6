//! The dead-letter file: rows that were set aside, one JSON object a line, added to what is there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::{File, OpenOptions};
use parking_lot::Mutex;

use super::Rejected;
use crate::error::Error;

/// Opened when the first row is set aside.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
    file: Arc<Mutex<Option<File>>>,
}

impl DeadLetters {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: Arc::new(Mutex::new(None)) }
    }

    /// Sets a row aside. Blocking.
    pub(super) fn write(&self, rejected: &Rejected) -> Result<(), Error> {
        self.append(rejected).map_err(|source| Error::File {
            action: "write rejected rows to",
            path: self.path.clone(),
            source,
        })
    }

    fn append(&self, rejected: &Rejected) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(rejected)?;
        line.push(b'\n');
        let mut file = self.file.lock();
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        file.write_all(&line)
    }
}
