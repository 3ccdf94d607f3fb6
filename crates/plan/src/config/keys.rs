//! What a key is, and how its value is written.

use std::fmt::Write as _;
use std::time::Duration;

use super::forms::Form;
use super::list::{KEYS, TABLES};

/// A key of `qmoor.toml`.
#[derive(Debug, Clone)]
pub struct Key {
    /// Dotted path: table, then name.
    pub path: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// Its value when it is not set, as TOML.
    pub default: &'static str,
    /// What it means, in sentences.
    pub doc: &'static str,
}

/// What the value of a key must be.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Letters, digits, `.`, `_` and `-`; at most 64.
    Name,
    /// A path; relative ones start at the folder of `qmoor.toml`.
    Path,
    /// A path like that, or `""` for none.
    OptionalPath,
    /// An IP address.
    Address,
    /// `repository:vX.Y.Z`, and `@sha256:…` behind it if wanted.
    Image,
    /// `UID` or `UID:GID`, in numbers, or nothing.
    User,
    /// A text of this form, or `""` for none.
    Text(Form),
    /// A list of texts of this form.
    Texts(Form),
    /// A cron expression, or `""` for none.
    Cron,
    /// A program by its absolute path, and its arguments; or nothing.
    Command,
    /// Some of these words.
    Choices(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second, both included.
    Number(u64, u64),
    /// A string like `"512MiB"` or `"2GiB"`, from the first to the second, both included, in bytes.
    Size(u64, u64),
    /// A string like `"250ms"`, `"4s"` or `"5m"` from the first to the second, both included.
    Duration(Duration, Duration),
}

impl Key {
    /// What its value must be, in words.
    #[must_use]
    pub fn type_name(&self) -> String {
        match &self.kind {
            Kind::Name => "name".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::OptionalPath => "path, or \"\"".to_owned(),
            Kind::Address => "IP address".to_owned(),
            Kind::Image => "image".to_owned(),
            Kind::User => "`UID` or `UID:GID`, or empty".to_owned(),
            Kind::Text(form) => format!("{}, or \"\"", form.name()),
            Kind::Texts(form) => format!("list of {}s", form.name()),
            Kind::Cron => "cron expression, or \"\"".to_owned(),
            Kind::Command => "list of words".to_owned(),
            Kind::Choices(words) => format!("list of {}", quoted(words)),
            Kind::Switch => "true or false".to_owned(),
            Kind::Choice(words) => quoted(words),
            Kind::Number(min, max) => format!("number, {min} to {max}"),
            Kind::Size(min, max) => format!("size, {} to {}", size_text(*min), size_text(*max)),
            Kind::Duration(min, max) => {
                format!("duration, {} to {}", duration_text(*min), duration_text(*max))
            }
        }
    }

    /// The part of the path before the dot.
    #[must_use]
    pub fn table(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(table, _)| table)
    }

    /// The part of the path after the dot.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }
}

/// `"a"`, `"b"` for messages and documentation.
pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// A duration in the largest unit that gives a whole number, as one would write it in the file.
pub(super) fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms == 0 {
        "0s".to_owned()
    } else if ms.is_multiple_of(3_600_000) {
        format!("{}h", ms / 3_600_000)
    } else if ms.is_multiple_of(60_000) {
        format!("{}m", ms / 60_000)
    } else if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}

/// The units of a size, the largest first.
const SIZE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A size in the largest unit that gives a whole number, as one would write it in the file.
pub(super) fn size_text(bytes: u64) -> String {
    let whole = SIZE_UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// The bytes that such a text means.
pub(super) fn size_from(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits)?;
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    let digits = digits.strip_suffix(' ').unwrap_or(digits);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Every key there is, in the order of the file.
#[must_use]
pub fn reference() -> &'static [Key] {
    KEYS
}

/// Name and meaning of every table, in the order of the file.
pub(super) fn tables() -> &'static [(&'static str, &'static str)] {
    TABLES
}

/// The keys of one table, in the order of the file.
pub(super) fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table() == table)
}

/// The default of every key as a TOML document, so that defaults take the same way as settings.
pub(super) fn defaults() -> String {
    KEYS.iter().fold(String::new(), |mut text, key| {
        let _infallible = writeln!(text, "{} = {}", key.path, key.default);
        text
    })
}
