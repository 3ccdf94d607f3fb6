//! EC2.

use qmoor_aws::ec2::{
    CopySnapshot, Ec2, LockMode, ModifyVolume, NewVolume, Snapshot, SnapshotFilter, SnapshotState,
    Volume,
};
use qmoor_aws::{Aws, Tags};

use crate::start::{Emulator, REGION, ZONE};

fn tags(name: &str, value: &str) -> Tags {
    Tags::from([(name.to_owned(), value.to_owned())])
}

#[tokio::test]
async fn volumes_snapshots_and_what_is_around_them() {
    let Some(emulator) = Emulator::start() else { return };
    let aws = emulator.aws().await;
    let ec2 = aws.ec2();
    around(&aws).await;
    let volume = make_a_volume(&ec2).await;
    let snapshot = make_a_snapshot(&ec2, &volume).await;
    use_a_snapshot(&ec2, &snapshot).await;
    copy_it(&emulator.aws_in("us-east-1").await, &snapshot).await;
    lock_and_archive(&ec2, &snapshot).await;
    attach(&aws, &volume).await;
}

/// What an account has before anything is made in it.
async fn around(aws: &Aws) {
    let ec2 = aws.ec2();
    let subnets = ec2.describe_subnets(&Vec::new()).await.unwrap();
    let subnet = subnets.iter().find(|subnet| subnet.zone == ZONE).unwrap();
    assert!(subnet.id.starts_with("subnet-") && subnet.vpc_id.starts_with("vpc-"), "{subnet:?}");
    assert!(subnet.cidr_block.contains('/') && subnet.available_ip_address_count > 4000);
    let one = vec![("subnet-id".to_owned(), vec![subnet.id.clone()])];
    assert_eq!(ec2.describe_subnets(&one).await.unwrap().len(), 1);
    let none = vec![("subnet-id".to_owned(), vec!["subnet-0".to_owned()])];
    assert!(ec2.describe_subnets(&none).await.unwrap().is_empty());

    let groups = vec![("vpc-id".to_owned(), vec![subnet.vpc_id.clone()])];
    let groups = ec2.describe_security_groups(&groups).await.unwrap();
    let group = groups.iter().find(|group| group.name == "default").unwrap();
    assert_eq!(group.egress[0].protocol, "-1");
    assert_eq!(group.egress[0].from_port, None);
    assert_eq!(group.egress[0].ranges().collect::<Vec<_>>(), ["0.0.0.0/0"]);

    let types = ec2.describe_instance_types(&["c8g.2xlarge"]).await.unwrap();
    assert_eq!(types[0].name, "c8g.2xlarge");
    assert_eq!(types[0].architectures(), ["arm64"]);
    assert_eq!((types[0].vcpus(), types[0].memory_mib()), (Some(8), Some(16384)));
    assert_eq!(types[0].hypervisor.as_deref(), Some("nitro"));
    assert!(ec2.describe_instance_types(&["c8g.imaginary"]).await.is_ok_and(|all| all.is_empty()));
    let zones = ec2.describe_instance_type_offerings("c8g.2xlarge").await.unwrap();
    assert!(zones.contains(&ZONE.to_owned()), "{zones:?}");

    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64";
    let image = aws.parameters().get(name).await.unwrap().value;
    let images = ec2.describe_images(&[image.reveal()]).await.unwrap();
    assert_eq!((images[0].architecture.as_str(), images[0].state.as_str()), ("arm64", "available"));
}

