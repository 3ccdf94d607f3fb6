//! Which collections a key is limited to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many patterns a scope has at most, and how long one is at most, in bytes.
const PATTERNS_MAX: usize = 64;
const PATTERN_BYTES_MAX: usize = 255;

/// The collections that a key may touch, by the names that requests use: where clients use an alias, the
/// alias is what counts. Only the admin can change what an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scope(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Pattern {
    Exactly(String),
    Beginning(String),
}

/// Why a text names no collections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoScope {
    pattern: String,
    reason: &'static str,
}

impl std::error::Error for NoScope {}

impl fmt::Display for NoScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.pattern, self.reason)
    }
}

impl Scope {
    /// Reads names like `docs,notes-*`: exact ones, or the beginning of some with a `*` behind it.
    ///
    /// # Errors
    /// When a name can be no collection's, or there is none.
    pub fn parse(text: &str) -> Result<Self, NoScope> {
        Self::of(text.split(',').map(str::trim))
    }

    fn of<'t>(patterns: impl Iterator<Item = &'t str>) -> Result<Self, NoScope> {
        let mut parsed = patterns.map(Pattern::parse).collect::<Result<Vec<_>, _>>()?;
        parsed.sort();
        parsed.dedup();
        let wrong = |reason| NoScope { pattern: String::new(), reason };
        match parsed.len() {
            0 => Err(wrong("names no collection")),
            1..=PATTERNS_MAX => Ok(Self(parsed)),
            _ => Err(wrong("is more names than a key may have")),
        }
    }

    /// Whether a collection of this name is one of them.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        !name.is_empty()
            && self.0.iter().any(|pattern| match pattern {
                Pattern::Exactly(exact) => exact == name,
                Pattern::Beginning(beginning) => name.starts_with(beginning.as_str()),
            })
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, NoScope> {
        let wrong = |reason| Err(NoScope { pattern: text.to_owned(), reason });
        let (name, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        if name.is_empty() && !open {
            return wrong("is empty; name a collection, or `*` for all");
        }
        if name.len() > PATTERN_BYTES_MAX {
            return wrong("is longer than a collection's name may be");
        }
        if name.contains('*') {
            return wrong("has a `*` that is not at its end");
        }
        if name.chars().any(|c| c.is_control() || "/\\,<>:\"|?%;#".contains(c)) {
            return wrong("has a character that no collection's name has");
        }
        if name == "." || name == ".." {
            return wrong("can be no collection's name");
        }
        let name = name.to_owned();
        Ok(if open { Self::Beginning(name) } else { Self::Exactly(name) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => formatter.write_str(name),
            Self::Beginning(name) => write!(formatter, "{name}*"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.pad(&names.join(","))
    }
}

impl TryFrom<Vec<String>> for Scope {
    type Error = NoScope;

    fn try_from(patterns: Vec<String>) -> Result<Self, NoScope> {
        Self::of(patterns.iter().map(String::as_str))
    }
}

impl From<Scope> for Vec<String> {
    fn from(scope: Scope) -> Self {
        scope.0.iter().map(ToString::to_string).collect()
    }
}
