//! The two calls to the kernel that no library wraps.

use std::ffi::c_int;
use std::os::fd::AsFd;

use rustix::io::Result;
use rustix::ioctl::{NoArg, Opcode, ioctl, opcode};

/// `FIFREEZE` of linux/fs.h.
const FREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
/// `FITHAW` of linux/fs.h.
const THAW: Opcode = opcode::read_write::<c_int>(b'X', 120);

/// Writes everything out, then blocks whoever writes to the file system that `file` is on. `BUSY` if it is frozen.
#[allow(unsafe_code, reason = "an ioctl is unsafe whatever it does")]
pub(super) fn freeze(file: impl AsFd) -> Result<()> {
    // SAFETY: FIFREEZE ignores its argument, and reads and writes no memory of ours.
    unsafe { ioctl(file, NoArg::<FREEZE>::new()) }
}

/// Lets writers go on. `INVAL` if the file system is not frozen.
#[allow(unsafe_code, reason = "an ioctl is unsafe whatever it does")]
pub(super) fn thaw(file: impl AsFd) -> Result<()> {
    // SAFETY: FITHAW ignores its argument, and reads and writes no memory of ours.
    unsafe { ioctl(file, NoArg::<THAW>::new()) }
}
