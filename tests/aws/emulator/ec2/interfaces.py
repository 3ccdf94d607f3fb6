"""Network interfaces: which addresses may be had, which groups, and what an instance leaves behind."""

import ipaddress

from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from ..patch import replaces
from .refusals import refuse

# The first four addresses of a subnet and its last one are AWS's.
# https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
RESERVED = 4


def used(backend, subnet):
    """The addresses that interfaces in `subnet` have."""
    return {
        address.get("PrivateIpAddress")
        for interface in backend.enis.values()
        if interface.subnet.id == subnet.id
        for address in interface.private_ip_addresses
    }


def check_address(backend, subnet, address):
    """Refuses an address that cannot be had in `subnet`."""
    net = ipaddress.ip_network(subnet.cidr_block)
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        refuse("InvalidParameterValue", f"invalid value for parameter address: {address}")
    if wanted not in net:
        refuse("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    if wanted == net[-1] or int(wanted) - int(net[0]) < RESERVED:
        refuse("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in used(backend, subnet):
        refuse("InvalidIPAddress.InUse", f"Address {address} is in use.")


def free_address(backend, subnet):
    taken = used(backend, subnet)
    net = ipaddress.ip_network(subnet.cidr_block)
    for number in range(RESERVED, net.num_addresses - 1):
        if str(net[number]) not in taken:
            return str(net[number])
    return refuse("InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'.")


def check_groups(backend, subnet, groups):
    """Refuses security groups that do not exist, or are of another VPC than `subnet`."""
    for group_id in groups:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise InvalidSecurityGroupNotFoundError(group_id)
        if group.vpc_id != subnet.vpc_id:
            refuse(
                "InvalidParameter", f"Security group {group_id} and subnet {subnet.id} belong to different networks."
            )


@replaces(NetworkInterfaceBackend)
def create_network_interface(
    former, self, subnet, private_ip_address, private_ip_addresses=None, group_ids=None, description=None, *rest, **more
):
    subnet = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
    # Instances in no subnet of their own get an address of a made-up network from moto.
    made_up = (
        description == "Primary network interface"
        and private_ip_address
        and (ipaddress.ip_address(private_ip_address) not in ipaddress.ip_network(subnet.cidr_block))
    )
    if made_up or not (private_ip_address or private_ip_addresses):
        private_ip_address = free_address(self, subnet)
    for entry in private_ip_addresses or [private_ip_address]:
        check_address(self, subnet, entry["PrivateIpAddress"] if isinstance(entry, dict) else entry)
    check_groups(self, subnet, group_ids or [])
    return former(self, subnet, private_ip_address, private_ip_addresses, group_ids, description, *rest, **more)


@replaces(ElasticNetworkInterfaces)
def create_network_interface(former, self):
    if not self._get_param("SubnetId"):
        refuse("MissingParameter", "The request must contain the parameter subnetId")
    return former(self)


@replaces(NetworkInterfaceBackend)
def attach_network_interface(former, self, eni_id, instance_id, device_index):
    interface, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
    check_free(interface)
    if int(device_index) in instance.nics:
        refuse(
            "InvalidParameterValue",
            f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'.",
        )
    return former(self, eni_id, instance_id, device_index)


def check_free(interface):
    if interface.instance:
        refuse("InvalidNetworkInterface.InUse", f"The network interface '{interface.id}' is currently in use.")


@replaces(NetworkInterfaceBackend)
def delete_network_interface(former, self, eni_id):
    if self.get_network_interface(eni_id).instance:
        refuse("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
    return former(self, eni_id)


@replaces(NetworkInterfaceBackend)
def modify_network_interface_attribute(former, self, eni_id, group_ids, source_dest_check=None, description=None):
    check_groups(self, self.get_network_interface(eni_id).subnet, group_ids)
    return former(self, eni_id, group_ids, source_dest_check, description)
