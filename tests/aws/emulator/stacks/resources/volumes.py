"""AWS::EC2::Volume and AWS::EC2::VolumeAttachment."""

from ...aws import client
from ..errors import NothingDone
from ..schemas import FIXED
from .base import Handler, gone, picked, retag

FIGURES = ("Size", "Iops", "Throughput", "VolumeType")


class Volume(Handler):
    kind = "AWS::EC2::Volume"

    @classmethod
    def create(cls, on, properties):
        asked = picked(
            properties, "AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId", "VolumeInitializationRate", *FIGURES
        )
        tags = [{"ResourceType": "volume", "Tags": on.tags(properties)}]
        return on.ec2.create_volume(**asked, TagSpecifications=tags)["VolumeId"]

    @classmethod
    def ready(cls, on, physical):
        on.until(lambda: cls._volume(on, physical)["State"] == "available", f"volume {physical} to be available")

    @classmethod
    def update(cls, on, physical, old, new):
        fixed = [name for name in sorted(FIXED[cls.kind]) if old.get(name) != new.get(name)]
        if fixed:
            raise NothingDone(f"Update to resource type {cls.kind} is not supported: {', '.join(fixed)}")
        there = cls._volume(on, physical)
        figures = {name: new[name] for name in FIGURES if name in new and new[name] != there.get(name)}
        if figures:
            on.ec2.modify_volume(VolumeId=physical, **figures)
            # CloudFormation goes on when the volume can be used with its new figures.
            on.until(lambda: cls._modified(on, physical), f"volume {physical} to be modified")
        retag(on, physical, old, new)

    @staticmethod
    def _modified(on, physical):
        found = on.ec2.describe_volumes_modifications(VolumeIds=[physical])["VolumesModifications"]
        return all(change["ModificationState"] in ("optimizing", "completed") for change in found)

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("InvalidVolume.NotFound"):
            on.ec2.delete_volume(VolumeId=physical)

    @classmethod
    def save(cls, on, physical):
        """DeletionPolicy Snapshot."""
        made = on.ec2.create_snapshot(
            VolumeId=physical,
            Description=f"Created by CloudFormation for {on.stack.name} {on.logical}",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": on.tags({})}],
        )["SnapshotId"]
        return made

    @classmethod
    def attribute(cls, on, physical, name):
        return physical

    @classmethod
    def read(cls, on, physical):
        found = None
        with gone("InvalidVolume.NotFound"):
            found = cls._volume(on, physical)
        if found is None:
            return None
        names = ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId", *FIGURES)
        return picked(found, *names) | {"Tags": plain(found)}

    @staticmethod
    def _volume(on, physical):
        return client("ec2", on.region, on.account).describe_volumes(VolumeIds=[physical])["Volumes"][0]


def plain(found):
    return [tag for tag in found.get("Tags", []) if not tag["Key"].startswith("aws:")]


class VolumeAttachment(Handler):
    kind = "AWS::EC2::VolumeAttachment"

    @classmethod
    def create(cls, on, properties):
        on.ec2.attach_volume(**picked(properties, "Device", "InstanceId", "VolumeId"))
        return f"{properties['VolumeId']}|{properties['InstanceId']}"

    @classmethod
    def ready(cls, on, physical):
        on.until(lambda: cls.state(on, physical) == "attached", f"{physical} to be attached")

    @staticmethod
    def state(on, physical):
        volume_id, instance_id = physical.split("|")
        found = Volume._volume(on, volume_id)["Attachments"]
        return next((item["State"] for item in found if item["InstanceId"] == instance_id), None)

    @classmethod
    def delete(cls, on, physical, properties):
        volume_id, instance_id = physical.split("|")
        with gone("InvalidVolume.NotFound", "IncorrectState", "InvalidAttachment.NotFound"):
            on.ec2.detach_volume(VolumeId=volume_id, InstanceId=instance_id)
            on.until(lambda: cls.state(on, physical) is None, f"volume {volume_id} to come off instance {instance_id}")

    @classmethod
    def read(cls, on, physical):
        with gone("InvalidVolume.NotFound"):
            return {} if cls.state(on, physical) else None
        return None


ALL = [Volume, VolumeAttachment]
