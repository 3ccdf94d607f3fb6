//! Cutting texts into chunks, at the boundaries their form offers.

use std::path::Path;

use text_splitter::{Characters, ChunkConfig, MarkdownSplitter, TextSplitter};

use super::{SourceError, SourceOptions};

/// The file names taken for text in a folder; a name without any, such as `README`, is one too.
pub(crate) const TEXT_EXTENSIONS: [&str; 9] =
    ["md", "markdown", "txt", "text", "rst", "adoc", "asciidoc", "org", "log"];

/// Cuts texts into chunks.
pub(crate) struct Chunker {
    text: TextSplitter<Characters>,
    markdown: MarkdownSplitter<Characters>,
}

impl std::fmt::Debug for Chunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunker").finish_non_exhaustive()
    }
}

impl Chunker {
    pub(crate) fn new(options: &SourceOptions) -> Result<Self, SourceError> {
        if options.chunk_chars == 0 {
            return Err(SourceError::Options("a chunk must have at least one character".into()));
        }
        let config = || {
            ChunkConfig::new(options.chunk_chars).with_overlap(options.overlap_chars).map_err(
                |_| {
                    SourceError::Options(format!(
                        "an overlap of {} characters is not less than a chunk of {}",
                        options.overlap_chars, options.chunk_chars
                    ))
                },
            )
        };
        Ok(Self { text: TextSplitter::new(config()?), markdown: MarkdownSplitter::new(config()?) })
    }

    /// The chunks of a text, in order; none if there is only white space. `name` tells its form.
    pub(crate) fn split(&self, name: &str, text: &str) -> Vec<String> {
        if is_markdown(name) {
            self.markdown.chunks(text).map(str::to_owned).collect()
        } else {
            self.text.chunks(text).map(str::to_owned).collect()
        }
    }
}

/// Whether a file is taken for text by its name.
pub(crate) fn is_text(path: &Path) -> bool {
    match path.extension() {
        None => true,
        Some(extension) => extension.to_str().is_some_and(|extension| {
            TEXT_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
        }),
    }
}

fn is_markdown(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunker(chunk_chars: usize, overlap_chars: usize) -> Result<Chunker, SourceError> {
        Chunker::new(&SourceOptions { chunk_chars, overlap_chars, ..SourceOptions::default() })
    }

    #[test]
    fn no_chunk_is_longer_than_asked_and_no_word_is_lost() {
        let text = "one two three. four five six.\n\nseven eight nine ten eleven twelve";
        for name in ["a.md", "a.txt"] {
            let chunks = chunker(20, 0).unwrap().split(name, text);
            assert!(chunks.iter().all(|chunk| chunk.chars().count() <= 20), "{chunks:?}");
            let words: Vec<_> = chunks.iter().flat_map(|chunk| chunk.split_whitespace()).collect();
            assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
        }
    }

    #[test]
    fn white_space_has_no_chunks() {
        for name in ["a.md", "a.txt"] {
            assert!(chunker(20, 0).unwrap().split(name, " \n\t\n").is_empty());
        }
    }

    #[test]
    fn an_overlap_as_long_as_a_chunk_is_refused() {
        assert!(matches!(chunker(20, 20), Err(SourceError::Options(_))));
        assert!(matches!(chunker(0, 0), Err(SourceError::Options(_))));
    }

    #[test]
    fn text_is_told_by_name() {
        for (name, expected) in
            [("a.md", true), ("a.TXT", true), ("README", true), ("a.png", false), ("a.rs", false)]
        {
            assert_eq!(is_text(Path::new(name)), expected, "{name}");
        }
    }
}
