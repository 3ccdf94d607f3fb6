//! The one place that turns a failure into a message, a hint and an exit code.

use std::process::ExitCode;

/// A failure as the user sees it.
#[derive(Debug)]
pub(crate) struct CliError {
    /// What went wrong, and with which thing.
    pub(crate) message: String,
    /// The next command, if there is one.
    pub(crate) hint: Option<String>,
    code: Code,
}

/// Exit codes, part of the contract in docs/cli.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The world is not as asked.
    Failed = 1,
    /// What was typed, or the configuration, makes no sense.
    Usage = 2,
    /// Somebody else holds the lock.
    Locked = 3,
}

impl CliError {
    /// The world is not as asked.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::Failed }
    }

    /// What was typed, or the configuration, makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::Usage }
    }

    /// Somebody else holds the lock.
    pub(crate) fn locked(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::Locked }
    }

    /// With the next command to type.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the next command to type, where there is one.
    #[must_use]
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The process exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

/// An error with its causes in one line, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
