"""Volumes: made, modified, deleted. Attachments are in attachments.py, figures in limits.py."""

from datetime import timedelta

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidVolumeIdError
from moto.ec2.models.elastic_block_store import EBSBackend, Volume, VolumeModification
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from ..patch import replaces
from ..world import world
from . import limits
from .refusals import page, refuse

MODIFICATIONS_PER_DAY = 4
DEFAULT_THROUGHPUT = 125

Volume.volume_initialization_rate = None


@replaces(ElasticBlockStore)
def create_volume(former, self):
    size, kind = self._get_int_param("Size"), self._get_param("VolumeType", "gp2")
    zone, snapshot_id = self._get_param("AvailabilityZone"), self._get_param("SnapshotId")
    backend = self.ec2_backend
    if not zone:
        refuse("MissingParameter", "The request must contain the parameter zone")
    if not backend.get_zone_by_name(zone):
        refuse("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    if self._get_param("KmsKeyId") and not self._get_bool_param("Encrypted", False):
        refuse("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    snapshot = restorable(backend, snapshot_id, size) if snapshot_id else None
    if snapshot and snapshot.encrypted and self._get_bool_param("Encrypted") is False:
        refuse("InvalidParameterCombination", "Encrypted snapshots must be used to create encrypted volumes.")
    rate = self._get_int_param("VolumeInitializationRate")
    if rate and not snapshot:
        refuse("InvalidParameterCombination", "VolumeInitializationRate can only be specified with a snapshot.")
    if rate and not 100 <= rate <= 300:
        refuse("InvalidParameterValue", f"Volume initialization rate of {rate} is not between 100 and 300.")
    size = size or (snapshot and snapshot.volume_size)
    limits.check(kind, size, self._get_int_param("Iops"), self._get_int_param("Throughput"))
    made = former(self)
    made.result.volume_initialization_rate = rate
    made.result.fresh = True
    made.result.broken = world.behaviour(backend.account_id, "volumes")["error"]
    return made


def restorable(backend, snapshot_id, size):
    """The snapshot, if a volume of `size` GiB can be made from it now."""
    snapshot = backend.get_snapshot(snapshot_id)
    if snapshot.status != "completed":
        refuse("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
    if snapshot.storage_tier == "archive" and snapshot.restore_start_time is None:
        refuse("IncorrectState", f"Snapshot {snapshot_id} is in the archive storage tier")
    if size and size < snapshot.volume_size:
        refuse(
            "InvalidParameterValue",
            f"The volume size of {size}GiB is smaller than snapshot '{snapshot_id}', "
            f"expect size >= {snapshot.volume_size}GiB",
        )
    return snapshot


@replaces(EBSBackend)
def create_volume(
    former, self, size, zone_name, snapshot_id=None, encrypted=False, kms_key_id=None, volume_type=None, iops=None,
    throughput=None, multi_attach_enabled=None,
):  # fmt: skip
    snapshot = self.get_snapshot(snapshot_id) if snapshot_id else None
    if snapshot and snapshot.encrypted:
        encrypted, kms_key_id = True, kms_key_id or snapshot.kms_key_id
    if volume_type == "gp3":
        throughput = throughput or DEFAULT_THROUGHPUT
    size = int(size or (snapshot and snapshot.volume_size) or 0) or None
    volume = former(
        self, size, zone_name, None, encrypted, kms_key_id, volume_type, iops, throughput, multi_attach_enabled
    )
    volume.snapshot_id = snapshot_id
    world.disks.create(volume.id, volume.size, snapshot_id)
    return volume


@replaces(EBSBackend)
def delete_volume(former, self, volume_id):
    volume = former(self, volume_id)
    world.disks.delete(volume_id)
    return volume


@replaces(EBSBackend)
def describe_volumes(former, self, volume_ids=None, filters=None):
    for volume_id in volume_ids or []:
        if volume_id not in self.volumes:
            raise InvalidVolumeIdError(volume_id)
    return former(self, volume_ids, filters)


@replaces(ElasticBlockStore)
def describe_volumes(former, self):
    volumes = former(self).result["Volumes"]
    for volume in volumes:
        volume.fresh = False
    volumes, token = page(volumes, self, "volumesSet" if self._get_param("VolumeIds") else "")
    return ActionResult({"Volumes": volumes, "NextToken": token})


@replaces(ElasticBlockStore)
def describe_volume_status(former, self):
    """All is well, and a volume from a snapshot is being read in for as long as a modification takes."""
    backend = self.ec2_backend
    volumes = backend.describe_volumes(self._get_param("VolumeIds", []), self._filters_from_querystring())
    return ActionResult({"VolumeStatuses": [_status(backend, volume) for volume in volumes]})


def _status(backend, volume):
    status = {
        "VolumeId": volume.id,
        "AvailabilityZone": volume.zone.name,
        "Actions": [],
        "Events": [],
        "VolumeStatus": {"Status": "ok", "Details": [{"Name": "io-enabled", "Status": "passed"}]},
    }
    if volume.snapshot_id:
        wanted = world.behaviour(backend.account_id, "volumes")["modify_describes"] + 1
        volume.read_in = min(getattr(volume, "read_in", 0) + 1, wanted)
        kind = "provisioned-rate" if volume.volume_initialization_rate else "default"
        status["InitializationStatusDetails"] = {
            "InitializationType": kind,
            "Progress": 100 * volume.read_in // wanted,
            "EstimatedTimeToCompleteInSeconds": 60 * (wanted - volume.read_in),
        }
    return status


# ---- modifications: modifying, optimizing, completed -----------------------------------------------------------


VolumeModification.modification_state = "modifying"
VolumeModification.progress = 0
VolumeModification.describes = 0


@replaces(ElasticBlockStore)
def modify_volume(former, self):
    volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
    size = self._get_int_param("Size")
    if size and size < volume.size:
        refuse("InvalidParameterValue", "New size cannot be smaller than existing size")
    running = [change for change in volume.modifications if change.modification_state != "completed"]
    if running:
        refuse(
            "IncorrectModificationState",
            f"Cannot modify volume {volume.id}: a modification is in the state '{running[-1].modification_state}'",
        )
    day_ago = utcnow() - timedelta(days=1)
    if sum(change.start_time > day_ago for change in volume.modifications) >= MODIFICATIONS_PER_DAY:
        refuse(
            "VolumeModificationRateExceeded",
            "You've reached the maximum modification rate per volume limit. "
            f"Wait until the oldest of {MODIFICATIONS_PER_DAY} modifications is 24 hours old.",
        )
    kind = self._get_param("VolumeType", volume.volume_type)
    iops = self._get_int_param("Iops") or (volume.iops if kind == volume.volume_type else None)
    throughput = self._get_int_param("Throughput") or (volume.throughput if kind == "gp3" else None)
    limits.check(kind, size or volume.size, iops, throughput)
    figures = ("size", "volume_type", "iops", "throughput")
    before = {name: getattr(volume, name) for name in figures}
    result = former(self)
    change = volume.modifications[-1]
    change.end_time = None
    for name in figures:
        setattr(change, f"original_{name}", before[name])
        setattr(change, f"target_{name}", getattr(volume, name))
    world.disks.grow(volume.id, volume.size)
    return result


@replaces(ElasticBlockStore)
def describe_volumes_modifications(former, self):
    for volume_id in self._get_param("VolumeIds", []):
        self.ec2_backend.get_volume(volume_id)
    wanted = world.behaviour(self.current_account, "volumes")["modify_describes"]
    for volume in self.ec2_backend.volumes.values():
        for change in volume.modifications[-1:]:
            change.describes += 1
            if change.describes > wanted:
                change.modification_state, change.progress = "completed", 100
                change.end_time = change.end_time or utcnow()
            else:
                change.modification_state = "optimizing"
                change.progress = 100 * change.describes // (wanted + 1)
    # AWS tells the newest modification of each volume only.
    found = former(self).result["VolumesModifications"]
    return ActionResult({"VolumesModifications": list({change.volume_id: change for change in found}.values())})
