//! What can be typed: the one definition behind parsing, `--help` and completions.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Exit codes: 0 done, 1 the world is not as asked, 2 usage, 3 somebody else holds the lock, 4 `doctor` warns.
#[derive(Debug, Parser)]
#[command(
    name = "qmoor",
    version,
    about = "Run Qdrant on one machine: one address, one volume, one door, proved backups",
    after_help = "Start here:\n  qmoor quickstart          the whole story on this machine, in a minute\n  qmoor init && qmoor serve a node of your own\n\nExit codes: 0 done, 1 not as asked, 2 usage, 3 somebody else holds the lock, 4 doctor warns.",
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: ./qmoor.toml if there is one, else the defaults]
    #[arg(long, global = true, value_name = "FILE", env = "QMOOR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// A node elsewhere, by its gateway: http://HOST:PORT [default: the node on this host]
    #[arg(long, global = true, value_name = "URL", env = "QMOOR_NODE")]
    pub(crate) node: Option<String>,
    /// Where its admin key is: env:NAME or file:PATH
    #[arg(
        long,
        global = true,
        value_name = "WHERE",
        default_value = "env:QMOOR_NODE_KEY",
        hide_default_value = false
    )]
    pub(crate) node_key: String,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say less on stderr: no progress, only warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The verbs. One file each under `verbs/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The whole story on this machine: index, search, back up, lose, restore, prove
    Quickstart(Quickstart),
    /// Write a commented qmoor.toml
    Init(Init),
    /// Run the node on this host: engine, gateway, backups
    Serve(Serve),
    /// Show what `up` would make or change on AWS
    Plan(Plan),
    /// Make the node on AWS, or change it, as the configuration says: shown first, and asked
    Up(Up),
    /// Take the node on AWS away; its data stays
    Down(Down),
    /// What runs, since when, what is held, last backup, last drill
    Status(Status),
    /// Who did what, from where, and how it ended: keys, backups, holds, settings, and who was turned away
    Audit(Audit),
    /// Look at the node, or at any Qdrant, and say what is not as it should be and what mends it
    Doctor(Doctor),
    /// Put documents or vectors in, in batches, idempotently
    Index(Index),
    /// Ask a collection
    Search(Search),
    /// Take one consistent snapshot of the whole node
    Backup(Backup),
    /// List the backups, newest first
    Backups,
    /// Hold requests by hand, for as long as a lease; no backup begins meanwhile
    Hold(Hold),
    /// End a hold by hand
    Release,
    /// Bring a backup back: a plan first, then a new directory, verified, then swapped
    Restore(Restore),
    /// Restore a backup into scratch, open it, check it, throw it away
    Drill(Drill),
    /// Delete the backups that the retention policy does not keep
    Prune(Prune),
    /// Keep a backup whatever the retention policy says
    Pin(Pin),
    /// Bring the docker engine to another version: a backup first, checked after, taken back if anything is missing
    Upgrade(Upgrade),
    /// Whether those who are told of failures hear it: the webhook and the command of `[notify]`
    Notify(Notify),
    /// The keys of the gateway
    Keys(Keys),
    /// The embedded engine alone: a Qdrant-compatible server on one directory
    Engine(Engine),
    /// Thaw a file system once the process that froze it is gone, or the time is over
    #[command(hide = true)]
    ThawWatchdog(ThawWatchdog),
    /// A verb on the node on AWS, from here: no SSH, through SSM Run Command
    Remote(Remote),
    /// Say how much memory and disk so many points need, and which machine and volume have that
    Size(Size),
    /// Print what would be used elsewhere
    Render(Render),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `qmoor quickstart`
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Index this folder instead of the manual that is inside the binary
    #[arg(long, value_name = "DIR")]
    pub(crate) docs: Option<PathBuf>,
    /// Keep the node in ./qmoor-data instead of a temporary directory
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `qmoor init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to write it
    #[arg(default_value = "qmoor.toml")]
    pub(crate) path: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `qmoor remote`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qmoor remote status\n  qmoor remote backup --batch-id=2026-11-25 --mode=freeze\n  qmoor remote restore latest --yes"
)]
pub(crate) struct Remote {
    /// Longest time for it
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) timeout: String,
    /// The verb and its arguments, as on the node
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "VERB"
    )]
    pub(crate) command: Vec<String>,
}

