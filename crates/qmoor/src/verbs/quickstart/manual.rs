//! The manual that is inside the binary: what `quickstart` indexes when it is given nothing else.

use qmoor_client::source::Document;

/// One page: its name and its text.
type Page = (&'static str, &'static str);

macro_rules! pages {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../docs/", $name)))),+]
    };
}

/// Every page of `docs/`; a test compares the list with the folder.
const PAGES: &[Page] = pages![
    "audit.md",
    "aws.md",
    "backups.md",
    "cli.md",
    "config.md",
    "doctor.md",
    "engine.md",
    "gateway.md",
    "indexing.md",
    "metrics.md",
    "operations.md",
    "quickstart.md",
    "ray.md",
    "runbook.md",
    "schedules.md",
    "security.md",
    "status-page.md",
];

/// Questions that the manual answers.
pub(super) const QUESTIONS: [&str; 3] = [
    "what happens to requests while a backup stops the engine?",
    "why does indexing the same document again change nothing?",
    "how do I replace a key without an outage?",
];

/// The pages as documents.
pub(super) fn documents() -> Vec<Document> {
    let document =
        |(name, text): &Page| Document { id: (*name).to_owned(), text: (*text).to_owned() };
    PAGES.iter().map(document).collect()
}

#[cfg(test)]
mod tests {
    use super::PAGES;

    #[test]
    fn the_manual_is_the_docs_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".md"))
            .collect();
        files.sort();
        let listed: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, listed);
    }
}
