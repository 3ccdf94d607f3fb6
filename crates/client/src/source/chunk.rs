//! Cutting texts into chunks, at the boundaries their form offers.

use std::path::Path;

use text_splitter::{Characters, ChunkConfig, MarkdownSplitter, TextSplitter};

use super::{SourceError, SourceOptions};

/// The file names taken for text in a folder; a name without any, such as `README`, is one too.
pub(crate) const TEXT_EXTENSIONS: [&str; 9] =
    ["md", "markdown", "txt", "text", "rst", "adoc", "asciidoc", "org", "log"];

/// The splitter takes time that grows with the square of a line's length, so longer lines are cut
/// before it sees them; a text with a line break now and then is not touched.
const LINE_BYTES_MAX: usize = 32 << 10;

/// Cuts texts into chunks.
pub(crate) struct Chunker {
    line_bytes_max: usize,
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
        Ok(Self {
            line_bytes_max: options.chunk_chars.saturating_mul(32).max(LINE_BYTES_MAX),
            text: TextSplitter::new(config()?),
            markdown: MarkdownSplitter::new(config()?),
        })
    }

    /// The chunks of a text, in order; none if there is only white space. `name` tells its form.
    pub(crate) fn split(&self, name: &str, text: &str) -> Vec<String> {
        let is_markdown = is_markdown(name);
        let mut chunks = Vec::new();
        for piece in pieces(text, self.line_bytes_max) {
            if is_markdown {
                chunks.extend(self.markdown.chunks(piece).map(str::to_owned));
            } else {
                chunks.extend(self.text.chunks(piece).map(str::to_owned));
            }
        }
        chunks
    }
}

/// The text, cut only inside lines longer than `most`, at a space if there is one.
fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    // What is not handed out yet, and how much of it is in lines before the current one.
    let (mut rest, mut before) = (text, 0);
    for line in text.split_inclusive('\n') {
        let mut left = line.len();
        while left > most {
            let end = rest.floor_char_boundary(before + most);
            let window = rest.get(before..end).unwrap_or_default();
            let space = window.rfind(' ').map(|at| at + 1).filter(|at| *at > most / 2);
            let taken = space.unwrap_or(window.len());
            let Some((piece, after)) = rest.split_at_checked(before + taken) else { break };
            pieces.push(piece);
            (rest, before) = (after, 0);
            left -= taken;
        }
        before += left;
    }
    pieces.push(rest);
    pieces
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
    fn only_overlong_lines_are_cut_and_nothing_is_lost() {
        let short = "a line\n\nanother line\n".repeat(50);
        assert_eq!(pieces(&short, 20), [short.as_str()]);
        for long in
            ["ö".repeat(500), "some words ".repeat(99), format!("{short}{}\nx", "y".repeat(99))]
        {
            let all = pieces(&long, 20);
            assert_eq!(all.concat(), long);
            let longest = all.iter().flat_map(|piece| piece.lines()).map(str::len).max();
            assert!(longest <= Some(20), "{all:?}");
        }
        assert!(pieces(&"some words ".repeat(99), 20).iter().all(|piece| piece.ends_with(' ')));
    }

    #[test]
    fn a_line_of_megabytes_takes_no_minutes() {
        let begun = std::time::Instant::now();
        for (name, text) in [("a.txt", "x".repeat(4 << 20)), ("a.md", "word ".repeat(1 << 20))] {
            let chunks = chunker(1000, 0).unwrap().split(name, &text);
            assert!(chunks.len() > 4000 && chunks.iter().all(|chunk| chunk.len() <= 1000));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
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
