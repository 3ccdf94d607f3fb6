"""A machine on the emulated AWS whose volume is a real disk here, and the node that runs on it."""

import os
import subprocess
from pathlib import Path

import server

MKFS = {"xfs": ("mkfs.xfs", "-q"), "ext4": ("mkfs.ext4", "-q", "-F")}

# The zone of everything that a test makes.
ZONE = "eu-central-1a"


class Machine:
    """An instance with one data volume, as the stack leaves it: formatted by the user data, not yet mounted."""

    def __init__(self, ec2, emulator, directory, *, filesystem="xfs", name="rag", gib=1):
        self.ec2, self.emulator, self.name = ec2, emulator, name
        self.directory = Path(directory)
        image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
        placed = {"AvailabilityZone": ZONE}
        made = ec2.run_instances(
            ImageId=image["ImageId"], InstanceType="c8g.large", MinCount=1, MaxCount=1, Placement=placed
        )
        self.instance = made["Instances"][0]["InstanceId"]
        tags = [{"Key": "qmoor:node", "Value": name}, {"Key": "qmoor:role", "Value": "data"}]
        volume = ec2.create_volume(
            AvailabilityZone=ZONE,
            Size=gib,
            VolumeType="gp3",
            Encrypted=True,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
        )
        self.volume = volume["VolumeId"]
        ec2.get_waiter("volume_available").wait(VolumeIds=[self.volume], WaiterConfig={"Delay": 1})
        ec2.attach_volume(InstanceId=self.instance, VolumeId=self.volume, Device="/dev/sdf")
        ec2.get_waiter("volume_in_use").wait(VolumeIds=[self.volume], WaiterConfig={"Delay": 1})
        subprocess.run([*MKFS[filesystem], self.device(self.volume)], check=True)

    def device(self, volume):
        """The disk of an attached volume, under the name that the system gives it."""
        return Path(self.emulator["devices"]) / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"

    @property
    def mount(self):
        return self.directory / "volume"

    def settings(self, more=""):
        return (
            f'[node]\nname = "{self.name}"\ndir = "{self.directory / "node"}"\n'
            f'[volume]\nkind = "ebs"\nid = "{self.volume}"\nmount = "{self.mount}"\n'
            f'devices = "{self.emulator["devices"]}"\n[store]\nkind = "ebs"\n{more}'
        )

    def start(self, more=""):
        """`qmoor serve` on it."""
        self.node = server.start_node(self.directory, self.settings(more))
        return self.node

    def snapshots(self):
        """This node's snapshots, the oldest first."""
        found = self.ec2.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag:qmoor:node", "Values": [self.name]}]
        )["Snapshots"]
        return sorted(found, key=lambda snapshot: snapshot["StartTime"])

    def volumes(self):
        """This node's volumes, by what they are to it."""
        found = self.ec2.describe_volumes(Filters=[{"Name": "tag:qmoor:node", "Values": [self.name]}])["Volumes"]
        return {(tags(volume)["qmoor:role"], volume["VolumeId"]): volume for volume in found}

    def unmount(self):
        """What the end of the machine would do. A mount that is not there is fine."""
        while os.path.ismount(self.mount):
            subprocess.run(["umount", self.mount], check=True)


def tags(resource):
    """Tags as a dictionary."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def main():
    """For tests in other languages: makes a machine on the emulator that the environment names; prints its volume."""
    import argparse

    import boto3

    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    asked = parser.parse_args()
    emulator = {"devices": os.environ["EMULATOR_DEVICES"]}
    made = Machine(boto3.client("ec2", region_name=ZONE[:-1]), emulator, ".", name=asked.node)
    print(made.volume)


if __name__ == "__main__":
    main()
