//! A folder of text files, or one: each file a document named by its path in the folder.
//!
//! What `.gitignore` and `.ignore` in the folder name, and hidden files, are not looked at.
//! Symbolic links are not followed, so that a walk ends.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, Walk, WalkBuilder};

use super::chunk::{Chunker, is_text};
use super::documents::items;
use super::{Item, Place, RowFault, SourceError, SourceOptions};

/// A folder that is being walked.
pub(super) struct Folder {
    /// Text files in it, when it was opened.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    pub(super) bytes_read: u64,
    /// Files come across so far.
    pub(super) seen: u64,
    root: PathBuf,
    walk: Walk,
    chunker: Chunker,
    bytes_max: u64,
    pending: VecDeque<Item>,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("root", &self.root).finish_non_exhaustive()
    }
}

/// What a file's bytes turned out to be.
enum Content {
    Text(String),
    Binary,
    Fault(String),
}

impl Folder {
    /// Opens a folder, or a single text file. Walks it once to know how much there is.
    pub(super) fn open(root: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let chunker = Chunker::new(options)?;
        fs_err::metadata(root)
            .and_then(
                |metadata| {
                    if metadata.is_dir() { fs_err::read_dir(root).map(drop) } else { Ok(()) }
                },
            )
            .map_err(|source| SourceError::Unreadable { path: root.to_owned(), source })?;
        let (mut files, mut bytes) = (0, 0);
        for entry in walk(root).flatten() {
            if is_file(root, &entry) && is_text(entry.path()) {
                files += 1;
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(Self {
            files,
            bytes,
            bytes_read: 0,
            seen: 0,
            root: root.to_owned(),
            walk: walk(root),
            chunker,
            bytes_max: options.text_bytes_max,
            pending: VecDeque::new(),
        })
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Some(item);
            }
            match self.walk.next()? {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
                Ok(entry) => self.pending = self.file(&entry),
                Err(error) => {
                    let place = Place { file: self.root.display().to_string().into(), row: None };
                    return Some(Item::Rejected { place, why: error.to_string() });
                }
            }
        }
    }

    fn file(&mut self, entry: &DirEntry) -> VecDeque<Item> {
        self.seen += 1;
        if !is_file(&self.root, entry) || !is_text(entry.path()) {
            return VecDeque::from([Item::Skipped(1)]);
        }
        let place = Place { file: Arc::from(entry.path().to_string_lossy().as_ref()), row: None };
        let Some(doc) = self.name(entry.path()) else {
            let why = "its name is not UTF-8".to_owned();
            return VecDeque::from([Item::Rejected { place, why }]);
        };
        let content = match read(entry.path(), self.bytes_max) {
            Ok((content, length)) => {
                self.bytes_read += length;
                content
            }
            Err(error) => Content::Fault(error.to_string()),
        };
        match content {
            Content::Text(text) => items(&self.chunker, &doc, &text, &place),
            Content::Binary => VecDeque::from([Item::Skipped(1)]),
            Content::Fault(why) => VecDeque::from([Item::Rejected { place, why }]),
        }
    }

    /// A file's path in the folder, with `/` between its parts.
    fn name(&self, path: &Path) -> Option<String> {
        let inner = path.strip_prefix(&self.root).ok()?;
        if inner.as_os_str().is_empty() {
            return Some(path.file_name()?.to_str()?.to_owned());
        }
        let mut parts = Vec::new();
        for part in inner.components() {
            if let Component::Normal(part) = part {
                parts.push(part.to_str()?);
            }
        }
        Some(parts.join("/"))
    }
}

/// The same walk every time, on every machine: in order, and blind to ignore files outside.
fn walk(root: &Path) -> Walk {
    WalkBuilder::new(root)
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .build()
}

/// Whether it is a plain file; the source itself may be a link to one.
fn is_file(root: &Path, entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file()) || (entry.path() == root && root.is_file())
}

/// Reads a file, at most `bytes_max` of it; also how long it is.
fn read(path: &Path, bytes_max: u64) -> std::io::Result<(Content, u64)> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > bytes_max {
        let fault = RowFault::TooLong(bytes_max).to_string();
        return Ok((Content::Fault(fault), length));
    }
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if !is_utf16 && bytes.contains(&0) {
        return Ok((Content::Binary, length));
    }
    let content = match String::from_utf8(bytes) {
        Ok(text) => Content::Text(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        }),
        Err(error) => {
            let at = u64::try_from(error.utf8_error().valid_up_to()).unwrap_or(u64::MAX);
            Content::Fault(RowFault::NotUtf8(at).to_string())
        }
    };
    Ok((content, length))
}
