"""The proxy of faults, in front of the emulator."""

import botocore.exceptions
import pytest

from faults.plan import Plan
from waits import refused


def decided(plan, *actions):
    plan = Plan(plan)
    return [plan.decide("ec2", action)["do"] for action in actions]


def test_rules_by_count():
    rules = [{"action": "A", "at": [1, 3], "do": "500"}, {"action": "ec2:B", "every": 2, "do": "throttle", "times": 1}]
    assert decided({"rules": rules}, *"AAABBBBC") == ["500", "pass", "500", "pass", "throttle", "pass", "pass", "pass"]
    assert decided({"rules": [{"action": "s3:*", "do": "500"}]}, "A") == ["pass"]
    with pytest.raises(ValueError, match="do"):
        Plan({"rules": [{"action": "A", "do": "explode"}]})


def test_what_is_drawn_is_the_same_for_the_same_seed_and_never_too_often_running():
    plan = {"random": {"seed": 3, "rate": 0.9, "do": ["throttle", "cut_after"], "row": 2}}
    first, again = decided(plan, *["A"] * 50), decided(plan, *["A"] * 50)
    assert first == again and {"throttle", "cut_after", "pass"} == set(first)
    assert all("pass" in first[i : i + 3] for i in range(48))


def test_each_service_throttles_in_its_own_words(aws, faults):
    url = faults({"rules": [{"action": "*", "do": "throttle"}]}).url
    calls = {
        "RequestLimitExceeded": lambda: aws.client("ec2", url=url).describe_volumes(),
        "Throttling": lambda: aws.client("cloudformation", url=url).list_stacks(),
        "ThrottlingException": lambda: aws.client("ssm", url=url).list_commands(),
    }
    for code, call in calls.items():
        with refused(code):
            call()


def test_a_call_that_was_cut_off_before_it_came_and_one_after_it_was_done(aws, network, faults):
    proxy = faults({"rules": [{"action": "CreateVolume", "at": [1], "do": "cut_before"},
                              {"action": "CreateSnapshot", "at": [1], "do": "cut_after"}]})  # fmt: skip
    ec2 = aws.client("ec2", url=proxy.url)
    asked = {"AvailabilityZone": network.zone, "Size": 1}
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        ec2.create_volume(**asked)
    assert not ec2.describe_volumes()["Volumes"]
    volume = ec2.create_volume(**asked)["VolumeId"]
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        ec2.create_snapshot(VolumeId=volume)
    # Done all the same: who simply tries again has two.
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
    log = [(entry["action"], entry["did"], entry.get("status")) for entry in proxy.log()]
    assert log == [
        ("CreateVolume", "cut_before", None),
        ("DescribeVolumes", "pass", 200),
        ("CreateVolume", "pass", 200),
        ("CreateSnapshot", "cut_after", 200),
        ("DescribeSnapshots", "pass", 200),
    ]


def test_an_sdk_that_retries_gets_through(aws, faults):
    kinds = ["throttle", "500", "503", "delay", "cut_before", "cut_after"]
    proxy = faults({"random": {"seed": 5, "rate": 0.7, "do": kinds, "row": 2, "seconds": 0.01}})
    ec2 = aws.client("ec2", url=proxy.url, retries={"total_max_attempts": 5, "mode": "legacy"})
    for _ in range(4):
        assert ec2.describe_volumes()["Volumes"] == []
    assert {entry["did"] for entry in proxy.log()} & {"throttle", "500", "503", "cut_before", "cut_after"}


def test_errors_and_another_plan(aws, faults):
    proxy = faults({"rules": [{"action": "DescribeVolumes", "do": "500"}]})
    ec2 = aws.client("ec2", url=proxy.url)
    with refused("InternalError"):
        ec2.describe_volumes()
    proxy.plan({"rules": [{"action": "DescribeVolumes", "do": "503"}]})
    assert proxy.log() == []
    with refused("Unavailable"):
        ec2.describe_volumes()
    proxy.plan({"rules": [{"action": "*", "do": "throttle", "code": "SnapshotCreationPerVolumeRateExceeded"}]})
    with refused("SnapshotCreationPerVolumeRateExceeded"):
        ec2.create_snapshot(VolumeId="vol-0123456789abcdef0")