/// `qmoor serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Port for REST and gRPC, instead of the configured one; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub(crate) http_port: Option<u16>,
    /// Second port for clients that expect gRPC on one of its own; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub(crate) grpc_port: Option<u16>,
}

/// `qmoor plan`
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Move the machine to the newest image: another machine takes its place
    #[arg(long)]
    pub(crate) new_ami: bool,
}

/// `qmoor up`
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Move the machine to the newest image: another machine takes its place
    #[arg(long)]
    pub(crate) new_ami: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `qmoor down`
#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Delete the volumes and all snapshots of the node, too; has to be said twice
    #[arg(long)]
    pub(crate) delete_data: bool,
    /// The second time: the name of the node
    #[arg(long, value_name = "NODE")]
    pub(crate) yes_delete_data: Option<String>,
}

/// `qmoor doctor`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes, by the worst verdict: 0 pass or does not apply, 4 warn, 1 fail; 2 usage.\n\nExamples:\n  qmoor doctor\n  qmoor doctor --only backup-age --only drill-age\n  qmoor doctor --url https://qdrant.internal:6333 --key env:KEY --search-key env:READ_KEY"
)]
pub(crate) struct Doctor {
    /// Run this check alone; may be given more than once
    #[arg(long, value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// Show the checks there are, and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Look at this server from outside, whoever set it up, instead of at the node on this host
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where a key for it is that may see its collections: env:NAME or file:PATH
    #[arg(long, value_name = "WHERE", requires = "url")]
    pub(crate) key: Option<String>,
    /// Where the key for it is that readers have, which must not write: env:NAME or file:PATH
    #[arg(long, value_name = "WHERE", requires = "url")]
    pub(crate) search_key: Option<String>,
    /// Certificates in PEM to trust besides those of the system
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Take permissions away from the node's files that others must not have; shown first, and asked
    #[arg(long, conflicts_with = "url")]
    pub(crate) fix: bool,
    /// Do not ask
    #[arg(long, short, requires = "fix")]
    pub(crate) yes: bool,
}

/// `qmoor size`
#[derive(Debug, Args)]
#[command(
    after_help = "Each figure is shown with its reason; docs/operations.md has the formula, and how it was measured.\n\nExamples:\n  qmoor size --points 1000000 --dim 768\n  qmoor size --points 20000000 --dim 1024 --quantization scalar --on-disk"
)]
pub(crate) struct Size {
    /// Points: chunks, for a retrieval application
    #[arg(long, value_name = "N")]
    pub(crate) points: u64,
    /// Dimensions of a dense vector
    #[arg(long, value_name = "D")]
    pub(crate) dim: u64,
    /// Dense vectors of each point
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) vectors: u64,
    /// Links of a point in the graph, HNSW's m; 0 for no graph
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) m: u64,
    /// Bytes of a point's payload, its text included
    #[arg(long, value_name = "B", default_value_t = 1024)]
    pub(crate) payload_bytes: u64,
    /// Fields of the payload with an index
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) payload_indexes: u64,
    /// Numbers that are not zero in each sparse vector; 0 for no sparse vectors
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) sparse: u64,
    /// Compressed copy of the dense vectors, which is searched first and kept in memory
    #[arg(long, value_enum, default_value_t = SizeQuantization::None)]
    pub(crate) quantization: SizeQuantization,
    /// The dense vectors themselves are read from the disk for each search
    #[arg(long)]
    pub(crate) on_disk: bool,
}

