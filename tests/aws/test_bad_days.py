"""Backup, drill and restore while AWS throttles, fails and cuts connections: the node serves, nothing is there twice,
and what is called a backup is one."""

import pytest

import server
from ebs_node import Machine, tags

pytestmark = pytest.mark.usefixtures("disks")

CALLS = [
    "AttachVolume",
    "CreateTags",
    "CreateVolume",
    "DeleteSnapshot",
    "DeleteTags",
    "DeleteVolume",
    "DescribeSnapshots",
    "DescribeVolumes",
    "DetachVolume",
]
ONE_KEPT = "[retention]\nlast = 1\ndaily = 0\nweekly = 0\nmonthly = 0\nmin_verified = 0\n"


@pytest.fixture
def bad(aws, faults, tmp_path):
    """A node that finds AWS behind the proxy of faults."""
    machine = Machine(aws.client("ec2"), aws.emulator.devices, tmp_path, environment=aws.environment)
    machine.proxy = faults({})
    machine.start(ONE_KEPT, url=machine.proxy.url)
    machine.write(1)
    yield machine
    machine.proxy.plan({})
    machine.stop()


def tried(machine, *arguments):
    """What a verb printed; nothing when it failed. It must end and say why."""
    ended = server.run(machine.node, *arguments)
    assert ended.returncode in (0, 1), ended.stderr
    assert ended.returncode == 0 or "error:" in ended.stderr
    assert "panicked" not in machine.node.log.read_text()
    return ended.returncode == 0


def serves(machine, points):
    machine.write(points)
    assert machine.count() == points


def whole(machine):
    """What must be true whatever has happened, once AWS is itself again."""
    machine.proxy.plan({})
    assert machine.verb("backup")["grade"] == "clean"
    ids = [tags(snapshot)["qmoor:backup"] for snapshot in machine.snapshots()]
    assert len(ids) == len(set(ids)), "one snapshot for a backup"
    complete = {backup["id"] for backup in machine.verb("backups") if backup["complete"]}
    assert set(ids) == complete, "nothing half-made is left"
    assert machine.volumes("scratch") == {}
    assert len(machine.volumes("data")) == 1
    assert machine.verb("drill")["ok"] is True


@pytest.mark.parametrize("fault", ["throttle", "503", "cut_before", "cut_after"])
def test_each_call_fails_once_and_everything_works(bad, fault):
    bad.proxy.plan({"rules": [{"action": call, "at": [1], "do": fault} for call in CALLS]})
    assert bad.verb("backup")["warnings"] == []
    bad.write(2)
    assert bad.verb("backup")["warnings"] == []
    assert bad.verb("drill")["ok"] is True
    bad.write(3)
    assert bad.verb("restore", "--yes")["points"] == 2
    met = {entry["action"] for entry in bad.proxy.log() if entry["did"] == fault}
    assert met == set(CALLS)
    serves(bad, 3)
    whole(bad)


def test_a_snapshot_whose_answer_got_lost_is_found_and_not_made_again(bad):
    bad.proxy.plan({"rules": [{"action": "CreateSnapshot", "at": [1], "do": "cut_after"}]})
    made = bad.verb("backup")
    assert made["grade"] == "clean"
    assert [tags(snapshot)["qmoor:backup"] for snapshot in bad.snapshots()] == [made["id"]]
    whole(bad)


def test_a_snapshot_that_was_surely_not_made_is_asked_for_again(bad):
    bad.proxy.plan({"rules": [{"action": "CreateSnapshot", "at": [1, 2], "do": "throttle"}]})
    assert bad.verb("backup")["grade"] == "clean"
    whole(bad)


def test_a_snapshot_of_which_nobody_knows_is_no_backup_and_the_node_serves(bad):
    bad.proxy.plan({"rules": [{"action": "CreateSnapshot", "at": [1], "do": "cut_before"}]})
    said = bad.verb("backup", code=1)
    assert "it may have been done all the same" in said
    serves(bad, 2)
    whole(bad)


def test_an_aws_that_is_gone_stops_backups_and_nothing_else(bad):
    bad.proxy.plan({"rules": [{"action": "*", "do": "cut_before"}]})
    assert not tried(bad, "backup")
    assert not tried(bad, "drill")
    serves(bad, 2)
    whole(bad)


def test_every_second_call_is_throttled_and_everything_works(bad):
    bad.proxy.plan({"rules": [{"action": "*", "every": 2, "do": "throttle"}]})
    assert bad.verb("backup")["warnings"] == []
    assert bad.verb("drill")["ok"] is True
    assert bad.verb("restore", "--yes")["points"] == 1
    serves(bad, 2)
    whole(bad)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_bad_day_by_chance(bad, seed):
    kinds = ["throttle", "503", "delay", "cut_before", "cut_after"]
    bad.proxy.plan({"random": {"seed": seed, "rate": 0.3, "do": kinds, "row": 2}})
    done = [tried(bad, "backup"), tried(bad, "drill"), tried(bad, "backup", "--mode", "freeze")]
    if any(done[::2]):
        tried(bad, "restore", "--yes")
    serves(bad, 2) if bad.count() < 2 else None
    whole(bad)
