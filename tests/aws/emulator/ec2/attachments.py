"""Attaching and detaching. A volume whose device is mounted does not come off, as on a real instance."""

import re
import threading

from moto.ec2.exceptions import InvalidVolumeIdError
from moto.ec2.models.elastic_block_store import EBSBackend, Volume, VolumeAttachment
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from ..patch import replaces
from ..world import world
from .refusals import refuse

DEVICE_NAME = re.compile(r"/dev/(sd[a-z][0-9]*|xvd[a-z][a-z]?[0-9]*)")
POLL_SECONDS = 0.05

VolumeAttachment.delete_on_termination = False


@replaces(ElasticBlockStore)
def attach_volume(former, self):
    volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    device = self._get_param("Device")
    if not device:
        refuse("MissingParameter", "The request must contain the parameter device")
    if not DEVICE_NAME.fullmatch(device):
        refuse(
            "InvalidParameterValue",
            f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name.",
        )
    if volume.attachment:
        refuse("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.fresh or volume.broken:
        refuse("IncorrectState", f"{volume.id} is not 'available'.")
    if instance.state not in ("running", "stopped"):
        refuse("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.zone.name != instance.availability_zone:
        refuse(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    if device in instance.block_device_mapping:
        refuse(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )
    return former(self)


@replaces(EBSBackend)
def attach_volume(former, self, volume_id, instance_id, device_path, delete_on_termination=False):
    # The root volume has no device here: its content is nobody's.
    if device_path != self.get_instance(instance_id).root_device_name:
        world.disks.attach(volume_id)
    attachment = former(self, volume_id, instance_id, device_path, delete_on_termination)
    attachment.delete_on_termination = delete_on_termination
    return attachment


@replaces(EBSBackend)
def detach_volume(former, self, volume_id, instance_id=None, device_path=None):
    volume = self.get_volume(volume_id)
    attachment = volume.attachment
    if not attachment:
        refuse("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
    instance = attachment.instance
    if instance_id and instance_id != instance.id:
        refuse("InvalidAttachment.NotFound", f"The volume '{volume_id}' is not attached to instance '{instance_id}'.")
    if device_path and device_path != attachment.device:
        refuse("InvalidAttachment.NotFound", f"The volume '{volume_id}' is not attached to device '{device_path}'.")
    if attachment.device == instance.root_device_name and instance.state == "running":
        refuse(
            "OperationNotPermitted",
            f"Unable to detach root volume '{attachment.device}' from instance '{instance.id}'",
        )
    if attachment.status not in ("detaching", "busy"):
        attachment.status = "detaching"
        if not _let_go(former, self, volume):
            threading.Thread(target=_until_free, args=(former, self, volume), daemon=True).start()
    return attachment


def _let_go(former, backend, volume):
    """Ends a detachment if nothing holds the device; whether it has ended."""
    attachment = volume.attachment
    if world.behaviour(backend.account_id, "volumes")["detach_never"]:
        return False
    if world.disks.busy(volume.id):
        attachment.status = "busy"
        return False
    world.disks.detach(volume.id)
    former(backend, volume.id, attachment.instance.id, attachment.device)
    if attachment.instance._state.name == "terminated" and attachment.delete_on_termination:
        backend.delete_volume(volume.id)
    return True


def _until_free(former, backend, volume):
    pause = threading.Event()
    while not pause.wait(POLL_SECONDS):
        with world.locks["ec2"]:
            if _let_go(former, backend, volume):
                return


@replaces(Instance)
def teardown_defaults(former, self):
    """At the end of an instance. What is mounted comes off when it is unmounted: the machine is this one."""
    self._state.name = "terminated"
    for device, mapping in list(self.block_device_mapping.items()):
        volume = self.ec2_backend.volumes.get(mapping.volume_id)
        if volume is None:
            raise InvalidVolumeIdError(mapping.volume_id)
        volume.attachment.delete_on_termination = mapping.delete_on_termination
        self.ec2_backend.detach_volume(volume.id, self.id, device)


def _status(self):
    if self.attachment:
        return "in-use"
    if self.fresh:
        return "creating"
    return "error" if self.broken else "available"


# A volume that was made by CreateVolume is available, or broken, from the first describe on.
Volume.fresh = Volume.broken = False


Volume.status = property(_status)
