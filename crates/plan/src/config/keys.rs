//! The one list of keys. The reader takes ranges and defaults from it, `qmoor init` its template,
//! the documentation its reference, and a misspelt key its nearest right name.

use std::fmt::Write as _;
use std::time::Duration;

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
    /// An IP address.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second, both included.
    Number(u64, u64),
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
            Kind::Address => "IP address".to_owned(),
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Number(min, max) => format!("number, {min} to {max}"),
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
    match ms {
        _ if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        _ if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        _ if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        _ if ms % 1000 == 0 => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const MANY: u64 = 100_000;

const TABLES: &[(&str, &str)] = &[
    ("node", "Who this node is and where its files are."),
    ("engine", "What serves the vectors."),
    ("gateway", "The door clients come through."),
    ("backup", "How a snapshot is made."),
    ("store", "Where snapshots are kept."),
    (
        "retention",
        "Which snapshots `qmoor prune` keeps. A snapshot is kept when any rule keeps it; hours, days, \
         weeks and months are those of UTC. Pinned ones, one in progress and the last good one are \
         always kept.",
    ),
    ("log", "How the log is written."),
];

const KEYS: &[Key] = &[
    Key {
        path: "node.name",
        kind: Kind::Name,
        default: "\"qmoor\"",
        doc: "Name of the node, in logs and in snapshots.",
    },
    Key {
        path: "node.dir",
        kind: Kind::Path,
        default: "\"./qmoor-data\"",
        doc: "Folder that holds the node. Relative paths start at the folder of this file.",
    },
    Key {
        path: "node.data",
        kind: Kind::Path,
        default: "\"./qmoor-data/data\"",
        doc: "What the engine stores: what is backed up, lost and restored. Unless set, `data` \
              inside `node.dir`.",
    },
    Key {
        path: "node.state",
        kind: Kind::Path,
        default: "\"./qmoor-data/state\"",
        doc: "Keys, journal, lock and control socket. Unless set, `state` inside `node.dir`.",
    },
    Key {
        path: "engine.kind",
        kind: Kind::Choice(&["embedded"]),
        default: "\"embedded\"",
        doc: "Which engine. `embedded` is the storage engine of Qdrant as a library, inside the \
              `qmoor` binary.",
    },
    Key {
        path: "engine.start_timeout",
        kind: Kind::Duration(MILLISECOND, DAY),
        default: "\"5m\"",
        doc: "Longest wait from the start of the engine to its first answer. A large node loads for \
              minutes.",
    },
    Key {
        path: "engine.stop_timeout",
        kind: Kind::Duration(MILLISECOND, DAY),
        default: "\"2m\"",
        doc: "Longest wait for the engine to end by itself. After that it is killed, and the stop is \
              not clean.",
    },
    Key {
        path: "gateway.listen",
        kind: Kind::Address,
        default: "\"127.0.0.1\"",
        doc: "Address the gateway listens on. On a node in a network: its fixed private address.",
    },
    Key {
        path: "gateway.http_port",
        kind: Kind::Number(0, 65_535),
        default: "6333",
        doc: "Port for REST; gRPC is served on it too. 0 means any free port.",
    },
    Key {
        path: "gateway.grpc_port",
        kind: Kind::Number(0, 65_535),
        default: "6334",
        doc: "Port for clients that expect gRPC on a port of its own. 0 means any free port.",
    },
    Key {
        path: "gateway.hold_budget",
        kind: Kind::Duration(MILLISECOND, MINUTE),
        default: "\"4s\"",
        doc: "Longest time a request is held around a backup before it is answered with 429. Keep \
              it below the timeout of your clients: the official Python client gives up after 5 s.",
    },
    Key {
        path: "gateway.drain_timeout",
        kind: Kind::Duration(MILLISECOND, DAY),
        default: "\"30s\"",
        doc: "Longest wait for the requests in flight to end, before a backup and at shutdown.",
    },
    Key {
        path: "gateway.max_held",
        kind: Kind::Number(1, MANY),
        default: "1024",
        doc: "Most requests held at once; more are answered with 429 at once.",
    },
    Key {
        path: "gateway.max_connections",
        kind: Kind::Number(1, MANY),
        default: "4096",
        doc: "Most client connections open at once.",
    },
    Key {
        path: "backup.max_pause",
        kind: Kind::Duration(MILLISECOND, DAY),
        default: "\"30s\"",
        doc: "A backup whose pause is forecast to be longer is refused.",
    },
    Key {
        path: "backup.gate_timeout",
        kind: Kind::Duration(MILLISECOND, DAY),
        default: "\"60s\"",
        doc: "Longest wait for the optimizers of the engine to become idle before a backup.",
    },
    Key {
        path: "backup.sample_points",
        kind: Kind::Number(0, MANY),
        default: "64",
        doc: "Points per collection recorded in the manifest with the hashes of their payload and \
              vectors.",
    },
    Key {
        path: "backup.golden_queries",
        kind: Kind::Number(0, 1000),
        default: "8",
        doc: "Queries per collection recorded in the manifest with their answers.",
    },
    Key {
        path: "store.kind",
        kind: Kind::Choice(&["restic"]),
        default: "\"restic\"",
        doc: "Which kind of store. `restic` is a repository in the format of restic: encrypted, \
              deduplicated, incremental, and readable by the `restic` program without qmoor.",
    },
    Key {
        path: "store.path",
        kind: Kind::Path,
        default: "\"./qmoor-data/store\"",
        doc: "Folder of the repository. Unless set, `store` inside `node.dir`; on a real node put it \
              on another disk.",
    },
    Key {
        path: "retention.last",
        kind: Kind::Number(0, MANY),
        default: "3",
        doc: "Keep the newest so many.",
    },
    Key {
        path: "retention.hourly",
        kind: Kind::Number(0, MANY),
        default: "0",
        doc: "Keep the newest of each of so many hours that have one.",
    },
    Key {
        path: "retention.daily",
        kind: Kind::Number(0, MANY),
        default: "7",
        doc: "Keep the newest of each of so many days that have one.",
    },
    Key {
        path: "retention.weekly",
        kind: Kind::Number(0, MANY),
        default: "4",
        doc: "Keep the newest of each of so many ISO weeks that have one.",
    },
    Key {
        path: "retention.monthly",
        kind: Kind::Number(0, MANY),
        default: "6",
        doc: "Keep the newest of each of so many months that have one.",
    },
    Key {
        path: "retention.min_verified",
        kind: Kind::Number(0, MANY),
        default: "2",
        doc: "Keep the newest so many of those that a verify or a drill has proved.",
    },
    Key {
        path: "log.format",
        kind: Kind::Choice(&["text", "json"]),
        default: "\"text\"",
        doc: "Shape of a log line: `text` for people, `json` for machines.",
    },
    Key {
        path: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: "\"info\"",
        doc: "Least severe line that is written.",
    },
];

/// Every key there is, in the order of the file.
#[must_use]
pub fn reference() -> &'static [Key] {
    KEYS
}

