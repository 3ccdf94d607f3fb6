//! The one list of keys. The reader takes ranges and defaults from it, `qmoor init` its template,
//! the documentation its reference, and a misspelt key its nearest right name.

use std::time::Duration;

use super::forms::Form;
use super::keys::{Key, Kind};

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const MANY: u64 = 100_000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Name and meaning of every table, in the order of the file.
pub(super) const TABLES: &[(&str, &str)] = &[
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
    (
        "schedule",
        "When the agent makes backups and drills by itself. A time is the five fields of cron, in UTC: \
         minute, hour, day of the month, month, day of the week; or six, with the second first. \
         See [schedules.md](schedules.md).",
    ),
    ("notify", "Who is told of what, by a webhook, a command, or both."),
    ("log", "How the log is written."),
    (
        "aws",
        "The machine on AWS that the node runs on, for `qmoor plan`, `up`, `down` and \
         `qmoor render cloudformation`. Without a `region` there is none. Paths in the file must \
         then be absolute: they are those of the machine.",
    ),
];

/// Every key there is, in the order of the file.
pub(super) const KEYS: &[Key] = &[
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
         `node.dir`, or inside `volume.mount` if the volume is an image or on EBS.",
    ),
    key(
        "node.state",
        Kind::Path,
        "\"./qmoor-data/state\"",
        "Keys, journal, lock and control socket. Unless set, `state` inside `node.dir`.",
    ),
    key(
        "volume.kind",
        Kind::Choice(&["directory", "image", "ebs"]),
        "\"directory\"",
        "Which kind of volume. `directory` is a folder of whatever is mounted there. `image` is a \
         file with a file system of its own, which the agent makes, checks and mounts; it needs \
         root and loop devices. `ebs` is an EBS volume attached to this machine, mounted before \
         the agent starts.",
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
        "What the image is formatted with, once, when it is made; a blank EBS volume too.",
    ),
    key(
        "volume.mount",
        Kind::Path,
        "\"./qmoor-data/volume\"",
        "Folder that the image or the EBS volume is mounted on. Unless set, `volume` inside \
         `node.dir`.",
    ),
    key(
        "volume.id",
        Kind::Text(Form::Id("vol")),
        "\"\"",
        "Which EBS volume. Where `[aws]` says what to provision it may be left out: the machine \
         is told which volume its stack made.",
    ),
    key(
        "volume.devices",
        Kind::Path,
        "\"/dev/disk/by-id\"",
        "Folder where the system names disks by their serial, in which an EBS volume is found.",
    ),
    key(
        "volume.timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"5m\"",
        "Longest wait for an EBS volume to be made, attached, seen by the system or detached.",
    ),
    key(
        "volume.initialization_rate",
        Kind::Number(0, 300),
        "0",
        "MiB a second, 100 to 300, at which a volume that is made of a snapshot gets its blocks, for a fee. \
         With 0 a block comes when it is first read, and a restored node is slow until it has all.",
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
        Kind::Choice(&["restic", "clone", "ebs"]),
        "\"restic\"",
        "Which kind of store. `restic` is a repository in the format of restic: encrypted, \
         deduplicated, incremental, and readable by the `restic` program without qmoor. `clone` \
         keeps clones of the image that the volume is: made in milliseconds, on the same disk as \
         the image, which must hold an xfs made with reflink=1 or a btrfs. `ebs` makes EBS \
         snapshots of the EBS volume.",
    ),
    key(
        "store.path",
        Kind::Path,
        "\"./qmoor-data/store\"",
        "Folder of the store. Unless set, `store` inside `node.dir`; on a real node put a \
         repository on another disk. A store of kind `ebs` keeps only its records there, and \
         keeps them on the volume, where they outlive the machine: unless set, in `store` inside \
         `volume.mount`.",
    ),
    key(
        "store.settle_timeout",
        Kind::Duration(MILLISECOND, DAY),
        "\"12h\"",
        "Longest wait for EBS to have everything of a snapshot. The service is back long before; \
         the first snapshot of a large volume takes hours.",
    ),
    key(
        "store.lock",
        Kind::Choice(&["none", "governance", "compliance"]),
        "\"none\"",
        "Whether EBS refuses to delete a backup for some days, whoever asks. `governance` can be lifted \
         by who has the permission for it, `compliance` by nobody once a day is over.",
    ),
    key(
        "store.lock_days",
        Kind::Number(1, 36_500),
        "30",
        "For how many days a backup is locked; no retention rule removes it sooner.",
    ),
    key(
        "store.copy_region",
        Kind::Text(Form::Region),
        "\"\"",
        "Region that each complete EBS snapshot is copied to, encrypted with that region's default \
         key. Copies go when their backup goes.",
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
        "schedule.backup",
        Kind::Cron,
        "\"\"",
        "When to make a backup, like `0 3 * * *` for each day at 3:00.",
    ),
    key(
        "schedule.drill",
        Kind::Cron,
        "\"\"",
        "When to drill the newest backup, like `30 4 * * SUN`.",
    ),
    key(
        "schedule.mode",
        Kind::Choice(&["stop", "freeze"]),
        "\"stop\"",
        "How these backups are made, as `qmoor backup --mode` says it.",
    ),
    key(
        "schedule.jitter",
        Kind::Duration(Duration::ZERO, HOUR),
        "\"1m\"",
        "A run begins up to so much after its time, so that many nodes do not begin at once, and \
         always before the next. How much follows from the node's name and that time.",
    ),
    key(
        "schedule.catch_up",
        Kind::Duration(Duration::ZERO, MONTH),
        "\"24h\"",
        "Of the runs missed while the agent was down, the last one is made soon after its start, if \
         it is not later than this. With \"0s\" none is.",
    ),
    key(
        "notify.webhook",
        Kind::Text(Form::Webhook),
        "\"\"",
        "Address that messages are posted to, as JSON.",
    ),
    key(
        "notify.webhook_file",
        Kind::OptionalPath,
        "\"\"",
        "File with that address, if it carries a secret. Others on the host must not be able to \
         read it. It is read for each message.",
    ),
    key(
        "notify.command",
        Kind::Command,
        "[]",
        "Program and arguments that get each message on standard input, without a shell and \
         without the agent's environment.",
    ),
    key(
        "notify.on",
        Kind::Choices(&["failure", "success", "missed", "engine"]),
        "[\"failure\", \"missed\", \"engine\"]",
        "What is told: a backup or drill that failed, one that went well, a run that was missed, an \
         engine that ended by itself or does not come up.",
    ),
    key(
        "notify.timeout",
        Kind::Duration(MILLISECOND, MINUTE),
        "\"10s\"",
        "Longest wait for one answer of the webhook, and for the end of the command.",
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
    key(
        "aws.region",
        Kind::Text(Form::Region),
        "\"\"",
        "Region of the node. Without one this table means nothing.",
    ),
    key(
        "aws.stack",
        Kind::Text(Form::Stack),
        "\"\"",
        "Name of the CloudFormation stack. Unless set, `node.name`.",
    ),
    key("aws.vpc", Kind::Text(Form::Id("vpc")), "\"\"", "The VPC. Must be set."),
    key(
        "aws.subnet",
        Kind::Text(Form::Id("subnet")),
        "\"\"",
        "The subnet, in that VPC and zone. Must be set. It needs a way to the AWS APIs and to the \
         image registry: a NAT gateway, or endpoints.",
    ),
    key(
        "aws.zone",
        Kind::Text(Form::Zone),
        "\"\"",
        "Availability zone of the subnet, where the volume lies. Must be set.",
    ),
    key(
        "aws.address",
        Kind::Text(Form::Ipv4),
        "\"\"",
        "The fixed private address, free and inside the subnet. Must be set. It belongs to a \
         network interface that outlives the machine.",
    ),
    key(
        "aws.index_groups",
        Kind::Texts(Form::Id("sg")),
        "[]",
        "Security groups of the machines that index. At least one.",
    ),
    key(
        "aws.search_groups",
        Kind::Texts(Form::Id("sg")),
        "[]",
        "Security groups of the machines that search. At least one; may name those that index.",
    ),
    key(
        "aws.admin_groups",
        Kind::Texts(Form::Id("sg")),
        "[]",
        "Security groups of machines from which operators reach the gateway.",
    ),
    key(
        "aws.instance_type",
        Kind::Text(Form::InstanceType),
        "\"c8g.2xlarge\"",
        "Instance type, of a Nitro family: arm64 or x86_64 follows from it.",
    ),
    key(
        "aws.ami",
        Kind::Text(Form::Id("ami")),
        "\"\"",
        "Image of the machine: Amazon Linux 2023, Debian 12 or later, Ubuntu 22.04 or later. \
         Unless set, the Amazon Linux 2023 that is newest when the stack is made.",
    ),
    key(
        "aws.volume_size",
        Kind::Size(GIB, 64 * TIB),
        "\"100GiB\"",
        "Size of the EBS volume, in whole GiB. It can grow and not shrink.",
    ),
    key(
        "aws.volume_iops",
        Kind::Number(3000, 80_000),
        "3000",
        "Operations a second of the volume (gp3): at most 500 for each GiB, 3000 always.",
    ),
    key(
        "aws.volume_throughput",
        Kind::Number(125, 2000),
        "125",
        "MiB a second of the volume (gp3): at most a quarter of its operations a second.",
    ),
    key(
        "aws.kms_key",
        Kind::Text(Form::KmsKey),
        "\"\"",
        "Key that the disks are encrypted with. Unless set, the account's own for EBS.",
    ),
    key(
        "aws.root_size",
        Kind::Size(8 * GIB, TIB),
        "\"16GiB\"",
        "Size of the disk of the system, in whole GiB; images of the engine lie on it.",
    ),
    key(
        "aws.secrets",
        Kind::Choice(&["secretsmanager", "parameterstore"]),
        "\"secretsmanager\"",
        "Where the keys of the gateway are kept. `secretsmanager` makes them with the stack. In \
         `parameterstore` they cost nothing, and `qmoor keys` writes them.",
    ),
    key(
        "aws.binary_url",
        Kind::Text(Form::Download),
        "\"\"",
        "Where the machine gets the `qmoor` program for its architecture. Must be set.",
    ),
    key(
        "aws.binary_sha256",
        Kind::Text(Form::Sha256),
        "\"\"",
        "SHA-256 of that file. Must be set: another file is refused.",
    ),
    key(
        "aws.alarm_email",
        Kind::Text(Form::Email),
        "\"\"",
        "Who is told of a backup that failed, besides those who subscribe to the topic.",
    ),
];