/// Kinds of quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeQuantization {
    /// No copy
    None,
    /// A byte for a number
    Scalar,
    /// A bit for a number
    Binary,
    /// A byte for sixteen bytes of numbers
    Product,
}

/// Where a collection is, and with which key.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Collection name
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: String,
    /// Address of the node [default: the node of the configuration]
    #[arg(long, value_name = "URL", env = "QMOOR_URL")]
    pub(crate) url: Option<String>,
    /// Where the key is: env:NAME or file:PATH [default: env:QMOOR_KEY, else ask the agent on this host]
    #[arg(long, value_name = "WHERE")]
    pub(crate) key: Option<String>,
}

/// `qmoor index`
#[derive(Debug, Args)]
pub(crate) struct Index {
    /// A folder of text or Markdown, or a .txt, .md, .jsonl, .parquet, .npy or .fvecs file
    pub(crate) source: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Also remove documents that the source no longer has
    #[arg(long)]
    pub(crate) mirror: bool,
    /// Defer index building for the load, and put the settings back afterwards; needs the admin key
    #[arg(long)]
    pub(crate) bulk: bool,
    /// Write rejected rows to this file as JSON lines and go on, instead of failing
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letter: Option<PathBuf>,
    /// Longest chunk of text, in characters
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) chunk_size: usize,
    /// Column that holds the vector
    #[arg(long, value_name = "NAME", default_value = "vector")]
    pub(crate) vector_column: String,
    /// How vectors are compared [default: as the collection does; cosine where it is made]
    #[arg(long, value_enum)]
    pub(crate) distance: Option<Distance>,
    /// Points in one request at most
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) batch_points: usize,
    /// Take a backup of the node when the batch is in
    #[arg(long)]
    pub(crate) backup: bool,
    /// Name of this batch, kept with the backup
    #[arg(long, value_name = "ID", requires = "backup")]
    pub(crate) batch_id: Option<String>,
}

/// Distances of Qdrant.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Distance {
    /// Cosine similarity
    Cosine,
    /// Dot product
    Dot,
    /// Euclidean distance
    Euclid,
    /// Manhattan distance
    Manhattan,
}

/// `qmoor search`
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for
    pub(crate) text: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How many hits
    #[arg(long, short = 'k', value_name = "N", default_value_t = 5)]
    pub(crate) limit: usize,
    /// Filter, as Qdrant's JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,
}

/// `qmoor backup`
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// What the last indexing run calls itself
    #[arg(long, value_name = "ID")]
    pub(crate) batch_id: Option<String>,
    /// A label for the manifest, such as corpus=2026-11
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,
    /// Longest pause to accept, such as 90s, instead of the configured one
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_pause: Option<std::time::Duration>,
    /// How the point is made: `stop` stops the engine (grade clean), `freeze` freezes its file system and lets reads
    /// go on (grade frozen)
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Stop)]
    pub(crate) mode: Mode,
    /// Take a backup of grade crash where a better one cannot be had, instead of failing
    #[arg(long)]
    pub(crate) allow_crash_consistent: bool,
    /// Show what would be done, in which order, and do nothing
    #[arg(long)]
    pub(crate) explain: bool,
    /// Come back when the backup is complete and read back; `--wait=false` when it has begun
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

impl Backup {
    /// As `qmoor backup` alone is.
    pub(crate) fn plain() -> Self {
        Self {
            batch_id: None,
            labels: Vec::new(),
            max_pause: None,
            mode: Mode::Stop,
            allow_crash_consistent: false,
            explain: false,
            wait: true,
            lock: Patience { lock_wait: None },
        }
    }
}

/// How the point of a backup is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The engine is stopped
    Stop,
    /// The file system is frozen under the running engine
    Freeze,
}

/// What to do while somebody else is at work on the node.
#[derive(Debug, Clone, Args)]
pub(crate) struct Patience {
    /// Wait this long for whoever is at work on the node, such as 10m, instead of failing with exit code 3
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lock_wait: Option<std::time::Duration>,
}

