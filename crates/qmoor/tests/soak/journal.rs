//! The node's journal as anybody can read it: what was written, and that nothing of it goes away.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use qmoor_plan::backup::{Event, Record, Step};

use crate::LONG;

/// How often it is looked for more: shorter than any step.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// The journal, and all of it that has been seen.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    seen: Vec<u8>,
    records: Vec<Record>,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Vec::new(), records: Vec::new() }
    }

    /// Reads what is there now. All whole lines that were ever seen must still be there.
    pub(crate) fn look(&mut self) -> &[Record] {
        let bytes = std::fs::read(&self.path).unwrap();
        assert!(
            bytes.starts_with(&self.seen),
            "the journal lost records: {} bytes were there, {} are, and not the same",
            self.seen.len(),
            bytes.len()
        );
        self.take(&bytes[self.seen.len()..]);
        &self.records
    }

    /// Reads what came since the last look, which is soon done.
    fn follow(&mut self) {
        let mut file = File::open(&self.path).unwrap();
        let mut more = Vec::new();
        file.seek(SeekFrom::Start(self.seen.len() as u64)).unwrap();
        file.read_to_end(&mut more).unwrap();
        self.take(&more);
    }

    /// Takes the whole lines, which must be records that are numbered without a gap.
    fn take(&mut self, more: &[u8]) {
        let whole = more.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in more[..whole].split_inclusive(|byte| *byte == b'\n') {
            let record: Record = serde_json::from_slice(line).unwrap_or_else(|error| {
                panic!("the journal has a line that is no record ({error}): {line:?}")
            });
            assert_eq!(record.seq, self.records.len() as u64 + 1, "a gap in the journal");
            self.records.push(record);
        }
        self.seen.extend_from_slice(&more[..whole]);
    }

    /// All records that have been seen.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Waits until a record is written that this is true of, from now on.
    pub(crate) async fn until(&mut self, mut what: impl FnMut(&Record) -> bool) {
        let mut from = self.look().len();
        let found = async {
            loop {
                self.follow();
                if self.records[from..].iter().any(&mut what) {
                    return;
                }
                from = self.records.len();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LONG, found).await.expect("backups go on");
    }

    /// What the node was at when the last record was written.
    pub(crate) fn at(&self) -> &'static str {
        match self.records.last().map(|record| &record.event) {
            Some(Event::Begin { .. }) => "begin",
            Some(
                Event::Intent { step } | Event::Done { step, .. } | Event::Failed { step, .. },
            ) => step.as_str(),
            Some(Event::Verified { .. }) => Step::Verify.as_str(),
            Some(Event::PruneBegin { .. } | Event::Pruned { .. }) => Step::Prune.as_str(),
            Some(_) | None => "between backups",
        }
    }

    /// Backups that ended well, and those that were given up.
    pub(crate) fn made_and_abandoned(&self) -> (usize, usize) {
        let ended = |good: bool| {
            let is =
                |record: &&Record| matches!(record.event, Event::Finished { ok, .. } if ok == good);
            self.records.iter().filter(is).count()
        };
        (ended(true), ended(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: &[u64]) -> String {
        let line = |seq: &u64| {
            format!(
                r#"{{"seq":{seq},"at":"2026-01-02T03:04:05Z","backup":"b","event":{{"type":"pinned","id":"b"}}}}"#
            ) + "\n"
        };
        numbers.iter().map(line).collect()
    }

    fn looked_at(first: &str, then: &str) -> usize {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut journal = Journal::new(file.path().to_owned());
        std::fs::write(file.path(), first).unwrap();
        journal.look();
        std::fs::write(file.path(), then).unwrap();
        journal.look().len()
    }

    #[test]
    fn a_journal_that_grows_is_followed_and_a_torn_last_line_is_no_record() {
        assert_eq!(looked_at(&lines(&[1, 2]), &(lines(&[1, 2, 3]) + "{\"seq\":4")), 3);
        assert_eq!(looked_at(&(lines(&[1]) + "{\"seq\":2"), &lines(&[1, 2])), 2);
    }

    #[test]
    #[should_panic(expected = "lost records")]
    fn a_record_that_is_gone_is_noticed() {
        looked_at(&lines(&[1, 2]), &lines(&[1]));
    }

    #[test]
    #[should_panic(expected = "a gap")]
    fn a_number_that_was_left_out_is_noticed() {
        looked_at(&lines(&[1]), &lines(&[1, 3]));
    }
}
