"""Rules for the template that the linters do not know. Each returns what it found wrong."""

import json

# AWS knows no resource for these: https://docs.aws.amazon.com/service-authorization/latest/reference/
NO_RESOURCE = ("ec2:Describe", "ec2messages:", "ssmmessages:", "ssm:GetCommandInvocation", "ssm:ListAssociations")


def of_type(template, kind):
    return {name: it["Properties"] for name, it in template["Resources"].items() if it["Type"] == kind}


def metadata(template):
    """Metadata with a token only, and not as far as a container."""
    found = []
    for name, it in of_type(template, "AWS::EC2::Instance").items():
        options = it.get("MetadataOptions", {})
        if options.get("HttpTokens") != "required":
            found.append(f"{name}: metadata without a token")
        if options.get("HttpPutResponseHopLimit") != 1:
            found.append(f"{name}: metadata reaches containers")
    return found


def ingress(template):
    """Clients by their security group, and nobody else."""
    rules = [
        (name, rule)
        for name, it in of_type(template, "AWS::EC2::SecurityGroup").items()
        for rule in it.get("SecurityGroupIngress", [])
    ] + list(of_type(template, "AWS::EC2::SecurityGroupIngress").items())
    sources = {"CidrIp", "CidrIpv6", "SourcePrefixListId"}
    found = [f"{name}: {rule['FromPort']} from a network" for name, rule in rules if sources & set(rule)]
    found += [f"{name}: {rule['FromPort']} from nowhere" for name, rule in rules if "SourceSecurityGroupId" not in rule]
    found += [f"{name}: a range of ports" for name, rule in rules if rule["FromPort"] != rule["ToPort"]]
    return found


def egress(template):
    """Out by https alone. A group without rules lets everything out."""
    found = []
    for name, it in of_type(template, "AWS::EC2::SecurityGroup").items():
        rules = it.get("SecurityGroupEgress", [])
        if not rules:
            found.append(f"{name}: lets everything out")
        wanted = ("tcp", 443, 443)
        found += [
            f"{name}: lets out {rule}"
            for rule in rules
            if (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")) != wanted
        ]
    return found + [f"{name}: a rule apart" for name in of_type(template, "AWS::EC2::SecurityGroupEgress")]


def public(template):
    """No address of the internet."""
    text = json.dumps(template)
    return [word for word in ("AssociatePublicIpAddress", "AWS::EC2::EIP", "MapPublicIpOnLaunch") if word in text]


def encryption(template):
    """Every disk is encrypted."""
    disks = list(of_type(template, "AWS::EC2::Volume").items())
    for name, it in of_type(template, "AWS::EC2::Instance").items():
        disks += [(name, mapping["Ebs"]) for mapping in it["BlockDeviceMappings"]]
    return [f"{name}: a disk that is not encrypted" for name, disk in disks if disk.get("Encrypted") is not True]


def kept(template):
    """The data stays, whatever becomes of the stack; a blank volume of a stack that was never made need not."""
    volumes = [(name, it) for name, it in template["Resources"].items() if it["Type"] == "AWS::EC2::Volume"]
    return [
        f"{name}: {policy}"
        for name, it in volumes
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if it.get(policy) not in ("Retain", "RetainExceptOnCreate")
    ]


def statements(template):
    """Every statement of every policy, with the name of its resource."""
    for name, it in template["Resources"].items():
        documents = [policy["PolicyDocument"] for policy in it["Properties"].get("Policies", [])]
        documents += [it["Properties"]["PolicyDocument"]] if "PolicyDocument" in it["Properties"] else []
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def listed(value):
    return value if isinstance(value, list) else [value]


def wildcards(template):
    """No action with a star, and all resources only where AWS knows none."""
    found = []
    for name, statement in statements(template):
        for action in listed(statement["Action"]):
            if "*" in action:
                found.append(f"{name}: {action}")
            if "*" in listed(statement["Resource"]) and not action.startswith(NO_RESOURCE):
                found.append(f"{name}: {action} on everything")
    return found


def unconditional(template):
    """What names all of the account's volumes, snapshots or machines also asks for the node's tag."""
    found = []
    for name, statement in statements(template):
        many = [it for it in listed(statement["Resource"]) if json.dumps(it).endswith(('/*"}', '/*"'))]
        heartbeat = {"ssm:ListInstanceAssociations", "ssm:UpdateInstanceInformation"}
        if not many or set(listed(statement["Action"])) <= heartbeat:
            continue
        if "Tag/qmoor:node" not in json.dumps(statement.get("Condition", {})):
            found.append(f"{name}: {statement['Action']} on any of {many}")
    return found


def secrets(template):
    """Secrets are made by AWS: none is written down."""
    text = json.dumps(template)
    words = ('"SecretString"', "{{resolve:", "aws_secret_access_key", "BEGIN PRIVATE KEY", "api-key:")
    return [word for word in words if word in text]


ALL = (metadata, ingress, egress, public, encryption, kept, wildcards, unconditional, secrets)
