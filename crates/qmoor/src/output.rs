//! The one printer: data on stdout, talk on stderr, progress bars only on a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::error::CliError;

/// How this run talks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// `json`: one JSON document on stdout. `quiet`: nothing on stderr but warnings and errors.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether the user asked for JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// The result of the verb: `value` as JSON, or `text` for people.
    pub(crate) fn result(self, value: &impl Serialize, text: impl Display) -> Result<(), CliError> {
        if self.json {
            let line = serde_json::to_string(value).map_err(|error| {
                CliError::failed(format!("cannot write the result as JSON: {error}"))
            })?;
            self.line(line)
        } else {
            self.line(text)
        }
    }

    /// One line on stdout. A reader that went away (`| head`) is not a failure.
    pub(crate) fn line(self, text: impl Display) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => {
                other.map_err(|error| CliError::failed(format!("cannot write to stdout: {error}")))
            }
        }
    }

    /// One line of talk on stderr.
    pub(crate) fn say(self, text: impl Display) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// One line on stderr, also with `--quiet`.
    pub(crate) fn warn(self, text: impl Display) {
        // Nothing can be done, and nothing is lost, when stderr is closed.
        let _ignored = writeln!(io::stderr().lock(), "{text}");
    }

    /// A spinner for work whose length is not known.
    pub(crate) fn spinner(self, text: impl Into<String>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_style(style("{spinner} {msg}"));
        bar.set_message(text.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// A bar over `total` units with rate and time left.
    pub(crate) fn bar(self, total: Option<u64>, unit: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(total, self.target());
        bar.set_style(style(&format!(
            "{{bar:24}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
        )));
        bar
    }

    fn target(self) -> ProgressDrawTarget {
        if self.quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Rows as aligned columns under a header; the last column is not padded.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// Bytes as people write them, in powers of 1024.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = "B";
    for next in units {
        unit = next;
        if value < 1024.0 {
            break;
        }
        if next != "TiB" {
            value /= 1024.0;
        }
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, table};

    #[test]
    fn columns_line_up() {
        let text = table(
            &["ID", "AGE"],
            &[vec!["long-id".into(), "2 m".into()], vec!["b".into(), "1 h".into()]],
        );
        assert_eq!(text, "ID       AGE\nlong-id  2 m\nb        1 h");
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }
}
