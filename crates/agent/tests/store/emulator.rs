//! The emulated AWS of `tests/aws`, whose volumes are real disks here.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where all volumes are.
pub(crate) const ZONE: &str = "us-east-1a";

/// Ends with its standard input.
pub(crate) struct Emulator {
    process: Child,
    pub(crate) url: String,
    pub(crate) devices: PathBuf,
    _dir: tempfile::TempDir,
}

impl Emulator {
    pub(crate) fn or_skip() -> Option<Self> {
        let (python, _) = places();
        if !is_root() || !python.exists() {
            eprintln!("SKIPPED: needs root and `tests/aws/setup`, which makes .venv-aws");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut process = python_in_tests()
            .args(["-m", "emulator", "--disks", "--dir"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("the emulator's line");
        let url = ready["url"].as_str().unwrap().to_owned();
        let devices = PathBuf::from(ready["devices"].as_str().unwrap());
        Some(Self { process, url, devices, _dir: dir })
    }

    /// A machine with a new, formatted volume; returns the volume's id.
    pub(crate) fn volume(&self, node: &str) -> String {
        let made = python_in_tests()
            .args(["ebs_node.py", "--node", node])
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("EMULATOR_DEVICES", &self.devices)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

fn python_in_tests() -> Command {
    let (python, tests) = places();
    let mut command = Command::new(python);
    command.current_dir(&tests).env("PYTHONPATH", tests.join("../python"));
    command
}

fn places() -> (PathBuf, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    (root.join(".venv-aws/bin/python"), root.join("tests/aws"))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.uid() == 0
    })
}
