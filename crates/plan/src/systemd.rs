//! A systemd unit for the agent: for a host by hand, and for the machine on AWS.

use std::path::Path;

use crate::config::{Config, EngineKind, VolumeKind};

/// The unit that gets a machine of AWS ready before the agent starts.
pub const BOOT: &str = "qmoor-boot.service";

/// A unit for the agent. Stopping waits for the drain and for the engine's flush.
#[must_use]
pub fn unit(program: &Path, file: Option<&Path>, config: &Config) -> String {
    let slack = std::time::Duration::from_secs(10);
    let stop = config.gateway.drain_timeout + config.engine.stop_timeout + slack;
    let config_flag = file.map(|file| format!(" --config {}", quoted(file))).unwrap_or_default();
    // The agent mounts an image itself.
    let mounts = match config.volume.kind {
        VolumeKind::Image => [&config.volume.image, &config.node.state, &config.store.path],
        // It is mounted before the agent starts, and holds the data.
        VolumeKind::Ebs => [&config.volume.mount, &config.node.state, &config.store.path],
        VolumeKind::Directory => [&config.node.data, &config.node.state, &config.store.path],
    }
    .map(|path| quoted(path))
    .join(" ");
    let docker = match config.engine.kind {
        EngineKind::Docker => " docker.service",
        EngineKind::Embedded => "",
    };
    // What it does may fail, as a new program that is not the one promised: then the one that is there goes on.
    let boot = if config.aws.is_some() { format!(" {BOOT}") } else { String::new() };
    // A volume that is not there would leave its data on the disk of the system.
    let mounted = match config.volume.kind {
        VolumeKind::Ebs => format!("AssertPathIsMountPoint={}\n", quoted(&config.volume.mount)),
        VolumeKind::Image | VolumeKind::Directory => String::new(),
    };
    format!(
        "[Unit]\n\
         Description=qmoor node {name}\n\
         After=network-online.target{docker}{boot}\n\
         Wants=network-online.target{docker}{boot}\n\
         RequiresMountsFor={mounts}\n\
         {mounted}\
         \n\
         [Service]\n\
         ExecStart={program} serve{config_flag}\n\
         WorkingDirectory={dir}\n\
         Restart=always\n\
         RestartSec=2\n\
         KillMode=mixed\n\
         TimeoutStopSec={stop}\n\
         LimitNOFILE=65536\n\
         UMask=0077\n\
         NoNewPrivileges=true\n\
         {confined}\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        name = config.node.name,
        program = quoted(program),
        dir = quoted(&config.node.dir),
        stop = stop.as_secs(),
        confined = confined(config),
    )
}

/// What the agent may not touch. A unit that sees a file system of its own would also mount into that one alone: neither
/// the Docker daemon nor its own next start would see the volume.
fn confined(config: &Config) -> String {
    // A restore mounts another EBS volume in the place of the one that was there.
    if matches!(config.volume.kind, VolumeKind::Image | VolumeKind::Ebs) {
        return "# The volume is mounted by the agent for all to see, so no Protect… or Private… here.\n".to_owned();
    }
    let paths = [&config.node.dir, &config.node.data, &config.node.state, &config.store.path];
    format!(
        "PrivateTmp=true\nProtectSystem=strict\nProtectHome=read-only\nReadWritePaths={}\n",
        paths.map(|path| quoted(path)).join(" ")
    )
}

/// A path as systemd reads it: `%` starts a specifier, and a space would end the word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '"', '\\']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{quoted, unit};
    use crate::config::Config;

    #[test]
    fn on_an_ebs_volume_nothing_starts_unless_it_is_mounted() {
        let text = "node.dir = \"/var/lib/qmoor\"\nengine.kind = \"docker\"\nvolume = { kind = \"ebs\", id = \"vol-01234567\", mount = \"/mnt/q\" }";
        let config = Config::parse(text, Path::new("/etc/qmoor/qmoor.toml")).unwrap();
        let unit = unit(Path::new("/usr/local/bin/qmoor"), Some(Path::new("/etc/q.toml")), &config);
        insta::assert_snapshot!(unit, @r"
        [Unit]
        Description=qmoor node qmoor
        After=network-online.target docker.service
        Wants=network-online.target docker.service
        RequiresMountsFor=/mnt/q /var/lib/qmoor/state /var/lib/qmoor/store
        AssertPathIsMountPoint=/mnt/q

        [Service]
        ExecStart=/usr/local/bin/qmoor serve --config /etc/q.toml
        WorkingDirectory=/var/lib/qmoor
        Restart=always
        RestartSec=2
        KillMode=mixed
        TimeoutStopSec=160
        LimitNOFILE=65536
        UMask=0077
        NoNewPrivileges=true
        # The volume is mounted by the agent for all to see, so no Protect… or Private… here.

        [Install]
        WantedBy=multi-user.target
        ");
    }

    #[test]
    fn a_path_is_quoted_where_systemd_would_misread_it() {
        assert_eq!(quoted(Path::new("/srv/q")), "/srv/q");
        assert_eq!(quoted(Path::new("/srv/my node/50%")), "\"/srv/my node/50%%\"");
    }
}