/// Name and meaning of every table, in the order of the file.
pub(super) fn tables() -> &'static [(&'static str, &'static str)] {
    TABLES
}

fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table() == table)
}

/// The default of every key as a TOML document, so that defaults take the same way as settings.
pub(super) fn defaults() -> String {
    KEYS.iter().fold(String::new(), |mut text, key| {
        let _infallible = writeln!(text, "{} = {}", key.path, key.default);
        text
    })
}

/// The `qmoor.toml` that `qmoor init` writes: every key, explained, commented out at its default.
#[must_use]
pub fn template() -> String {
    let mut text = "# What this node is. Every key stands here at its default;\n\
                    # take the `#` away to change one.\n"
        .to_owned();
    for (table, about) in TABLES {
        text.push('\n');
        comment(&mut text, about);
        text.push_str(&format!("[{table}]\n"));
        for key in keys_of(table) {
            text.push('\n');
            comment(&mut text, key.doc);
            text.push_str(&format!("#{} = {}\n", key.name(), key.default));
        }
    }
    text
}

/// Adds `doc` as comment lines of at most 90 characters.
fn comment(text: &mut String, doc: &str) {
    let mut width = 0;
    for word in doc.split_whitespace() {
        if width > 0 && width + 1 + word.len() <= 90 {
            width += 1 + word.len();
        } else {
            if width > 0 {
                text.push('\n');
            }
            text.push('#');
            width = 2 + word.len();
        }
        text.push(' ');
        text.push_str(word);
    }
    text.push('\n');
}

/// The reference of `docs/config.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = "# Configuration\n\n\
        `qmoor.toml` says what a node is. `qmoor init` writes one with every key explained and \
        commented out at its default; without a file all defaults hold. A key that does not exist, a \
        value of the wrong type or out of range, and settings that contradict each other are errors \
        that name the line, the key and the nearest right name.\n\n\
        Durations are strings: `\"250ms\"`, `\"4s\"`, `\"5m\"`, `\"1h 30m\"`. Relative paths start \
        at the folder of `qmoor.toml`. The folders for data, state and store must lie outside each \
        other.\n"
        .to_owned();
    for (table, about) in TABLES {
        text.push_str(&format!("\n## `[{table}]`\n\n{about}\n\n"));
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in keys_of(table) {
            let (name, value, default, doc) = (key.name(), key.type_name(), key.default, key.doc);
            text.push_str(&format!("| `{name}` | {value} | `{default}` | {doc} |\n"));
        }
    }
    text
}