async fn make_a_volume(ec2: &Ec2) -> Volume {
    let new = NewVolume {
        zone: ZONE.to_owned(),
        size_gib: Some(10),
        volume_type: "gp3".to_owned(),
        iops: Some(4000),
        throughput_mib_s: Some(250),
        encrypted: true,
        tags: tags("qmoor:node", "n1"),
        client_token: "first".to_owned(),
        ..Default::default()
    };
    let made = ec2.create_volume(&new).await.unwrap();
    assert_eq!(ec2.create_volume(&new).await.unwrap().id, made.id, "one token is one volume");
    let volume = ec2.volume(&made.id).await.unwrap().unwrap();
    assert_eq!((volume.zone.as_str(), volume.size_gib), (ZONE, 10));
    assert_eq!((volume.iops, volume.throughput_mib_s), (Some(4000), Some(250)));
    assert!(volume.encrypted && volume.kms_key_id.is_some() && volume.created.is_some());
    assert_eq!((volume.state.as_str(), volume.snapshot_id.as_str()), ("available", ""));
    assert_eq!(volume.tags, tags("qmoor:node", "n1"));

    let by_tag = vec![("tag:qmoor:node".to_owned(), vec!["n1".to_owned()])];
    assert_eq!(ec2.describe_volumes(&by_tag).await.unwrap().len(), 1);
    assert!(ec2.volume("vol-00000000000000000").await.unwrap().is_none());

    let change = ModifyVolume { size_gib: Some(20), ..Default::default() };
    let modification = ec2.modify_volume(&volume.id, &change).await.unwrap();
    assert_eq!(modification.target_size_gib, Some(20));
    let modifications = ec2.describe_volume_modifications(&[&volume.id]).await.unwrap();
    assert_eq!(modifications[0].volume_id, volume.id);

    ec2.create_tags(&[&volume.id], &tags("colour", "red & green")).await.unwrap();
    let tagged = ec2.volume(&volume.id).await.unwrap().unwrap();
    assert_eq!(tagged.tags["colour"], "red & green");
    ec2.delete_tags(&[&volume.id], &[]).await.unwrap();
    ec2.delete_tags(&[&volume.id], &["colour"]).await.unwrap();
    assert_eq!(ec2.volume(&volume.id).await.unwrap().unwrap().tags, volume.tags);
    volume
}

/// The snapshot when it is completed.
async fn make_a_snapshot(ec2: &Ec2, volume: &Volume) -> Snapshot {
    let made = ec2.create_snapshot(&volume.id, "before", &tags("qmoor:batch", "b1")).await.unwrap();
    assert_eq!((made.state, made.volume_id.as_str()), (SnapshotState::Pending, &*volume.id));
    let filter = SnapshotFilter {
        volume: Some(volume.id.clone()),
        tags: tags("qmoor:batch", "b1"),
        tag_keys: vec!["qmoor:batch".to_owned()],
        ..Default::default()
    };
    let mut states = Vec::new();
    let snapshot = loop {
        let found = ec2.describe_snapshots(&filter).await.unwrap();
        assert_eq!(found.len(), 1, "no image's snapshot is among them: {found:?}");
        states.push(found[0].state);
        if found[0].state == SnapshotState::Completed {
            break found[0].clone();
        }
        assert!(states.len() < 10, "{states:?}");
    };
    assert_eq!(states[0], SnapshotState::Pending);
    assert_eq!((snapshot.size_gib, snapshot.encrypted), (20, true));
    assert_eq!((snapshot.description.as_str(), snapshot.progress.as_str()), ("before", "100%"));
    assert!(snapshot.started.is_some());

    let gone =
        SnapshotFilter { ids: vec!["snap-00000000000000000".to_owned()], ..Default::default() };
    assert!(ec2.describe_snapshots(&gone).await.unwrap().is_empty());
    let error = ec2.delete_snapshot("snap-00000000000000000").await.unwrap_err();
    assert!(error.is_not_found() && !error.may_have_happened(), "{error:?}");
    snapshot
}

async fn use_a_snapshot(ec2: &Ec2, snapshot: &Snapshot) {
    let new = NewVolume {
        zone: ZONE.to_owned(),
        snapshot: Some(snapshot.id.clone()),
        volume_type: "gp3".to_owned(),
        initialization_rate_mib_s: Some(100),
        client_token: "second".to_owned(),
        ..Default::default()
    };
    let volume = ec2.create_volume(&new).await.unwrap();
    assert_eq!((volume.size_gib, volume.encrypted), (20, true), "as the snapshot");
    assert_eq!(volume.snapshot_id, snapshot.id);
    let status = ec2.describe_volume_status(&[&volume.id]).await.unwrap();
    assert_eq!(status[0].volume_id, volume.id);
    assert_eq!(status[0].health.status, "ok");
    let reading = status[0].initialization.as_ref().unwrap();
    assert!(reading.progress.is_some(), "{reading:?}");
    ec2.delete_volume(&volume.id).await.unwrap();
    assert!(ec2.delete_volume(&volume.id).await.unwrap_err().is_not_found());
}

