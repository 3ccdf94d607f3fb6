//! From the text of a file to a `Config`, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Kind};
use super::say::{self, nearest, wanted};
use super::{Config, check};
use crate::engine::{Image, Version};
use crate::schedule::Cron;

/// A `qmoor.toml` that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub origin: PathBuf,
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a `qmoor.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path of the key; empty when the text is no TOML.
    pub key: String,
    /// Line of the file, from 1; `None` when a default is at fault.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.origin.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            f.write_str(&problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, " (hint: {hint})")?;
            }
        }
        Ok(())
    }
}

/// A value and the line it stands on; no line when it is a default.
#[derive(Clone)]
struct Found<'t> {
    value: DeValue<'t>,
    line: Option<usize>,
}

/// The values of all keys, and what was found to be wrong with them so far.
pub(super) struct Reader<'t> {
    values: BTreeMap<&'static str, Found<'t>>,
    problems: Vec<Problem>,
}

/// Reads `text` over the defaults. The config means something only when there are no problems.
pub(super) fn read(text: &str, resolve: impl Fn(&Path) -> PathBuf) -> (Config, Vec<Problem>) {
    let defaults = keys::defaults();
    let mut reader = Reader { values: BTreeMap::new(), problems: Vec::new() };
    reader.fill(&defaults, false);
    reader.fill(text, true);
    let config = reader.config(resolve);
    if reader.problems.is_empty() {
        check::combinations(&config, &mut reader);
    }
    reader.problems.sort_by_key(|problem| problem.line);
    (config, reader.problems)
}

impl<'t> Reader<'t> {
    fn fill(&mut self, text: &'t str, is_file: bool) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let start = |error: &&toml::de::Error| error.span().map(|span| span.start);
        if let Some(error) = errors.iter().min_by_key(start) {
            let line = error.span().map(|span| line_at(text, span.start));
            let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            self.problems.push(Problem { key: String::new(), line, message, hint: None });
            return;
        }
        let document = document.into_inner();
        let line = |offset| is_file.then(|| line_at(text, offset));
        for (table, value) in document {
            let at = line(table.span().start);
            let table = table.into_inner();
            if !keys::tables().iter().any(|(name, _)| *name == table) {
                self.unknown(&table, at);
                continue;
            }
            match value.into_inner() {
                DeValue::Table(entries) => self.table(&table, entries, line),
                other => self.wrong(&table, at, "a table", &other),
            }
        }
    }

    fn table(&mut self, table: &str, entries: DeTable<'t>, line: impl Fn(usize) -> Option<usize>) {
        for (name, value) in entries {
            let at = line(name.span().start);
            let path = format!("{table}.{}", name.get_ref());
            match keys::reference().iter().find(|key| key.path == path) {
                Some(key) => {
                    let found = Found { value: value.into_inner(), line: at };
                    let _default = self.values.insert(key.path, found);
                }
                None => self.unknown(&path, at),
            }
        }
    }

    fn unknown(&mut self, path: &str, line: Option<usize>) {
        let message = if path.contains('.') { "unknown key" } else { "unknown table or key" };
        let hint = nearest(path).map(|name| format!("did you mean `{name}`?"));
        self.problems.push(Problem {
            key: path.to_owned(),
            line,
            message: message.to_owned(),
            hint,
        });
    }

    fn wrong(&mut self, path: &str, line: Option<usize>, wanted: &str, found: &DeValue<'_>) {
        let key = keys::reference().iter().find(|key| key.path == path);
        let found = say::found(key.map(|key| &key.kind), found);
        let message = format!("must be {wanted}, not {found}");
        self.problems.push(Problem { key: path.to_owned(), line, message, hint: None });
    }

    /// Adds a problem with `path` and `other` together.
    pub(super) fn contradiction(&mut self, path: &str, other: &str, message: String, hint: &str) {
        let line_of = |path| self.values.get(path).and_then(|found| found.line);
        let line = line_of(path).or_else(|| line_of(other));
        let hint = Some(hint.to_owned());
        self.problems.push(Problem { key: path.to_owned(), line, message, hint });
    }

    /// Whether the file sets this key.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.values.get(path).is_some_and(|found| found.line.is_some())
    }

    /// Whether this key holds a relative path. `""` is none.
    pub(super) fn is_relative(&self, path: &str) -> bool {
        let text = self.values.get(path).and_then(|found| found.value.as_str());
        text.is_some_and(|text| !text.is_empty() && !text.starts_with('/'))
    }

    /// Whether all letters of this key's text are such.
    pub(super) fn holds_only(&self, path: &str, such: impl Fn(char) -> bool) -> bool {
        let text = self.values.get(path).and_then(|found| found.value.as_str());
        text.is_some_and(|text| text.chars().all(such))
    }

    /// The value of `path` by `convert`, or a problem and the fallback.
    fn take<T>(
        &mut self,
        path: &str,
        fallback: T,
        convert: impl Fn(&Kind, &DeValue<'_>) -> Option<T>,
    ) -> T {
        let key = keys::reference().iter().find(|key| key.path == path);
        let (Some(key), Some(found)) = (key, self.values.get(path).cloned()) else {
            let message = "is not in the list of keys".to_owned();
            self.problems.push(Problem { key: path.to_owned(), line: None, message, hint: None });
            return fallback;
        };
        if let Some(value) = convert(&key.kind, &found.value) {
            return value;
        }
        self.wrong(path, found.line, &wanted(&key.kind), &found.value);
        fallback
    }

    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, path: &str) -> T {
        self.take(path, T::default(), |kind, value| {
            let integer = value.as_integer()?;
            let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            let number = u64::try_from(number).ok()?;
            let Kind::Number(min, max) = kind else { return None };
            if number < *min || number > *max {
                return None;
            }
            T::try_from(number).ok()
        })
    }

    pub(super) fn duration(&mut self, path: &str) -> Duration {
        self.take(path, Duration::ZERO, |kind, value| {
            let signed: jiff::SignedDuration = value.as_str()?.parse().ok()?;
            let duration = Duration::try_from(signed).ok()?;
            let Kind::Duration(min, max) = kind else { return None };
            (*min <= duration && duration <= *max).then_some(duration)
        })
    }

    pub(super) fn size(&mut self, path: &str) -> u64 {
        self.take(path, 0, |kind, value| {
            let bytes = keys::size_from(value.as_str()?)?;
            let Kind::Size(min, max) = kind else { return None };
            (*min <= bytes && bytes <= *max).then_some(bytes)
        })
    }

    pub(super) fn path(&mut self, path: &str, resolve: impl Fn(&Path) -> PathBuf) -> PathBuf {
        let text = self.take(path, String::from("."), |_, value| {
            let text = value.as_str()?;
            (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
        });
        resolve(Path::new(&text))
    }

    pub(super) fn optional_path(
        &mut self,
        path: &str,
        resolve: impl Fn(&Path) -> PathBuf,
    ) -> Option<PathBuf> {
        let text = self.take(path, String::new(), |_, value| {
            value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned)
        });
        (!text.is_empty()).then(|| resolve(Path::new(&text)))
    }

    pub(super) fn name(&mut self, path: &str) -> String {
        self.take(path, String::new(), |_, value| {
            let text = value.as_str()?;
            let fits = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            fits.then(|| text.to_owned())
        })
    }

    /// A text of the key's form; none if it is empty.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        self.take(path, None, |kind, value| {
            let (text, Kind::Text(form)) = (value.as_str()?, kind) else { return None };
            if text.is_empty() {
                return Some(None);
            }
            form.admits(text).then(|| Some(text.to_owned()))
        })
    }

    /// Texts of the key's form, in their order, without repetition.
    pub(super) fn texts(&mut self, path: &str) -> Vec<String> {
        self.take(path, Vec::new(), |kind, value| {
            let (list, Kind::Texts(form)) = (value.as_array()?, kind) else { return None };
            let mut texts = Vec::new();
            for entry in list.iter() {
                let text = entry.get_ref().as_str().filter(|text| form.admits(text))?;
                if !texts.iter().any(|seen| seen == text) {
                    texts.push(text.to_owned());
                }
            }
            Some(texts)
        })
    }

    pub(super) fn address(&mut self, path: &str) -> IpAddr {
        self.take(path, IpAddr::V4(Ipv4Addr::LOCALHOST), |_, value| value.as_str()?.parse().ok())
    }

    pub(super) fn choice<T: Copy>(&mut self, path: &str, fallback: T, words: &[(&str, T)]) -> T {
        self.take(path, fallback, |_, value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
        })
    }

    /// A schedule; none if the text is empty.
    pub(super) fn cron(&mut self, path: &str) -> Option<Cron> {
        let text = self.take(path, String::new(), |_, value| value.as_str().map(str::to_owned));
        if text.is_empty() {
            return None;
        }
        let cron = Cron::parse(&text);
        if let Err(error) = &cron {
            let line = self.values.get(path).and_then(|found| found.line);
            let shown: String = text.chars().take(60).collect();
            let message = format!("{shown:?} is no time of cron: {error}");
            let hint = "minute, hour, day of the month, month, day of the week, in UTC, like \"0 3 * * *\"";
            let (key, hint) = (path.to_owned(), Some(hint.to_owned()));
            self.problems.push(Problem { key, line, message, hint });
        }
        cron.ok()
    }

    /// A program by its absolute path and its arguments; empty for none.
    pub(super) fn command(&mut self, path: &str) -> Vec<String> {
        self.take(path, Vec::new(), |_, value| {
            let words = value.as_array()?.iter().map(|word| {
                word.get_ref().as_str().filter(|text| !text.contains('\0')).map(str::to_owned)
            });
            let words = words.collect::<Option<Vec<String>>>()?;
            words.first().is_none_or(|program| program.starts_with('/')).then_some(words)
        })
    }

    /// Some of these words, in the order of the file.
    pub(super) fn choices<T: Copy + PartialEq>(
        &mut self,
        path: &str,
        words: &[(&str, T)],
    ) -> Vec<T> {
        self.take(path, Vec::new(), |_, value| {
            let mut chosen = Vec::new();
            for entry in value.as_array()?.iter() {
                let text = entry.get_ref().as_str()?;
                let (_, choice) = words.iter().find(|(word, _)| *word == text)?;
                if !chosen.contains(choice) {
                    chosen.push(*choice);
                }
            }
            Some(chosen)
        })
    }

    pub(super) fn image(&mut self, path: &'static str) -> Image {
        let version = Version { major: 0, minor: 0, patch: 0 };
        let none = Image { repository: String::new(), tag: String::new(), digest: None, version };
        let text = self.take(path, String::new(), |_, value| value.as_str().map(str::to_owned));
        match Image::parse(&text) {
            Ok(image) => image,
            Err(error) => {
                let line = self.values.get(path).and_then(|found| found.line);
                let message = error.to_string();
                self.problems.push(Problem { key: path.to_owned(), line, message, hint: None });
                none
            }
        }
    }

    /// Without a group of its own the group has the number of the user, as Docker has it.
    pub(super) fn user(&mut self, path: &str) -> Option<(u32, u32)> {
        self.take(path, None, |_, value| {
            let text = value.as_str()?;
            if text.is_empty() {
                return Some(None);
            }
            let (user, group) = text.split_once(':').unwrap_or((text, text));
            Some(Some((user.parse().ok()?, group.parse().ok()?)))
        })
    }

    pub(super) fn switch(&mut self, path: &str) -> bool {
        self.take(path, true, |_, value| value.as_bool())
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
