//! A folder of small documents that changes between runs, and what should be indexed of it.

use std::path::Path;

use qmoor_client::index::{IndexOptions, Progress, Summary, index};
use qmoor_client::source::{SourceOptions, open};
use qmoor_client::target::Target;
use tempfile::TempDir;

/// A folder of text files whose paragraphs are chunks.
pub(crate) struct Corpus {
    folder: TempDir,
}

/// So short that every paragraph becomes a chunk.
const CHUNK_CHARS: usize = 24;

impl Corpus {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a document of these paragraphs, each of 13 to 24 characters.
    pub(crate) fn write(&self, name: &str, paragraphs: &[&str]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(paragraphs.iter().all(|text| (13..=CHUNK_CHARS).contains(&text.len())));
        std::fs::write(path, paragraphs.join("\n\n")).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    /// What a collection should hold, as `document/chunk: text`.
    pub(crate) fn expected(&self) -> Vec<String> {
        let mut all = Vec::new();
        collect(self.path(), self.path(), &mut all);
        all.sort();
        all
    }

    pub(crate) async fn index(
        &self,
        target: &Target,
        options: &IndexOptions,
    ) -> Result<Summary, qmoor_client::error::Error> {
        let source_options = SourceOptions { chunk_chars: CHUNK_CHARS, ..Default::default() };
        let source = open(self.path(), &source_options)?;
        index(target, source, options, &|_: Progress| {}).await
    }
}

fn collect(root: &Path, folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, all);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let paragraphs = text.split("\n\n").filter(|text| !text.trim().is_empty()).enumerate();
        all.extend(paragraphs.map(|(chunk, text)| format!("{name}/{chunk}: {text}")));
    }
}

/// A summary that does not add up is wrong whatever else it says.
pub(crate) fn adds_up(summary: &Summary) {
    assert_eq!(
        summary.chunks,
        summary.written + summary.unchanged + summary.rejected_count,
        "{summary:?}"
    );
}
