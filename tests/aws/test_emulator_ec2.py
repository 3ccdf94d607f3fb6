"""Volumes, interfaces and instances: what is refused, and how."""

import pytest

from waits import refused, until


def made(ec2, network, **more):
    asked = {"AvailabilityZone": network.zone, "Size": 10, "VolumeType": "gp3", **more}
    volume = ec2.create_volume(**asked)["VolumeId"]
    ec2.describe_volumes(VolumeIds=[volume])
    return volume


def test_a_client_token_makes_one_thing(aws, network):
    ec2 = aws.client("ec2")
    asked = {"AvailabilityZone": network.zone, "Size": 10, "ClientToken": "token-1"}
    first, again = ec2.create_volume(**asked), ec2.create_volume(**asked)
    assert first["VolumeId"] == again["VolumeId"]
    with refused("IdempotentParameterMismatch"):
        ec2.create_volume(**{**asked, "Size": 11})
    run = {"ImageId": network.image, "InstanceType": "c8g.large", "MinCount": 1, "MaxCount": 1}
    run |= {"SubnetId": network.subnet, "ClientToken": "token-1"}
    ids = {ec2.run_instances(**run)["Instances"][0]["InstanceId"] for _ in range(2)}
    assert len(ids) == 1
    assert len(ec2.describe_instances()["Reservations"]) == 1
    # Of EC2's calls that make something, this one knows no token.
    volume = made(ec2, network)
    assert len({ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(2)}) == 2


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        ({"Iops": 2999}, "InvalidParameterValue", "Volume iops of 2999 is too low; minimum is 3000."),
        ({"Iops": 80_001, "Size": 1000}, "InvalidParameterValue", "too high; maximum is 80000"),
        ({"Iops": 6000}, "InvalidParameterCombination", "maximum is 500 IOPS per GiB"),
        ({"Throughput": 2001}, "InvalidParameterValue", "too high; maximum is 2000"),
        ({"Throughput": 1000}, "InvalidParameterCombination", "maximum is 0.250000 MiBps per iops"),
        ({"Size": 65_537}, "InvalidParameterValue", "too large"),
        ({"AvailabilityZone": "us-east-1z"}, "InvalidZone.NotFound", "us-east-1z"),
        ({"KmsKeyId": "alias/mine"}, "InvalidParameterDependency", "Encrypted"),
        ({"SnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound", "snap-0123456789abcdef0"),
    ],
)
def test_a_volume_beyond_the_limits_is_refused(aws, network, asked, code, text):
    with refused(code, text):
        made(aws.client("ec2"), network, **asked)


def test_a_volume_is_attached_only_where_it_can_be(aws, network, node):
    ec2 = aws.client("ec2")
    fresh = ec2.create_volume(AvailabilityZone=network.zone, Size=1)
    assert fresh["State"] == "creating"
    with refused("IncorrectState"):
        ec2.attach_volume(VolumeId=fresh["VolumeId"], InstanceId=node.id, Device="/dev/sdf")
    here, also, there = made(ec2, network), made(ec2, network), made(ec2, network, AvailabilityZone="us-east-1b")
    with refused("InvalidVolume.ZoneMismatch"):
        ec2.attach_volume(VolumeId=there, InstanceId=node.id, Device="/dev/sdf")
    with refused("InvalidParameterValue", "not a valid EBS device name"):
        ec2.attach_volume(VolumeId=here, InstanceId=node.id, Device="sdf")
    assert ec2.attach_volume(VolumeId=here, InstanceId=node.id, Device="/dev/sdf")["State"] == "attaching"
    with refused("VolumeInUse", f"{here} is already attached to an instance"):
        ec2.attach_volume(VolumeId=here, InstanceId=node.id, Device="/dev/sdg")
    with refused("InvalidParameterValue", "Attachment point /dev/sdf is already in use"):
        ec2.attach_volume(VolumeId=also, InstanceId=node.id, Device="/dev/sdf")
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=here)
    with refused("IncorrectState", "'available' state"):
        ec2.detach_volume(VolumeId=also)
    root = ec2.describe_instances(InstanceIds=[node.id])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"][0]
    with refused("OperationNotPermitted", "Unable to detach root volume"):
        ec2.detach_volume(VolumeId=root["Ebs"]["VolumeId"])
    # Without the instance's id.
    assert ec2.detach_volume(VolumeId=here)["State"] == "detaching"
    until(lambda: ec2.describe_volumes(VolumeIds=[here])["Volumes"][0]["State"] == "available", "the detachment")


