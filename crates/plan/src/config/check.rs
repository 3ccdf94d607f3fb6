//! Settings that are fine one by one and impossible together.

use std::path::{Component, Path, PathBuf};

use super::read::Reader;
use super::write::volume_kind;
use super::{Config, EngineKind, Lock, StoreKind, VolumeKind, check_aws};

/// Tells `reader` of everything in `config` that contradicts something else in it.
pub(super) fn combinations(config: &Config, reader: &mut Reader<'_>) {
    ports(config, reader);
    doors(config, reader);
    folders(config, reader);
    volume(config, reader);
    check_aws::aws(config, reader);
    let kept = &config.retention;
    let rules = [kept.last, kept.hourly, kept.daily, kept.weekly, kept.monthly, kept.min_verified];
    if rules.iter().all(|count| *count == 0) {
        let message = "no rule of `[retention]` keeps anything".to_owned();
        reader.contradiction(
            "retention.last",
            "retention.daily",
            message,
            "set `last` to 1 or more",
        );
    }
}

/// Without a gateway there must be something that has a door of its own.
fn doors(config: &Config, reader: &mut Reader<'_>) {
    if !config.gateway.enabled && config.engine.kind == EngineKind::Embedded {
        let message = "is false, and the embedded engine listens on loopback only".to_owned();
        let hint = "set `engine.kind` to \"docker\", or leave the gateway on";
        reader.contradiction("gateway.enabled", "engine.kind", message, hint);
    }
}

fn ports(config: &Config, reader: &mut Reader<'_>) {
    let port = config.gateway.http_port;
    if port != 0 && port == config.gateway.grpc_port {
        let message = format!("is {port}, and so is `gateway.http_port`");
        let hint = "give them different ports; each serves REST and gRPC";
        reader.contradiction("gateway.grpc_port", "gateway.http_port", message, hint);
    }
}

/// Data, state and store must lie outside each other: a snapshot of the data would else hold the
/// keys or the older snapshots, and losing the data would lose what restores it.
fn folders(config: &Config, reader: &mut Reader<'_>) {
    let data = ("node.data", normal(&config.node.data));
    let state = ("node.state", normal(&config.node.state));
    let store = ("store.path", normal(&config.store.path));
    let pairs = [
        (&state, &data),
        (&data, &state),
        (&store, &data),
        (&data, &store),
        (&store, &state),
        (&state, &store),
    ];
    apart(&pairs, reader);
}

/// A volume with a mount point must hold the data, and neither itself nor what is to outlive it.
fn volume(config: &Config, reader: &mut Reader<'_>) {
    kinds(config, reader);
    protection(config, reader);
    initialization(config, reader);
    if config.volume.kind == VolumeKind::Directory {
        return;
    }
    let mount = ("volume.mount", normal(&config.volume.mount));
    let image = ("volume.image", normal(&config.volume.image));
    let data = ("node.data", normal(&config.node.data));
    let state = ("node.state", normal(&config.node.state));
    let store = ("store.path", normal(&config.store.path));
    within(&data, &mount, reader);
    apart(&[(&state, &mount)], reader);
    match config.store.kind {
        // The records of EBS snapshots must outlive the machine, and be found on each volume made from a snapshot.
        StoreKind::Ebs => within(&store, &mount, reader),
        StoreKind::Restic | StoreKind::Clone => apart(&[(&store, &mount)], reader),
    }
    if config.volume.kind == VolumeKind::Image {
        apart(&[(&image, &mount), (&image, &store)], reader);
    }
}

/// The kind of the store must be one that the kind of the volume can have.
fn kinds(config: &Config, reader: &mut Reader<'_>) {
    let of_volume = volume_kind(config.volume.kind);
    let (store, hint) = match (config.store.kind, config.volume.kind) {
        (StoreKind::Clone, VolumeKind::Directory | VolumeKind::Ebs) => {
            ("clone", "only an image can be cloned: set `volume.kind` to \"image\"")
        }
        (StoreKind::Ebs, VolumeKind::Directory | VolumeKind::Image) => {
            ("ebs", "only an EBS volume has EBS snapshots: set `volume.kind` to \"ebs\"")
        }
        (StoreKind::Restic, _)
        | (StoreKind::Clone, VolumeKind::Image)
        | (StoreKind::Ebs, VolumeKind::Ebs) => return,
    };
    let message = format!("is \"{store}\", and `volume.kind` is \"{of_volume}\"");
    reader.contradiction("store.kind", "volume.kind", message, hint);
}

/// EC2 knows no rate between none and 100.
fn initialization(config: &Config, reader: &mut Reader<'_>) {
    let rate = config.volume.initialization_rate;
    if (1..100).contains(&rate) {
        let message = format!("is {rate}, and EC2 takes 100 to 300, or none");
        let hint = "set it to 0 or at least 100";
        reader.contradiction("volume.initialization_rate", "volume.kind", message, hint);
    }
}

/// Only EBS locks and copies.
fn protection(config: &Config, reader: &mut Reader<'_>) {
    let store = &config.store;
    let asked = [
        ("store.lock", store.lock != Lock::None),
        ("store.copy_region", store.copy_region.is_some()),
    ];
    for (key, _) in asked.into_iter().filter(|(_, asked)| *asked && store.kind != StoreKind::Ebs) {
        let message = "is set, and `store.kind` is not \"ebs\"".to_owned();
        reader.contradiction(key, "store.kind", message, "leave it out, or keep backups on EBS");
    }
}

/// Tells of an `inner` that does not lie inside `outer`, or is the same.
fn within(inner: &Named, outer: &Named, reader: &mut Reader<'_>) {
    if inner.1 == outer.1 || !inner.1.starts_with(&outer.1) {
        let (inside, around) = (inner.1.display(), outer.1.display());
        let message = format!("`{inside}` is not inside `{}` (`{around}`)", outer.0);
        let hint = format!("choose a folder inside it, or leave `{}` out", inner.0);
        reader.contradiction(inner.0, outer.0, message, &hint);
    }
}

/// A folder and the key that names it.
type Named = (&'static str, PathBuf);

/// Tells of each first folder that is inside the second.
fn apart(pairs: &[(&Named, &Named)], reader: &mut Reader<'_>) {
    let mut seen = Vec::new();
    for (inner, outer) in pairs {
        if !inner.1.starts_with(&outer.1) || seen.contains(&(outer.0, inner.0)) {
            continue;
        }
        seen.push((inner.0, outer.0));
        let relation = if inner.1 == outer.1 { "the same as" } else { "inside" };
        let message = format!(
            "`{}` is {relation} `{}` (`{}`)",
            inner.1.display(),
            outer.0,
            outer.1.display()
        );
        let hint = "choose folders that lie outside each other";
        reader.contradiction(inner.0, outer.0, message, hint);
    }
}

/// The path without `.` and with `..` taken back, by its text alone.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let can_go_up = matches!(out.components().next_back(), Some(Component::Normal(_)));
                if can_go_up {
                    let _popped = out.pop();
                } else if !out.has_root() {
                    out.push("..");
                }
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => out.push(part),
        }
    }
    out
}
