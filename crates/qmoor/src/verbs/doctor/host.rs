//! The host: disks, kernel, clock, firewall.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use qmoor_agent::volume::mounts;
use qmoor_plan::config::Config;
use qmoor_plan::doctor::{Clock, Disk, Firewall, Place, Seen};
use tokio::process::Command;

use super::processes::read;

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// There once the clock was set by the system's own service for that.
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";

/// Whether an interface has this address: only such an address can be bound.
pub(super) fn is_held(address: IpAddr) -> Seen<bool> {
    match std::net::UdpSocket::bind((address, 0)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => Ok(false),
        Err(error) => Err(format!("{address} cannot be tried: {error}")),
    }
}

/// What the folders lie on that are there.
pub(super) fn disks(config: &Config) -> Seen<Vec<Disk>> {
    let folders = [
        (Place::Data, &config.node.data),
        (Place::State, &config.node.state),
        (Place::Store, &config.store.path),
    ];
    let mut disks = Vec::new();
    for (place, path) in folders {
        if !path.exists() {
            continue;
        }
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mount = mounts::holding(path).map_err(|error| told(&error))?;
        let mount = mount.ok_or_else(|| told(&"it is not said what it lies on"))?;
        let room = rustix::fs::statvfs(path).map_err(|error| told(&error))?;
        disks.push(Disk {
            place,
            path: path.clone(),
            point: mount.point,
            filesystem: mount.filesystem,
            device: mount.device,
            bytes: room.f_blocks.saturating_mul(room.f_frsize),
            bytes_free: room.f_bavail.saturating_mul(room.f_frsize),
            files: room.f_files,
            files_free: room.f_favail,
        });
    }
    Ok(disks)
}

/// The kernel's bound on mapped parts of memory.
pub(super) fn map_count() -> Seen<u64> {
    let file = "/proc/sys/vm/max_map_count";
    read(file)?.trim().parse().map_err(|_| format!("{file} holds no number"))
}

/// Who keeps the clock right, if anybody does.
pub(super) async fn clock() -> Seen<Clock> {
    if std::path::Path::new(TIMESYNC).exists() {
        return Ok(Clock { is_synchronized: true, said_by: "systemd-timesyncd".to_owned() });
    }
    let asked = output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).await;
    let is_synchronized = match asked.as_deref().map(str::trim) {
        Ok("yes") => true,
        Ok("no") => false,
        Ok(_) | Err(_) => {
            return Err("nobody says whether the clock is kept right: there is no `timedatectl` that answers".to_owned());
        }
    };
    Ok(Clock { is_synchronized, said_by: "timedatectl".to_owned() })
}

/// The rules that are loaded.
pub(super) async fn firewall() -> Seen<Firewall> {
    if !rustix::process::geteuid().is_root() {
        return Err("the rules of the firewall are shown to root".to_owned());
    }
    let tables = output("nft", &["list", "tables"]).await?;
    Ok(Firewall { has_table: tables.lines().any(|line| line.trim() == "table inet qmoor") })
}

async fn output(program: &str, arguments: &[&str]) -> Seen<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(COMMAND_TIMEOUT, command.output())
        .await
        .map_err(|_| format!("`{program}` did not end"))?
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    match ended.status.success() {
        true => Ok(String::from_utf8_lossy(&ended.stdout).into_owned()),
        false => Err(format!(
            "`{program}` failed: {}",
            String::from_utf8_lossy(&ended.stderr).trim().replace('\n', " ")
        )),
    }
}
