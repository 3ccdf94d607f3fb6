"""AWS::EC2::Instance."""

from .base import Handler, gone, picked, retag
from .volumes import plain

# What a stopped instance takes: CloudFormation stops it, changes it, and starts it.
WHILE_STOPPED = {"InstanceType": "InstanceType", "UserData": "UserData", "EbsOptimized": "EbsOptimized"}


class Instance(Handler):
    kind = "AWS::EC2::Instance"

    @classmethod
    def create(cls, on, properties):
        asked = picked(
            properties, "ImageId", "InstanceType", "KeyName", "SubnetId", "PrivateIpAddress", "SecurityGroupIds",
            "EbsOptimized", "DisableApiTermination", "InstanceInitiatedShutdownBehavior", "BlockDeviceMappings",
            "CreditSpecification", "CpuOptions", "HibernationOptions", "EnclaveOptions", "MetadataOptions",
        )  # fmt: skip
        if properties.get("UserData"):
            # Base64 already, and boto3 would do it again.
            import base64

            asked["UserData"] = base64.b64decode(properties["UserData"]).decode()
        if properties.get("IamInstanceProfile"):
            asked["IamInstanceProfile"] = {"Name": properties["IamInstanceProfile"]}
        if "Monitoring" in properties:
            asked["Monitoring"] = {"Enabled": properties["Monitoring"]}
        if properties.get("NetworkInterfaces"):
            asked["NetworkInterfaces"] = [cls._interface(item) for item in properties["NetworkInterfaces"]]
        if properties.get("AvailabilityZone"):
            asked["Placement"] = {"AvailabilityZone": properties["AvailabilityZone"]}
        kinds = ["instance"]
        if properties.get("PropagateTagsToVolumeOnCreation"):
            kinds.append("volume")
        tags = [{"ResourceType": kind, "Tags": on.tags(properties)} for kind in kinds]
        made = on.ec2.run_instances(MinCount=1, MaxCount=1, TagSpecifications=tags, **asked)["Instances"][0]
        return made["InstanceId"]

    @staticmethod
    def _interface(item):
        asked = picked(
            item, "NetworkInterfaceId", "SubnetId", "PrivateIpAddress", "Description", "DeleteOnTermination",
            "AssociatePublicIpAddress",
        )  # fmt: skip
        asked["DeviceIndex"] = int(item["DeviceIndex"])
        if item.get("GroupSet"):
            asked["Groups"] = item["GroupSet"]
        return asked

    @classmethod
    def ready(cls, on, physical):
        on.until(lambda: cls._found(on, physical)["State"]["Name"] == "running", f"instance {physical} to run")

    @classmethod
    def update(cls, on, physical, old, new):
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if changed & set(WHILE_STOPPED):
            cls._while_stopped(on, physical, new, changed)
        attribute = {
            "DisableApiTermination": lambda: {"DisableApiTermination": {"Value": new["DisableApiTermination"]}},
            "SecurityGroupIds": lambda: {"Groups": new["SecurityGroupIds"]},
            "InstanceInitiatedShutdownBehavior": lambda: {
                "InstanceInitiatedShutdownBehavior": {"Value": new["InstanceInitiatedShutdownBehavior"]}
            },
        }
        for name in sorted(changed & set(attribute)):
            on.ec2.modify_instance_attribute(InstanceId=physical, **attribute[name]())
        if "MetadataOptions" in changed:
            on.ec2.modify_instance_metadata_options(InstanceId=physical, **new["MetadataOptions"])
        if "IamInstanceProfile" in changed:
            cls._profile(on, physical, new.get("IamInstanceProfile"))
        retag(on, physical, old, new)

    @classmethod
    def _while_stopped(cls, on, physical, new, changed):
        was = cls._found(on, physical)["State"]["Name"]
        on.ec2.stop_instances(InstanceIds=[physical])
        on.until(lambda: cls._found(on, physical)["State"]["Name"] == "stopped", f"instance {physical} to stop")
        try:
            for name in sorted(changed & set(WHILE_STOPPED)):
                value = new.get(name, "")
                if name == "UserData":
                    # Encoded once by the template and once by boto3: moto decodes twice.
                    value = value.encode()
                on.ec2.modify_instance_attribute(InstanceId=physical, **{WHILE_STOPPED[name]: {"Value": value}})
        finally:
            if was == "running":
                on.ec2.start_instances(InstanceIds=[physical])
                cls.ready(on, physical)

    @staticmethod
    def _profile(on, physical, name):
        there = on.ec2.describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [physical]}]
        )["IamInstanceProfileAssociations"]
        for association in there:
            on.ec2.disassociate_iam_instance_profile(AssociationId=association["AssociationId"])
        if name:
            on.ec2.associate_iam_instance_profile(InstanceId=physical, IamInstanceProfile={"Name": name})

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("InvalidInstanceID.NotFound"):
            on.ec2.terminate_instances(InstanceIds=[physical])
            on.until(lambda: cls._found(on, physical)["State"]["Name"] == "terminated", f"{physical} to terminate")

    @classmethod
    def attribute(cls, on, physical, name):
        found = cls._found(on, physical)
        return {
            "AvailabilityZone": found["Placement"]["AvailabilityZone"],
            "InstanceId": physical,
            "PrivateDnsName": found.get("PrivateDnsName", ""),
            "PrivateIp": found.get("PrivateIpAddress", ""),
            "PublicDnsName": found.get("PublicDnsName", ""),
            "PublicIp": found.get("PublicIpAddress", ""),
            "VpcId": found.get("VpcId", ""),
        }[name]

    @staticmethod
    def _found(on, physical):
        return on.ec2.describe_instances(InstanceIds=[physical])["Reservations"][0]["Instances"][0]

    @classmethod
    def read(cls, on, physical):
        found = None
        with gone("InvalidInstanceID.NotFound"):
            found = cls._found(on, physical)
        if found is None or found["State"]["Name"] == "terminated":
            return None
        options = found.get("MetadataOptions", {})
        protected = on.ec2.describe_instance_attribute(InstanceId=physical, Attribute="disableApiTermination")
        return {
            **picked(found, "ImageId", "InstanceType", "KeyName", "EbsOptimized"),
            "IamInstanceProfile": found.get("IamInstanceProfile", {}).get("Arn", "").rsplit("/", 1)[-1],
            "SecurityGroupIds": [group["GroupId"] for group in found.get("SecurityGroups", [])],
            "MetadataOptions": picked(options, "HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint"),
            "DisableApiTermination": protected["DisableApiTermination"]["Value"],
            "Tags": plain(found),
        }


ALL = [Instance]
