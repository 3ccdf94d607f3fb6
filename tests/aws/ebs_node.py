"""A machine on the emulated AWS whose volume is a real disk here, and the node that runs on it."""

import argparse
import os
import subprocess
from pathlib import Path

import boto3
import httpx

import server
from waits import until

MKFS = {"xfs": ("mkfs.xfs", "-q"), "ext4": ("mkfs.ext4", "-q", "-F")}
REGION = "us-east-1"


class Machine:
    """An instance with one data volume, as the stack leaves it: formatted by the user data, not yet mounted."""

    def __init__(self, ec2, devices, directory, *, filesystem="xfs", name="rag", gib=1, zone="a", environment=None):
        self.ec2, self.devices, self.name, self.environment = ec2, devices, name, environment
        self.directory = Path(directory)
        image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
        zone = f"{REGION}{zone}"
        made = ec2.run_instances(
            ImageId=image["ImageId"],
            InstanceType="c8g.large",
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": zone},
        )
        self.instance = made["Instances"][0]["InstanceId"]
        told = [{"Key": "qmoor:node", "Value": name}, {"Key": "qmoor:role", "Value": "data"}]
        volume = ec2.create_volume(
            AvailabilityZone=zone,
            Size=gib,
            VolumeType="gp3",
            Encrypted=True,
            TagSpecifications=[{"ResourceType": "volume", "Tags": told}],
        )
        self.volume = volume["VolumeId"]
        until(lambda: self.described(self.volume)["State"] == "available", "a volume")
        ec2.attach_volume(InstanceId=self.instance, VolumeId=self.volume, Device="/dev/sdf")
        until(self.device(self.volume).exists, "its disk")
        subprocess.run([*MKFS[filesystem], self.device(self.volume)], check=True)

    def described(self, volume):
        return self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]

    def device(self, volume):
        """The disk of an attached volume, under the name that the system gives it."""
        return Path(self.devices) / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"

    @property
    def mount(self):
        return self.directory / "volume"

    def settings(self, more="", volume=""):
        return (
            "[gateway]\nhttp_port = 0\ngrpc_port = 0\n"
            f'[node]\nname = "{self.name}"\ndir = "{self.directory / "node"}"\n'
            f'[volume]\nkind = "ebs"\nid = "{self.volume}"\nmount = "{self.mount}"\n'
            f'devices = "{self.devices}"\n{volume}[store]\nkind = "ebs"\n{more}'
        )

    def start(self, more="", volume="", url=None):
        """`qmoor serve` on it with more settings; `url` is where it finds AWS, if not at the emulator itself."""
        config = self.directory / "qmoor.toml"
        config.write_text(self.settings(more, volume))
        environment = {**(self.environment or {}), **({"AWS_ENDPOINT_URL": url} if url else {})}
        arguments = ["serve", "--config", config, "--json"]
        self.node = server.Server(arguments, self.directory / "node.log", environment).wait_until_ready()
        if self.node.ready.get("keys"):
            self.key = self.node.ready["keys"]["admin"]
        return self.node

    def verb(self, *arguments, code=0):
        return server.verb(self.node, *arguments, code=code)

    def stop(self):
        """Ends the agent and unmounts, as the end of the machine would."""
        if self.node.process.poll() is None:
            assert self.node.stop() == 0, self.node.tail()
        while os.path.ismount(self.mount):
            subprocess.run(["umount", self.mount], check=True)

    def client(self):
        return httpx.Client(base_url=self.node.url, headers={"api-key": self.key}, timeout=30)

    def write(self, *numbers):
        """Points with these ids, in a collection of their own."""
        points = [{"id": number, "vector": [1, number]} for number in numbers]
        with self.client() as client:
            if client.get("/collections/c").status_code == 404:
                client.put("/collections/c", json={"vectors": {"size": 2, "distance": "Dot"}}).raise_for_status()
            client.put("/collections/c/points?wait=true", json={"points": points}).raise_for_status()

    def count(self):
        with self.client() as client:
            return client.post("/collections/c/points/count", json={}).json()["result"]["count"]

    def snapshots(self):
        """This node's snapshots, the oldest first."""
        found = self.ec2.describe_snapshots(
            OwnerIds=["self"], Filters=[{"Name": "tag:qmoor:node", "Values": [self.name]}]
        )["Snapshots"]
        return sorted(found, key=lambda snapshot: snapshot["StartTime"])

    def volumes(self, role):
        """This node's volumes that are `role` to it, by id."""
        named = [{"Name": "tag:qmoor:node", "Values": [self.name]}, {"Name": "tag:qmoor:role", "Values": [role]}]
        return {found["VolumeId"]: found for found in self.ec2.describe_volumes(Filters=named)["Volumes"]}


def tags(resource):
    """Tags as a dictionary."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def main():
    """For tests in other languages: makes a machine on the emulator that the environment names; prints its volume."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    asked = parser.parse_args()
    made = Machine(boto3.client("ec2", region_name=REGION), os.environ["EMULATOR_DEVICES"], ".", name=asked.node)
    print(made.volume)


if __name__ == "__main__":
    main()
