//! What is found before anything is made.

use super::super::preflight::{
    Facts, Holder, Image, Machine, Own, Subnet, Volume, image_parameter, is_standard, problems,
    quota,
};
use super::config;

const GIB: u64 = 1 << 30;

/// What the example finds where all is well.
fn well() -> Facts {
    let vpc = "vpc-0a1b2c3d4e5f60718";
    Facts {
        subnet: Some(Subnet {
            vpc: vpc.to_owned(),
            zone: "eu-central-1a".to_owned(),
            network: "10.0.2.0/24".to_owned(),
        }),
        holders: Vec::new(),
        groups: ["sg-0a1b2c3d4e5f60718", "sg-0b1c2d3e4f5061728"]
            .map(|group| (group.to_owned(), vpc.to_owned()))
            .to_vec(),
        machine: Some(Machine {
            architectures: vec!["arm64".to_owned()],
            processors: 8,
            zones: vec!["eu-central-1a".to_owned()],
        }),
        image: Some(Image {
            id: "ami-1".to_owned(),
            architecture: "arm64".to_owned(),
            is_available: true,
        }),
        processors: Some((16, 8)),
        volumes: Vec::new(),
        own: Own::default(),
    }
}

fn volume(id: &str, role: &str) -> Volume {
    Volume {
        id: id.to_owned(),
        zone: "eu-central-1a".to_owned(),
        size: 200 * GIB,
        role: role.to_owned(),
    }
}

/// Each problem with its hint.
fn found(others: &[(&str, &str)], facts: &Facts) -> Vec<String> {
    let config = config(others);
    let aws = config.aws.clone().unwrap();
    let problems = problems(&config, &aws, facts);
    problems.into_iter().map(|problem| format!("{} ({})", problem.what, problem.hint)).collect()
}

