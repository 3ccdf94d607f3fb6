//! What the operator may set in `qmoor.toml`.
//!
//! A [`Config`] is complete and checked: it holds no `Option` that means "default", and whoever
//! has one need not ask again whether the ports differ or the store lies outside the data.

mod assemble;
mod aws;
mod check;
mod check_aws;
mod forms;
mod keys;
mod list;
mod read;
mod render;
mod say;
mod write;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use aws::{Aws, Secrets};
pub use check::normal;
pub use forms::Form;
pub use keys::{Key, Kind, reference};
pub use read::{ConfigError, Problem};
pub use render::{reference_markdown, template};
use serde::{Deserialize, Serialize};

use crate::backup::Mode;
use crate::engine::Image;
use crate::notify::{Occasion, Webhook};
use crate::schedule::{Cron, Work};

/// Everything `qmoor.toml` says, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Who this node is and where its files are.
    pub node: Node,
    /// What the data lies on.
    pub volume: Volume,
    /// What serves the vectors.
    pub engine: Engine,
    /// The door clients come through.
    pub gateway: Gateway,
    /// How a snapshot is made.
    pub backup: Backup,
    /// Where snapshots are kept.
    pub store: Store,
    /// Which snapshots are kept.
    pub retention: Retention,
    /// When the agent makes backups and drills by itself.
    pub schedule: Schedule,
    /// Who is told of what.
    pub notify: Notify,
    /// How the log is written.
    pub log: Log,
    /// The machine on AWS that it runs on, if the file says so.
    pub aws: Option<Aws>,
}

/// Who this node is and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name of the node, in logs and in snapshots.
    pub name: String,
    /// Folder that holds the others unless they are set.
    pub dir: PathBuf,
    /// What the engine stores: what is backed up, lost and restored.
    pub data: PathBuf,
    /// Keys, journal, lock, control socket: what the agent needs to work.
    pub state: PathBuf,
}

/// What the data lies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Which kind of volume.
    pub kind: VolumeKind,
    /// The file of a volume that is an image.
    pub image: PathBuf,
    /// Size of the image in bytes.
    pub size: u64,
    /// What the image is formatted with.
    pub filesystem: Filesystem,
    /// Folder that the image or the EBS volume is mounted on.
    pub mount: PathBuf,
    /// Which EBS volume; none where it is no such volume, and in a file from which one is yet to be provisioned.
    pub id: Option<String>,
    /// Folder where the system names disks by their serial.
    pub devices: PathBuf,
    /// Longest wait for an EBS volume to change as asked.
    pub timeout: Duration,
    /// MiB a second at which a volume that is made of a snapshot gets its blocks; 0 when they are first read.
    pub initialization_rate: u32,
}

/// Which kind of volume the data lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeKind {
    /// A folder of whatever is mounted there.
    Directory,
    /// A file with a file system of its own.
    Image,
    /// An EBS volume that is attached to this machine.
    Ebs,
}

/// What an image is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// XFS.
    Xfs,
    /// The fourth extended file system.
    Ext4,
}

impl Filesystem {
    /// The word for it in `qmoor.toml`, and the kernel's.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xfs => "xfs",
            Self::Ext4 => "ext4",
        }
    }
}

/// What serves the vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Which engine.
    pub kind: EngineKind,
    /// The image of the docker engine.
    pub image: Image,
    /// The user inside the container, as `UID` or `UID:GID`; the image's own if there is none.
    pub user: Option<(u32, u32)>,
    /// Most open files of the container; the limit of the Docker daemon if there is none.
    pub nofile: Option<u64>,
    /// The socket of the Docker daemon.
    pub socket: PathBuf,
    /// Longest wait from its start to its first answer.
    pub start_timeout: Duration,
    /// Longest wait for it to end by itself; after that it is killed, and the stop is not clean.
    pub stop_timeout: Duration,
}

/// Which engine serves the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The official image, in a container.
    Docker,
    /// Our own server over the storage engine of Qdrant as a library.
    Embedded,
}

impl EngineKind {
    /// The word for it in `qmoor.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Embedded => "embedded",
        }
    }
}

/// The door clients come through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// Whether there is one; without, clients talk to the container itself.
    pub enabled: bool,
    /// Address it listens on.
    pub listen: IpAddr,
    /// Port for REST (and gRPC); 0 means any free port.
    pub http_port: u16,
    /// Port for gRPC (and REST); 0 means any free port.
    pub grpc_port: u16,
    /// Longest time a request is held around a backup before it is answered with 429.
    pub hold_budget: Duration,
    /// Longest wait for the requests in flight to end, before a backup and at shutdown.
    pub drain_timeout: Duration,
    /// Most requests held at once; more are answered with 429.
    pub max_held: usize,
    /// Most client connections open at once.
    pub max_connections: usize,
    /// What connections are encrypted with; none for no encryption. Set with its key, or not at all.
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate.
    pub tls_key: Option<PathBuf>,
}

