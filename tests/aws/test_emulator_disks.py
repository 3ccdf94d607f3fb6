"""Volumes are disks."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from waits import until


def device_of(emulator, volume):
    return emulator.devices / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"


@pytest.fixture
def mounted(tmp_path):
    """`mounted(device, *options)` mounts it for a block, and gives the folder."""

    @contextmanager
    def mount(device, *options):
        folder = tmp_path / device.name
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", *options, device, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)

    return mount


def volume(ec2, zone, **more):
    made = ec2.create_volume(AvailabilityZone=zone, VolumeType="gp3", **more)["VolumeId"]
    ec2.describe_volumes(VolumeIds=[made])
    return made


def state(ec2, volume_id):
    found = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
    return found["State"], *(attachment["State"] for attachment in found["Attachments"])


def completed(ec2, snapshot):
    def done():
        return ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed"

    until(done, "the snapshot to be completed")


@pytest.mark.usefixtures("disks")
def test_a_snapshot_holds_what_was_on_the_volume_when_it_was_taken(aws, emulator, network, node, mounted):
    ec2 = aws.client("ec2")
    first = volume(ec2, network.zone, Size=1)
    ec2.attach_volume(VolumeId=first, InstanceId=node.id, Device="/dev/sdf")
    device = device_of(emulator, first)
    subprocess.run(["mkfs.xfs", "-q", device], check=True)
    with mounted(device) as folder:
        (folder / "file").write_text("before")
        os.sync()
        snapshot = ec2.create_snapshot(VolumeId=first)
        assert snapshot["State"] == "pending"
        (folder / "file").write_text("after")
        os.sync()
        completed(ec2, snapshot["SnapshotId"])

        # Beside the original, which is mounted still; one GiB larger, which is not in the file system yet.
        second = volume(ec2, network.zone, SnapshotId=snapshot["SnapshotId"], Size=2)
        ec2.attach_volume(VolumeId=second, InstanceId=node.id, Device="/dev/sdg")
        with mounted(device_of(emulator, second), "-o", "nouuid") as copy:
            assert (copy / "file").read_text() == "before"
            assert (folder / "file").read_text() == "after"
        size = subprocess.check_output(["blockdev", "--getsize64", device_of(emulator, second)])
        assert int(size) == 2 * 1024**3


@pytest.mark.usefixtures("disks")
def test_a_mounted_volume_does_not_come_off_until_it_is_unmounted(aws, emulator, network, node, mounted):
    ec2 = aws.client("ec2")
    made = volume(ec2, network.zone, Size=1)
    ec2.attach_volume(VolumeId=made, InstanceId=node.id, Device="/dev/sdf")
    device = device_of(emulator, made)
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    with mounted(device):
        assert ec2.detach_volume(VolumeId=made)["State"] == "detaching"
        assert state(ec2, made) == ("in-use", "busy")
        ec2.detach_volume(VolumeId=made, Force=True)
        assert state(ec2, made) == ("in-use", "busy")
        assert device.exists()
    until(lambda: state(ec2, made) == ("available",), "the volume to come off")
    assert not device.is_symlink()
    ec2.delete_volume(VolumeId=made)
    assert not (emulator.devices.parent / "volumes" / f"{made}.img").exists()


@pytest.mark.usefixtures("disks")
def test_a_volume_grows_under_a_mounted_file_system(aws, emulator, network, node, mounted):
    ec2 = aws.client("ec2")
    made = volume(ec2, network.zone, Size=1)
    ec2.attach_volume(VolumeId=made, InstanceId=node.id, Device="/dev/sdf")
    device = device_of(emulator, made)
    subprocess.run(["mkfs.xfs", "-q", device], check=True)
    with mounted(device) as folder:
        before = os.statvfs(folder)
        ec2.modify_volume(VolumeId=made, Size=2)
        subprocess.run(["xfs_growfs", folder], check=True, capture_output=True)
        assert os.statvfs(folder).f_blocks > 1.9 * before.f_blocks


@pytest.mark.usefixtures("disks")
def test_more_volumes_are_attached_than_there_were_loop_devices(aws, emulator, network, node):
    ec2 = aws.client("ec2")
    for number in range(10):
        made = volume(ec2, network.zone, Size=1)
        ec2.attach_volume(VolumeId=made, InstanceId=node.id, Device=f"/dev/sd{chr(ord('f') + number)}")
        assert device_of(emulator, made).resolve().is_block_device()
    found = ec2.describe_instances(InstanceIds=[node.id])["Reservations"][0]["Instances"][0]
    # The root volume has no device.
    assert len(found["BlockDeviceMappings"]) == 11


@pytest.mark.usefixtures("disks")
def test_nothing_is_left_when_the_emulator_ends(tmp_path):
    from conftest import Aws, Emulator, started

    process, told = started("emulator", "--dir", tmp_path / "second", "--disks")
    keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "any"}
    second = Aws(Emulator(told["url"], tmp_path / "second" / "by-id", told["pid"], True), "", keys)
    ec2 = second.client("ec2")
    image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, InstanceType="c8g.large", MinCount=1, MaxCount=1)["Instances"][0]
    made = volume(ec2, instance["Placement"]["AvailabilityZone"], Size=1)
    ec2.attach_volume(VolumeId=made, InstanceId=instance["InstanceId"], Device="/dev/sdf")
    device = device_of(second.emulator, made).resolve()
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    (tmp_path / "mounted").mkdir()
    subprocess.run(["mount", device, tmp_path / "mounted"], check=True)

    process.terminate()
    assert process.wait(timeout=30) == 0
    process.stdin.close()
    process.stdout.close()
    assert str(device) not in subprocess.check_output(["losetup", "--list"], text=True)
    assert not (tmp_path / "mounted").is_mount()
    assert not (tmp_path / "second" / "volumes").exists()
