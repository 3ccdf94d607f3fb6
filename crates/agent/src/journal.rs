//! What was done to this node's backups, one JSON record a line, each on the disk before the next thing is done.
//!
//! What is true now is folded from the records and never stored. A last line that is not whole (the power
//! went while it was written) is kept beside the journal and cut off; what it announced was not begun, since
//! effects come after their record. A broken line with good ones after it is damage, and is said.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qmoor_plan::backup::{Event, RECORD_VERSION, Record, State, fold};

use crate::durable;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal {} cannot be used: {source} (hint: is the disk full or read-only?)", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later qmoor has written it.
    #[error("the journal {} was written by a later qmoor, in form {version} (hint: run that version again; this one knows form {RECORD_VERSION})", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// The form of its records.
        version: u32,
    },
    /// It is something else.
    #[error("{} is not the journal of a node (hint: move it aside and start again; the backups stay in the store)", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Records are missing, or not in their order.
    #[error("the journal {} is out of order at line {line}: record {found} where {expected} belongs (hint: was a copy put back? move it aside and start again; the backups stay in the store)", path.display())]
    OutOfOrder {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The number that belongs there.
        expected: u64,
        /// The number that stands there.
        found: u64,
    },
    /// A line in the middle is no record.
    #[error("the journal {} is damaged at line {line} (hint: move it aside and start again; the backups stay in the store)", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The first bad line, from 1.
        line: usize,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    state: State,
}

impl Journal {
    /// Opens the journal at `path`, or begins one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io_error = |source| JournalError::Io { path: path.to_owned(), source };
        let is_new = !path.exists();
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io_error)?;
        if is_new && let Some(dir) = path.parent() {
            durable::sync_dir(dir).map_err(io_error)?;
        }
        let bytes = fs_err::read(path).map_err(io_error)?;
        let (records, length) = read(&bytes).map_err(|flaw| flaw.of(path))?;
        if let Some(torn) = bytes.get(length..).filter(|torn| !torn.is_empty()) {
            let aside = path.with_extension(format!("torn-{}", Timestamp::now().as_second()));
            durable::write_durable(&aside, torn, 0o600).map_err(io_error)?;
            file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(io_error)?;
            tracing::warn!(bytes = torn.len(), kept = %aside.display(), "journal: cut a torn last line");
        }
        Ok(Self { path: path.to_owned(), file, length: length as u64, state: fold(&records) })
    }

    /// What is true after all records.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Writes one record, and returns once it is on the disk.
    pub fn append(&mut self, backup: &str, event: Event) -> Result<(), JournalError> {
        let io_error = |source| JournalError::Io { path: self.path.clone(), source };
        let record = Record {
            version: RECORD_VERSION,
            seq: self.state.last_seq + 1,
            at: Timestamp::now(),
            backup: backup.to_owned(),
            event,
        };
        let mut line = serde_json::to_vec(&record).map_err(|err| io_error(err.into()))?;
        line.push(b'\n');
        self.length = durable::append_durable(&mut self.file, self.length, &line)
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })?;
        self.state.apply(&record);
        Ok(())
    }
}

/// What makes a journal one that must not be gone by.
#[derive(Debug)]
enum Flaw {
    Newer { version: u32 },
    NotOurs,
    OutOfOrder { line: usize, expected: u64, found: u64 },
    Damaged { line: usize },
}

impl Flaw {
    fn of(self, path: &Path) -> JournalError {
        let path = path.to_owned();
        match self {
            Self::Newer { version } => JournalError::Newer { path, version },
            Self::NotOurs => JournalError::NotOurs { path },
            Self::OutOfOrder { line, expected, found } => {
                JournalError::OutOfOrder { path, line, expected, found }
            }
            Self::Damaged { line } => JournalError::Damaged { path, line },
        }
    }
}

/// As much of a record as any version of it has.
#[derive(serde::Deserialize)]
struct AnyVersion {
    v: u32,
}

