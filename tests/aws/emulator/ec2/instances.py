"""Instances: what may be started, their root volume, and what stays when they end."""

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

from ..patch import replaces
from .interfaces import check_free
from .refusals import refuse

ROOT_GIB = 8


@replaces(InstanceResponse)
def run_instances(former, self):
    backend = self.ec2_backend
    kind, image_id = self._get_param("InstanceType", "m1.small"), self._get_param("ImageId")
    if kind not in INSTANCE_TYPES:
        refuse("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
    if image_id:
        image = backend.describe_images(ami_ids=[image_id])[0]
        check_architecture(kind, image)
    for nic in self._get_param("NetworkInterfaces", []):
        if nic.get("NetworkInterfaceId"):
            interface = backend.get_network_interface(nic["NetworkInterfaceId"])
            check_free(interface)
            check_zone(kind, interface.subnet.availability_zone, self.region)
    subnet_id = self._get_param("SubnetId")
    if subnet_id:
        check_zone(kind, backend.get_subnet(subnet_id).availability_zone, self.region)
    return former(self)


@replaces(InstanceResponse)
def _parse_block_device_mapping(former, self):
    """Whether a volume goes with its instance is left open where it was left open: the root volume does."""
    parsed = former(self)
    for given, mapping in zip(self._get_param("BlockDeviceMappings", []), parsed, strict=True):
        mapping["Ebs"]["DeleteOnTermination"] = given.get("Ebs", {}).get("DeleteOnTermination")
    return parsed


def check_architecture(kind, image):
    known = INSTANCE_TYPES.get(kind, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if known and image.architecture not in known:
        refuse(
            "InvalidParameterValue",
            f"The architecture '{','.join(known)}' of the specified instance type does not match the architecture "
            f"'{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover "
            "the architecture of the instance type or AMI.",
        )


def check_zone(kind, zone, region):
    offered = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    zones = sorted({offer["Location"] for offer in offered if offer["InstanceType"] == kind})
    if zones and zone not in zones:
        refuse(
            "Unsupported",
            f"Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone}). "
            f"Please retry your request by not specifying an Availability Zone or choosing {', '.join(zones)}.",
        )


@replaces(InstanceBackend)
def run_instances(former, self, image_id, count, user_data, security_group_names, **kwargs):
    images = self.describe_images(ami_ids=[image_id]) if image_id else []
    if images:
        root = images[0].root_device_name
        mappings = kwargs.setdefault("block_device_mappings", [])
        mine = next((mapping for mapping in mappings if mapping["DeviceName"] == root), None)
        if mine is None:
            mine = {"DeviceName": root, "Ebs": {"VolumeType": "gp3"}}
            mappings.insert(0, mine)
        mine["Ebs"]["VolumeSize"] = mine["Ebs"].get("VolumeSize") or ROOT_GIB
        if mine["Ebs"].get("DeleteOnTermination") is None:
            mine["Ebs"]["DeleteOnTermination"] = True
    reservation = former(self, image_id, count, user_data, security_group_names, **kwargs)
    for instance in reservation.instances:
        if not instance.nics:
            continue
        # moto puts a machine that is given a network interface into the first zone of the region.
        instance._placement.zone = instance.nics[0].subnet.availability_zone
        if not instance.security_groups:
            instance.security_groups = list(instance.nics[0]._group_set)
    return reservation


@replaces(Instance)
def terminate(former, self):
    if self._state.name == "terminated":
        return former(self)
    nics = list(self.nics.values())
    # moto deletes interfaces while they are attached, which is refused here.
    for nic in nics:
        nic.instance, nic.attachment_id, nic.attach_time, nic.status = None, None, None, "available"
    return former(self)


def _interfaces(self):
    return [] if self._state.name == "terminated" else list(self.nics.values())


Instance.network_interfaces = property(_interfaces)
