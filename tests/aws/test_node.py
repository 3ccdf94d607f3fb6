"""A node on EBS, whole: the real agent and engine on a real disk, the snapshots over AWS's own protocol."""

import os

import boto3
import httpx
import pytest

import server
from machine import Machine, tags

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED LOUDLY: mounting needs root")


@pytest.fixture(scope="module", params=["xfs", "ext4"])
def machine(request, emulator, ec2, tmp_path_factory, aws_environment):
    made = Machine(ec2, emulator, tmp_path_factory.mktemp("node"), filesystem=request.param, name=f"rag-{request.param}")
    node = made.start()
    made.key = node.ready["keys"]["admin"]
    with client(made) as connected:
        connected.put("/collections/c", json={"vectors": {"size": 2, "distance": "Dot"}}).raise_for_status()
    yield made
    assert made.node.stop() == 0, made.node.tail()
    made.unmount()


def client(machine):
    return httpx.Client(base_url=machine.node.url, headers={"api-key": machine.key}, timeout=30)


def write(machine, *numbers):
    points = [{"id": number, "vector": [1, number]} for number in numbers]
    with client(machine) as connected:
        connected.put("/collections/c/points?wait=true", json={"points": points}).raise_for_status()


def count(machine):
    with client(machine) as connected:
        return connected.post("/collections/c/points/count", json={}).json()["result"]["count"]


def data_volume(machine):
    (volume,) = [volume for role, volume in machine.volumes() if role == "data"]
    return volume


@pytest.mark.parametrize(("mode", "grade"), [("stop", "clean"), ("freeze", "frozen")])
def test_a_backup_is_a_snapshot_that_says_what_it_is(machine, mode, grade):
    write(machine, 1, 2, 3)
    made = server.verb(machine.node, "backup", "--mode", mode, "--batch-id", f"batch {mode}")
    assert made["grade"] == grade
    snapshot = machine.snapshots()[-1]
    said = tags(snapshot)
    assert (said["qmoor:backup"], said["qmoor:grade"], said["qmoor:batch"]) == (made["id"], grade, f"batch {mode}")
    assert len(said["qmoor:manifest"]) == 64
    assert snapshot["State"] == "completed"
    assert snapshot["Encrypted"] is True
    # Nothing is left over of the look into it.
    assert [role for role, _ in machine.volumes() if role == "scratch"] == []
    listed = server.verb(machine.node, "backups")
    assert listed[0]["id"] == made["id"]
    assert listed[0]["verified"]


def test_a_drill_opens_a_copy_and_leaves_nothing(machine):
    before = machine.volumes()
    drilled = server.verb(machine.node, "drill")
    assert drilled["ok"] is True, drilled
    assert machine.volumes().keys() == before.keys()


def test_a_restore_puts_a_volume_of_the_snapshot_in_place_and_keeps_the_old_one(machine):
    write(machine, 1, 2, 3)
    one = server.verb(machine.node, "backup")
    write(machine, 4, 5)
    two = server.verb(machine.node, "backup")
    write(machine, 6)
    old = data_volume(machine)
    restored = server.verb(machine.node, "restore", one["id"], "--yes")
    assert restored["old_data"] == old
    assert count(machine) == 3
    volumes = machine.volumes()
    new = data_volume(machine)
    assert new != old
    assert volumes["data", new]["SnapshotId"] == one["manifest"]["snapshot"]
    assert volumes["data", new]["Iops"] == volumes["replaced", old]["Iops"]
    assert volumes["data", new]["Encrypted"] is True
    assert volumes["data", new]["Attachments"][0]["InstanceId"] == machine.instance
    assert volumes["replaced", old]["Attachments"] == []
    # The newer backup is still whole, though the volume that was restored knows nothing of it.
    ids = [backup["id"] for backup in server.verb(machine.node, "backups") if backup["complete"]]
    assert two["id"] in ids
    # And so it stays after a restart.
    assert machine.node.stop() == 0
    machine.unmount()
    machine.start()
    assert count(machine) == 3
    assert server.verb(machine.node, "restore", two["id"], "--yes")["points"] == 5
    assert count(machine) == 5


def test_what_no_rule_keeps_is_deleted(machine):
    for _ in range(4):
        server.verb(machine.node, "backup")
    kept = {backup["id"] for backup in server.verb(machine.node, "backups")}
    # Three by number; all are of one day, one week and one month.
    assert len(kept) == 3
    assert {tags(snapshot)["qmoor:backup"] for snapshot in machine.snapshots()} == kept
    assert {folder.name for folder in (machine.mount / "store").iterdir()} == kept


def test_a_backup_is_restored_on_a_new_machine_when_the_old_one_and_its_volume_are_gone(machine, tmp_path):
    write(machine, 1, 2, 3, 4, 5, 6, 7)
    last = server.verb(machine.node, "backup")
    points = count(machine)
    fresh = Machine(machine.ec2, machine.emulator, tmp_path, name=machine.name)
    # As an attachment to a machine that is gone would be.
    machine.ec2.create_tags(Resources=[data_volume(machine)], Tags=[{"Key": "qmoor:role", "Value": "replaced"}])
    node = fresh.start()
    fresh.key = node.ready["keys"]["admin"]
    try:
        # What is written down about it was on the volume that is gone: its manifest is fetched from inside it.
        (listed,) = [backup for backup in server.verb(node, "backups") if backup["id"] == last["id"]]
        assert not listed["complete"]
        assert "qmoor drill" in listed["trouble"]
        assert server.verb(node, "drill")["ok"] is True
        assert server.verb(node, "restore", "--yes")["id"] == last["id"]
        assert count(fresh) == points
        # The keys of the old machine went with it; those of the new one are still valid.
        assert data_volume(fresh) != fresh.volume
    finally:
        assert node.stop() == 0, node.tail()
        fresh.unmount()


def test_a_complete_backup_is_locked_and_copied_to_another_region(emulator, ec2, aws_environment, tmp_path):
    machine = Machine(ec2, emulator, tmp_path, name="guarded")
    more = 'lock = "governance"\nlock_days = 2\ncopy_region = "eu-west-1"\n[retention]\nlast = 1\ndaily = 0\n'
    more += "weekly = 0\nmonthly = 0\nmin_verified = 0\n"
    node = machine.start(more)
    try:
        first = server.verb(node, "backup", "--batch-id", "1")
        assert first["warnings"] == []
        server.verb(node, "backup", "--batch-id", "2")
        # No rule keeps the first, and the lock does.
        assert {backup["id"] for backup in server.verb(node, "backups")} > {first["id"]}
        snapshot = machine.snapshots()[0]
        with pytest.raises(ec2.exceptions.ClientError) as refused:
            ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
        assert "lock" in str(refused.value).lower()
        elsewhere = boto3.client("ec2", region_name="eu-west-1")
        copies = elsewhere.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag:qmoor:copy-of", "Values": [snapshot["SnapshotId"]]}]
        )["Snapshots"]
        (copy,) = copies
        assert tags(copy)["qmoor:backup"] == first["id"]
        assert tags(copy)["qmoor:manifest"] == tags(snapshot)["qmoor:manifest"]
    finally:
        assert node.stop() == 0, node.tail()
        machine.unmount()
