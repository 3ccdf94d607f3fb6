//! What the machine does when it boots: a cloud-config for cloud-init.
//!
//! A machine that is stopped and started again keeps its id, and cloud-init then runs but `bootcmd`: therefore all is in
//! there, and a change of `qmoor.toml` arrives with the restart that CloudFormation makes for a change of user data. No
//! secret is in it: anyone on the machine, and in the account, may read user data.
//!
//! <https://cloudinit.readthedocs.io/en/latest/reference/modules.html#bootcmd>

use std::path::Path;

use crate::config::{Aws, Config, EngineKind};
use crate::systemd;

/// The largest user data that EC2 takes, in bytes before base64.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html>
pub const MAX_BYTES: usize = 16_384;

/// Where the program is on the machine.
pub const PROGRAM: &str = "/usr/local/bin/qmoor";

/// Where its configuration is.
pub const CONFIG: &str = "/etc/qmoor/qmoor.toml";

/// What stands for the id of the volume, which only the stack knows.
pub const VOLUME: &str = "${Volume}";

const SCRIPT: &str = include_str!("boot.sh");

/// What the machine is not told, because it can ask EC2, or because it is not its business: a change of user data
/// restarts it.
const UNTOLD: [&str; 7] = [
    "aws.admin_groups",
    "aws.alarm_email",
    "aws.ami",
    "aws.root_size",
    "aws.volume_iops",
    "aws.volume_size",
    "aws.volume_throughput",
];

/// The cloud-config for the machine of a node, with `volume` as the id of its volume. The agent there listens on the
/// fixed address.
#[must_use]
pub fn cloud_config(config: &Config, aws: &Aws, volume: &str) -> String {
    let mut config = config.clone();
    config.gateway.listen = aws.address.into();
    config.volume.id = Some(volume.to_owned());
    let files = [
        ("755", "/usr/local/sbin/qmoor-boot", SCRIPT.to_owned()),
        ("644", "/etc/qmoor/boot.env", environment(&config, aws)),
        ("644", CONFIG, config.to_toml_without(&UNTOLD)),
        ("644", "/etc/systemd/system/qmoor-boot.service", boot_unit(&config)),
        (
            "644",
            "/etc/systemd/system/qmoor.service",
            systemd::unit(Path::new(PROGRAM), Some(Path::new(CONFIG)), &config),
        ),
    ];
    let mut script = "set -eu\nput() {\n    mkdir -p \"${2%/*}\"\n    cat >\"$2.new\"\n    chmod \"$1\" \"$2.new\"\n    mv -f \"$2.new\" \"$2\"\n}\n".to_owned();
    for (mode, path, text) in files {
        script.push_str(&format!("put {mode} {path} <<'{END}'\n{}\n{END}\n", text.trim_end()));
    }
    // The rest of the boot goes on meanwhile.
    script.push_str(&format!(
        "systemctl daemon-reload\nsystemctl enable {0}\nsystemctl start --no-block {0}\n",
        systemd::BOOT
    ));
    let mut text = format!(
        "#cloud-config\n# The machine of the qmoor node {}. What stands here is done at each boot, and may be.\nbootcmd:\n  - |\n",
        config.node.name
    );
    for line in script.lines() {
        if !line.is_empty() {
            text.push_str("    ");
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

/// Ends a file in the script. No line of a file is this: the files hold values of fixed forms.
const END: &str = "QMOOR_END";

/// What the script is to do. All values have a form that admits no quote.
fn environment(config: &Config, aws: &Aws) -> String {
    let docker = if config.engine.kind == EngineKind::Docker { "yes" } else { "no" };
    let values = [
        ("REGION", aws.region.clone()),
        ("VOLUME", config.volume.id.clone().unwrap_or_default()),
        ("DEVICES", config.volume.devices.display().to_string()),
        ("FILESYSTEM", config.volume.filesystem.as_str().to_owned()),
        ("MOUNT", config.volume.mount.display().to_string()),
        ("DIR", config.node.dir.display().to_string()),
        ("STATE", config.node.state.display().to_string()),
        ("DOCKER", docker.to_owned()),
        ("BINARY_URL", aws.binary_url.clone()),
        ("BINARY_SHA256", aws.binary_sha256.clone()),
    ];
    values.map(|(name, value)| format!("QMOOR_{name}='{value}'\n")).concat()
}

/// The unit that runs the script. It tries again until the machine is as it should be.
fn boot_unit(config: &Config) -> String {
    format!(
        "[Unit]\n\
         Description=The machine of the qmoor node {name}: volume, Docker, program\n\
         After=network-online.target cloud-init.service cloud-init-network.service\n\
         Wants=network-online.target\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         EnvironmentFile=/etc/qmoor/boot.env\n\
         ExecStart=/usr/local/sbin/qmoor-boot\n\
         TimeoutStartSec=45min\n\
         Restart=on-failure\n\
         RestartSec=60\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        name = config.node.name,
    )
}
