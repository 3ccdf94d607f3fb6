//! A node on AWS: what must be said of it, and how it is written back.

use std::path::PathBuf;

use super::tests::{complaint, parse};

/// The least that a node on AWS must say, and nothing more.
pub(super) const ON_AWS: &[(&str, &str)] = &[
    ("node.dir", "\"/var/lib/qmoor\""),
    ("volume.kind", "\"ebs\""),
    ("aws.region", "\"eu-central-1\""),
    ("aws.vpc", "\"vpc-0123456789abcdef0\""),
    ("aws.subnet", "\"subnet-0123456789abcdef0\""),
    ("aws.zone", "\"eu-central-1a\""),
    ("aws.address", "\"10.0.2.15\""),
    ("aws.index_groups", "[\"sg-0123456789abcdef0\"]"),
    ("aws.search_groups", "[\"sg-0123456789abcdef1\"]"),
    ("aws.binary_url", "\"https://example.com/qmoor\""),
    ("aws.binary_sha256", "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""),
];

/// That, with these keys set otherwise; a key set to nothing is left out.
pub(super) fn on_aws(others: &[(&str, &str)]) -> String {
    let other = |key: &str| others.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let kept = ON_AWS.iter().map(|(key, value)| (*key, other(key).unwrap_or(value)));
    let added = others.iter().filter(|(key, _)| ON_AWS.iter().all(|(name, _)| name != key));
    kept.chain(added.copied())
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect()
}

#[test]
fn on_an_ebs_volume_data_and_records_lie_on_it() {
    let ebs = "node.dir = \"/n\"\nvolume = { kind = \"ebs\", id = \"vol-0123456789abcdef0\", mount = \"/mnt/q\" }\n";
    let config = parse(&format!("{ebs}store.kind = \"ebs\"")).unwrap();
    assert_eq!(config.volume.id.as_deref(), Some("vol-0123456789abcdef0"));
    assert_eq!(config.volume.devices, PathBuf::from("/dev/disk/by-id"));
    assert_eq!(config.node.data, PathBuf::from("/mnt/q/data"));
    assert_eq!(config.store.path, PathBuf::from("/mnt/q/store"));
    assert_eq!(config.node.state, PathBuf::from("/n/state"));
    assert_eq!(parse(ebs).unwrap().store.path, PathBuf::from("/n/store"), "a restic repository");
    insta::assert_snapshot!(complaint("volume.kind = \"ebs\""), @r#"/etc/qmoor/qmoor.toml:1: volume.id: is not set, and `volume.kind` is "ebs" (hint: set it to the id of the volume, like "vol-0123456789abcdef0")"#);
    insta::assert_snapshot!(complaint("volume.id = \"vol-0123456789ABCDEF0\""), @r#"/etc/qmoor/qmoor.toml:1: volume.id: must be a text like "vol-0123456789abcdef0", or "" for none, not "vol-0123456789ABCDEF0""#);
    insta::assert_snapshot!(complaint("store.kind = \"ebs\""), @r#"/etc/qmoor/qmoor.toml:1: store.kind: is "ebs", and `volume.kind` is "directory" (hint: only an EBS volume has EBS snapshots: set `volume.kind` to "ebs")"#);
    insta::assert_snapshot!(complaint(&format!("{ebs}store.kind = \"clone\"")), @r#"/etc/qmoor/qmoor.toml:3: store.kind: is "clone", and `volume.kind` is "ebs" (hint: only an image can be cloned: set `volume.kind` to "image")"#);
    insta::assert_snapshot!(complaint(&format!("{ebs}store = {{ kind = \"ebs\", path = \"/n/store\" }}")), @"/etc/qmoor/qmoor.toml:3: store.path: `/n/store` is not inside `volume.mount` (`/mnt/q`) (hint: choose a folder inside it, or leave `store.path` out)");
    insta::assert_snapshot!(complaint(&format!("{ebs}store = {{ kind = \"ebs\", path = \"/mnt/q/data/s\" }}")), @"/etc/qmoor/qmoor.toml:3: store.path: `/mnt/q/data/s` is inside `node.data` (`/mnt/q/data`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint(&format!("{ebs}node.state = \"/mnt/q/state\"")), @"/etc/qmoor/qmoor.toml:3: node.state: `/mnt/q/state` is inside `volume.mount` (`/mnt/q`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint(&format!("{ebs}store.path = \"/mnt/q/store\"")), @"/etc/qmoor/qmoor.toml:3: store.path: `/mnt/q/store` is inside `volume.mount` (`/mnt/q`) (hint: choose folders that lie outside each other)");
}

#[test]
fn a_node_on_aws_says_where_it_is_and_who_may_reach_it() {
    let config = parse(&on_aws(&[("node.name", "\"docs\"")])).unwrap();
    let aws = config.aws.unwrap();
    assert_eq!((aws.stack.as_str(), aws.instance_type.as_str()), ("docs", "c8g.2xlarge"));
    assert_eq!(config.volume.id, None, "the stack makes the volume");
    assert!(
        parse(&on_aws(&[
            ("aws.region", "\"\""),
            ("volume.kind", ""),
            ("aws.vpc", ""),
            ("aws.subnet", ""),
            ("aws.address", ""),
            ("aws.binary_url", "")
        ]))
        .unwrap()
        .aws
        .is_none()
    );
    for (key, _) in ON_AWS.iter().filter(|(key, _)| key.starts_with("aws.") && *key != "aws.region")
    {
        let complaint = complaint(&on_aws(&[(key, "")]));
        assert!(complaint.contains(&format!("{key}: is not set")), "{complaint}");
    }
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.search_groups", "[]")])), @r#"/etc/qmoor/qmoor.toml:9: aws.search_groups: is not set, and `aws.region` is (hint: set it, like ["sg-0123456789abcdef0"])"#);
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.region", "")])), @r#"
    /etc/qmoor/qmoor.toml:2: volume.id: is not set, and `volume.kind` is "ebs" (hint: set it to the id of the volume, like "vol-0123456789abcdef0")
    /etc/qmoor/qmoor.toml:3: aws.region: is not set, and `aws.vpc` is (hint: set it to the region of the node, like "eu-central-1")
    "#);
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.zone", "\"eu-west-1a\"")])), @r#"/etc/qmoor/qmoor.toml:6: aws.zone: `eu-west-1a` is not in the region `eu-central-1` (hint: choose a zone like "eu-central-1a")"#);
    insta::assert_snapshot!(complaint(&on_aws(&[("node.name", "\"my_node\"")])), @"/etc/qmoor/qmoor.toml:12: aws.stack: `my_node` is no name for a stack (hint: set it to a letter, then letters, digits and `-`)");
    insta::assert_snapshot!(complaint(&on_aws(&[("volume.kind", "\"image\"")])), @r#"/etc/qmoor/qmoor.toml:2: volume.kind: is not "ebs", and `aws.region` is set (hint: set `volume.kind` to "ebs": the data of the node lies on the volume of its stack)"#);
    insta::assert_snapshot!(complaint(&on_aws(&[("gateway.grpc_port", "0")])), @"/etc/qmoor/qmoor.toml:12: gateway.grpc_port: is 0, and `aws.region` is set (hint: the security group must name the port: leave it out, or set it)");
    insta::assert_snapshot!(complaint(&on_aws(&[("node.dir", "")])), @r#"/etc/qmoor/qmoor.toml:2: node.dir: is not set, and `aws.region` is (hint: set it to a folder of the machine, like "/var/lib/qmoor")"#);
    insta::assert_snapshot!(complaint(&on_aws(&[("volume.mount", "\"./qdrant\"")])), @"/etc/qmoor/qmoor.toml:12: volume.mount: must be absolute, because `aws.region` is set (hint: set it to a path of the machine)");
    insta::assert_snapshot!(complaint(&on_aws(&[("volume.mount", "\"/mnt/my data\"")])), @"/etc/qmoor/qmoor.toml:12: volume.mount: has more than letters, digits and `/._+-@` (hint: choose a plainer path)");
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.instance_type", "\"c88g.large\"")])), @"/etc/qmoor/qmoor.toml:12: aws.instance_type: `c88g.large` is of no family of the Nitro system that is known here (hint: did you mean `c8g`?)");
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.instance_type", "\"c8g.3xlarge\"")])), @"/etc/qmoor/qmoor.toml:12: aws.instance_type: there is no `c8g.3xlarge` (hint: the family has medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge metal-24xl metal-48xl)");
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.volume_size", "\"1500MiB\"")])), @r#"/etc/qmoor/qmoor.toml:12: aws.volume_size: is not a whole number of GiB (hint: write it like "100GiB")"#);
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.volume_size", "\"10GiB\""), ("aws.volume_iops", "6000")])), @"/etc/qmoor/qmoor.toml:13: aws.volume_iops: is 6000, too many for a volume of 10 GiB (hint: at most 500 for each GiB: 5000 here, or make the volume 12 GiB)");
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.volume_throughput", "1000")])), @"/etc/qmoor/qmoor.toml:12: aws.volume_throughput: is 1000, too much for 3000 operations a second (hint: at most a quarter of `aws.volume_iops`: 750 here, or set that to 4000)");
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.binary_url", "\"http://example.com/qmoor\"")])), @r#"/etc/qmoor/qmoor.toml:10: aws.binary_url: must be a text like "https://example.com/qmoor", or "" for none, not "http://example.com/qmoor""#);
    insta::assert_snapshot!(complaint(&on_aws(&[("aws.kms_key", "\"alias/mine\"")])), @r#"/etc/qmoor/qmoor.toml:12: aws.kms_key: must be a text like "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef", or "" for none, not "alias/mine""#);
}

