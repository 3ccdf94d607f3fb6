//! What the machine is given when it boots.

use super::super::user_data::{MAX_BYTES, VOLUME, cloud_config};
use super::config;
use crate::config::Config;

fn rendered(others: &[(&str, &str)]) -> String {
    let config = config(others);
    cloud_config(&config, config.aws.as_ref().unwrap(), VOLUME)
}

/// What the script in it writes to `path`.
fn file(text: &str, path: &str) -> String {
    let begin = text.lines().skip_while(|line| !line.ends_with(&format!("{path} <<'QMOOR_END'")));
    let lines = begin.skip(1).take_while(|line| line.trim() != "QMOOR_END");
    lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

#[test]
fn the_machine_is_given_its_configuration() {
    let text = rendered(&[]);
    insta::assert_snapshot!(file(&text, "/etc/qmoor/qmoor.toml"), @r#"
    [node]
    name = "docs"
    dir = "/var/lib/qmoor"
    data = "/mnt/qdrant/data"
    state = "/var/lib/qmoor/state"

    [volume]
    kind = "ebs"
    image = "/var/lib/qmoor/volume.img"
    mount = "/mnt/qdrant"
    id = "${Volume}"

    [engine]
    kind = "docker"

    [gateway]
    listen = "10.0.2.15"

    [backup]
    gate_timeout = "1m"

    [store]
    kind = "ebs"
    path = "/mnt/qdrant/store"

    [log]
    format = "json"

    [aws]
    region = "eu-central-1"
    stack = "docs"
    vpc = "vpc-0a1b2c3d4e5f60718"
    subnet = "subnet-0a1b2c3d4e5f60718"
    zone = "eu-central-1a"
    address = "10.0.2.15"
    index_groups = ["sg-0a1b2c3d4e5f60718"]
    search_groups = ["sg-0b1c2d3e4f5061728"]
    binary_url = "https://downloads.example.com/qmoor/0.1.0/qmoor-linux-arm64"
    binary_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
    "#);
    insta::assert_snapshot!(file(&text, "/etc/qmoor/boot.env"), @r"
    QMOOR_REGION='eu-central-1'
    QMOOR_VOLUME='${Volume}'
    QMOOR_DEVICES='/dev/disk/by-id'
    QMOOR_FILESYSTEM='xfs'
    QMOOR_MOUNT='/mnt/qdrant'
    QMOOR_DIR='/var/lib/qmoor'
    QMOOR_STATE='/var/lib/qmoor/state'
    QMOOR_DOCKER='yes'
    QMOOR_BINARY_URL='https://downloads.example.com/qmoor/0.1.0/qmoor-linux-arm64'
    QMOOR_BINARY_SHA256='0000000000000000000000000000000000000000000000000000000000000000'
    ");
}

#[test]
fn what_the_machine_is_given_means_what_the_file_says() {
    let there =
        file(&rendered(&[]), "/etc/qmoor/qmoor.toml").replace(VOLUME, "vol-0123456789abcdef0");
    let there = Config::parse(&there, std::path::Path::new("/etc/qmoor/qmoor.toml")).unwrap();
    let mut here = config(&[]);
    here.gateway.listen = "10.0.2.15".parse().unwrap();
    here.volume.id = Some("vol-0123456789abcdef0".to_owned());
    // It asks EC2 for these.
    let (told, aws) = (there.aws.clone().unwrap(), here.aws.as_mut().unwrap());
    aws.volume_size = told.volume_size;
    aws.volume_iops = told.volume_iops;
    aws.volume_throughput = told.volume_throughput;
    aws.alarm_email = None;
    assert_eq!(there, here);
}

#[test]
fn the_machine_restarts_for_what_concerns_it_alone() {
    let before = rendered(&[]);
    for unrelated in [
        ("aws.volume_size", "\"1TiB\""),
        ("aws.volume_iops", "9000"),
        ("aws.volume_throughput", "600"),
        ("aws.root_size", "\"64GiB\""),
        ("aws.admin_groups", "[\"sg-0000000c\"]"),
        ("aws.alarm_email", "\"\""),
        ("aws.ami", "\"ami-0123456789abcdef0\""),
    ] {
        assert_eq!(rendered(&[unrelated]), before, "{unrelated:?}");
    }
    assert_ne!(rendered(&[("retention.daily", "9")]), before);
}

#[test]
fn it_is_small_enough_and_the_volume_is_named_where_it_is_needed() {
    let text = rendered(&[]);
    assert!(text.len() < MAX_BYTES * 9 / 10, "{} bytes", text.len());
    assert_eq!(text.matches(VOLUME).count(), 2);
    assert!(text.starts_with("#cloud-config\n"));
}

#[test]
fn an_embedded_engine_needs_no_docker() {
    assert!(rendered(&[]).contains("QMOOR_DOCKER='yes'"));
    assert!(rendered(&[("engine.kind", "\"embedded\"")]).contains("QMOOR_DOCKER='no'"));
}
