"""Snapshots: the data is fixed when the call returns, the snapshot is completed later."""

from collections import namedtuple

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from ..patch import replaces
from ..world import world
from . import locks
from .refusals import page, refuse

# What a snapshot keeps of its volume, which may grow or go.
Source = namedtuple("Source", "id size")
# What AWS names as the source of a copy.
NO_VOLUME = "vol-ffffffff"

Snapshot.describes = 0
Snapshot.state_message = None
Snapshot.lock = None
Snapshot.state = property(lambda self: self.status)
Snapshot.progress = property(lambda self: "100%" if self.status == "completed" else f"{_percent(self)}%")


def _percent(snapshot):
    wanted = world.behaviour(snapshot.ec2_backend.account_id, "snapshots")["describes"] + 1
    return min(99, 100 * snapshot.describes // wanted)


@replaces(EBSBackend)
def create_snapshot(former, self, volume_id, description, owner_id=None, from_ami=None):
    snapshot = former(self, volume_id, description or "", owner_id, from_ami)
    volume = snapshot.volume
    snapshot.volume, snapshot.kms_key_id = Source(volume.id, volume.size), volume.kms_key_id
    if from_ami is None:
        snapshot.status = "pending"
        world.disks.snapshot(volume_id, snapshot.id)
    return snapshot


@replaces(EBSBackend)
def create_snapshots(former, self, instance_spec, description, tags):
    """All volumes of an instance at one time."""
    instance = self.get_instance(instance_spec["InstanceId"])
    mappings = dict(instance.get_block_device_mapping)
    root = mappings.pop(instance.root_device_name, None)
    without = set(instance_spec.get("ExcludeDataVolumeIds") or [])
    unknown = without - {mapping.volume_id for mapping in mappings.values()}
    if unknown:
        refuse(
            "InvalidParameterValue",
            f"The data volumes {sorted(unknown)} are not attached to instance '{instance.id}'.",
        )
    chosen = [mapping.volume_id for mapping in mappings.values() if mapping.volume_id not in without]
    if root and str(instance_spec.get("ExcludeBootVolume", False)).lower() != "true":
        chosen.insert(0, root.volume_id)
    if not chosen:
        refuse("InvalidParameterValue", "At least one volume must be specified.")
    snapshots = []
    for volume_id in chosen:
        snapshot = self.create_snapshot(volume_id, description)
        if tags.get("copy_from_source"):
            snapshot.add_tags({tag["key"]: tag["value"] for tag in self.get_volume(volume_id).get_tags()})
        snapshot.add_tags({key: value for key, value in tags.items() if key != "copy_from_source"})
        snapshots.append(snapshot)
    return snapshots


@replaces(ElasticBlockStore)
def create_snapshots(former, self):
    spec = self._get_param("InstanceSpecification", {})
    tags = dict(self._parse_tag_specification().get("snapshot", {}))
    if self._get_param("CopyTagsFromSource") == "volume":
        tags["copy_from_source"] = True
    self.error_on_dryrun()
    made = self.ec2_backend.create_snapshots(spec, self._get_param("Description", ""), tags)
    return ActionResult({"Snapshots": made})


@replaces(EBSBackend)
def get_snapshot(former, self, snapshot_id):
    """One's own, or one that another account shares."""
    snapshot = self.snapshots.get(snapshot_id) or shared(self, snapshot_id, self.region_name)
    if snapshot is None:
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    return snapshot


def shared(backend, snapshot_id, region):
    for account in list(ec2_backends):
        snapshot = ec2_backends[account][region].snapshots.get(snapshot_id) if account != backend.account_id else None
        if snapshot and (
            backend.account_id in snapshot.create_volume_permission_userids
            or "all" in snapshot.create_volume_permission_groups
        ):
            return snapshot
    return None


@replaces(EBSBackend)
def delete_snapshot(former, self, snapshot_id):
    if snapshot_id not in self.snapshots:
        self.get_snapshot(snapshot_id)
        refuse("AuthFailure", "You are not authorized to perform this operation.")
    locks.refuse_if_locked(self.snapshots[snapshot_id])
    snapshot = former(self, snapshot_id)
    world.disks.drop(snapshot_id)
    return snapshot


@replaces(ElasticBlockStore)
def describe_snapshots(former, self):
    backend = self.ec2_backend
    _go_on(backend)
    ids = self._get_param("SnapshotIds", [])
    owners, restorers = self._get_param("OwnerIds", []), self._get_param("RestorableByUserIds", [])
    if ids:
        found = [backend.get_snapshot(snapshot_id) for snapshot_id in ids]
        keep = backend.describe_snapshots(filters=self._filters_from_querystring())
        found = [snapshot for snapshot in found if snapshot in keep or snapshot.ec2_backend is not backend]
    else:
        found = backend.describe_snapshots(filters=self._filters_from_querystring())
    mine = backend.account_id
    if owners:
        owners = {mine if owner == "self" else owner for owner in owners}
        # Those of images are Amazon's, although moto says otherwise.
        found = [s for s in found if (s.owner_id if s.from_ami is None else "amazon") in owners]
    if restorers:
        found = [s for s in found if s.owner_id == mine]
    found.sort(key=lambda snapshot: (snapshot.start_time, snapshot.id))
    found, token = page(found, self, "snapshotSet" if ids else "")
    return ActionResult({"Snapshots": found, "NextToken": token})


def _go_on(backend):
    behaviour = world.behaviour(backend.account_id, "snapshots")
    for snapshot in backend.snapshots.values():
        if snapshot.status != "pending" or behaviour["never"]:
            continue
        snapshot.describes += 1
        if snapshot.describes <= behaviour["describes"]:
            continue
        snapshot.status = "error" if behaviour["error"] else "completed"
        if behaviour["error"]:
            snapshot.state_message = "Given key ID is not accessible"
        locks.start(snapshot)


@replaces(ElasticBlockStore)
def copy_snapshot(former, self):
    backend, region = self.ec2_backend, self._get_param("SourceRegion")
    source_id, key = self._get_param("SourceSnapshotId"), self._get_param("KmsKeyId")
    encrypted = self._get_bool_param("Encrypted", False)
    other = ec2_backends[self.current_account][region]
    source = other.snapshots.get(source_id) or shared(other, source_id, region)
    if source is None:
        refuse("InvalidSnapshot.NotFound", f"The snapshot '{source_id}' does not exist.")
    if source.status != "completed":
        refuse("IncorrectState", f"Snapshot is in invalid state - {source.status}")
    if key and not encrypted and not source.encrypted:
        refuse("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    self.error_on_dryrun()
    if (encrypted or source.encrypted) and not key:
        key = backend.default_kms_key_id or backend._create_default_encryption_key()
    copy = Snapshot(
        backend,
        _new_id(),
        Source(NO_VOLUME, source.volume_size),
        self._get_param("Description", ""),
        encrypted=encrypted or source.encrypted,
        kms_key_id=key,
    )
    copy.status = "pending"
    backend.snapshots[copy.id] = copy
    copy.add_tags(self._parse_tag_specification().get("snapshot", {}))
    world.disks.copy(source_id, copy.id)
    return ActionResult({"SnapshotId": copy.id, "Tags": copy.tag_set})


def _new_id():
    from moto.ec2.utils import random_snapshot_id

    return random_snapshot_id()


@replaces(ElasticBlockStore)
def modify_snapshot_tier(former, self):
    snapshot = self.ec2_backend.get_snapshot(self._get_param("SnapshotId"))
    if snapshot.status != "completed":
        refuse("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
    if snapshot.storage_tier == "archive":
        refuse("IncorrectState", f"Snapshot {snapshot.id} is already in the archive storage tier")
    return former(self)
