//! The second process of a freeze: it thaws when the first is gone, and when the time is over.
//!
//! It writes nothing to the volume, and holds nothing of it but the mount point.

use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::io::Errno;

use super::freeze::open_dir;
use super::{VolumeError, io_error, ioctl, on_path};

/// The hidden verb of `qmoor` that runs it.
pub const VERB: &str = "thaw-watchdog";
/// What it says once it stands ready.
pub const ARMED: &str = "armed";
/// What it is told when there is nothing to thaw.
pub(super) const DISMISSED: &[u8] = b"dismissed";

/// Waits until standard input closes, or `after` has passed, and thaws then. Returns whether it thawed anything;
/// told that there is nothing to thaw, it does nothing.
///
/// # Errors
/// When the mount point cannot be opened, before it says that it stands ready, or when the kernel does not thaw.
pub fn run(mount: &Path, after: Duration, out: &mut impl Write) -> Result<bool, VolumeError> {
    let dir = open_dir(mount)?;
    writeln!(out, "{ARMED}").and_then(|()| out.flush()).map_err(io_error("saying so"))?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        // An error, too, means that nobody is there any more.
        let _ignored = io::stdin().read_to_end(&mut heard);
        drop(tell.send(heard));
    });
    if told.recv_timeout(after).is_ok_and(|heard| heard == DISMISSED) {
        return Ok(false);
    }
    match ioctl::thaw(&dir) {
        Ok(()) => Ok(true),
        // Somebody else was quicker.
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(io_error("thawing the volume")(on_path(mount, error))),
    }
}
