//! The checklist: the verdicts of `qmoor doctor`, which is run as a program of its own, one at a time.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};
use qmoor_plan::doctor::Verdict;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::view::View;
use super::words::when;
use crate::control::Agent;

/// How long the checks may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// What it may say at most, in bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// What the checks said.
#[derive(Debug)]
pub(super) struct Checks {
    /// When.
    at: Timestamp,
    /// Whether the engine answered then.
    pub(super) engine_up: bool,
    found: Result<Vec<Finding>, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Finding {
    id: String,
    verdict: Verdict,
    seen: String,
    fix: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    checks: Vec<Finding>,
}

/// Looks at a node. Nothing came of it when the engine came up or went down meanwhile, or something else began.
pub(super) async fn look(agent: Arc<Agent>, config_file: Option<PathBuf>) -> Option<Checks> {
    let engine_up = agent.engine.endpoint().is_some();
    let found = run(agent.context.program().to_owned(), config_file).await;
    let same = agent.engine.endpoint().is_some() == engine_up && agent.context.busy().is_none();
    same.then(|| Checks { at: Timestamp::now(), engine_up, found })
}

/// Runs the checks, as an operator would.
async fn run(program: PathBuf, config_file: Option<PathBuf>) -> Result<Vec<Finding>, String> {
    let run = async {
        let mut command = Command::new(program);
        command.arg("--json").arg("--quiet").stdin(Stdio::null()).stdout(Stdio::piped());
        if let Some(file) = config_file {
            command.arg("--config").arg(file);
        }
        let mut child = command
            .arg("doctor")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take() {
            let read = out.take(ANSWER_BYTES_MAX).read_to_end(&mut text).await;
            read.map_err(|error| error.to_string())?;
        }
        let ended = child.wait().await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|_| format!("`qmoor doctor` ended with {ended} and said nothing of use"))?;
        Ok(answer.checks)
    };
    timeout(DEADLINE, run)
        .await
        .unwrap_or_else(|_| Err(format!("`qmoor doctor` was not done after {DEADLINE:?}")))
}

impl Checks {
    /// What was found, for the verdict.
    pub(super) fn findings(&self) -> Vec<(String, Verdict, String)> {
        let found = self.found.iter().flatten();
        found.map(|one| (one.id.clone(), one.verdict, one.seen.clone())).collect()
    }
}

/// The part of the page.
pub(super) fn part(view: &View) -> Markup {
    html! {
        h2 { "Checks" }
        @match &view.checks {
            None => p.muted { "They are being looked at for the first time." },
            Some(checks) => @match &checks.found {
                Err(why) => p { (why) " " span.muted { "(hint: run " code { "qmoor doctor" } " on the node)" } },
                Ok(found) => (list(found, checks.at, view.now)),
            },
        }
    }
}

fn list(found: &[Finding], at: Timestamp, now: Timestamp) -> Markup {
    let mut wrong: Vec<&Finding> =
        found.iter().filter(|one| one.verdict >= Verdict::Warn).collect();
    wrong.sort_by_key(|one| std::cmp::Reverse(one.verdict));
    let count = |verdict| found.iter().filter(|one| one.verdict == verdict).count();
    html! {
        p.muted {
            (count(Verdict::Pass)) " pass, " (count(Verdict::Warn)) " warn, "
            (count(Verdict::Fail)) " fail, " (count(Verdict::NotApplicable))
            " do not apply. Looked at " (when(at, now)) " by " code { "qmoor doctor" } "."
        }
        ul.checks {
            @for one in wrong { (item(one)) }
        }
        details data-keep="checks" {
            summary { "All " (found.len()) " checks" }
            ul.checks {
                @for one in found.iter().filter(|one| one.verdict < Verdict::Warn) { (item(one)) }
            }
        }
    }
}

fn item(one: &Finding) -> Markup {
    let (class, word) = match one.verdict {
        Verdict::Pass => ("good", "pass"),
        Verdict::Warn => ("warn", "warn"),
        Verdict::Fail => ("bad", "fail"),
        Verdict::NotApplicable => ("off", "n/a"),
    };
    html! {
        li {
            span class={ "tag " (class) } { (word) }
            div {
                code { (one.id) } " " span { (one.seen) }
                @if let Some(fix) = &one.fix { p.fix { (fix) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_doctor_is_said_to_be_none() {
        for (program, said) in
            [("/no/such/program", "No such file"), ("/bin/true", "said nothing of use")]
        {
            let why = run(PathBuf::from(program), None).await.unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
