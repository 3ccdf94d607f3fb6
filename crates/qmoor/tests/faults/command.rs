//! `qmoor` as a person types it, and what is expected of it when it cannot do its work.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What would change what a run does.
const VARIABLES: [&str; 9] = [
    "QMOOR_CONFIG",
    "QMOOR_KEY",
    "QMOOR_URL",
    "QMOOR_LOG",
    "QDRANT__SERVICE__API_KEY",
    "QDRANT__SERVICE__READ_ONLY_API_KEY",
    "QDRANT__STORAGE__STORAGE_PATH",
    "RUST_BACKTRACE",
    "RUST_LOG",
];

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    pub(crate) took: Duration,
    /// The most memory it was seen with, in bytes; 0 where nobody looked.
    pub(crate) peak: u64,
}

/// The program in a directory.
pub(crate) fn qmoor(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = clean("qmoor", dir);
    command.args(arguments);
    command
}

/// A program in a directory, with a clean environment; `qmoor` is the one under test.
pub(crate) fn clean(program: &str, dir: &Path) -> Command {
    let program = if program == "qmoor" { env!("CARGO_BIN_EXE_qmoor") } else { program };
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let begun = Instant::now();
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        took: begun.elapsed(),
        peak: 0,
    }
}

/// Runs it to its end, and looks at its memory meanwhile.
pub(crate) fn run_watched(command: &mut Command) -> Ended {
    let begun = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let running = std::thread::spawn(move || child.wait_with_output().unwrap());
    let mut peak = 0;
    while !running.is_finished() {
        // The kernel keeps the highest value, so that looking now and then is enough.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let high = high.and_then(|high| high.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(high.unwrap_or(0) * 1024);
        std::thread::yield_now();
    }
    let output = running.join().unwrap();
    assert!(peak > 0, "its memory was never seen");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        took: begun.elapsed(),
        peak,
    }
}

impl Ended {
    /// It did its work.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Whether it did its work.
    pub(crate) fn is_done(&self) -> bool {
        self.code == Some(0)
    }

    /// It did its work, and this is the result.
    pub(crate) fn json(self) -> Value {
        let out = self.done();
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("no JSON: {out}"))
    }

    /// It ended with this code and one message, which holds these words and says what to do next.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> Self {
        let err = &self.err;
        assert_eq!(self.code, Some(code), "{err}{}", self.out);
        let said = |begin: &str| err.lines().filter(|line| line.starts_with(begin)).count();
        assert_eq!((said("error: "), said("hint:  ")), (1, 1), "{err}");
        assert!(!err.contains("panicked") && !err.contains("backtrace"), "{err}");
        let error = err.lines().find(|line| line.starts_with("error: ")).unwrap();
        for word in words {
            assert!(error.contains(word), "`{word}` is missing: {err}");
        }
        self
    }

    /// It ended with this code; all that it said.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.err, self.out);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }

    /// What it says to do next.
    pub(crate) fn hint(&self) -> &str {
        self.err.lines().find_map(|line| line.strip_prefix("hint:  ")).unwrap_or_default()
    }

    /// All that it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}