/// All whole records and how many bytes they take, or why they cannot be gone by.
fn read(bytes: &[u8]) -> Result<(Vec<Record>, usize), Flaw> {
    let mut records: Vec<Record> = Vec::new();
    let mut length = 0;
    let mut bad_line = None;
    for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        if let Ok(AnyVersion { v: version }) = serde_json::from_slice(text)
            && version > RECORD_VERSION
        {
            return Err(Flaw::Newer { version });
        }
        let whole = text.last() == Some(&b'\n');
        match serde_json::from_slice::<Record>(text) {
            Ok(_) if bad_line.is_some() => {
                return Err(Flaw::Damaged { line: bad_line.unwrap_or(line) });
            }
            Ok(record) if whole => {
                let expected = records.last().map_or(1, |last| last.seq + 1);
                if record.seq != expected {
                    return Err(Flaw::OutOfOrder { line, expected, found: record.seq });
                }
                records.push(record);
                length += text.len();
            }
            Ok(_) | Err(_) => bad_line = bad_line.or(Some(line)),
        }
    }
    // A torn record of ours begins as all of them do.
    let is_ours = bytes.first().is_none_or(|first| *first == b'{' || *first == 0);
    match records.is_empty()
        && (!is_ours || bytes.iter().filter(|byte| **byte == b'\n').count() > 1)
    {
        true => Err(Flaw::NotOurs),
        false => Ok((records, length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: usize) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        for number in 0..count {
            let id = format!("b-{number}");
            journal.append(&id, Event::Pinned { id: id.clone() }).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn what_was_written_is_there_at_the_next_open_and_numbers_go_on() {
        let (_dir, path) = written(3);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.state().pinned.len(), 3);
        assert_eq!(journal.state().last_seq, 3);
        journal.append("b-3", Event::Pinned { id: "b-3".to_owned() }).unwrap();
        assert_eq!(Journal::open(&path).unwrap().state().last_seq, 4);
    }

    #[test]
    fn cut_at_any_byte_the_whole_records_before_it_stay() {
        let (_dir, path) = written(3);
        let bytes = std::fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal.jsonl");
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.state().pinned.len(), whole, "cut at {cut}");
            journal.append("next", Event::Pinned { id: "next".to_owned() }).unwrap();
            assert_eq!(Journal::open(&path).unwrap().state().pinned.len(), whole + 1);
        }
    }

    #[test]
    fn a_torn_line_is_kept_aside() {
        let (dir, path) = written(1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"seq\":2,\0\0\0");
        std::fs::write(&path, &bytes).unwrap();
        Journal::open(&path).unwrap();
        let names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(names.iter().any(|name| name.starts_with("journal.torn-")), "{names:?}");
    }

    #[test]
    fn a_journal_of_a_later_qmoor_is_left_alone() {
        let (_dir, path) = written(2);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"v\":2,\"seq\":3,\"news\":true}\n");
        std::fs::write(&path, &text).unwrap();
        let err = Journal::open(&path).unwrap_err();
        assert!(matches!(err, JournalError::Newer { version: 2, .. }), "{err}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn records_that_are_missing_doubled_or_in_another_order_are_an_error() {
        let (_dir, path) = written(4);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for order in [vec![0, 2, 1, 3], vec![0, 2, 3], vec![0, 1, 1, 2], vec![1, 2, 3]] {
            let text: String = order.iter().map(|line| lines[*line]).collect();
            std::fs::write(&path, &text).unwrap();
            let err = Journal::open(&path).unwrap_err();
            assert!(matches!(err, JournalError::OutOfOrder { .. }), "{order:?}: {err}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_is_no_journal_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        for text in ["MZ\u{1}\u{2}", "hello\n", "[node]\nname = \"a\"\n", "{\"a\":1}\n{\"b\":2}\n"]
        {
            std::fs::write(&path, text).unwrap();
            let err = Journal::open(&path).unwrap_err();
            assert!(matches!(err, JournalError::NotOurs { .. }), "{text}: {err}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn damage_before_good_records_is_an_error_with_its_line() {
        let (_dir, path) = written(3);
        let text = std::fs::read_to_string(&path).unwrap().replace("\"seq\":2", "\"seq\":x");
        std::fs::write(&path, text).unwrap();
        let err = Journal::open(&path).unwrap_err();
        assert!(matches!(err, JournalError::Damaged { line: 2, .. }), "{err}");
    }
}
