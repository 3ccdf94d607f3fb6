//! From a `Config` back to the text of a `qmoor.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::keys::{duration_text, keys_of, size_text, tables};
use super::{Aws, Config, LogFormat, Notify, Schedule, StoreKind, VolumeKind};
use crate::notify::Webhook;
use crate::schedule::Cron;

impl Config {
    /// The text of a file that means this, wherever it lies: with its paths as they are here, and without the keys that
    /// have their default.
    #[must_use]
    pub fn to_toml(&self) -> String {
        self.to_toml_without(&[])
    }

    /// That, without these keys.
    #[must_use]
    pub fn to_toml_without(&self, left_out: &[&str]) -> String {
        let mut values = self.values();
        if let Some(aws) = &self.aws {
            values.extend(aws.values());
        }
        values.extend(self.schedule.values());
        values.extend(self.notify.values());
        values.retain(|(path, _)| !left_out.contains(path));
        let mut text = String::new();
        for (table, _) in tables() {
            let mut lines = String::new();
            for key in keys_of(table) {
                let value = values.iter().find(|(path, _)| *path == key.path);
                if let Some((_, value)) = value.filter(|(_, value)| value != key.default) {
                    // Writing to a string cannot fail.
                    let _ignored = writeln!(lines, "{} = {value}", key.name());
                }
            }
            if !lines.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ignored = write!(text, "{gap}[{table}]\n{lines}");
            }
        }
        text
    }

    /// Every setting by its name, as its value stands in a file.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut values = self.values();
        if let Some(aws) = &self.aws {
            values.extend(aws.values());
        }
        values.into_iter().map(|(path, value)| (path.to_owned(), value)).collect()
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let Self { node, volume, engine, gateway, backup, store, retention, log, .. } = self;
        vec![
            ("node.name", quoted(&node.name)),
            ("node.dir", path(&node.dir)),
            ("node.data", path(&node.data)),
            ("node.state", path(&node.state)),
            ("volume.kind", quoted(volume_kind(volume.kind))),
            ("volume.image", path(&volume.image)),
            ("volume.size", size(volume.size)),
            ("volume.filesystem", quoted(volume.filesystem.as_str())),
            ("volume.mount", path(&volume.mount)),
            ("volume.id", quoted(volume.id.as_deref().unwrap_or_default())),
            ("volume.devices", path(&volume.devices)),
            ("volume.timeout", duration(volume.timeout)),
            ("volume.initialization_rate", volume.initialization_rate.to_string()),
            ("engine.kind", quoted(engine.kind.as_str())),
            ("engine.image", quoted(&engine.image.to_string())),
            ("engine.user", quoted(&user(engine.user))),
            ("engine.nofile", engine.nofile.unwrap_or(0).to_string()),
            ("engine.socket", path(&engine.socket)),
            ("engine.start_timeout", duration(engine.start_timeout)),
            ("engine.stop_timeout", duration(engine.stop_timeout)),
            ("gateway.enabled", gateway.enabled.to_string()),
            ("gateway.listen", quoted(&gateway.listen.to_string())),
            ("gateway.http_port", gateway.http_port.to_string()),
            ("gateway.grpc_port", gateway.grpc_port.to_string()),
            ("gateway.hold_budget", duration(gateway.hold_budget)),
            ("gateway.drain_timeout", duration(gateway.drain_timeout)),
            ("gateway.max_held", gateway.max_held.to_string()),
            ("gateway.max_connections", gateway.max_connections.to_string()),
            ("gateway.tls_cert", gateway.tls_cert.as_deref().map_or_else(empty, path)),
            ("gateway.tls_key", gateway.tls_key.as_deref().map_or_else(empty, path)),
            ("backup.max_pause", duration(backup.max_pause)),
            ("backup.gate_timeout", duration(backup.gate_timeout)),
            ("backup.sample_points", backup.sample_points.to_string()),
            ("backup.golden_queries", backup.golden_queries.to_string()),
            ("store.kind", quoted(store_kind(store.kind))),
            ("store.path", path(&store.path)),
            ("store.settle_timeout", duration(store.settle_timeout)),
            ("store.lock", quoted(store.lock.as_str())),
            ("store.lock_days", store.lock_days.to_string()),
            ("store.copy_region", quoted(store.copy_region.as_deref().unwrap_or_default())),
            ("retention.last", retention.last.to_string()),
            ("retention.hourly", retention.hourly.to_string()),
            ("retention.daily", retention.daily.to_string()),
            ("retention.weekly", retention.weekly.to_string()),
            ("retention.monthly", retention.monthly.to_string()),
            ("retention.min_verified", retention.min_verified.to_string()),
            ("log.format", quoted(log_format(log.format))),
            ("log.level", quoted(log.level.as_str())),
        ]
    }
}