/// `elsewhere` is another region than the snapshot's.
async fn copy_it(elsewhere: &Aws, snapshot: &Snapshot) {
    let ec2 = elsewhere.ec2();
    let copy = CopySnapshot {
        source: &snapshot.id,
        source_region: REGION,
        description: "a copy",
        tags: tags("qmoor:batch", "b1"),
        ..Default::default()
    };
    let id = ec2.copy_snapshot(&copy).await.unwrap();
    let filter = SnapshotFilter { ids: vec![id.clone()], ..Default::default() };
    let copied = ec2.describe_snapshots(&filter).await.unwrap();
    assert_eq!((copied[0].size_gib, copied[0].encrypted), (20, true));
    assert_eq!(copied[0].tags, tags("qmoor:batch", "b1"));
    ec2.delete_snapshot(&id).await.unwrap();
}

async fn lock_and_archive(ec2: &Ec2, snapshot: &Snapshot) {
    ec2.share_snapshot(&snapshot.id, "210987654321").await.unwrap();
    ec2.lock_snapshot(&snapshot.id, LockMode::Governance, 7).await.unwrap();
    let error = ec2.delete_snapshot(&snapshot.id).await.unwrap_err();
    assert!(!error.is_not_found() && !error.may_have_happened(), "it is locked: {error:?}");
    ec2.archive_snapshot(&snapshot.id).await.unwrap();
    let filter = SnapshotFilter { ids: vec![snapshot.id.clone()], ..Default::default() };
    let archived = ec2.describe_snapshots(&filter).await.unwrap();
    assert_eq!(archived[0].storage_tier.as_deref(), Some("archive"));
}

/// An instance is made by a stack, since that is how it is made.
async fn attach(aws: &Aws, volume: &Volume) {
    let ec2 = aws.ec2();
    let id = crate::stack::instance(aws).await;
    let instance = ec2.instance(&id).await.unwrap().unwrap();
    assert_eq!((instance.state(), instance.zone()), ("running", ZONE));
    assert_eq!((instance.instance_type.as_str(), &*instance.architecture), ("c8g.large", "arm64"));
    assert!(ec2.instance("i-00000000000000000").await.unwrap().is_none());

    let address = instance.private_ip_address.clone().unwrap();
    let by_address = vec![("addresses.private-ip-address".to_owned(), vec![address.clone()])];
    let interfaces = ec2.describe_network_interfaces(&by_address).await.unwrap();
    assert_eq!(interfaces.len(), 1);
    assert_eq!(interfaces[0].private_ip_address, address);
    assert_eq!(interfaces[0].instance_id(), Some(id.as_str()));
    assert!(interfaces[0].groups().all(|group| group.starts_with("sg-")));

    let attachment = ec2.attach_volume(&volume.id, &id, "/dev/sdf").await.unwrap();
    assert_eq!((attachment.instance_id.as_str(), &*attachment.device), (&*id, "/dev/sdf"));
    let attached = ec2.volume(&volume.id).await.unwrap().unwrap();
    assert_eq!(attached.state, "in-use");
    assert_eq!(attached.attachments[0].instance_id, id);
    assert!(!attached.attachments[0].delete_on_termination);
    let seen = ec2.instance(&id).await.unwrap().unwrap();
    let device = seen.block_devices.iter().find(|device| device.device_name == "/dev/sdf").unwrap();
    assert_eq!(device.volume_id(), volume.id);
    let error = ec2.attach_volume(&volume.id, &id, "/dev/sdg").await.unwrap_err();
    assert_eq!(error.code(), Some("VolumeInUse"));

    let both = ec2.create_snapshots(&id, &[], "all", &tags("set", "s1")).await.unwrap();
    assert_eq!(both.len(), 1, "the root volume is left out");
    assert_eq!((both[0].volume_id.as_str(), both[0].state), (&*volume.id, SnapshotState::Pending));
    let error = ec2.create_snapshots(&id, &[&volume.id], "", &Tags::new()).await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidParameterValue"), "nothing is left: {error}");

    ec2.detach_volume(&volume.id, &id, false).await.unwrap();
    let free = ec2.volume(&volume.id).await.unwrap().unwrap();
    assert_eq!((free.state.as_str(), free.attachments.len()), ("available", 0));

    ec2.stop_instance(&id).await.unwrap();
    assert_eq!(ec2.instance(&id).await.unwrap().unwrap().state(), "stopped");
    ec2.start_instance(&id).await.unwrap();
    assert_eq!(ec2.instance(&id).await.unwrap().unwrap().state(), "running");
}
