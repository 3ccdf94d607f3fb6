//! Which documents are written whole, so that what is left of their former chunks may go.

use std::collections::{HashMap, HashSet};

/// Points of one document that follow each other in a request.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) doc: String,
    /// How many chunks the document has.
    pub(super) count: Option<u64>,
    /// The number of the first point in its request.
    pub(super) first: usize,
    pub(super) chunks: Vec<Option<u64>>,
}

/// The documents of one write that may have stale chunks.
#[derive(Debug, Default)]
pub(super) struct Documents {
    open: HashMap<String, Document>,
    whole: Vec<(String, u64)>,
}

#[derive(Debug, Default)]
struct Document {
    count: Option<u64>,
    /// Chunks that the node has.
    chunks: HashSet<u64>,
    has_bad_row: bool,
}

impl Documents {
    /// The node has these points, those excepted for which `is_refused` holds.
    pub(super) fn add(&mut self, runs: Vec<Run>, is_refused: impl Fn(usize) -> bool) {
        for run in runs {
            let document = self.open.entry(run.doc.clone()).or_default();
            // Should rows disagree, the larger number takes less away.
            document.count = document.count.max(run.count);
            for (at, chunk) in (run.first..).zip(run.chunks) {
                if is_refused(at) {
                    document.has_bad_row = true;
                } else if document.count.is_some() {
                    document.chunks.extend(chunk);
                }
            }
            let have = u64::try_from(document.chunks.len()).unwrap_or(u64::MAX);
            if let Some(count) = document.count
                && have == count
                && !document.has_bad_row
            {
                self.open.remove(&run.doc);
                self.whole.push((run.doc, count));
            }
        }
    }

    /// A row of this document could not be used.
    pub(super) fn has_bad_row(&mut self, doc: String) {
        self.open.entry(doc).or_default().has_bad_row = true;
    }

    /// Documents all chunks of which the node has, once there are `least` of them.
    pub(super) fn take_whole(&mut self, least: usize) -> Option<Vec<(String, u64)>> {
        (self.whole.len() >= least.max(1)).then(|| std::mem::take(&mut self.whole))
    }

    /// The documents that are not whole. What a row that was set aside should have replaced is not
    /// to be removed, so of documents with one only those whose tail is known.
    pub(super) fn into_open(self) -> Vec<(String, Option<u64>)> {
        let whole = self.whole.into_iter().map(|(doc, count)| (doc, Some(count)));
        let open = self.open.into_iter();
        let open = open.filter(|(_, document)| document.count.is_some() || !document.has_bad_row);
        let open = open.map(|(doc, document)| (doc, document.count));
        let mut all: Vec<_> = whole.chain(open).collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(doc: &str, count: Option<u64>, chunks: &[u64]) -> Run {
        let chunks = chunks.iter().copied().map(Some).collect();
        Run { doc: doc.to_owned(), count, first: 0, chunks }
    }

    #[test]
    fn a_document_is_whole_when_all_its_chunks_are() {
        let mut documents = Documents::default();
        documents.add(vec![run("a", Some(3), &[0, 2]), run("b", Some(1), &[0])], |_| false);
        assert_eq!(documents.take_whole(1), Some(vec![("b".to_owned(), 1)]));
        documents.add(vec![run("a", Some(3), &[2])], |_| false);
        assert_eq!(documents.take_whole(1), None);
        documents.add(vec![run("a", Some(3), &[1])], |_| false);
        assert_eq!(documents.take_whole(1), Some(vec![("a".to_owned(), 3)]));
        assert!(documents.into_open().is_empty());
    }

    #[test]
    fn a_document_with_a_bad_row_is_never_whole() {
        let mut documents = Documents::default();
        documents.has_bad_row("a".to_owned());
        documents.has_bad_row("c".to_owned());
        documents.add(vec![run("a", Some(2), &[0, 1]), run("b", None, &[0, 1])], |at| at == 1);
        documents.add(vec![run("d", None, &[7])], |_| false);
        assert_eq!(documents.take_whole(1), None);
        let open = vec![("a".to_owned(), Some(2)), ("d".to_owned(), None)];
        assert_eq!(documents.into_open(), open);
    }
}
