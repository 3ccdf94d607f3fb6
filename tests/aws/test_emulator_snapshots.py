"""Snapshots: pending and completed, listed, copied, locked, archived."""

import pytest

from waits import refused, until


def volume(ec2, network, **more):
    made = ec2.create_volume(**{"AvailabilityZone": network.zone, "Size": 1, "VolumeType": "gp3", **more})["VolumeId"]
    ec2.describe_volumes(VolumeIds=[made])
    return made


def look(ec2, snapshot):
    return ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]


def completed(ec2, snapshot):
    until(lambda: look(ec2, snapshot)["State"] == "completed", "the snapshot to be completed")
    return snapshot


def tagged(**tags):
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": "snapshot", "Tags": pairs}]


def test_a_snapshot_is_pending_first(aws, network):
    ec2, source = aws.client("ec2"), volume(aws.client("ec2"), network, Size=2)
    snapshot = ec2.create_snapshot(VolumeId=source)["SnapshotId"]
    with refused("IncorrectState", "Snapshot is in invalid state - pending"):
        ec2.create_volume(AvailabilityZone=network.zone, SnapshotId=snapshot)
    seen = [(found["State"], found["Progress"]) for found in (look(ec2, snapshot) for _ in range(3))]
    assert seen == [("pending", "33%"), ("pending", "66%"), ("completed", "100%")]
    # What it is a snapshot of may grow and go.
    ec2.modify_volume(VolumeId=source, Size=3)
    ec2.delete_volume(VolumeId=source)
    assert (look(ec2, snapshot)["VolumeSize"], look(ec2, snapshot)["VolumeId"]) == (2, source)
    with refused("InvalidParameterValue", "expect size >= 2GiB"):
        ec2.create_volume(AvailabilityZone=network.zone, SnapshotId=snapshot, Size=1)


def test_a_snapshot_stays_pending_or_fails_when_told(aws, network):
    ec2, source = aws.client("ec2"), volume(aws.client("ec2"), network)
    aws.ask("behaviour", snapshots={"never": True})
    snapshot = ec2.create_snapshot(VolumeId=source)["SnapshotId"]
    assert {look(ec2, snapshot)["State"] for _ in range(8)} == {"pending"}
    aws.ask("behaviour", snapshots={"never": False, "error": True, "describes": 0})
    found = look(ec2, snapshot)
    assert (found["State"], found["StateMessage"]) == ("error", "Given key ID is not accessible")
    with refused("IncorrectState", "error"):
        ec2.create_volume(AvailabilityZone=network.zone, SnapshotId=snapshot)


def test_snapshots_are_found_by_owner_tag_and_page(aws, network):
    ec2, source = aws.client("ec2"), volume(aws.client("ec2"), network)
    made = [
        ec2.create_snapshot(VolumeId=source, TagSpecifications=tagged(batch=str(i % 2), of="qmoor"))["SnapshotId"]
        for i in range(7)
    ]
    own = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {found["SnapshotId"] for found in own} == set(made)
    odd = ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag:batch", "Values": ["1"]}, {"Name": "tag-key", "Values": ["of"]}]
    )["Snapshots"]
    assert {found["SnapshotId"] for found in odd} == {made[i] for i in (1, 3, 5)}
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 5})
    assert [len(page["Snapshots"]) for page in pages] == [5, 2]
    with refused("InvalidSnapshot.NotFound", "snap-0123456789abcdef0"):
        ec2.describe_snapshots(SnapshotIds=["snap-0123456789abcdef0"])


def test_all_volumes_of_an_instance_at_once(aws, network, node):
    ec2 = aws.client("ec2")
    kept, left = volume(ec2, network), volume(ec2, network)
    ec2.create_tags(Resources=[kept], Tags=[{"Key": "role", "Value": "data"}])
    for name, device in ((kept, "/dev/sdf"), (left, "/dev/sdg")):
        ec2.attach_volume(VolumeId=name, InstanceId=node.id, Device=device)
    spec = {"InstanceId": node.id, "ExcludeBootVolume": True, "ExcludeDataVolumeIds": [left]}
    made = ec2.create_snapshots(
        InstanceSpecification=spec, CopyTagsFromSource="volume", TagSpecifications=tagged(batch="7")
    )["Snapshots"]
    assert [(found["VolumeId"], found["State"]) for found in made] == [(kept, "pending")]
    tags = {tag["Key"]: tag["Value"] for tag in made[0]["Tags"]}
    assert tags == {"role": "data", "batch": "7"}
    assert len(ec2.create_snapshots(InstanceSpecification={"InstanceId": node.id})["Snapshots"]) == 3
    with refused("InvalidParameterValue"):
        unknown = {"InstanceId": node.id, "ExcludeDataVolumeIds": ["vol-0123456789abcdef0"]}
        ec2.create_snapshots(InstanceSpecification=unknown)


