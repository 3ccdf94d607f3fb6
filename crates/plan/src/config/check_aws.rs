//! What `[aws]` must say once it names a region, and what of it cannot be had together.

use super::read::Reader;
use super::{Aws, Config, Form, StoreKind, VolumeKind};
use crate::aws::instance::{self, TypeError};

const GIB: u64 = 1 << 30;

/// Paths that the machine is told of.
const PATHS: [&str; 11] = [
    "node.dir",
    "node.data",
    "node.state",
    "volume.image",
    "volume.mount",
    "volume.devices",
    "engine.socket",
    "gateway.tls_cert",
    "gateway.tls_key",
    "notify.webhook_file",
    "store.path",
];

/// Tells `reader` of all that is missing or impossible about the machine and its EBS volume.
pub(super) fn aws(config: &Config, reader: &mut Reader<'_>) {
    let Some(aws) = &config.aws else {
        if config.volume.kind == VolumeKind::Ebs && config.volume.id.is_none() {
            let hint = "set it to the id of the volume, like \"vol-0123456789abcdef0\"";
            let message = "is not set, and `volume.kind` is \"ebs\"".to_owned();
            reader.contradiction("volume.id", "volume.kind", message, hint);
        }
        if let Some(key) = ["aws.vpc", "aws.subnet", "aws.address", "aws.binary_url"]
            .into_iter()
            .find(|key| reader.is_set(key) && reader.text(key).is_some())
        {
            let message = format!("is not set, and `{key}` is");
            let hint = "set it to the region of the node, like \"eu-central-1\"";
            reader.contradiction("aws.region", key, message, hint);
        }
        return;
    };
    missing(aws, reader);
    told(config, reader);
    node(config, aws, reader);
    gp3(aws, reader);
    instance_type(aws, reader);
    let zone = aws.zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if !aws.zone.is_empty() && zone != aws.region {
        let message = format!("`{}` is not in the region `{}`", aws.zone, aws.region);
        let hint = format!("choose a zone like \"{}a\"", aws.region);
        reader.contradiction("aws.zone", "aws.region", message, &hint);
    }
}

