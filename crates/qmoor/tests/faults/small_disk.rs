//! Small file systems that only one process and its children see, filled and emptied at will.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::clean;

const MIB: usize = 1 << 20;

/// How this host lets a process have mounts of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spaces(&'static [&'static str]);

impl Spaces {
    /// Nothing, said loudly, where neither root nor a user may do it.
    pub(crate) fn or_skip() -> Option<Self> {
        let ways: [&'static [&'static str]; 2] = [&["--map-root-user", "--mount"], &["--mount"]];
        let works = |way: &&&[&str]| {
            let try_it = ["sh", "-c", "mount -t tmpfs tmpfs /mnt"];
            let tried =
                Command::new("unshare").args(**way).args(try_it).stderr(Stdio::null()).status();
            tried.is_ok_and(|status| status.success())
        };
        let way = ways.iter().find(works);
        if way.is_none() {
            eprintln!(
                "SKIPPED: `unshare --mount` is not permitted here, so no disk was full and none read-only"
            );
        }
        way.map(|way| Self(way))
    }

    /// A program with mounts of its own: `script` makes them, and finds `paths` in `$1`, `$2`…
    pub(crate) fn command(
        self,
        dir: &Path,
        script: &str,
        paths: &[&Path],
        program: &[&str],
    ) -> Command {
        let mut command = clean("unshare", dir);
        let script = format!("{script} && shift {} && exec \"$@\"", paths.len());
        command.args(self.0).args(["sh", "-ec", &script, "sh"]).args(paths);
        command.arg(env!("CARGO_BIN_EXE_qmoor")).args(program);
        command
    }
}

/// A small disk, as the process that has it mounted sees it.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The disk at `path` of a process.
    pub(crate) fn of(pid: u32, path: &Path) -> Self {
        let inner = path.strip_prefix("/").unwrap();
        Self { root: Path::new(&format!("/proc/{pid}/root")).join(inner) }
    }

    /// Leaves this much room.
    pub(crate) fn fill(&self, room: u64) {
        let mut file = File::create(self.ballast()).unwrap();
        let mut piece = MIB;
        while piece > 0 {
            match file.write_all(&vec![0; piece]) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
                    piece /= 2;
                }
            }
        }
        let length = file.metadata().unwrap().len();
        file.set_len(length.checked_sub(room).expect("a disk that is larger")).unwrap();
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }
}
