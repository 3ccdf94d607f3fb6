//! What is mounted where, as `/proc/self/mountinfo` says.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::mount::UnmountFlags;

use super::{VolumeError, io_error, on_path};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's number of it.
    pub id: u64,
    /// Major and minor number of the device.
    pub device: (u32, u32),
    /// Which folder of the file system is mounted; `/` if it is the whole.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Kind of file system, such as `xfs`.
    pub filesystem: String,
    /// What is mounted, such as `/dev/loop0`.
    pub source: PathBuf,
}

/// The mount that `path`, which must exist, lies on.
///
/// # Errors
/// When `path` cannot be looked at.
pub fn holding(path: &Path) -> io::Result<Option<Mount>> {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)
        .map_err(|error| on_path(path, error))?;
    Ok(all()?.into_iter().find(|mount| mount.id == found.stx_mnt_id))
}

/// The mount whose mount point is `point`: the topmost one, if there are several.
///
/// # Errors
/// When `point` cannot be looked at, for another reason than that it is not there.
pub fn at(point: &Path) -> io::Result<Option<Mount>> {
    let whole = match fs_err::canonicalize(point) {
        Ok(whole) => whole,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(holding(&whole)?.filter(|mount| mount.point == whole))
}

/// Unmounts all that is mounted on `point`, one over the other. Nothing there is fine.
///
/// # Errors
/// When somebody still uses it.
pub(crate) fn unmount(point: &Path, flags: UnmountFlags) -> Result<(), VolumeError> {
    while at(point).map_err(io_error("looking at what is mounted"))?.is_some() {
        rustix::mount::unmount(point, flags)
            .map_err(|error| io_error("unmounting a volume")(on_path(point, error)))?;
    }
    Ok(())
}

/// Everything that is mounted.
///
/// # Errors
/// When `/proc` is not there.
pub fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&fs_err::read("/proc/self/mountinfo")?))
}

/// Reads the format of proc(5). Lines that are not of it are left out.
fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(text: &[u8]) -> Option<Mount> {
    let mut fields = text.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let _parent = fields.next()?;
    let mut device = fields.next()?.split(|byte| *byte == b':');
    let device = (number(device.next()?)?, number(device.next()?)?);
    let (root, point) = (path(fields.next()?), path(fields.next()?));
    // Some optional fields follow the options, and a dash ends them.
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let filesystem = String::from_utf8_lossy(rest.next()?).into_owned();
    Some(Mount { id, device, root, point, filesystem, source: path(rest.next()?) })
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn path(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let byte = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_and_without_optional_fields_and_with_odd_names() {
        let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw\n\
            \n\
            broken line\n\
            40 35 7:12 / /a\\040b\\134c rw - xfs /dev/loop12 rw,nouuid\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].root.as_path(), mounts[0].id), (Path::new("/mnt1"), 36));
        assert_eq!(mounts[0].filesystem, "ext3");
        assert_eq!(mounts[1].point, Path::new("/a b\\c"));
        assert_eq!(mounts[1].device, (7, 12));
        assert_eq!(mounts[1].source, Path::new("/dev/loop12"));
    }

    #[test]
    fn a_folder_is_found_on_the_mount_that_holds_it_and_is_no_mount_point_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mount = holding(dir.path()).unwrap().unwrap();
        assert!(dir.path().canonicalize().unwrap().starts_with(&mount.point));
        assert_eq!(at(dir.path()).unwrap(), None);
        assert_eq!(at(&dir.path().join("missing")).unwrap(), None);
        assert_eq!(at(Path::new("/proc")).unwrap().unwrap().filesystem, "proc");
    }

    #[test]
    fn a_text_that_ends_anywhere_is_read_as_far_as_it_goes() {
        let text = b"40 35 7:12 / /a\\040b rw shared:1 - xfs /dev/loop12 rw\n";
        for end in 0..text.len() {
            assert!(parse(&text[..end]).len() <= 1);
        }
        assert_eq!(path(b"\\04"), Path::new("\\04"));
        assert_eq!(path(b"\\999"), Path::new("\\999"));
    }
}