#[test]
fn what_is_written_is_what_was_said() {
    let text = on_aws(&[("node.name", "\"docs\""), ("gateway.hold_budget", "\"1.5ms\"")]);
    insta::assert_snapshot!(parse(&text).unwrap().to_toml(), @r#"
    [node]
    name = "docs"
    dir = "/var/lib/qmoor"
    data = "/var/lib/qmoor/volume/data"
    state = "/var/lib/qmoor/state"

    [volume]
    kind = "ebs"
    image = "/var/lib/qmoor/volume.img"
    mount = "/var/lib/qmoor/volume"

    [gateway]
    hold_budget = "1500000ns"

    [backup]
    gate_timeout = "1m"

    [store]
    path = "/var/lib/qmoor/store"

    [aws]
    region = "eu-central-1"
    stack = "docs"
    vpc = "vpc-0123456789abcdef0"
    subnet = "subnet-0123456789abcdef0"
    zone = "eu-central-1a"
    address = "10.0.2.15"
    index_groups = ["sg-0123456789abcdef0"]
    search_groups = ["sg-0123456789abcdef1"]
    binary_url = "https://example.com/qmoor"
    binary_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "#);
    let odd = r#"node = { dir = "/n\u0001\t\"\\é" }"#;
    let config = parse(odd).unwrap();
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
}

#[test]
fn what_is_told_to_whom_fits_into_user_data() {
    let with = |setting: &str| parse(&format!("{}{setting}\n", on_aws(&[])));
    let secret = with("notify.webhook = \"https://h/s3cret\"").unwrap_err().to_string();
    assert!(secret.contains("user data") && !secret.contains("s3cret"), "{secret}");
    assert!(
        with("notify.webhook_file = \"webhook\"").unwrap_err().to_string().contains("absolute")
    );
    let odd = with("notify.command = [\"/bin/tell\", \"${Volume}\"]").unwrap_err().to_string();
    assert!(odd.contains("a script on the machine"), "{odd}");
    let well =
        "notify.command = [\"/bin/tell\", \"-t\", \"a b\"]\nnotify.webhook_file = \"/etc/w\"";
    assert!(with(well).is_ok());
}
