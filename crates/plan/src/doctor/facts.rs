//! What can be seen of a node. Whoever fills this in looks, and thinks nothing of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::Config;
use crate::manifest::Grade;

/// A fact, or the reason why it is not known.
pub type Seen<T> = Result<T, String>;

/// All that the checks look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When it was looked at.
    pub now: Timestamp,
    /// The configuration of the node.
    pub config: Seen<Config>,
    /// What the agent says of itself.
    pub node: Seen<Node>,
    /// Why the agent does not answer, where that is known to be its fault.
    pub agent_trouble: Option<String>,
    /// The backups that the agent lists, or why it cannot list them.
    pub backups: Seen<Result<Vec<Backup>, String>>,
    /// What the server answered at its door.
    pub door: Seen<Door>,
    /// Whether an interface of this host has the address that clients come to.
    pub address_held: Seen<bool>,
    /// Where anybody on this host listens.
    pub listeners: Seen<Vec<SocketAddr>>,
    /// The process of the engine.
    pub engine: Seen<Process>,
    /// What the node's folders lie on.
    pub disks: Seen<Vec<Disk>>,
    /// Why the configured volume cannot be written to, if it cannot.
    pub volume_trouble: Seen<Option<String>>,
    /// Who may read and write what must be kept from others.
    pub modes: Seen<Vec<FileMode>>,
    /// Where a key stands that should not stand there.
    pub leaks: Seen<Vec<String>>,
    /// What the Docker daemon says.
    pub docker: Seen<Docker>,
    /// The kernel's `vm.max_map_count`.
    pub map_count: Seen<u64>,
    /// The clock.
    pub clock: Seen<Clock>,
    /// The rules of the host's firewall.
    pub firewall: Seen<Firewall>,
}

impl Facts {
    /// Nothing has been looked at, for this reason.
    #[must_use]
    pub fn unseen(now: Timestamp, why: &str) -> Self {
        fn unseen<T>(why: &str) -> Seen<T> {
            Err(why.to_owned())
        }
        Self {
            now,
            config: unseen(why),
            node: unseen(why),
            agent_trouble: None,
            backups: unseen(why),
            door: unseen(why),
            address_held: unseen(why),
            listeners: unseen(why),
            engine: unseen(why),
            disks: unseen(why),
            volume_trouble: unseen(why),
            modes: unseen(why),
            leaks: unseen(why),
            docker: unseen(why),
            map_count: unseen(why),
            clock: unseen(why),
            firewall: unseen(why),
        }
    }
}

/// What the agent says of itself.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// Where clients come in.
    pub http: Option<SocketAddr>,
    /// The second door.
    pub grpc: Option<SocketAddr>,
    /// The engine.
    pub engine: Engine,
}

/// What the agent says of the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Whether it answers.
    pub up: bool,
    /// How often it has come up since the agent started.
    pub starts: u64,
    /// Why it is down, when it should not be.
    pub trouble: Option<String>,
}

/// One backup.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// When the point was fixed.
    pub at: Timestamp,
    /// Whether it has its manifest.
    pub complete: bool,
    /// Whether it is being made at this moment.
    pub in_progress: bool,
    /// Why its manifest cannot be read.
    pub trouble: Option<String>,
    /// How the point was made.
    pub grade: Option<Grade>,
    /// How long requests were held, in milliseconds.
    pub pause_ms: f64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// How its last drill went.
    pub drill: Option<Drill>,
}

/// How a drill went.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// When.
    pub at: Timestamp,
    /// Whether everything was as the manifest says.
    pub ok: bool,
    /// From the start of the restore to the first answer, in milliseconds.
    pub rto_ms: f64,
}