/// `qmoor status`
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Go on looking, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// How often to look, with --watch
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1s", requires = "watch")]
    pub(crate) every: std::time::Duration,
}

/// `qmoor audit`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qmoor audit --since 2h\n  qmoor audit --action keys --last 200\n  qmoor audit --denied --json"
)]
pub(crate) struct Audit {
    /// How many entries, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) last: u16,
    /// Only what began since then: a time, or how long ago (2h)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Only actions that begin with this, such as `keys` or `backup`
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only what was denied
    #[arg(long)]
    pub(crate) denied: bool,
}

/// `qmoor hold`
#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// The hold ends by itself after this long, such as 60s; an hour at most
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub(crate) lease: std::time::Duration,
    /// Hold reads too, and not only writes
    #[arg(long)]
    pub(crate) reads: bool,
    /// What for; shown to whoever finds the node held
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

/// `qmoor restore`
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Which backup: an id, the beginning of one, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) id: String,
    /// Show the plan and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

/// `qmoor drill`
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Which backup: an id, the beginning of one, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

/// `qmoor notify`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  qmoor notify --test\n  qmoor notify --test --json")]
pub(crate) struct Notify {
    /// Send a message now, once, and say what came back
    #[arg(long, required = true)]
    pub(crate) test: bool,
}

/// `qmoor prune`
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Show what would go and stay, with the reasons, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

/// `qmoor pin`
#[derive(Debug, Args)]
pub(crate) struct Pin {
    /// Which backup: an id, the beginning of one, or `latest`
    pub(crate) id: String,
    /// Take the pin away again
    #[arg(long)]
    pub(crate) remove: bool,
}

/// `qmoor upgrade`
#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The version, such as 1.19.1; at most one minor version above the present one
    // Under another name than its own, which is that of the flag that every verb has.
    #[arg(id = "to", value_name = "VERSION")]
    pub(crate) version: String,
    #[command(flatten)]
    pub(crate) lock: Patience,
}

/// `qmoor keys`
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Roles, ids and ages; never a key
    List,
    /// Make a new key for a role; the one before stays valid, until revoked or for --overlap
    Rotate {
        /// search, index or admin
        role: String,
        /// End the key before by itself after this time, like 1h; without it, when it is revoked
        #[arg(long, value_name = "TIME")]
        overlap: Option<String>,
        /// Limit the key to collections: names, or their beginning and a `*`, like docs,notes-*
        #[arg(long, value_name = "NAMES")]
        collections: Option<String>,
    },
    /// Make a key invalid at once
    Revoke {
        /// The id that `qmoor keys list` shows
        id: String,
    },
}

/// `qmoor engine`
#[derive(Debug, Args)]
pub(crate) struct Engine {
    /// Directory that holds the collections
    #[arg(
        long,
        value_name = "DIR",
        env = "QDRANT__STORAGE__STORAGE_PATH",
        default_value = "./storage"
    )]
    pub(crate) data: PathBuf,
    /// File with the keys, as `{"service": {"api_key": "…", "read_only_api_key": "…"}}`; the environment overrides it
    #[arg(long, value_name = "FILE")]
    pub(crate) config_path: Option<PathBuf>,
    /// Address of the REST listener [default: 127.0.0.1:6333]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// Address of the gRPC listener [default: 127.0.0.1:6334]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) grpc: Option<SocketAddr>,
    /// End when standard input closes, so that the engine never outlives its parent
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
    /// Host of both listeners, where --http and --grpc are not given
    #[arg(long, hide = true, env = "QDRANT__SERVICE__HOST")]
    pub(crate) host: Option<std::net::IpAddr>,
    /// REST port, where --http is not given
    #[arg(long, hide = true, env = "QDRANT__SERVICE__HTTP_PORT")]
    pub(crate) http_port: Option<u16>,
    /// gRPC port, where --grpc is not given
    #[arg(long, hide = true, env = "QDRANT__SERVICE__GRPC_PORT")]
    pub(crate) grpc_port: Option<u16>,
    /// The version it says it is: for images that stand in for others in tests
    #[arg(long, hide = true, env = "QMOOR_ENGINE_SAYS_VERSION")]
    pub(crate) says_version: Option<String>,
}

