//! From the text of a file to a `Config`, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Kind};
use super::{
    Backup, Config, Engine, EngineKind, Filesystem, Gateway, Log, LogFormat, LogLevel, Node,
    Retention, Store, StoreKind, Volume, VolumeKind, check,
};
use crate::engine::{Image, Version};

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
        let message = format!("must be {wanted}, not {}", shown(found));
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
    fn is_set(&self, path: &str) -> bool {
        self.values.get(path).is_some_and(|found| found.line.is_some())
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

    fn number<T: TryFrom<u64> + Default>(&mut self, path: &str) -> T {
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

    fn duration(&mut self, path: &str) -> Duration {
        self.take(path, Duration::ZERO, |kind, value| {
            let signed: jiff::SignedDuration = value.as_str()?.parse().ok()?;
            let duration = Duration::try_from(signed).ok()?;
            let Kind::Duration(min, max) = kind else { return None };
            (*min <= duration && duration <= *max).then_some(duration)
        })
    }

    fn size(&mut self, path: &str) -> u64 {
        self.take(path, 0, |kind, value| {
            let bytes = keys::size_from(value.as_str()?)?;
            let Kind::Size(min, max) = kind else { return None };
            (*min <= bytes && bytes <= *max).then_some(bytes)
        })
    }

    fn path(&mut self, path: &str, resolve: impl Fn(&Path) -> PathBuf) -> PathBuf {
        let text = self.take(path, String::from("."), |_, value| {
            let text = value.as_str()?;
            (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
        });
        resolve(Path::new(&text))
    }

    fn optional_path(&mut self, path: &str, resolve: impl Fn(&Path) -> PathBuf) -> Option<PathBuf> {
        let text = self.take(path, String::new(), |_, value| {
            value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned)
        });
        (!text.is_empty()).then(|| resolve(Path::new(&text)))
    }

    fn name(&mut self, path: &str) -> String {
        self.take(path, String::new(), |_, value| {
            let text = value.as_str()?;
            let fits = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            fits.then(|| text.to_owned())
        })
    }

    fn address(&mut self, path: &str) -> IpAddr {
        self.take(path, IpAddr::V4(Ipv4Addr::LOCALHOST), |_, value| value.as_str()?.parse().ok())
    }

    fn choice<T: Copy>(&mut self, path: &str, fallback: T, words: &[(&str, T)]) -> T {
        self.take(path, fallback, |_, value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
        })
    }

    fn config(&mut self, resolve: impl Fn(&Path) -> PathBuf) -> Config {
        let dir = self.path("node.dir", &resolve);
        let inside = |reader: &mut Self, path, name| {
            if reader.is_set(path) { reader.path(path, &resolve) } else { dir.join(name) }
        };
        let store_kinds = [("restic", StoreKind::Restic), ("clone", StoreKind::Clone)];
        let store = Store {
            kind: self.choice("store.kind", StoreKind::Restic, &store_kinds),
            path: inside(self, "store.path", "store"),
        };
        let volume = self.volume(&inside);
        let node = self.node(dir.clone(), &volume, &inside);
        Config {
            volume,
            engine: self.engine(&resolve),
            gateway: self.gateway(&resolve),
            backup: Backup {
                max_pause: self.duration("backup.max_pause"),
                gate_timeout: self.duration("backup.gate_timeout"),
                sample_points: self.number("backup.sample_points"),
                golden_queries: self.number("backup.golden_queries"),
            },
            store,
            retention: self.retention(),
            log: self.log(),
            node,
        }
    }

    fn volume(
        &mut self,
        inside: &impl Fn(&mut Self, &'static str, &'static str) -> PathBuf,
    ) -> Volume {
        let kinds = [("directory", VolumeKind::Directory), ("image", VolumeKind::Image)];
        let filesystems =
            [Filesystem::Xfs, Filesystem::Ext4].map(|filesystem| (filesystem.as_str(), filesystem));
        Volume {
            kind: self.choice("volume.kind", VolumeKind::Directory, &kinds),
            image: inside(self, "volume.image", "volume.img"),
            size: self.size("volume.size"),
            filesystem: self.choice("volume.filesystem", Filesystem::Xfs, &filesystems),
            mount: inside(self, "volume.mount", "volume"),
        }
    }

    fn node(
        &mut self,
        dir: PathBuf,
        volume: &Volume,
        inside: &impl Fn(&mut Self, &'static str, &'static str) -> PathBuf,
    ) -> Node {
        let data = match volume.kind {
            VolumeKind::Image if !self.is_set("node.data") => volume.mount.join("data"),
            VolumeKind::Image | VolumeKind::Directory => inside(self, "node.data", "data"),
        };
        let state = inside(self, "node.state", "state");
        Node { name: self.name("node.name"), dir, data, state }
    }

    fn engine(&mut self, resolve: impl Fn(&Path) -> PathBuf) -> Engine {
        let kinds = [EngineKind::Embedded, EngineKind::Docker].map(|kind| (kind.as_str(), kind));
        let nofile: u64 = self.number("engine.nofile");
        Engine {
            kind: self.choice("engine.kind", EngineKind::Embedded, &kinds),
            image: self.image("engine.image"),
            user: self.user("engine.user"),
            nofile: (nofile > 0).then_some(nofile),
            socket: self.path("engine.socket", resolve),
            start_timeout: self.duration("engine.start_timeout"),
            stop_timeout: self.duration("engine.stop_timeout"),
        }
    }

    fn image(&mut self, path: &'static str) -> Image {
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
    fn user(&mut self, path: &str) -> Option<(u32, u32)> {
        self.take(path, None, |_, value| {
            let text = value.as_str()?;
            if text.is_empty() {
                return Some(None);
            }
            let (user, group) = text.split_once(':').unwrap_or((text, text));
            Some(Some((user.parse().ok()?, group.parse().ok()?)))
        })
    }

    fn switch(&mut self, path: &str) -> bool {
        self.take(path, true, |_, value| value.as_bool())
    }

    fn gateway(&mut self, resolve: impl Fn(&Path) -> PathBuf) -> Gateway {
        let cert = self.optional_path("gateway.tls_cert", &resolve);
        let key = self.optional_path("gateway.tls_key", &resolve);
        if cert.is_some() != key.is_some() {
            let (missing, set) = match key {
                None => ("gateway.tls_key", "gateway.tls_cert"),
                Some(_) => ("gateway.tls_cert", "gateway.tls_key"),
            };
            let hint = "set both for TLS, or none";
            self.contradiction(missing, set, format!("is not set, and `{set}` is"), hint);
        }
        Gateway {
            enabled: self.switch("gateway.enabled"),
            listen: self.address("gateway.listen"),
            http_port: self.number("gateway.http_port"),
            grpc_port: self.number("gateway.grpc_port"),
            hold_budget: self.duration("gateway.hold_budget"),
            drain_timeout: self.duration("gateway.drain_timeout"),
            max_held: self.number("gateway.max_held"),
            max_connections: self.number("gateway.max_connections"),
            tls_cert: cert,
            tls_key: key,
        }
    }

    fn retention(&mut self) -> Retention {
        Retention {
            last: self.number("retention.last"),
            hourly: self.number("retention.hourly"),
            daily: self.number("retention.daily"),
            weekly: self.number("retention.weekly"),
            monthly: self.number("retention.monthly"),
            min_verified: self.number("retention.min_verified"),
        }
    }

    fn log(&mut self) -> Log {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let levels =
            [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
                .map(|level| (level.as_str(), level));
        Log {
            format: self.choice("log.format", LogFormat::Text, &formats),
            level: self.choice("log.level", LogLevel::Info, &levels),
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// What a value must be, with its article.
fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Name => "a name of at most 64 letters, digits, `.`, `_` and `-`".to_owned(),
        Kind::Path => "a path in quotes, not empty".to_owned(),
        Kind::OptionalPath => "a path in quotes, or \"\" for none".to_owned(),
        Kind::Address => "an IP address in quotes, like \"127.0.0.1\"".to_owned(),
        Kind::Image => "an image in quotes, like \"qdrant/qdrant:v1.19.0\"".to_owned(),
        Kind::User => "a user in quotes, like \"1000:1000\", or empty".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::Choice([word]) => format!("\"{word}\""),
        Kind::Choice(words) => format!("one of {}", keys::quoted(words)),
        Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Size(min, max) => format!(
            "a size in quotes, like \"2GiB\", from {} to {}",
            keys::size_text(*min),
            keys::size_text(*max)
        ),
        Kind::Duration(min, max) => format!(
            "a duration in quotes, like \"4s\", from {} to {}",
            keys::duration_text(*min),
            keys::duration_text(*max)
        ),
    }
}

/// What was found instead, short enough for a line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::String(_) => "a longer string".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The right name that `path` most likely means, if one is near.
fn nearest(path: &str) -> Option<&'static str> {
    let keys = keys::reference();
    let leaf = path.rsplit('.').next().unwrap_or(path);
    if let Some(key) = keys.iter().find(|key| key.name() == leaf) {
        return Some(key.path);
    }
    let similar = |key: &&keys::Key| {
        let in_its_table = path.strip_suffix(leaf).is_some_and(|table| key.path.starts_with(table));
        in_its_table && leaf.len() > 2 && (key.name().contains(leaf) || leaf.contains(key.name()))
    };
    let tables = keys::tables().iter().map(|(name, _)| *name);
    let names = tables.chain(keys.iter().map(|key| key.path));
    let leaves = keys.iter().map(|key| (key.path, strsim::damerau_levenshtein(key.name(), leaf)));
    names
        .map(|name| (name, strsim::damerau_levenshtein(name, path)))
        .chain(leaves)
        .min_by_key(|(_, distance)| *distance)
        .filter(|(_, distance)| *distance <= 1 + leaf.chars().count() / 3)
        .map(|(name, _)| name)
        .or_else(|| keys.iter().find(similar).map(|key| key.path))
}
