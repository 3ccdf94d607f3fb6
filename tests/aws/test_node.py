"""A node on EBS, whole: the real agent and engine on a real disk, the snapshots over AWS's own protocol."""

import pytest

from ebs_node import Machine, tags

pytestmark = pytest.mark.usefixtures("disks")


@pytest.fixture
def machines(aws, tmp_path):
    """Makes machines, and ends them."""
    made = []

    def make(**options):
        directory = tmp_path / str(len(made))
        directory.mkdir()
        ec2 = aws.client("ec2")
        made.append(Machine(ec2, aws.emulator.devices, directory, environment=aws.environment, **options))
        return made[-1]

    yield make
    for machine in made:
        machine.stop()


@pytest.fixture(params=["xfs", "ext4"])
def machine(request, machines):
    made = machines(filesystem=request.param)
    made.start()
    return made


@pytest.mark.parametrize(("mode", "grade"), [("stop", "clean"), ("freeze", "frozen")])
def test_a_backup_is_a_snapshot_that_says_what_it_is(machine, mode, grade):
    machine.write(1, 2, 3)
    made = machine.verb("backup", "--mode", mode, "--batch-id", f"batch {mode}")
    assert made["grade"] == grade
    (snapshot,) = machine.snapshots()
    said = tags(snapshot)
    assert (said["qmoor:backup"], said["qmoor:grade"], said["qmoor:batch"]) == (made["id"], grade, f"batch {mode}")
    assert len(said["qmoor:manifest"]) == 64
    assert (snapshot["State"], snapshot["Encrypted"]) == ("completed", True)
    # It was read back from a volume of its own, which is gone.
    assert machine.volumes("scratch") == {}
    (listed,) = machine.verb("backups")
    assert listed["id"] == made["id"]
    assert listed["verified"]
    drilled = machine.verb("drill")
    assert drilled["ok"] is True, drilled
    assert machine.volumes("scratch") == {}


def test_a_restore_puts_a_volume_of_the_snapshot_in_place_and_keeps_the_old_one(machine):
    machine.write(1, 2, 3)
    one = machine.verb("backup")
    machine.write(4, 5)
    two = machine.verb("backup")
    machine.write(6)
    restored = machine.verb("restore", one["id"], "--yes")
    assert restored["old_data"] == machine.volume
    assert machine.count() == 3
    (new,) = machine.volumes("data").values()
    (old,) = machine.volumes("replaced").values()
    assert (old["VolumeId"], old["Attachments"]) == (machine.volume, [])
    assert new["SnapshotId"] == one["manifest"]["snapshot"]
    assert new["Attachments"][0]["InstanceId"] == machine.instance
    assert (new["Iops"], new["Size"], new["Encrypted"]) == (old["Iops"], old["Size"], True)
    # The newer backup is still whole, though the volume that was restored is from before it.
    assert two["id"] in [backup["id"] for backup in machine.verb("backups") if backup["complete"]]
    # And so it stays after a restart of the machine.
    machine.stop()
    machine.start()
    assert machine.count() == 3
    assert machine.verb("restore", two["id"], "--yes")["points"] == 5
    assert machine.count() == 5
    assert machine.volumes("scratch") == {}


def test_what_no_rule_keeps_is_deleted(machines):
    machine = machines()
    machine.start()
    machine.write(1)
    for _ in range(4):
        machine.verb("backup")
    kept = {backup["id"] for backup in machine.verb("backups")}
    # Three by number; all are of one day, one week and one month.
    assert len(kept) == 3
    assert {tags(snapshot)["qmoor:backup"] for snapshot in machine.snapshots()} == kept
    assert {folder.name for folder in (machine.mount / "store").iterdir()} == kept


