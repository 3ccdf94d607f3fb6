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
    /// A path like that, or `""` for none.
    OptionalPath,
    /// An IP address.
    Address,
    /// `repository:vX.Y.Z`, and `@sha256:…` behind it if wanted.
    Image,
    /// `UID` or `UID:GID`, in numbers, or nothing.
    User,
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
    if ms.is_multiple_of(3_600_000) {
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

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const MANY: u64 = 100_000;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

const TABLES: &[(&str, &str)] = &[
    ("node", "Who this node is and where its files are."),
    ("volume", "What the data lies on."),
    ("engine", "What serves the vectors."),
    ("gateway", "The door clients come through."),
    ("backup", "How a snapshot is made."),
    ("store", "Where snapshots are kept."),
    (
        "retention",
        "Which snapshots `qmoor prune` keeps. A snapshot is kept when any rule keeps it; hours, \
         days, \
         weeks and months are those of UTC. Pinned ones, one in progress and the last good one are \
         always kept.",
    ),
    ("log", "How the log is written."),
];

const KEYS: &[Key] = &[
    key("node.name", Kind::Name, "\"qmoor\"", "Name of the node, in logs and in snapshots."),
    key(
        "node.dir",
        Kind::Path,
        "\"./qmoor-data\"",
        "Folder that holds the node. Relative paths start at the folder of this file.",
    ),
    key(
        "node.data",
        Kind::Path,
        "\"./qmoor-data/data\"",
        "What the engine stores: what is backed up, lost and restored. Unless set, `data` inside \
         `node.dir`, or inside `volume.mount` if the volume is an image.",
    ),
    key(
        "node.state",
        Kind::Path,
        "\"./qmoor-data/state\"",
        "Keys, journal, lock and control socket. Unless set, `state` inside `node.dir`.",
    ),
    key(
        "volume.kind",
        Kind::Choice(&["directory", "image"]),
        "\"directory\"",
        "Which kind of volume. `directory` is a folder of whatever is mounted there. `image` is a \
         file with a file system of its own, which the agent makes, checks and mounts; it needs \
         root and loop devices.",
    ),
    key(
        "volume.image",
        Kind::Path,
        "\"./qmoor-data/volume.img\"",
        "The file of a volume that is an image. Unless set, `volume.img` inside `node.dir`.",
    ),
    key(
        "volume.size",
        Kind::Size(512 * MIB, 16 * TIB),
        "\"10GiB\"",
        "Size of the image. It only takes the room of what is in it. A larger one makes the \
         volume grow at the next start; it cannot shrink.",
    ),
    key(
        "volume.filesystem",
        Kind::Choice(&["xfs", "ext4"]),
        "\"xfs\"",
        "What the image is formatted with, once, when it is made.",
    ),
    key(
        "volume.mount",
        Kind::Path,
        "\"./qmoor-data/volume\"",
        "Folder that the image is mounted on. Unless set, `volume` inside `node.dir`.",
    ),
    key(
        "engine.kind",
        Kind::Choice(&["embedded", "docker"]),
        "\"embedded\"",
        "Which engine. `embedded` is the storage engine of Qdrant as a library, inside the \
         `qmoor` binary. `docker` is the official image in a container. They do not read each \
         other's data.",
    ),
    key(
        "engine.image",
        Kind::Image,
        "\"qdrant/qdrant:v1.19.0\"",
        "The image of the docker engine, pinned by its version; a digest behind it is checked. \
         Without one the first start notes which image it was, and that one goes on to be used \
         when the name comes to mean another.",
    ),
    key(
        "engine.user",
        Kind::User,
        "\"\"",
        "User of the docker engine, such as `1000:1000`; the data is given to it. Unless set, the \
         user of the image.",
    ),
    key(
        "engine.nofile",
        Kind::Number(0, 1_048_576),
        "65536",
        "Most open files of the docker engine. 0 leaves it to the Docker daemon, where the host \
         does not allow it to be raised.",
    ),
    key("engine.socket", Kind::Path, "\"/var/run/docker.sock\"", "Socket of the Docker daemon."),
    key(
        "engine.start_timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"5m\"",
        "Longest wait from the start of the engine to its first answer. A large node loads for \
         minutes.",
    ),
    key(
        "engine.stop_timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"2m\"",
        "Longest wait for the engine to end by itself. After that it is killed, and the stop is \
         not clean.",
    ),
    key(
        "gateway.enabled",
        Kind::Switch,
        "true",
        "Whether there is a gateway. Without one, clients talk to the container of the docker \
         engine itself, which is published on the same address and ports, with Qdrant's own keys: \
         no roles but read-only and full, and nothing is held around a backup.",
    ),
    key(
        "gateway.listen",
        Kind::Address,
        "\"127.0.0.1\"",
        "Address the gateway listens on. On a node in a network: its fixed private address.",
    ),
    key(
        "gateway.http_port",
        Kind::Number(0, 65_535),
        "6333",
        "Port for REST; gRPC is served on it too. 0 means any free port.",
    ),
    key(
        "gateway.grpc_port",
        Kind::Number(0, 65_535),
        "6334",
        "Port for clients that expect gRPC on a port of its own. 0 means any free port.",
    ),
    key(
        "gateway.hold_budget",
        Kind::Duration(MILLISECOND, MINUTE),
        "\"4s\"",
        "Longest time a request is held around a backup before it is answered with 429. Keep it \
         below the timeout of your clients: the official Python client gives up after 5 s.",
    ),
    key(
        "gateway.drain_timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"30s\"",
        "Longest wait for the requests in flight to end, before a backup and at shutdown.",
    ),
    key(
        "gateway.max_held",
        Kind::Number(1, MANY),
        "1024",
        "Most requests held at once; more are answered with 429 at once.",
    ),
    key(
        "gateway.max_connections",
        Kind::Number(1, MANY),
        "4096",
        "Most client connections open at once.",
    ),
    key(
        "gateway.tls_cert",
        Kind::OptionalPath,
        "\"\"",
        "Certificate chain in PEM. With it and its key, both ports speak TLS and nothing else. The \
         files are looked at every two seconds: a new pair is taken without a restart.",
    ),
    key(
        "gateway.tls_key",
        Kind::OptionalPath,
        "\"\"",
        "Private key of the certificate, in PEM. Others on the host must not be able to read it.",
    ),
    key(
        "backup.max_pause",
        Kind::Duration(MILLISECOND, DAY),
        "\"30s\"",
        "A backup whose pause is forecast to be longer is refused.",
    ),
    key(
        "backup.gate_timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"60s\"",
        "Longest wait for the optimizers of the engine to become idle before a backup.",
    ),
    key(
        "backup.sample_points",
        Kind::Number(0, MANY),
        "64",
        "Points per collection recorded in the manifest with the hashes of their payload and \
         vectors.",
    ),
    key(
        "backup.golden_queries",
        Kind::Number(0, 1000),
        "8",
        "Queries per collection recorded in the manifest with their answers.",
    ),
    key(
        "store.kind",
        Kind::Choice(&["restic", "clone"]),
        "\"restic\"",
        "Which kind of store. `restic` is a repository in the format of restic: encrypted, \
         deduplicated, incremental, and readable by the `restic` program without qmoor. `clone` \
         keeps clones of the image that the volume is: made in milliseconds, on the same disk as \
         the image, which must hold an xfs made with reflink=1 or a btrfs.",
    ),
    key(
        "store.path",
        Kind::Path,
        "\"./qmoor-data/store\"",
        "Folder of the store. Unless set, `store` inside `node.dir`; on a real node put a \
         repository on another disk.",
    ),
    key("retention.last", Kind::Number(0, MANY), "3", "Keep the newest so many."),
    key(
        "retention.hourly",
        Kind::Number(0, MANY),
        "0",
        "Keep the newest of each of so many hours that have one.",
    ),
    key(
        "retention.daily",
        Kind::Number(0, MANY),
        "7",
        "Keep the newest of each of so many days that have one.",
    ),
    key(
        "retention.weekly",
        Kind::Number(0, MANY),
        "4",
        "Keep the newest of each of so many ISO weeks that have one.",
    ),
    key(
        "retention.monthly",
        Kind::Number(0, MANY),
        "6",
        "Keep the newest of each of so many months that have one.",
    ),
    key(
        "retention.min_verified",
        Kind::Number(0, MANY),
        "2",
        "Keep the newest so many of those that a verify or a drill has proved.",
    ),
    key(
        "log.format",
        Kind::Choice(&["text", "json"]),
        "\"text\"",
        "Shape of a log line: `text` for people, `json` for machines.",
    ),
    key(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "\"info\"",
        "Least severe line that is written.",
    ),
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