/// Whoever may describe the machine reads its user data, which has this file in it, inside a template and a script.
fn told(config: &Config, reader: &mut Reader<'_>) {
    if config.notify.webhook.is_some() {
        let message = "is set, and would be in the user data of the machine".to_owned();
        let hint = "put it into a file on the machine, and set `notify.webhook_file`";
        reader.contradiction("notify.webhook", "aws.region", message, hint);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-@=:, ".contains(c);
    if !config.notify.command.iter().all(|word| word.chars().all(plain)) {
        let message = "has more than letters, digits, blanks and `/._+-@=:,`".to_owned();
        let hint = "put what else it needs into a script on the machine";
        reader.contradiction("notify.command", "aws.region", message, hint);
    }
}

fn missing(aws: &Aws, reader: &mut Reader<'_>) {
    let needed = [
        ("aws.vpc", aws.vpc.is_empty(), Form::Id("vpc")),
        ("aws.subnet", aws.subnet.is_empty(), Form::Id("subnet")),
        ("aws.zone", aws.zone.is_empty(), Form::Zone),
        ("aws.address", aws.address.is_unspecified(), Form::Ipv4),
        ("aws.index_groups", aws.index_groups.is_empty(), Form::Id("sg")),
        ("aws.search_groups", aws.search_groups.is_empty(), Form::Id("sg")),
        ("aws.instance_type", aws.instance_type.is_empty(), Form::InstanceType),
        ("aws.binary_url", aws.binary_url.is_empty(), Form::Download),
        ("aws.binary_sha256", aws.binary_sha256.is_empty(), Form::Sha256),
    ];
    for (key, is_missing, form) in needed {
        if is_missing {
            let value = match key.ends_with("_groups") {
                true => format!("[\"{}\"]", form.example()),
                false => format!("\"{}\"", form.example()),
            };
            let message = "is not set, and `aws.region` is".to_owned();
            reader.contradiction(key, "aws.region", message, &format!("set it, like {value}"));
        }
    }
}

/// What the rest of the file must say for a node on a machine of AWS.
fn node(config: &Config, aws: &Aws, reader: &mut Reader<'_>) {
    if !Form::Stack.admits(&aws.stack) {
        let message = format!("`{}` is no name for a stack", aws.stack);
        let hint = "set it to a letter, then letters, digits and `-`";
        reader.contradiction("aws.stack", "node.name", message, hint);
    }
    if config.volume.kind != VolumeKind::Ebs || config.store.kind == StoreKind::Clone {
        let message = "is not \"ebs\", and `aws.region` is set".to_owned();
        let hint =
            "set `volume.kind` to \"ebs\": the data of the node lies on the volume of its stack";
        reader.contradiction("volume.kind", "aws.region", message, hint);
    }
    let gateway = &config.gateway;
    if gateway.http_port == 0 || gateway.grpc_port == 0 {
        let message = "is 0, and `aws.region` is set".to_owned();
        let hint = "the security group must name the port: leave it out, or set it";
        let key = if gateway.http_port == 0 { "gateway.http_port" } else { "gateway.grpc_port" };
        reader.contradiction(key, "aws.region", message, hint);
    }
    if !reader.is_set("node.dir") {
        let message = "is not set, and `aws.region` is".to_owned();
        let hint = "set it to a folder of the machine, like \"/var/lib/qmoor\"";
        reader.contradiction("node.dir", "aws.region", message, hint);
    }
    for key in PATHS {
        if reader.is_set(key) && reader.is_relative(key) {
            let message = "must be absolute, because `aws.region` is set".to_owned();
            reader.contradiction(key, "aws.region", message, "set it to a path of the machine");
        }
        // They stand in a shell script, in a unit and in fstab, each of which quotes in its own way.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-@".contains(c);
        if reader.is_set(key) && !reader.holds_only(key, plain) {
            let message = "has more than letters, digits and `/._+-@`".to_owned();
            reader.contradiction(key, "aws.region", message, "choose a plainer path");
        }
    }
}

fn instance_type(aws: &Aws, reader: &mut Reader<'_>) {
    let (message, hint) = match instance::architecture(&aws.instance_type) {
        Err(_) if aws.instance_type.is_empty() => return,
        Ok(_) => return,
        Err(TypeError::Family(nearest)) => (
            format!(
                "`{}` is of no family of the Nitro system that is known here",
                aws.instance_type
            ),
            format!("did you mean `{nearest}`?"),
        ),
        Err(TypeError::Size(sizes)) => {
            (format!("there is no `{}`", aws.instance_type), format!("the family has {sizes}"))
        }
    };
    reader.contradiction("aws.instance_type", "aws.region", message, &hint);
}

/// The limits of gp3 volumes: 500 operations a second for each GiB, and a quarter of a MiB a second for each operation.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html>
fn gp3(aws: &Aws, reader: &mut Reader<'_>) {
    for (key, bytes) in [("aws.volume_size", aws.volume_size), ("aws.root_size", aws.root_size)] {
        if !bytes.is_multiple_of(GIB) {
            let message = "is not a whole number of GiB".to_owned();
            reader.contradiction(key, key, message, "write it like \"100GiB\"");
        }
    }
    let gib = aws.volume_size / GIB;
    let (iops, throughput) = (u64::from(aws.volume_iops), u64::from(aws.volume_throughput));
    if iops > 3000.max(gib.saturating_mul(500)) {
        let message = format!("is {iops}, too many for a volume of {gib} GiB");
        let hint = format!(
            "at most 500 for each GiB: {} here, or make the volume {} GiB",
            3000.max(gib.saturating_mul(500)),
            iops.div_ceil(500)
        );
        reader.contradiction("aws.volume_iops", "aws.volume_size", message, &hint);
    }
    if throughput.saturating_mul(4) > iops {
        let message = format!("is {throughput}, too much for {iops} operations a second");
        let hint = format!(
            "at most a quarter of `aws.volume_iops`: {} here, or set that to {}",
            iops / 4,
            throughput.saturating_mul(4)
        );
        reader.contradiction("aws.volume_throughput", "aws.volume_iops", message, &hint);
    }
}
