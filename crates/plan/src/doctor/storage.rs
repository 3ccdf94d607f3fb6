//! What the data lies on, and how long there is room.

use super::backups::growth;
use super::{Disk, Facts, Finding, Judged, Place, known};
use crate::config::{Config, VolumeKind};

/// Less free than this is soon none, in percent.
const LOW: u64 = 15;
/// Less than this does not hold the copy that the optimizers make of a segment, in percent.
const EMPTY: u64 = 5;

/// The data is on the volume that it should be on, and that one keeps it.
pub(super) fn data_on_volume(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    if let Some(trouble) = known(&facts.volume_trouble)? {
        return Ok(Finding::fail(
            trouble.as_str(),
            "restart `qmoor serve`: it mounts the volume, or says why not",
        ));
    }
    let data = disk(facts, Place::Data)?;
    let on = format!("{} on {}", data.filesystem, data.point.display());
    match data.filesystem.as_str() {
        "tmpfs" | "ramfs" => {
            return Ok(Finding::fail(
                format!("{on} is memory: the data is gone with the next restart of the host"),
                "node.data on a disk",
            ));
        }
        "nfs" | "nfs4" | "cifs" | "fuse" | "9p" | "overlay" => {
            return Ok(Finding::fail(
                format!(
                    "{on} is no block device: Qdrant's storage loses data on such file systems"
                ),
                "node.data on a local disk, or volume.kind = \"image\" or \"ebs\"",
            ));
        }
        _ => {}
    }
    Ok(match config.volume.kind {
        VolumeKind::Image | VolumeKind::Ebs if data.point != config.volume.mount => Finding::fail(
            format!("the data is on {on}, and the volume on {}", config.volume.mount.display()),
            "node.data inside `volume.mount`",
        ),
        VolumeKind::Directory if data.point.as_os_str() == "/" => Finding::warn(
            format!(
                "{on} is the disk of the system: full data stops the host, and the other way round"
            ),
            "a disk of its own for `node.data`, or volume.kind = \"image\"",
        ),
        _ => Finding::pass(on),
    })
}

/// There is room on every disk of the node.
pub(super) fn disk_headroom(facts: &Facts) -> Judged {
    let disks = known(&facts.disks)?;
    let fullest =
        disks.iter().min_by_key(|disk| free(disk)).ok_or("no folder of the node is there yet")?;
    let seen = format!(
        "{} % free on {}, where the {} is",
        free(fullest),
        fullest.point.display(),
        fullest.place.as_str()
    );
    Ok(match free(fullest) {
        0..EMPTY => Finding::fail(seen, more_room(facts, fullest.place)),
        EMPTY..LOW => Finding::warn(seen, more_room(facts, fullest.place)),
        _ => Finding::pass(seen),
    })
}

/// The disk of the data is not full before long, at the rate at which the backups grew.
pub(super) fn days_to_full(facts: &Facts) -> Judged {
    let data = disk(facts, Place::Data)?;
    let backups = known(&facts.backups)?.as_ref().map_err(Clone::clone)?;
    let grown = growth(backups, facts.now)
        .ok_or("it takes two backups half a day apart to tell how the data grows")?;
    if grown < 1.0 {
        return Ok(Finding::pass("the data does not grow"));
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let days = data.bytes_free as f64 / grown;
    let seen = format!(
        "at {:.1} MiB a day, as between the backups of this month, full in {days:.0} days",
        grown / f64::from(1 << 20)
    );
    Ok(if days < 3.0 {
        Finding::fail(seen, more_room(facts, Place::Data))
    } else if days < 21.0 {
        Finding::warn(seen, more_room(facts, Place::Data))
    } else {
        Finding::pass(seen)
    })
}

fn disk(facts: &Facts, place: Place) -> Result<&Disk, String> {
    let disks = known(&facts.disks)?;
    disks
        .iter()
        .find(|disk| disk.place == place)
        .ok_or_else(|| format!("the folder for the {} has not been made yet", place.as_str()))
}

/// How much of it is free, in percent: of its bytes, or of its files where those are scarcer.
fn free(disk: &Disk) -> u64 {
    let percent = |free: u64, whole: u64| {
        u64::try_from(u128::from(free) * 100 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
    };
    let files = if disk.files == 0 { 100 } else { percent(disk.files_free, disk.files) };
    percent(disk.bytes_free, disk.bytes).min(files)
}

fn more_room(facts: &Facts, place: Place) -> String {
    let kind = facts.config.as_ref().map(|config: &Config| config.volume.kind);
    match (place, kind) {
        (Place::Store, _) => "qmoor prune   or a larger disk for `store.path`".to_owned(),
        (Place::Data, Ok(VolumeKind::Image)) => {
            "a larger `volume.size`, and a restart of `qmoor serve`".to_owned()
        }
        (Place::Data, Ok(VolumeKind::Ebs)) => {
            "a larger `aws.volume_size`, and `qmoor up`".to_owned()
        }
        (place, _) => format!("a larger disk for the {}, or less on it", place.as_str()),
    }
}
