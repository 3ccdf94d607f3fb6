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
    /// All is as it must be, and not all as it should.
    Warned = 4,
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

    /// A failure told by a room below, whose hint, if it gives one, stands in its text.
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        let (message, hint) = hint_taken_out(&chain(error));
        let hint = hint.or_else(|| next_step(&message).map(str::to_owned));
        Self::failed(message).maybe_hint(hint)
    }

    /// The same with the exit code of a lock.
    #[must_use]
    pub(crate) fn locked_if(mut self, is_locked: bool) -> Self {
        if is_locked {
            self.code = Code::Locked;
        }
        self
    }

    /// Somebody else holds the lock.
    pub(crate) fn locked(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::Locked }
    }

    /// All is as it must be, and not all as it should.
    pub(crate) fn warned(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: Code::Warned }
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

    /// Whether somebody else holds the lock.
    pub(crate) fn is_locked(&self) -> bool {
        self.code == Code::Locked
    }

    /// Whether this is no failure.
    pub(crate) fn is_warning(&self) -> bool {
        self.code == Code::Warned
    }

    /// The process exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

/// A message without its hint, and the hint: `… (hint: …) …` or `…. hint: …`.
pub(crate) fn hint_taken_out(text: &str) -> (String, Option<String>) {
    if let Some((before, rest)) = text.split_once(" (hint: ")
        && let Some((hint, after)) = rest.split_once(')')
    {
        return (format!("{before}{after}"), Some(hint.to_owned()));
    }
    match text.split_once(". hint: ") {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// What to do about what the system said, where that is the same whatever was being done.
pub(crate) fn next_step(text: &str) -> Option<&'static str> {
    let known = [
        ("No space left on device", "free some space on that disk, then run it again"),
        (" are free", "free some space on that disk, then run it again"),
        ("Read-only file system", "mount it for writing, or name another place"),
        ("Permission denied", "see who owns it, or name another place"),
        ("No such file or directory", "see whether the folder is there"),
        (
            "Not a directory",
            "move aside what stands where the folder should be, or name another place",
        ),
    ];
    known.iter().find(|(words, _)| text.contains(words)).map(|(_, step)| *step)
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

#[cfg(test)]
mod tests {
    use super::{hint_taken_out, next_step};

    #[test]
    fn a_hint_is_told_apart_wherever_it_stands() {
        let told = |text: &str| {
            let (message, hint) = hint_taken_out(text);
            (message, hint.unwrap_or_default())
        };
        let expected = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
        assert_eq!(told("no key (hint: list them): gone"), expected("no key: gone", "list them"));
        assert_eq!(told("it is open. hint: stop it"), expected("it is open", "stop it"));
        assert_eq!(told("nothing to add"), expected("nothing to add", ""));
    }

    #[test]
    fn what_the_system_says_has_a_next_step() {
        let step = next_step("cannot write `a`: No space left on device (os error 28)");
        assert!(step.is_some_and(|step| step.contains("free some space")));
        assert_eq!(next_step("all is well"), None);
    }
}