def test_a_copy_in_another_region_is_pending_and_may_be_encrypted(aws, network):
    ec2, west = aws.client("ec2"), aws.client("ec2", region="us-west-2")
    snapshot = ec2.create_snapshot(VolumeId=volume(ec2, network))["SnapshotId"]
    asked = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot}
    with refused("IncorrectState"):
        west.copy_snapshot(**asked)
    completed(ec2, snapshot)
    with refused("InvalidParameterDependency"):
        west.copy_snapshot(**asked, KmsKeyId="alias/mine")
    copy = west.copy_snapshot(**asked, Encrypted=True, KmsKeyId="alias/mine", TagSpecifications=tagged(of="qmoor"))
    found = look(west, copy["SnapshotId"])
    assert (found["State"], found["Encrypted"], found["KmsKeyId"]) == ("pending", True, "alias/mine")
    assert (found["VolumeId"], found["Tags"]) == ("vol-ffffffff", [{"Key": "of", "Value": "qmoor"}])
    completed(west, copy["SnapshotId"])
    made = west.create_volume(AvailabilityZone="us-west-2a", SnapshotId=copy["SnapshotId"])
    assert made["Encrypted"] and made["KmsKeyId"] == "alias/mine"


def test_another_account_sees_only_what_is_shared(aws, network, emulator):
    from conftest import Aws

    ec2 = aws.client("ec2")
    snapshot = completed(ec2, ec2.create_snapshot(VolumeId=volume(ec2, network))["SnapshotId"])
    other = Aws(emulator, "", {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "any"})
    theirs = other.client("ec2")
    with refused("InvalidSnapshot.NotFound"):
        theirs.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=snapshot)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, OperationType="add", UserIds=["123456789012"], Attribute="createVolumePermission"
    )
    assert look(theirs, snapshot)["OwnerId"] == aws.account
    assert theirs.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=snapshot)["SnapshotId"]
    with refused("AuthFailure"):
        theirs.delete_snapshot(SnapshotId=snapshot)


def test_a_locked_snapshot_cannot_be_deleted(aws, network):
    ec2 = aws.client("ec2")
    snapshot = completed(ec2, ec2.create_snapshot(VolumeId=volume(ec2, network))["SnapshotId"])
    with refused("InvalidParameterCombination"):
        ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1, CoolOffPeriod=1)
    lock = ec2.lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1)
    assert (lock["LockState"], lock["LockDuration"]) == ("governance", 1)
    assert [found["SnapshotId"] for found in ec2.describe_locked_snapshots()["Snapshots"]] == [snapshot]
    with refused("SnapshotLocked", snapshot):
        ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.unlock_snapshot(SnapshotId=snapshot)
    assert ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=2)["LockState"] == "compliance"
    with refused("OperationNotPermitted"):
        ec2.unlock_snapshot(SnapshotId=snapshot)
    with refused("OperationNotPermitted"):
        ec2.lock_snapshot(SnapshotId=snapshot, LockMode="compliance", LockDuration=1)


@pytest.mark.parametrize("restored", [False, True])
def test_an_archived_snapshot_is_restored_before_it_is_used(aws, network, restored):
    ec2 = aws.client("ec2")
    snapshot = ec2.create_snapshot(VolumeId=volume(ec2, network))["SnapshotId"]
    with refused("IncorrectState"):
        ec2.modify_snapshot_tier(SnapshotId=snapshot, StorageTier="archive")
    completed(ec2, snapshot)
    ec2.modify_snapshot_tier(SnapshotId=snapshot, StorageTier="archive")
    assert look(ec2, snapshot)["StorageTier"] == "archive"
    if restored:
        ec2.restore_snapshot_tier(SnapshotId=snapshot, PermanentRestore=True)
        assert ec2.create_volume(AvailabilityZone=network.zone, SnapshotId=snapshot)["Size"] == 1
    else:
        with refused("IncorrectState", "archive"):
            ec2.create_volume(AvailabilityZone=network.zone, SnapshotId=snapshot)


def test_how_far_a_restored_volume_is_read_in(aws, network):
    ec2 = aws.client("ec2")
    snapshot = completed(ec2, ec2.create_snapshot(VolumeId=volume(ec2, network))["SnapshotId"])
    with refused("InvalidParameterCombination"):
        volume(ec2, network, VolumeInitializationRate=200)
    made = volume(ec2, network, SnapshotId=snapshot, VolumeInitializationRate=200)

    def progress():
        found = ec2.describe_volume_status(VolumeIds=[made])["VolumeStatuses"][0]["InitializationStatusDetails"]
        return found["InitializationType"], found["Progress"]

    assert [progress() for _ in range(3)] == [("provisioned-rate", p) for p in (33, 66, 100)]


def test_a_volume_that_comes_out_broken(aws, network, node):
    ec2 = aws.client("ec2")
    aws.ask("behaviour", volumes={"error": True})
    made = volume(ec2, network)
    assert ec2.describe_volumes(VolumeIds=[made])["Volumes"][0]["State"] == "error"
    with refused("IncorrectState"):
        ec2.attach_volume(VolumeId=made, InstanceId=node.id, Device="/dev/sdf")