/// `qmoor thaw-watchdog`, which only the agent calls
#[derive(Debug, Args)]
pub(crate) struct ThawWatchdog {
    /// Where the file system is mounted
    #[arg(long, value_name = "DIR")]
    pub(crate) mount: PathBuf,
    /// Longest freeze, in milliseconds
    #[arg(long, value_name = "N")]
    pub(crate) after_ms: u64,
}

/// `qmoor render`
#[derive(Debug, Args)]
pub(crate) struct Render {
    #[command(subcommand)]
    pub(crate) what: RenderWhat,
}

/// What to print.
#[derive(Debug, Subcommand)]
pub(crate) enum RenderWhat {
    /// A systemd unit that runs `qmoor serve` with this configuration
    Systemd,
    /// A Compose file of the container that the agent runs
    Compose,
    /// nftables rules that admit these networks to the node's ports, published by Docker or not, and nobody else
    Firewall(Firewall),
    /// The CloudFormation template of the node's stack on AWS
    Cloudformation(Stack),
    /// What the machine on AWS does when it boots, as cloud-init takes it
    UserData,
    /// Policies that let the machines that index, and those that search, read their key
    Iam,
}

/// `qmoor render cloudformation`
#[derive(Debug, Args)]
pub(crate) struct Stack {
    /// Image of the machine [default: aws.ami]
    #[arg(long, value_name = "AMI", value_parser = ami)]
    pub(crate) ami: Option<String>,
    /// What that image calls the disk of the system: /dev/sda1 on Ubuntu
    #[arg(long, value_name = "DEVICE", default_value = "/dev/xvda", value_parser = device)]
    pub(crate) root_device: String,
}

/// `qmoor render firewall`
#[derive(Debug, Args)]
pub(crate) struct Firewall {
    /// A network that may come in, such as 10.0.1.0/24; may be given more than once
    #[arg(long, value_name = "NETWORK")]
    pub(crate) allow: Vec<Network>,
}

/// An address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// The address.
    pub(crate) address: std::net::IpAddr,
    /// How many of its bits count.
    pub(crate) bits: u8,
}

/// `qmoor completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    pub(crate) shell: clap_complete::Shell,
}

fn ami(text: &str) -> Result<String, String> {
    let form = qmoor_plan::config::Form::Id("ami");
    form.admits(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("an image is {}", form.example()))
}

fn device(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("/dev/").unwrap_or("");
    match !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => Ok(text.to_owned()),
        false => Err("a device is /dev/xvda or /dev/sda1".to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is KEY=VALUE, such as corpus=2026-11".to_owned()),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "a duration is written as 90s, 250ms or 5m".to_owned())?;
    std::time::Duration::try_from(signed).map_err(|_| "a duration is not negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
        // What verbs take over from the root is only looked at when a verb is built.
        let mut root = Cli::command();
        let names: Vec<String> =
            root.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        for name in names {
            let help = root.try_get_matches_from_mut(["qmoor", &name, "--help"]);
            assert!(help.is_err_and(|shown| shown.exit_code() == 0), "{name}");
        }
    }

    #[test]
    fn every_verb_and_flag_says_what_it_is_for() {
        let root = Cli::command();
        for verb in root.get_subcommands() {
            assert!(verb.get_about().is_some(), "`{}` has no text", verb.get_name());
            for arg in verb.get_arguments() {
                assert!(
                    arg.get_help().is_some(),
                    "`{} {}` has no text",
                    verb.get_name(),
                    arg.get_id()
                );
            }
        }
    }
}
