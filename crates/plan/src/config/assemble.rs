//! From the values of all keys to a `Config`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::read::Reader;
use super::{
    Aws, Backup, Config, Engine, EngineKind, Filesystem, Gateway, Lock, Log, LogFormat, LogLevel,
    Node, Notify, Retention, Schedule, Secrets, Store, StoreKind, Volume, VolumeKind,
};
use crate::backup::Mode;
use crate::notify::{Occasion, Webhook};

impl Reader<'_> {
    /// The config. It means something only when no problem was found.
    pub(super) fn config(&mut self, resolve: impl Fn(&Path) -> PathBuf) -> Config {
        let dir = self.path("node.dir", &resolve);
        let inside = |reader: &mut Self, path, name| {
            if reader.is_set(path) { reader.path(path, &resolve) } else { dir.join(name) }
        };
        let volume = self.volume(&inside, &resolve);
        let store = self.store(&volume, &inside);
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
            schedule: self.schedule(),
            notify: self.notify(&resolve),
            log: self.log(),
            aws: self.aws(&node.name),
            node,
        }
    }

    fn volume(
        &mut self,
        inside: &impl Fn(&mut Self, &'static str, &'static str) -> PathBuf,
        resolve: &impl Fn(&Path) -> PathBuf,
    ) -> Volume {
        let kinds = [
            ("directory", VolumeKind::Directory),
            ("image", VolumeKind::Image),
            ("ebs", VolumeKind::Ebs),
        ];
        let filesystems =
            [Filesystem::Xfs, Filesystem::Ext4].map(|filesystem| (filesystem.as_str(), filesystem));
        Volume {
            kind: self.choice("volume.kind", VolumeKind::Directory, &kinds),
            image: inside(self, "volume.image", "volume.img"),
            size: self.size("volume.size"),
            filesystem: self.choice("volume.filesystem", Filesystem::Xfs, &filesystems),
            mount: inside(self, "volume.mount", "volume"),
            id: self.text("volume.id"),
            devices: self.path("volume.devices", resolve),
            timeout: self.duration("volume.timeout"),
            initialization_rate: self.number("volume.initialization_rate"),
        }
    }

    fn store(
        &mut self,
        volume: &Volume,
        inside: &impl Fn(&mut Self, &'static str, &'static str) -> PathBuf,
    ) -> Store {
        let kinds =
            [("restic", StoreKind::Restic), ("clone", StoreKind::Clone), ("ebs", StoreKind::Ebs)];
        let kind = self.choice("store.kind", StoreKind::Restic, &kinds);
        let path = match kind {
            StoreKind::Ebs if !self.is_set("store.path") => volume.mount.join("store"),
            StoreKind::Ebs | StoreKind::Restic | StoreKind::Clone => {
                inside(self, "store.path", "store")
            }
        };
        let locks =
            [Lock::None, Lock::Governance, Lock::Compliance].map(|lock| (lock.as_str(), lock));
        Store {
            kind,
            path,
            settle_timeout: self.duration("store.settle_timeout"),
            lock: self.choice("store.lock", Lock::None, &locks),
            lock_days: self.number("store.lock_days"),
            copy_region: self.text("store.copy_region"),
        }
    }

    fn node(
        &mut self,
        dir: PathBuf,
        volume: &Volume,
        inside: &impl Fn(&mut Self, &'static str, &'static str) -> PathBuf,
    ) -> Node {
        let data = match volume.kind {
            VolumeKind::Image | VolumeKind::Ebs if !self.is_set("node.data") => {
                volume.mount.join("data")
            }
            VolumeKind::Image | VolumeKind::Ebs | VolumeKind::Directory => {
                inside(self, "node.data", "data")
            }
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

    fn schedule(&mut self) -> Schedule {
        let modes = [Mode::Stop, Mode::Freeze].map(|mode| (mode.as_str(), mode));
        Schedule {
            backup: self.cron("schedule.backup"),
            drill: self.cron("schedule.drill"),
            mode: self.choice("schedule.mode", Mode::Stop, &modes),
            jitter: self.duration("schedule.jitter"),
            catch_up: self.duration("schedule.catch_up"),
        }
    }

    fn notify(&mut self, resolve: impl Fn(&Path) -> PathBuf) -> Notify {
        let occasions = Occasion::ALL.map(|occasion| (occasion.as_str(), occasion));
        let webhook = self.text("notify.webhook").and_then(|text| Webhook::parse(&text).ok());
        let webhook_file = self.optional_path("notify.webhook_file", resolve);
        if webhook.is_some() && webhook_file.is_some() {
            let message = "is set, and so is `notify.webhook`".to_owned();
            let hint = "set one of them: the file if the address carries a secret";
            self.contradiction("notify.webhook_file", "notify.webhook", message, hint);
        }
        Notify {
            webhook,
            webhook_file,
            command: self.command("notify.command"),
            on: self.choices("notify.on", &occasions),
            timeout: self.duration("notify.timeout"),
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

    /// What `[aws]` says, if it names a region. What must be set and is not is told by `check`.
    fn aws(&mut self, node: &str) -> Option<Aws> {
        let secrets =
            [Secrets::SecretsManager, Secrets::ParameterStore].map(|kind| (kind.as_str(), kind));
        let address = self.text("aws.address").and_then(|text| text.parse().ok());
        // All are read, so that a wrong value is told even without a region.
        let region = self.text("aws.region");
        let aws = Aws {
            region: region.clone().unwrap_or_default(),
            stack: self.text("aws.stack").unwrap_or_else(|| node.to_owned()),
            vpc: self.text("aws.vpc").unwrap_or_default(),
            subnet: self.text("aws.subnet").unwrap_or_default(),
            zone: self.text("aws.zone").unwrap_or_default(),
            address: address.unwrap_or(Ipv4Addr::UNSPECIFIED),
            index_groups: self.texts("aws.index_groups"),
            search_groups: self.texts("aws.search_groups"),
            admin_groups: self.texts("aws.admin_groups"),
            instance_type: self.text("aws.instance_type").unwrap_or_default(),
            ami: self.text("aws.ami"),
            volume_size: self.size("aws.volume_size"),
            volume_iops: self.number("aws.volume_iops"),
            volume_throughput: self.number("aws.volume_throughput"),
            kms_key: self.text("aws.kms_key"),
            root_size: self.size("aws.root_size"),
            secrets: self.choice("aws.secrets", Secrets::SecretsManager, &secrets),
            binary_url: self.text("aws.binary_url").unwrap_or_default(),
            binary_sha256: self.text("aws.binary_sha256").unwrap_or_default().to_ascii_lowercase(),
            alarm_email: self.text("aws.alarm_email"),
        };
        region.map(|_| aws)
    }
}
