//! Making the image and the file system in it, and telling what an image holds.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use qmoor_plan::config::Filesystem;

use super::image::ImageSpec;
use super::record::Record;
use super::tool::Tool;
use super::{VolumeError, io_error};
use crate::durable;

/// So much of both ends of an image must be zeros for it to be blank, in bytes: whatever has a format has some of
/// it there.
const BLANK_BYTES: u64 = 4 * 1024 * 1024;
/// A file that shares blocks is written in whole blocks of its disk, and its loop device then says that it has
/// sectors of that size. A file system with smaller ones could not be mounted any more once it was cloned.
const SECTORS: &str = "size=4096";
/// The same for ext4, which has no sectors of its own.
const BLOCKS: &str = "4096";
/// What `blkid` ends with when it finds nothing.
const NOTHING_FOUND: Option<i32> = Some(2);

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) kind: String,
    pub(super) uuid: String,
}

/// What `image` holds; nothing if it is blank.
pub(super) fn content(image: &Path) -> Result<Option<Content>, VolumeError> {
    let probed = Tool::new("blkid", "util-linux")
        .args(&["--probe", "--output", "export"])
        .arg(image)
        .run()?;
    match probed.code {
        Some(0) => {}
        NOTHING_FOUND if has_blank_ends(image).map_err(io_error("reading the image"))? => {
            return Ok(None);
        }
        NOTHING_FOUND => {
            return Ok(Some(Content { kind: "something unknown".to_owned(), uuid: String::new() }));
        }
        Some(_) | None => return Err(probed.failure()),
    }
    let value = |name: &str| {
        let line = probed.out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    let kind = value("TYPE").or_else(|| value("PTTYPE")).unwrap_or_else(|| "something".to_owned());
    Ok(Some(Content { kind, uuid: value("UUID").unwrap_or_default() }))
}

fn has_blank_ends(image: &Path) -> io::Result<bool> {
    let mut file = fs_err::File::open(image)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    for start in [0, length.saturating_sub(BLANK_BYTES)] {
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        file.by_ref().take(BLANK_BYTES).read_to_end(&mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the image that `record` announces, which was never mounted. One that is there already must be blank, or
/// what an attempt that was cut short has left.
pub(super) fn make(spec: &ImageSpec, record: &Record) -> Result<(), VolumeError> {
    let io = io_error("making the image");
    let Some(dir) = spec.image.parent() else {
        return Err(io(io::Error::other(format!("{} has no folder", spec.image.display()))));
    };
    fs_err::create_dir_all(dir).map_err(&io)?;
    if spec.image.exists() {
        take_over(spec, record)?;
        format(spec.filesystem, &spec.image, &record.uuid)?;
    } else {
        // Under another name until it is whole.
        let mut name = spec.image.file_name().unwrap_or_default().to_owned();
        name.push(".making");
        let temp = spec.image.with_file_name(name);
        let file = private_file(&temp).map_err(&io)?;
        file.set_len(record.size).map_err(&io)?;
        format(spec.filesystem, &temp, &record.uuid)?;
        file.sync_all().map_err(&io)?;
        fs_err::rename(&temp, &spec.image).map_err(&io)?;
    }
    fs_err::File::open(&spec.image).and_then(|file| file.sync_all()).map_err(&io)?;
    durable::sync_dir(dir).map_err(&io)
}

/// Whether the file that is there may be formatted, and long enough.
fn take_over(spec: &ImageSpec, record: &Record) -> Result<(), VolumeError> {
    match content(&spec.image)? {
        None => {}
        Some(found) if found.uuid == record.uuid => {}
        Some(found) => return Err(foreign(spec, &found)),
    }
    let io = io_error("making the image");
    let file = fs_err::OpenOptions::new().write(true).open(&spec.image).map_err(&io)?;
    if file.metadata().map_err(&io)?.len() > record.size {
        return Err(VolumeError::Refused {
            path: spec.image.clone(),
            why: format!("is longer than `volume.size`, which is {} bytes", record.size),
            hint: "set `volume.size` to its length".to_owned(),
        });
    }
    file.set_len(record.size).map_err(&io)
}

/// The refusal of an image that this node did not make.
pub(super) fn foreign(spec: &ImageSpec, found: &Content) -> VolumeError {
    let Content { kind, uuid } = found;
    VolumeError::Refused {
        path: spec.image.clone(),
        why: format!("holds {kind} that this node did not make (UUID {uuid:?})"),
        hint: format!(
            "move it away, let `volume.image` name another file, or, if it is this node's, put its {} back",
            spec.record.display()
        ),
    }
}

/// A new file only its owner may look into, in the place of what a former attempt has left.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(super::on_path(path, error));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| super::on_path(path, error))
}

/// Makes a file system. The caller knows that there is none, or one that never held anything.
fn format(kind: Filesystem, image: &Path, uuid: &str) -> Result<(), VolumeError> {
    match kind {
        Filesystem::Xfs => Tool::new("mkfs.xfs", "xfsprogs")
            .args(&["-q", "-f", "-s", SECTORS, "-m", &format!("uuid={uuid}")])
            .arg(image)
            .done(),
        Filesystem::Ext4 => Tool::new("mkfs.ext4", "e2fsprogs")
            .args(&["-q", "-F", "-b", BLOCKS, "-U", uuid])
            .arg(image)
            .done(),
    }
    .map(drop)
}

/// A new random UUID, from the kernel.
pub(super) fn new_uuid() -> Result<String, VolumeError> {
    let text = fs_err::read_to_string("/proc/sys/kernel/random/uuid");
    text.map(|text| text.trim().to_owned()).map_err(io_error("making a UUID"))
}