@pytest.mark.parametrize("zone", ["a", "b"])
def test_a_backup_is_restored_on_a_new_machine_when_the_old_one_and_its_volume_are_gone(machines, zone):
    old = machines()
    old.start()
    old.write(1, 2, 3, 4, 5, 6, 7)
    kept = old.verb("backup")
    old.verb("pin", kept["id"])
    loose = old.verb("backup")
    old.verb("pin", loose["id"])
    old.verb("pin", loose["id"], "--remove")
    last = old.verb("backup")
    old.stop()
    old.ec2.terminate_instances(InstanceIds=[old.instance])
    old.ec2.delete_volume(VolumeId=old.volume)
    fresh = machines(zone=zone)
    fresh.start(volume="initialization_rate = 200\n")
    # What was written down about it was on the volume that is gone: its manifest is fetched from inside it.
    listed, _, _ = fresh.verb("backups")
    assert (listed["complete"], listed["grade"]) == (True, None)
    assert "qmoor drill" in listed["trouble"]
    assert fresh.verb("drill")["ok"] is True
    assert fresh.verb("restore", "--yes")["id"] == last["id"]
    # A pin outlives the machine that it was set on.
    assert {backup["id"]: backup["pinned"] for backup in fresh.verb("backups")} == {
        last["id"]: False,
        loose["id"]: False,
        kept["id"]: True,
    }
    assert fresh.count() == 7
    assert list(fresh.volumes("replaced")) == [fresh.volume]
    (new,) = fresh.volumes("data").values()
    assert (new["AvailabilityZone"][-1], new["VolumeInitializationRate"]) == (zone, 200)


def test_a_complete_backup_is_locked_and_copied_to_another_region(machines, aws):
    machine = machines()
    rules = "[retention]\nlast = 1\ndaily = 0\nweekly = 0\nmonthly = 0\nmin_verified = 0\n"
    machine.start(f'lock = "governance"\nlock_days = 2\ncopy_region = "eu-west-1"\n{rules}')
    machine.write(1)
    first = machine.verb("backup", "--batch-id", "1")
    assert first["warnings"] == []
    machine.verb("backup", "--batch-id", "2")
    # No rule keeps the first, and the lock does.
    assert first["id"] in {backup["id"] for backup in machine.verb("backups")}
    snapshot = machine.snapshots()[0]
    with pytest.raises(machine.ec2.exceptions.ClientError, match=r"(?i)lock"):
        machine.ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    of_it = [{"Name": "tag:qmoor:copy-of", "Values": [snapshot["SnapshotId"]]}]
    elsewhere = aws.client("ec2", region="eu-west-1").describe_snapshots(OwnerIds=["self"], Filters=of_it)
    (copy,) = elsewhere["Snapshots"]
    assert tags(copy)["qmoor:backup"] == first["id"]
    assert tags(copy)["qmoor:manifest"] == tags(snapshot)["qmoor:manifest"]


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [({"never": True}, "is pending"), ({"error": True}, "is error")],
)
def test_a_snapshot_that_comes_to_nothing_is_no_backup_and_the_node_serves(machines, aws, behaviour, told):
    machine = machines()
    machine.start('settle_timeout = "2s"\n')
    machine.write(1)
    aws.ask("behaviour", snapshots=behaviour)
    said = machine.verb("backup", code=1)
    assert told in said
    assert "does not count" in said
    machine.write(2)
    assert machine.count() == 2
    assert machine.snapshots() == []
    aws.ask("usual")
    assert machine.verb("backup")["grade"] == "clean"


def test_a_volume_that_does_not_come_off_is_removed_by_the_next_backup(machines, aws):
    machine = machines()
    machine.start(volume='timeout = "2s"\n')
    machine.write(1)
    aws.ask("behaviour", volumes={"detach_never": True})
    # The backup was read back from it and is good.
    first = machine.verb("backup")
    (left,) = machine.volumes("scratch")
    assert first["id"] in machine.verb("backups")[0]["id"]
    aws.ask("usual")
    machine.verb("backup")
    assert left not in machine.volumes("scratch")
    assert machine.volumes("scratch") == {}


def test_a_snapshot_whose_key_may_not_be_used_is_told_and_the_node_serves(machines, aws):
    machine = machines()
    machine.start()
    machine.write(1)
    machine.verb("backup")
    aws.ask("behaviour", volumes={"error": True})
    assert "KMS key" in machine.verb("restore", "--yes", code=1)
    # It cannot be restored, so the drill has failed, and says why.
    assert "failed its drill" in machine.verb("drill", code=1)
    machine.write(2)
    assert machine.count() == 2
    aws.ask("usual")
    assert machine.verb("drill")["ok"] is True
    assert machine.volumes("scratch") == {}
