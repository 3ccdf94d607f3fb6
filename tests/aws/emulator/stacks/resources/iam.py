"""AWS::IAM::Role, AWS::IAM::InstanceProfile, AWS::IAM::Policy and AWS::IAM::ManagedPolicy."""

import json

from .base import Handler, gone, picked

MISSING = "NoSuchEntity"


def policies(properties):
    return {item["PolicyName"]: json.dumps(item["PolicyDocument"]) for item in properties.get("Policies", [])}


class Role(Handler):
    kind = "AWS::IAM::Role"
    names = "RoleName"

    @classmethod
    def create(cls, on, properties):
        name, iam = properties.get("RoleName") or on.name()[-64:], on.client("iam")
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
            Tags=on.plain_tags(properties),
            **picked(properties, "Path", "Description", "MaxSessionDuration", "PermissionsBoundary"),
        )
        try:
            cls._policies(on, name, {}, properties)
        except Exception:
            cls.delete(on, name, properties)
            raise
        return name

    @staticmethod
    def _policies(on, name, old, new):
        iam, before, after = on.client("iam"), policies(old), policies(new)
        for policy in set(before) - set(after):
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, document in after.items():
            if before.get(policy) != document:
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
        arns = set(old.get("ManagedPolicyArns", [])), set(new.get("ManagedPolicyArns", []))
        for arn in sorted(arns[0] - arns[1]):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(arns[1] - arns[0]):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    @classmethod
    def update(cls, on, physical, old, new):
        iam = on.client("iam")
        trust = new["AssumeRolePolicyDocument"]
        if trust != old["AssumeRolePolicyDocument"]:
            iam.update_assume_role_policy(RoleName=physical, PolicyDocument=json.dumps(trust))
        iam.update_role(RoleName=physical, **picked(new, "Description", "MaxSessionDuration"))
        cls._policies(on, physical, old, new)
        iam.tag_role(RoleName=physical, Tags=on.plain_tags(new))
        kept = {tag["Key"] for tag in on.plain_tags(new)}
        lost = [tag["Key"] for tag in on.plain_tags(old) if tag["Key"] not in kept]
        if lost:
            iam.untag_role(RoleName=physical, TagKeys=lost)

    @classmethod
    def delete(cls, on, physical, properties):
        iam = on.client("iam")
        with gone(MISSING):
            for policy in iam.list_role_policies(RoleName=physical)["PolicyNames"]:
                iam.delete_role_policy(RoleName=physical, PolicyName=policy)
            for policy in iam.list_attached_role_policies(RoleName=physical)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=physical, PolicyArn=policy["PolicyArn"])
            iam.delete_role(RoleName=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return on.client("iam").get_role(RoleName=physical)["Role"][name]

    @classmethod
    def read(cls, on, physical):
        iam = on.client("iam")
        with gone(MISSING):
            found = iam.get_role(RoleName=physical)["Role"]
            names = iam.list_role_policies(RoleName=physical)["PolicyNames"]
            documents = [iam.get_role_policy(RoleName=physical, PolicyName=name) for name in names]
            attached = iam.list_attached_role_policies(RoleName=physical)["AttachedPolicies"]
            return {
                "AssumeRolePolicyDocument": found["AssumeRolePolicyDocument"],
                "Policies": [picked(item, "PolicyName", "PolicyDocument") for item in documents],
                "ManagedPolicyArns": [item["PolicyArn"] for item in attached],
                **picked(found, "Description", "MaxSessionDuration", "Path"),
            }
        return None


class InstanceProfile(Handler):
    kind = "AWS::IAM::InstanceProfile"
    names = "InstanceProfileName"

    @classmethod
    def create(cls, on, properties):
        name, iam = properties.get("InstanceProfileName") or on.name(), on.client("iam")
        iam.create_instance_profile(InstanceProfileName=name, **picked(properties, "Path"))
        for role in properties["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
        return name

    @classmethod
    def update(cls, on, physical, old, new):
        iam = on.client("iam")
        for role in old["Roles"]:
            iam.remove_role_from_instance_profile(InstanceProfileName=physical, RoleName=role)
        for role in new["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=physical, RoleName=role)

    @classmethod
    def delete(cls, on, physical, properties):
        iam = on.client("iam")
        with gone(MISSING):
            found = iam.get_instance_profile(InstanceProfileName=physical)["InstanceProfile"]
            for role in found["Roles"]:
                iam.remove_role_from_instance_profile(InstanceProfileName=physical, RoleName=role["RoleName"])
            iam.delete_instance_profile(InstanceProfileName=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return on.client("iam").get_instance_profile(InstanceProfileName=physical)["InstanceProfile"][name]

    @classmethod
    def read(cls, on, physical):
        with gone(MISSING):
            found = on.client("iam").get_instance_profile(InstanceProfileName=physical)["InstanceProfile"]
            return {"Roles": [role["RoleName"] for role in found["Roles"]]}
        return None


class Policy(Handler):
    """An inline policy of roles, as a resource of its own."""

    kind = "AWS::IAM::Policy"

    @classmethod
    def create(cls, on, properties):
        document = json.dumps(properties["PolicyDocument"])
        for role in properties.get("Roles", []):
            on.client("iam").put_role_policy(
                RoleName=role, PolicyName=properties["PolicyName"], PolicyDocument=document
            )
        return properties["PolicyName"]

    @classmethod
    def update(cls, on, physical, old, new):
        lost = [role for role in old.get("Roles", []) if role not in new.get("Roles", [])]
        cls.delete(on, physical, {**old, "Roles": old.get("Roles", []) if old["PolicyName"] != physical else lost})
        cls.create(on, new)

    @classmethod
    def delete(cls, on, physical, properties):
        for role in properties.get("Roles", []):
            with gone(MISSING):
                on.client("iam").delete_role_policy(RoleName=role, PolicyName=properties["PolicyName"])


class ManagedPolicy(Handler):
    kind = "AWS::IAM::ManagedPolicy"
    names = "ManagedPolicyName"

    @classmethod
    def create(cls, on, properties):
        arn = on.client("iam").create_policy(
            PolicyName=properties.get("ManagedPolicyName") or on.name(),
            PolicyDocument=json.dumps(properties["PolicyDocument"]),
            **picked(properties, "Path", "Description"),
        )["Policy"]["Arn"]
        cls._roles(on, arn, set(), set(properties.get("Roles", [])))
        return arn

    @staticmethod
    def _roles(on, arn, before, after):
        for role in sorted(before - after):
            with gone(MISSING):
                on.client("iam").detach_role_policy(RoleName=role, PolicyArn=arn)
        for role in sorted(after - before):
            on.client("iam").attach_role_policy(RoleName=role, PolicyArn=arn)

    @classmethod
    def update(cls, on, physical, old, new):
        if old["PolicyDocument"] != new["PolicyDocument"]:
            cls._old_versions(on, physical)
            document = json.dumps(new["PolicyDocument"])
            on.client("iam").create_policy_version(PolicyArn=physical, PolicyDocument=document, SetAsDefault=True)
        cls._roles(on, physical, set(old.get("Roles", [])), set(new.get("Roles", [])))

    @staticmethod
    def _old_versions(on, arn):
        """There may be five; the old ones go first."""
        for version in on.client("iam").list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                on.client("iam").delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])

    @classmethod
    def delete(cls, on, physical, properties):
        with gone(MISSING):
            cls._roles(on, physical, set(properties.get("Roles", [])), set())
            cls._old_versions(on, physical)
            on.client("iam").delete_policy(PolicyArn=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        found = on.client("iam").get_policy(PolicyArn=physical)["Policy"]
        return physical if name == "PolicyArn" else str(found[name])

    @classmethod
    def read(cls, on, physical):
        iam = on.client("iam")
        with gone(MISSING):
            version = iam.get_policy(PolicyArn=physical)["Policy"]["DefaultVersionId"]
            found = iam.get_policy_version(PolicyArn=physical, VersionId=version)["PolicyVersion"]
            return {"PolicyDocument": found["Document"]}
        return None


ALL = [Role, InstanceProfile, Policy, ManagedPolicy]
