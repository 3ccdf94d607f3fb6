//! Telling what a path is, and refusing what is not what its name says.

use std::io::Read;
use std::path::Path;

use super::chunk::is_text;
use super::folder::Folder;
use super::fvecs::Fvecs;
use super::jsonl::Jsonl;
use super::npy::Npy;
use super::parquet::Parquet;
use super::{Reader, Source, SourceError, SourceOptions};

pub(super) fn open(path: &Path, options: &SourceOptions) -> Result<Source, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: path.to_owned(), source };
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SourceError::Missing(path.to_owned()));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if metadata.is_dir() {
        return Ok(Source::new(path.to_owned(), Reader::Folder(Folder::open(path, options)?)));
    }
    if !metadata.is_file() {
        return Err(SourceError::UnknownKind(path.to_owned()));
    }
    if metadata.len() == 0 {
        let what = "it has no bytes".to_owned();
        return Err(SourceError::Empty { path: path.to_owned(), what });
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.map(str::to_ascii_lowercase);
    let reader = match extension.as_deref() {
        Some("jsonl" | "ndjson") => Reader::Jsonl(Jsonl::open(path, options)?),
        Some("parquet" | "pq") => Reader::Parquet(Parquet::open(path, options)?),
        Some("npy") => Reader::Npy(Npy::open(path)?),
        Some("fvecs") => Reader::Fvecs(Fvecs::open(path)?),
        Some(_) | None if is_text(path) => {
            refuse_binary(path)?;
            Reader::Folder(Folder::open(path, options)?)
        }
        Some(_) | None => return Err(SourceError::UnknownKind(path.to_owned())),
    };
    Ok(Source::new(path.to_owned(), reader))
}

/// What the first bytes of a file say it is, for messages.
pub(super) fn looks_like(first: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 8] = [
        (b"PAR1", "it looks like Parquet"),
        (b"\x93NUMPY", "it looks like .npy"),
        (b"\x1f\x8b", "it is compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "it is compressed with zstd"),
        (b"PK\x03\x04", "it is a zip archive"),
        (b"%PDF", "it is a PDF"),
        (b"ARROW1", "it looks like Arrow IPC"),
        (b"\x7fELF", "it is a program"),
    ];
    known.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, name)| *name)
}

/// The first bytes of a file.
pub(super) fn head(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut first = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut first))
        .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
    Ok(first)
}

/// A text file named as the source is meant: if it is not text, that is an error and no reason to
/// pass it over.
fn refuse_binary(path: &Path) -> Result<(), SourceError> {
    let first = head(path)?;
    let found = match looks_like(&first) {
        Some(found) => found.to_owned(),
        None if first.contains(&0) => "it holds NUL bytes".to_owned(),
        None => return Ok(()),
    };
    Err(SourceError::WrongKind { path: path.to_owned(), expected: "text", found })
}
