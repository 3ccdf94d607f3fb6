//! A file system of its own in a file, on a loop device, which goes away with the test, and so does everything that
//! was mounted or attached below it.
#![allow(dead_code, reason = "not every program of tests needs all of it")]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use qmoor_agent::volume::mounts;

/// Runs a program that must succeed. Returns its standard output.
pub(crate) fn done(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// Of this size in MiB. Nothing, said loudly, where that is not permitted.
    pub(crate) fn or_skip(filesystem: &str, mib: u64) -> Option<Self> {
        let free = Command::new("losetup").arg("--find").stderr(Stdio::null()).output();
        let root = done("id", &["--user"]).trim() == "0";
        if !root || !free.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: not root, or no loop devices, so no volume was mounted or frozen");
            return None;
        }
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        let image = disk.dir.path().join("disk.img");
        std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        done(&format!("mkfs.{filesystem}"), &["-q", image.to_str().unwrap()]);
        std::fs::create_dir(disk.path()).unwrap();
        // The device goes with the mount.
        done("mount", &["-o", "loop", image.to_str().unwrap(), disk.path().to_str().unwrap()]);
        Some(disk)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        tidy(self.dir.path());
    }
}

/// Thaws, unmounts and detaches everything below `dir`.
fn tidy(dir: &Path) {
    let dir = dir.canonicalize().unwrap();
    let below: Vec<PathBuf> = mounts::all()
        .unwrap()
        .into_iter()
        .map(|mount| mount.point)
        .filter(|point| point.starts_with(&dir))
        .collect();
    let quietly = |program: &str, arguments: &[&str], path: &Path| {
        let ended = Command::new(program).args(arguments).arg(path).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    };
    // Those that are mounted go with their mounts.
    for (device, image) in loops() {
        if image.starts_with(&dir) && image.parent() != Some(&dir) {
            quietly("losetup", &["--detach"], &device);
        }
    }
    for point in below.iter().rev() {
        quietly("fsfreeze", &["--unfreeze"], point);
        if !quietly("umount", &[], point) {
            quietly("umount", &["--lazy"], point);
        }
    }
}

/// Every loop device and what is behind it.
pub(crate) fn loops() -> Vec<(PathBuf, PathBuf)> {
    let columns = ["--list", "--raw", "--noheadings", "--output", "NAME,BACK-FILE"];
    done("losetup", &columns)
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(device, image)| (PathBuf::from(device), PathBuf::from(image)))
        .collect()
}

/// Waits until this many loop devices stand for files below `dir`. One that somebody looks at just now, as any
/// search for a free one does, goes a moment later.
#[track_caller]
pub(crate) fn loops_are(dir: &Path, expected: usize) {
    let dir = dir.canonicalize().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left: Vec<_> =
            loops().into_iter().filter(|(_, image)| image.starts_with(&dir)).collect();
        if left.len() == expected {
            return;
        }
        assert!(Instant::now() < deadline, "expected {expected}, found {left:?}");
        std::thread::yield_now();
    }
}

/// What changes whenever a file is written to.
pub(crate) fn stamp(path: &Path) -> String {
    let meta = path.metadata().unwrap();
    let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    format!("{} bytes, {} blocks, {times:?}", meta.len(), meta.blocks())
}