def test_a_detachment_that_never_ends(aws, network, node):
    ec2, volume = aws.client("ec2"), made(aws.client("ec2"), network)
    ec2.attach_volume(VolumeId=volume, InstanceId=node.id, Device="/dev/sdf")
    aws.ask("behaviour", volumes={"detach_never": True})
    ec2.detach_volume(VolumeId=volume, Force=True)
    attachments = ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
    assert [attachment["State"] for attachment in attachments] == ["detaching"]
    aws.ask("usual")
    until(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available", "the detachment")


def test_a_volume_grows_through_optimizing_and_not_too_often(aws, network):
    ec2, volume = aws.client("ec2"), made(aws.client("ec2"), network)
    with refused("InvalidParameterValue", "New size cannot be smaller than existing size"):
        ec2.modify_volume(VolumeId=volume, Size=9)

    def states():
        found = ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
        return [change["ModificationState"] for change in found]

    for size in (11, 12, 13, 14):
        change = ec2.modify_volume(VolumeId=volume, Size=size)["VolumeModification"]
        assert (change["ModificationState"], change["OriginalSize"]) == ("modifying", size - 1)
        with refused("IncorrectModificationState"):
            ec2.modify_volume(VolumeId=volume, Size=20)
        assert [states() for _ in range(3)] == [["optimizing"], ["optimizing"], ["completed"]]
    with refused("VolumeModificationRateExceeded", "maximum modification rate per volume limit"):
        ec2.modify_volume(VolumeId=volume, Size=15)


def test_volumes_come_in_pages(aws, network):
    ec2 = aws.client("ec2")
    ids = {made(ec2, network, Size=1) for _ in range(7)}
    pages = list(ec2.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Volumes"]) for page in pages] == [5, 2]
    assert {volume["VolumeId"] for page in pages for volume in page["Volumes"]} == ids
    with refused("InvalidParameterValue", "greater than 5"):
        ec2.describe_volumes(MaxResults=2)
    with refused("InvalidParameterCombination"):
        ec2.describe_volumes(MaxResults=5, VolumeIds=list(ids))
    with refused("InvalidVolume.NotFound", "vol-0123456789abcdef0"):
        ec2.describe_volumes(VolumeIds=[*ids, "vol-0123456789abcdef0"])


@pytest.mark.parametrize(
    ("address", "code", "text"),
    [
        ("10.0.2.15", "InvalidIPAddress.InUse", "Address 10.0.2.15 is in use."),
        ("10.0.3.1", "InvalidParameterValue", "does not fall within the subnet's address range"),
        *((f"10.0.2.{last}", "InvalidParameterValue", "reserved address range") for last in (0, 1, 2, 3, 255)),
    ],
)
def test_an_address_that_cannot_be_had(aws, network, address, code, text):
    ec2 = aws.client("ec2")
    ec2.create_network_interface(SubnetId=network.subnet, PrivateIpAddress="10.0.2.15")
    with refused(code, text):
        ec2.create_network_interface(SubnetId=network.subnet, PrivateIpAddress=address)


def test_an_interface_outlives_its_instance_with_its_address(aws, network, node):
    ec2 = aws.client("ec2")
    nics = [{"DeviceIndex": 0, "NetworkInterfaceId": node.interface}]
    run = {
        "ImageId": network.image,
        "InstanceType": "c8g.large",
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": nics,
    }
    with refused("InvalidNetworkInterface.InUse"):
        ec2.run_instances(**run)
    with refused("InvalidParameterValue", "currently in use"):
        ec2.delete_network_interface(NetworkInterfaceId=node.interface)
    ec2.terminate_instances(InstanceIds=[node.id])
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[node.interface])["NetworkInterfaces"][0]
    assert (found["Status"], found["PrivateIpAddress"]) == ("available", "10.0.2.15")
    again = ec2.run_instances(**run)["Instances"][0]
    assert again["PrivateIpAddress"] == "10.0.2.15"
    group = ec2.describe_instances(InstanceIds=[again["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert [item["GroupId"] for item in group["SecurityGroups"]] == [found["Groups"][0]["GroupId"]]


def test_a_group_of_another_network_is_refused(aws, network):
    ec2 = aws.client("ec2")
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="other", Description="other", VpcId=other)["GroupId"]
    with refused("InvalidParameter", "belong to different networks"):
        ec2.create_network_interface(SubnetId=network.subnet, Groups=[group])
    with refused("InvalidGroup.NotFound"):
        ec2.create_network_interface(SubnetId=network.subnet, Groups=["sg-0123456789abcdef0"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceType": "m6i.large"}, "InvalidParameterValue"),
        ({"InstanceType": "q1.large"}, "InvalidParameterValue"),
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "c8g.48xlarge"}, "VcpuLimitExceeded"),
    ],
)
def test_an_instance_that_cannot_be_had(aws, network, asked, code):
    run = {
        "ImageId": network.image,
        "InstanceType": "c8g.large",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": network.subnet,
    }
    with refused(code):
        aws.client("ec2").run_instances(**{**run, **asked})


def test_the_quota_is_told(aws):
    quotas = aws.client("service-quotas")
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"] == 64
    default = quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")
    assert default["Quota"]["Value"] == 5
    with refused("NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")
    aws.ask("behaviour", quotas={"vcpus": 5})
    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"] == 5


def test_tags_of_aws_are_aws_s(aws, network):
    ec2, volume = aws.client("ec2"), made(aws.client("ec2"), network)
    with refused("InvalidParameterValue", "reserved for internal use"):
        ec2.create_tags(Resources=[volume], Tags=[{"Key": "aws:cloudformation:stack-name", "Value": "mine"}])


def test_a_security_group_and_its_rules(aws, network, node):
    ec2, (ray, other) = aws.client("ec2"), network.ray
    group = ec2.create_security_group(GroupName="node", Description="node", VpcId=network.vpc)["GroupId"]

    def opened(port, text):
        pair = {"GroupId": ray, "Description": text}
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [pair]}

    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[opened(6333, "a"), opened(6334, "b")])
    assert [(rule["FromPort"], rule["Description"]) for rule in rules["SecurityGroupRules"]] == [
        (6333, "a"),
        (6334, "b"),
    ]
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[opened(6333, "in other words")])
    with refused("DependencyViolation", f"resource {ray} has a dependent object"):
        ec2.delete_security_group(GroupId=ray)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=node.interface, Groups=[other])
    with refused("DependencyViolation"):
        ec2.delete_security_group(GroupId=other)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_security_group(GroupId=ray)


def test_an_instance_takes_its_time_when_told(aws, network, node):
    ec2, volume = aws.client("ec2"), made(aws.client("ec2"), network)
    aws.ask("behaviour", instances={"describes": 1})

    def state():
        return ec2.describe_instances(InstanceIds=[node.id])["Reservations"][0]["Instances"][0]["State"]["Name"]

    state()
    for change, between, after in (
        (ec2.stop_instances, "stopping", "stopped"),
        (ec2.start_instances, "pending", "running"),
        (ec2.terminate_instances, "shutting-down", "terminated"),
    ):
        change(InstanceIds=[node.id])
        with refused("IncorrectState"):
            ec2.attach_volume(VolumeId=volume, InstanceId=node.id, Device="/dev/sdf")
        assert [state(), state()] == [between, after]