/// What the server answered. A number is the status of an answer; where there was none, the reason.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where it was asked.
    pub url: String,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// Whether it does not leave this host.
    pub is_local: bool,
    /// To a greeting, without a key.
    pub greeting: Seen<u16>,
    /// The version that the greeting says.
    pub version: Seen<String>,
    /// To a list of the collections, without a key.
    pub without_key: Seen<u16>,
    /// To the same, with a key that may see it.
    pub with_key: Seen<u16>,
    /// To a deletion of nothing, in a collection that is not there, with the key for searching.
    pub search_key_write: Seen<u16>,
    /// To a list of the server's snapshots, with the key for searching.
    pub search_key_snapshots: Seen<u16>,
    /// The collections.
    pub collections: Seen<Vec<Collection>>,
    /// The certificate that was shown.
    pub certificate: Seen<Certificate>,
}

/// A collection as the server describes it.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// `green`, `yellow`, `grey` or `red`.
    pub status: String,
    /// What its optimizers failed at.
    pub optimizer_error: Option<String>,
    /// Whether its strict mode is on.
    pub is_strict: bool,
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// After that nobody takes it.
    pub not_after: Timestamp,
    /// Why a client does not take it now.
    pub refused: Option<String>,
}

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Where it listens.
    pub listens: Seen<Vec<SocketAddr>>,
    /// How many files it has open.
    pub open_files: Seen<u64>,
    /// How many it may have open.
    pub open_files_max: Seen<u64>,
    /// How many parts of memory it has mapped.
    pub maps: Seen<u64>,
}

/// What the node keeps in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What the engine stores.
    Data,
    /// What the agent needs to work.
    State,
    /// The backups.
    Store,
}

impl Place {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::State => "state",
            Self::Store => "store",
        }
    }
}

/// What a folder of the node lies on.
#[derive(Debug, Clone)]
pub struct Disk {
    /// What the folder is for.
    pub place: Place,
    /// The folder.
    pub path: PathBuf,
    /// Where the file system is mounted.
    pub point: PathBuf,
    /// Its kind, such as `xfs`.
    pub filesystem: String,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes that the node's user may still write.
    pub bytes_free: u64,
    /// How many files it has room for; 0 where it has no such bound.
    pub files: u64,
    /// How many of them are not there yet.
    pub files_free: u64,
}

/// Who may read and write a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMode {
    /// Which.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// What it has to be kept from.
    pub guard: Guard,
}

/// What a file has to be kept from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anybody but its owner.
    OwnerOnly,
    /// Anybody but its owner and its group.
    NotOthers,
    /// Being written to by anybody but its owner.
    NotWritten,
}

impl Guard {
    /// The permission bits that must not be set.
    #[must_use]
    pub fn forbidden(self) -> u32 {
        match self {
            Self::OwnerOnly => 0o077,
            Self::NotOthers => 0o007,
            Self::NotWritten => 0o022,
        }
    }
}

/// What the Docker daemon says.
#[derive(Debug, Clone, Default)]
pub struct Docker {
    /// The node's own container.
    pub own: Option<Container>,
    /// The ports that any other container publishes.
    pub published: Vec<Published>,
}

/// The node's own container.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The id of the image that it was made from.
    pub image: String,
    /// What runs as its process 1.
    pub command: Vec<String>,
    /// When the daemon starts it again.
    pub restart: String,
    /// Where it can be reached.
    pub published: Vec<Published>,
}

/// A port of a container that is reached from outside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The container's name.
    pub container: String,
    /// The port inside.
    pub inside: u16,
    /// Where it is reached.
    pub at: SocketAddr,
}

/// The clock of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// Whether it is kept right.
    pub is_synchronized: bool,
    /// Who says so.
    pub said_by: String,
}

/// The rules of the host's firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firewall {
    /// Whether the table is loaded that `qmoor render firewall` prints.
    pub has_table: bool,
}

/// Whether a key of the gateway stands in a text.
#[must_use]
pub fn shows_a_key(text: &[u8]) -> bool {
    const ROLES: [&[u8]; 3] = [b"qm_search_", b"qm_index_", b"qm_admin_"];
    const DIGITS: usize = 64;
    text.windows(3).enumerate().filter(|(_, start)| *start == b"qm_").any(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        ROLES
            .iter()
            .filter_map(|role| rest.strip_prefix(*role))
            .any(|key| key.get(..DIGITS).is_some_and(|key| key.iter().all(u8::is_ascii_hexdigit)))
    })
}
