"""AWS::EC2::NetworkInterface, AWS::EC2::SecurityGroup and its rules."""

from .base import Handler, gone, picked, retag
from .volumes import plain

EVERYWHERE = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]


class NetworkInterface(Handler):
    kind = "AWS::EC2::NetworkInterface"

    @classmethod
    def create(cls, on, properties):
        asked = picked(properties, "SubnetId", "PrivateIpAddress", "Description", "InterfaceType")
        if properties.get("GroupSet"):
            asked["Groups"] = properties["GroupSet"]
        tags = [{"ResourceType": "network-interface", "Tags": on.tags(properties)}]
        made = on.ec2.create_network_interface(**asked, TagSpecifications=tags)["NetworkInterface"]
        cls._source_check(on, made["NetworkInterfaceId"], properties)
        return made["NetworkInterfaceId"]

    @classmethod
    def update(cls, on, physical, old, new):
        if old.get("GroupSet") != new.get("GroupSet"):
            on.ec2.modify_network_interface_attribute(NetworkInterfaceId=physical, Groups=new["GroupSet"])
        if old.get("Description") != new.get("Description"):
            text = {"Value": new.get("Description", "")}
            on.ec2.modify_network_interface_attribute(NetworkInterfaceId=physical, Description=text)
        cls._source_check(on, physical, new)
        retag(on, physical, old, new)

    @staticmethod
    def _source_check(on, physical, properties):
        if "SourceDestCheck" in properties:
            check = {"Value": properties["SourceDestCheck"]}
            on.ec2.modify_network_interface_attribute(NetworkInterfaceId=physical, SourceDestCheck=check)

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("InvalidNetworkInterfaceID.NotFound"):
            on.ec2.delete_network_interface(NetworkInterfaceId=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        found = cls._found(on, physical)
        return {
            "PrimaryPrivateIpAddress": found["PrivateIpAddress"],
            "Id": physical,
            "VpcId": found["VpcId"],
            "SecondaryPrivateIpAddresses": [a["PrivateIpAddress"] for a in found["PrivateIpAddresses"][1:]],
        }[name]

    @staticmethod
    def _found(on, physical):
        return on.ec2.describe_network_interfaces(NetworkInterfaceIds=[physical])["NetworkInterfaces"][0]

    @classmethod
    def read(cls, on, physical):
        with gone("InvalidNetworkInterfaceID.NotFound"):
            found = cls._found(on, physical)
            return {
                **picked(found, "SubnetId", "PrivateIpAddress", "Description", "SourceDestCheck"),
                "GroupSet": [group["GroupId"] for group in found["Groups"]],
                "Tags": [tag for tag in found.get("TagSet", []) if not tag["Key"].startswith("aws:")],
            }
        return None


def permission(rule, peer="Source"):
    """A rule of a template in the form of the API."""
    made = {"IpProtocol": str(rule["IpProtocol"]), **picked(rule, "FromPort", "ToPort")}
    text = picked(rule, "Description")
    if rule.get("CidrIp"):
        made["IpRanges"] = [{"CidrIp": rule["CidrIp"], **text}]
    if rule.get("CidrIpv6"):
        made["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **text}]
    if rule.get(f"{peer}SecurityGroupId"):
        made["UserIdGroupPairs"] = [{"GroupId": rule[f"{peer}SecurityGroupId"], **text}]
    if rule.get(f"{peer}PrefixListId"):
        made["PrefixListIds"] = [{"PrefixListId": rule[f"{peer}PrefixListId"], **text}]
    return made


def rules(permissions, peer="Source"):
    """The rules of the API in the form of a template."""
    found = []
    for item in permissions:
        base = picked(item, "IpProtocol", "FromPort", "ToPort")
        pairs = [
            *(("CidrIp", one["CidrIp"], one) for one in item.get("IpRanges", [])),
            *(("CidrIpv6", one["CidrIpv6"], one) for one in item.get("Ipv6Ranges", [])),
            *((f"{peer}SecurityGroupId", one["GroupId"], one) for one in item.get("UserIdGroupPairs", [])),
            *((f"{peer}PrefixListId", one["PrefixListId"], one) for one in item.get("PrefixListIds", [])),
        ]
        found += [{**base, name: value, **picked(one, "Description")} for name, value, one in pairs]
    return found


class SecurityGroup(Handler):
    kind = "AWS::EC2::SecurityGroup"
    names = "GroupName"

    @classmethod
    def create(cls, on, properties):
        made = on.ec2.create_security_group(
            GroupName=properties.get("GroupName") or on.name(),
            Description=properties["GroupDescription"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": on.tags(properties)}],
            **picked(properties, "VpcId"),
        )["GroupId"]
        cls._open(on, made, properties.get("SecurityGroupIngress", []))
        if "SecurityGroupEgress" in properties:
            cls._close(on, made, EVERYWHERE, "egress")
            cls._open(on, made, properties["SecurityGroupEgress"], "egress")
        return made

    @staticmethod
    def _open(on, group, wanted, way="ingress"):
        peer = "Source" if way == "ingress" else "Destination"
        if wanted:
            call = getattr(on.ec2, f"authorize_security_group_{way}")
            call(GroupId=group, IpPermissions=[permission(rule, peer) for rule in wanted])

    @staticmethod
    def _close(on, group, unwanted, way="ingress"):
        peer = "Source" if way == "ingress" else "Destination"
        if unwanted:
            call = getattr(on.ec2, f"revoke_security_group_{way}")
            with gone("InvalidPermission.NotFound"):
                call(GroupId=group, IpPermissions=[permission(rule, peer) for rule in unwanted])

    @classmethod
    def update(cls, on, physical, old, new):
        for way, name in (("ingress", "SecurityGroupIngress"), ("egress", "SecurityGroupEgress")):
            usual = EVERYWHERE if way == "egress" else []
            before, after = old.get(name, usual), new.get(name, usual)
            cls._close(on, physical, [rule for rule in before if rule not in after], way)
            cls._open(on, physical, [rule for rule in after if rule not in before], way)
        retag(on, physical, old, new)

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("InvalidGroup.NotFound"):
            on.ec2.delete_security_group(GroupId=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return cls._found(on, physical)["VpcId"] if name == "VpcId" else physical

    @staticmethod
    def _found(on, physical):
        return on.ec2.describe_security_groups(GroupIds=[physical])["SecurityGroups"][0]

    @classmethod
    def read(cls, on, physical):
        with gone("InvalidGroup.NotFound"):
            found = cls._found(on, physical)
            return {
                "GroupDescription": found["Description"],
                "VpcId": found["VpcId"],
                "SecurityGroupIngress": rules(found["IpPermissions"]),
                "SecurityGroupEgress": rules(found["IpPermissionsEgress"], "Destination"),
                "Tags": plain(found),
            }
        return None

    @classmethod
    def without_others(cls, actual, physical, resources):
        left = dict(actual)
        for kind, name in ((Ingress, "SecurityGroupIngress"), (Egress, "SecurityGroupEgress")):
            others = [
                {key: value for key, value in one.properties.items() if key != "GroupId"}
                for one in resources
                if one.kind == kind.kind and one.properties.get("GroupId") == physical
            ]
            left[name] = [rule for rule in actual[name] if rule not in others]
        return left


class Ingress(Handler):
    """A rule of its own."""

    kind = "AWS::EC2::SecurityGroupIngress"
    way, peer = "ingress", "Source"

    @classmethod
    def create(cls, on, properties):
        call = getattr(on.ec2, f"authorize_security_group_{cls.way}")
        made = call(GroupId=properties["GroupId"], IpPermissions=[permission(properties, cls.peer)])
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    @classmethod
    def update(cls, on, physical, old, new):
        text = {"SecurityGroupRuleId": physical, "Description": new.get("Description", "")}
        call = getattr(on.ec2, f"update_security_group_rule_descriptions_{cls.way}")
        call(GroupId=new["GroupId"], SecurityGroupRuleDescriptions=[text])

    @classmethod
    def delete(cls, on, physical, properties):
        call = getattr(on.ec2, f"revoke_security_group_{cls.way}")
        with gone("InvalidGroup.NotFound", "InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"):
            call(GroupId=properties["GroupId"], IpPermissions=[permission(properties, cls.peer)])

    @classmethod
    def attribute(cls, on, physical, name):
        return physical

    @classmethod
    def read(cls, on, physical):
        with gone("InvalidSecurityGroupRuleId.NotFound"):
            found = on.ec2.describe_security_group_rules(SecurityGroupRuleIds=[physical])["SecurityGroupRules"]
            if not found:
                return None
            rule = found[0]
            return {
                **picked(rule, "GroupId", "IpProtocol", "FromPort", "ToPort", "Description"),
                **({"CidrIp": rule["CidrIpv4"]} if rule.get("CidrIpv4") else {}),
                **({f"{cls.peer}SecurityGroupId": rule["ReferencedGroupInfo"]["GroupId"]}
                   if rule.get("ReferencedGroupInfo") else {}),
            }  # fmt: skip
        return None


class Egress(Ingress):
    kind = "AWS::EC2::SecurityGroupEgress"
    way, peer = "egress", "Destination"


ALL = [NetworkInterface, SecurityGroup, Ingress, Egress]
