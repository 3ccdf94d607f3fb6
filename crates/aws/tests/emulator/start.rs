//! Starts the emulator; it ends when its standard input closes, so with this process at the latest.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qmoor_aws::Aws;
use tempfile::TempDir;

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const ZONE: &str = "eu-west-1a";

pub(crate) struct Emulator {
    child: Child,
    url: String,
    _dir: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                self.child.kill().unwrap();
            }
            std::thread::yield_now();
        }
    }
}

impl Emulator {
    /// The emulator, or nothing if its environment is not here.
    pub(crate) fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = std::env::var_os("QMOOR_AWS_EMULATOR_PYTHON")
            .map_or_else(|| root.join(".venv-aws/bin/python"), PathBuf::from);
        if !python.exists() {
            eprintln!("SKIPPED: no {} (hint: `./test aws` makes it)", python.display());
            return None;
        }
        let dir = TempDir::new().unwrap();
        let mut child = Command::new(python)
            .args(["-m", "emulator", "--dir"])
            .arg(dir.path())
            .current_dir(root.join("tests/aws"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("the emulator starts");
        let url = ready["url"].as_str().unwrap().to_owned();
        Some(Self { child, url, _dir: dir })
    }

    pub(crate) async fn aws(&self) -> Aws {
        self.aws_in(REGION).await
    }

    pub(crate) async fn aws_in(&self, region: &str) -> Aws {
        Aws::at(&self.url, region, "testing", "testing").await.unwrap()
    }
}