/// The one problem, which holds all of `words`.
#[track_caller]
fn only(others: &[(&str, &str)], facts: &Facts, words: &[&str]) {
    let found = found(others, facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    for word in words {
        assert!(found[0].contains(word), "no {word} in: {}", found[0]);
    }
}

#[test]
fn where_all_is_well_nothing_is_found() {
    assert_eq!(found(&[], &well()), Vec::<String>::new());
}

#[test]
fn a_subnet_is_there_and_where_the_file_says() {
    only(
        &[],
        &Facts { subnet: None, ..well() },
        &["no subnet subnet-0a1b", "eu-central-1", "credentials"],
    );
    let mut facts = well();
    let subnet = facts.subnet.as_mut().unwrap();
    subnet.vpc = "vpc-2".to_owned();
    only(&[], &facts, &["is in vpc-2, and not in vpc-0a1b", "aws.vpc = \"vpc-2\""]);
    let mut facts = well();
    facts.subnet.as_mut().unwrap().zone = "eu-central-1b".to_owned();
    only(&[], &facts, &["is in eu-central-1b", "aws.zone = \"eu-central-1b\""]);
}

#[test]
fn an_address_is_inside_the_subnet_and_free_for_use() {
    let range = "choose one from 10.0.2.4 to 10.0.2.254";
    for address in ["10.0.1.255", "10.0.3.0", "192.168.0.1"] {
        let address = format!("\"{address}\"");
        only(&[("aws.address", &address)], &well(), &["is not in the subnet", range]);
    }
    for address in ["10.0.2.0", "10.0.2.3", "10.0.2.255"] {
        let address = format!("\"{address}\"");
        only(&[("aws.address", &address)], &well(), &["keeps for itself", range]);
    }
    for address in ["10.0.2.4", "10.0.2.254"] {
        let address = format!("\"{address}\"");
        assert_eq!(found(&[("aws.address", &address)], &well()), Vec::<String>::new());
    }
    let mut facts = well();
    facts.subnet.as_mut().unwrap().network = "10.0.2.16/28".to_owned();
    only(&[("aws.address", "\"10.0.2.31\"")], &facts, &["keeps", "10.0.2.20 to 10.0.2.30"]);
}

#[test]
fn an_address_that_somebody_else_has_is_told_with_who() {
    let holder = Holder {
        interface: "eni-1".to_owned(),
        machine: Some("i-1".to_owned()),
        description: "a database".to_owned(),
    };
    let mut facts = Facts { holders: vec![holder], ..well() };
    only(&[], &facts, &["10.0.2.15 is taken, by eni-1 of i-1, \"a database\""]);
    facts.own.interface = Some("eni-1".to_owned());
    assert_eq!(found(&[], &facts), Vec::<String>::new(), "it is the node's own");
}

#[test]
fn groups_are_there_and_of_the_vpc() {
    let mut facts = well();
    facts.groups.remove(1);
    only(&[], &facts, &["no security group sg-0b1c", "aws.search_groups"]);
    let mut facts = well();
    facts.groups[0].1 = "vpc-2".to_owned();
    only(&[], &facts, &["sg-0a1b2c3d4e5f60718 is of vpc-2", "aws.index_groups"]);
}

#[test]
fn a_machine_can_be_had_and_its_image_fits() {
    only(
        &[],
        &Facts { machine: None, ..well() },
        &["eu-central-1 has no instance type c8g.2xlarge"],
    );
    let mut facts = well();
    facts.machine.as_mut().unwrap().zones = vec!["eu-central-1b".to_owned()];
    only(&[], &facts, &["no c8g.2xlarge in eu-central-1a, but in eu-central-1b"]);
    let mut facts = well();
    facts.image.as_mut().unwrap().architecture = "x86_64".to_owned();
    only(&[], &facts, &["ami-1 is for x86_64, and c8g.2xlarge is arm64"]);
    let mut facts = well();
    facts.image.as_mut().unwrap().is_available = false;
    only(&[], &facts, &["ami-1 is not available"]);
    let mut facts = Facts { image: None, ..well() };
    only(
        &[("aws.ami", "\"ami-0123456789abcdef0\"")],
        &facts,
        &["ami-0123456789abcdef0 is not there"],
    );
    facts.own.machine = Some("i-1".to_owned());
    facts.own.instance_type = Some("c8g.2xlarge".to_owned());
    assert_eq!(found(&[], &facts), Vec::<String>::new(), "a withdrawn image goes on running");
}

#[test]
fn processors_are_within_the_quota_when_a_machine_is_to_start() {
    let mut facts = Facts { processors: Some((16, 9)), ..well() };
    only(&[], &facts, &["8 virtual processors; 9 of the 16", "Service Quotas"]);
    facts.own.instance_type = Some("c8g.large".to_owned());
    only(&[], &facts, &["Service Quotas"]);
    facts.own.instance_type = Some("c8g.2xlarge".to_owned());
    assert_eq!(found(&[], &facts), Vec::<String>::new(), "it runs already");
    assert_eq!(found(&[], &Facts { processors: None, ..well() }), Vec::<String>::new());
    assert!(is_standard("c8g.2xlarge") && is_standard("im4gn.large") && is_standard("t3.micro"));
    assert!(
        !is_standard("x8g.large") && !is_standard("inf2.xlarge") && !is_standard("hpc7g.4xlarge")
    );
    assert_eq!((quota("m7i.large"), quota("x8g.large")), (Some("L-1216C47A"), None));
}

#[test]
fn a_volume_from_before_is_not_passed_over() {
    let mut facts =
        Facts { volumes: vec![volume("vol-1", "data"), volume("vol-2", "replaced")], ..well() };
    only(&[], &facts, &["vol-1 is left from before", "volume.id = \"vol-1\""]);
    facts.own.exists = true;
    assert_eq!(found(&[], &facts), Vec::<String>::new());
}

#[test]
fn a_volume_that_is_named_is_the_node_s_and_holds_its_data() {
    let named = [("volume.id", "\"vol-0123456789abcdef0\"")];
    only(
        &named,
        &well(),
        &["is not there, or is not of the node `docs`", "Key=qmoor:node,Value=docs"],
    );
    let mut facts = Facts { volumes: vec![volume("vol-0123456789abcdef0", "replaced")], ..well() };
    only(&named, &facts, &["does not hold the data", "but is replaced"]);
    facts.volumes = vec![Volume {
        zone: "eu-central-1b".to_owned(),
        ..volume("vol-0123456789abcdef0", "data")
    }];
    only(&named, &facts, &["is in eu-central-1b, and not in eu-central-1a"]);
    facts.volumes = vec![volume("vol-0123456789abcdef0", "data")];
    assert_eq!(found(&named, &facts), Vec::<String>::new());
}

#[test]
fn a_volume_does_not_shrink() {
    let mut facts = Facts { volumes: vec![volume("vol-1", "data")], ..well() };
    facts.own = Own { exists: true, volume: Some("vol-1".to_owned()), ..Own::default() };
    let settings = [("aws.volume_size", "\"100GiB\"")];
    only(&settings, &facts, &["vol-1 has 200 GiB, and cannot shrink", "\"200GiB\""]);
    assert_eq!(found(&[("aws.volume_size", "\"300GiB\"")], &facts), Vec::<String>::new());
}

#[test]
fn the_newest_image_is_looked_up_for_the_processor() {
    let parameter = image_parameter("c8g.large").unwrap();
    assert!(parameter.ends_with("/al2023-ami-kernel-default-arm64"), "{parameter}");
    assert!(image_parameter("m7i.large").unwrap().ends_with("x86_64"));
    assert_eq!(image_parameter("abacus.large"), None);
}
