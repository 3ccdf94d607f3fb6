//! What `qmoor doctor` thinks of what it has seen: from facts to verdicts, one file for each group of checks.
//!
//! A check never looks at anything itself. What could not be looked at carries the reason, and whoever asks for it gets
//! the verdict "does not apply" with that reason.

mod access;
mod aws;
mod backups;
mod engine;
mod facts;
mod list;
mod network;
mod node;
mod page;
mod proc;
mod secrets;
mod storage;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use facts::{
    Backup, Certificate, Clock, Collection, Container, Disk, Docker, Door, Drill, Engine, Facts,
    FileMode, Firewall, Guard, Node, Place, Process, Published, Seen, shows_a_key,
};
pub use list::checks;
pub use page::page;
pub use proc::{listeners, open_files_limit};
pub use secrets::is_open;

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name: kebab-case, never changed.
    pub id: &'static str,
    /// What it looks at, in one line.
    pub about: &'static str,
    /// What it can be asked about.
    pub at: At,
    /// Whether it sees all only as root, or as the node's user.
    pub needs_root: bool,
    judge: fn(&Facts) -> Judged,
}

/// What a check says, or why it has nothing to say.
type Judged = Result<Finding, String>;

/// What a check can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The node on this host.
    Node,
    /// A server that qmoor did not set up, from outside.
    Url,
    /// Either.
    Both,
}

/// How good it is; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It cannot be told here, or there is nothing to tell.
    NotApplicable,
    /// As it should be.
    Pass,
    /// It works, and will hurt one day.
    Warn,
    /// It is not as it must be.
    Fail,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check; empty until [`Check::run`] fills it in.
    pub id: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// The command or the setting that mends it.
    pub fix: Option<String>,
}

impl Check {
    /// Judges these facts.
    #[must_use]
    pub fn run(&self, facts: &Facts) -> Finding {
        let judged = (self.judge)(facts);
        let found = judged.unwrap_or_else(Finding::not_applicable);
        Finding { id: self.id, ..found }
    }
}

impl Finding {
    fn new(verdict: Verdict, seen: impl Into<String>, fix: Option<String>) -> Self {
        Self { id: "", verdict, seen: seen.into(), fix }
    }

    fn pass(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, seen, None)
    }

    fn warn(seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, seen, Some(fix.into()))
    }

    fn fail(seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, seen, Some(fix.into()))
    }

    fn not_applicable(why: impl Into<String>) -> Self {
        Self::new(Verdict::NotApplicable, why, None)
    }
}

/// The worst of these; that all is well, if there is none.
#[must_use]
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Pass)
}

/// The fact, or the reason why it is not known.
fn known<T>(seen: &Seen<T>) -> Result<&T, String> {
    seen.as_ref().map_err(Clone::clone)
}
