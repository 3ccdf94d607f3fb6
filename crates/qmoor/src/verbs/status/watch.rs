//! `qmoor status --watch`: the same picture again and again, until Ctrl-C.

use std::io::IsTerminal;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_agent::catalogue::BackupInfo;
use qmoor_agent::control::client::{Client, ClientError};
use qmoor_agent::control::wire::Status;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::error::{CliError, chain};
use crate::output::Output;

/// Nobody needs it more often.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Shows the node until Ctrl-C. A node that goes away is said and looked for again: it may be on its way back.
pub(super) async fn run(agent: &Client, every: Duration, out: Output) -> Result<(), CliError> {
    let mut ticks = tokio::time::interval(every.max(EVERY_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen::new(out);
    let mut proofs = Proofs::default();
    let ended = tokio::signal::ctrl_c();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            _ = ended.as_mut() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let looked = tokio::select! {
            _ = ended.as_mut() => return Ok(()),
            looked = look(agent, &mut proofs) => looked,
        };
        match looked {
            Ok(status) if out.is_json() => {
                let (backup, drill) = (proofs.backup(), proofs.drill());
                out.line(json!({ "node": status, "last_backup": backup, "last_drill": drill }))?;
            }
            Ok(status) => {
                screen.show(&super::status_text(&status, proofs.backup(), proofs.drill()))?;
            }
            Err(error) if out.is_json() => {
                out.line(json!({ "node": null, "error": chain(&error) }))?;
            }
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                screen.show(&format!("node         DOWN: {}{hint}", chain(&error)))?;
            }
        }
    }
}

async fn look(agent: &Client, proofs: &mut Proofs) -> Result<Status, ClientError> {
    let status = agent.status().await?;
    proofs.keep_up(agent, &status).await?;
    Ok(status)
}

/// The backups as they were last listed. A list takes a look into the store, so it is asked for only when there is
/// something new in it.
#[derive(Debug, Default)]
struct Proofs {
    of: Option<(Option<String>, Option<Timestamp>)>,
    backups: Vec<BackupInfo>,
}

impl Proofs {
    async fn keep_up(&mut self, agent: &Client, status: &Status) -> Result<(), ClientError> {
        let backup = status.last_backup.as_ref().map(|backup| backup.id.clone());
        let now = Some((backup, status.last_drill.as_ref().map(|drill| drill.at)));
        if self.of != now {
            self.backups = agent.backups().await?;
            self.of = now;
        }
        Ok(())
    }

    fn backup(&self) -> Option<&BackupInfo> {
        super::last_backup(&self.backups)
    }

    fn drill(&self) -> Option<&BackupInfo> {
        super::last_drill(&self.backups)
    }
}

/// Where the picture is drawn: in one place of a terminal, else one below the other.
struct Screen {
    out: Output,
    terminal: Option<console::Term>,
    lines: usize,
}

impl Screen {
    fn new(out: Output) -> Self {
        let terminal = std::io::stdout().is_terminal().then(console::Term::stdout);
        Self { out, terminal, lines: 0 }
    }

    fn show(&mut self, picture: &str) -> Result<(), CliError> {
        let time = format!("at           {:.0}", Timestamp::now());
        let Some(terminal) = &self.terminal else {
            return self.out.line(format_args!("{time}\n{picture}\n"));
        };
        let width = usize::from(terminal.size().1).max(20);
        let picture = format!("{time}\n{picture}");
        // A line that the terminal breaks would make the next picture start in the wrong row.
        let lines: Vec<_> =
            picture.lines().map(|line| console::truncate_str(line, width - 1, "…")).collect();
        let cannot = |error| CliError::failed(format!("cannot write to the terminal: {error}"));
        terminal.clear_last_lines(self.lines).map_err(cannot)?;
        self.lines = lines.len();
        terminal.write_line(&lines.join("\n")).map_err(cannot)
    }
}