impl Gateway {
    /// What connections are encrypted with; none for no encryption.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles { cert, key })
    }
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with the ones between it and a root behind it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How a snapshot is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// A backup whose pause is forecast to be longer is refused.
    pub max_pause: Duration,
    /// Longest wait for the engine's optimizers to become idle.
    pub gate_timeout: Duration,
    /// Points per collection recorded in the manifest with the hashes of payload and vectors.
    pub sample_points: usize,
    /// Queries per collection recorded in the manifest with their answers.
    pub golden_queries: usize,
}

/// Where snapshots are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Which kind of store.
    pub kind: StoreKind,
    /// Folder of the store, or of its records where the snapshots are EBS snapshots.
    pub path: PathBuf,
    /// Longest wait for the store to have everything of a snapshot.
    pub settle_timeout: Duration,
    /// Whether EBS refuses to delete a backup for some days.
    pub lock: Lock,
    /// For how many days.
    pub lock_days: u32,
    /// Region that each complete EBS snapshot is copied to.
    pub copy_region: Option<String>,
}

/// Which kind of store keeps the snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A repository in the format of restic.
    Restic,
    /// Clones of the image that the volume is.
    Clone,
    /// EBS snapshots of the EBS volume.
    Ebs,
}

/// Whether a snapshot of EBS can be deleted before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// It can.
    None,
    /// By who may lift the lock.
    Governance,
    /// By nobody.
    Compliance,
}

impl Lock {
    /// The word for it in `qmoor.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }
}

/// Which snapshots are kept. A snapshot is kept when any rule keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The newest so many.
    pub last: u32,
    /// The newest of each of so many hours that have one.
    pub hourly: u32,
    /// The newest of each of so many days that have one.
    pub daily: u32,
    /// The newest of each of so many ISO weeks that have one.
    pub weekly: u32,
    /// The newest of each of so many months that have one.
    pub monthly: u32,
    /// The newest so many of those that a verify or a drill has proved.
    pub min_verified: u32,
}

/// When the agent makes backups and drills by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// When it makes a backup; never if there is none.
    pub backup: Option<Cron>,
    /// When it drills the newest backup; never if there is none.
    pub drill: Option<Cron>,
    /// How these backups are made.
    pub mode: Mode,
    /// A run begins up to so much after its time.
    pub jitter: Duration,
    /// A missed run that is later than this is not made up for.
    pub catch_up: Duration,
}

impl Schedule {
    /// When this is done; never if there is none.
    #[must_use]
    pub fn of(&self, work: Work) -> Option<&Cron> {
        match work {
            Work::Backup => self.backup.as_ref(),
            Work::Drill => self.drill.as_ref(),
        }
    }
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// Where messages are posted to.
    pub webhook: Option<Webhook>,
    /// The file that says where. Set instead of the address, or not at all.
    pub webhook_file: Option<PathBuf>,
    /// The program that gets them, with its arguments; empty for none.
    pub command: Vec<String>,
    /// What is told.
    pub on: Vec<Occasion>,
    /// Longest wait for one answer, and for the end of the command.
    pub timeout: Duration,
}

impl Notify {
    /// Whether anybody is told anything.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.webhook.is_some() || self.webhook_file.is_some() || !self.command.is_empty()
    }
}

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Shape of a line.
    pub format: LogFormat,
    /// Least severe line that is written.
    pub level: LogLevel,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Severity of a log line, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// It recovered.
    Warn,
    /// State changed.
    Info,
    /// The rest.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word for it in `qmoor.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Config {
    /// Reads the text of a `qmoor.toml` that came from `origin`; relative paths in it are
    /// resolved against the folder of `origin`.
    ///
    /// # Errors
    ///
    /// All that is wrong at once: text that is no TOML, unknown keys, wrong types, values out of
    /// range, settings that contradict each other.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        let base = origin.parent().unwrap_or(Path::new(""));
        // `components` drops the dots of "./data", and nothing that a symbolic link could change.
        let resolve = |path: &Path| base.join(path).components().collect::<PathBuf>();
        let (config, problems) = read::read(text, resolve);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { origin: origin.to_owned(), problems })
        }
    }

    /// The defaults, with everything inside `dir`.
    #[must_use]
    pub fn for_dir(dir: &Path) -> Self {
        let (mut config, _no_problems) = read::read("", Path::to_path_buf);
        dir.clone_into(&mut config.node.dir);
        config.node.data = dir.join("data");
        config.node.state = dir.join("state");
        config.store.path = dir.join("store");
        config.volume.image = dir.join("volume.img");
        config.volume.mount = dir.join("volume");
        config
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_aws;