impl Schedule {
    fn values(&self) -> Vec<(&'static str, String)> {
        let cron = |cron: &Option<Cron>| quoted(cron.as_ref().map_or("", Cron::as_str));
        vec![
            ("schedule.backup", cron(&self.backup)),
            ("schedule.drill", cron(&self.drill)),
            ("schedule.mode", quoted(self.mode.as_str())),
            ("schedule.jitter", duration(self.jitter)),
            ("schedule.catch_up", duration(self.catch_up)),
        ]
    }
}

impl Notify {
    fn values(&self) -> Vec<(&'static str, String)> {
        let on: Vec<String> = self.on.iter().map(|on| on.as_str().to_owned()).collect();
        vec![
            ("notify.webhook", quoted(self.webhook.as_ref().map_or("", Webhook::expose))),
            ("notify.webhook_file", self.webhook_file.as_deref().map_or_else(empty, path)),
            ("notify.command", list(&self.command)),
            ("notify.on", list(&on)),
            ("notify.timeout", duration(self.timeout)),
        ]
    }
}

impl Aws {
    fn values(&self) -> Vec<(&'static str, String)> {
        vec![
            ("aws.region", quoted(&self.region)),
            ("aws.stack", quoted(&self.stack)),
            ("aws.vpc", quoted(&self.vpc)),
            ("aws.subnet", quoted(&self.subnet)),
            ("aws.zone", quoted(&self.zone)),
            ("aws.address", quoted(&self.address.to_string())),
            ("aws.index_groups", list(&self.index_groups)),
            ("aws.search_groups", list(&self.search_groups)),
            ("aws.admin_groups", list(&self.admin_groups)),
            ("aws.instance_type", quoted(&self.instance_type)),
            ("aws.ami", quoted(self.ami.as_deref().unwrap_or_default())),
            ("aws.volume_size", size(self.volume_size)),
            ("aws.volume_iops", self.volume_iops.to_string()),
            ("aws.volume_throughput", self.volume_throughput.to_string()),
            ("aws.kms_key", quoted(self.kms_key.as_deref().unwrap_or_default())),
            ("aws.root_size", size(self.root_size)),
            ("aws.secrets", quoted(self.secrets.as_str())),
            ("aws.binary_url", quoted(&self.binary_url)),
            ("aws.binary_sha256", quoted(&self.binary_sha256)),
            ("aws.alarm_email", quoted(self.alarm_email.as_deref().unwrap_or_default())),
        ]
    }
}

pub(super) fn volume_kind(kind: VolumeKind) -> &'static str {
    match kind {
        VolumeKind::Directory => "directory",
        VolumeKind::Image => "image",
        VolumeKind::Ebs => "ebs",
    }
}

fn store_kind(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Restic => "restic",
        StoreKind::Clone => "clone",
        StoreKind::Ebs => "ebs",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

/// A string of TOML, in double quotes.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ignored = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn empty() -> String {
    quoted("")
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn size(bytes: u64) -> String {
    quoted(&size_text(bytes))
}

fn duration(duration: Duration) -> String {
    let whole = duration.subsec_nanos().is_multiple_of(1_000_000);
    quoted(&if whole { duration_text(duration) } else { format!("{}ns", duration.as_nanos()) })
}

fn user(user: Option<(u32, u32)>) -> String {
    user.map_or_else(String::new, |(user, group)| format!("{user}:{group}"))
}
