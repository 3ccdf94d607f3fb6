"""Parameters of a stack: which values hold, and whether they may."""

import re

from botocore.exceptions import ClientError

from ..aws import client
from .errors import invalid

SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
# The types that CloudFormation looks up: how, and what the answer is called.
LOOKED_UP = {
    "AWS::EC2::VPC::Id": ("describe_vpcs", "VpcIds"),
    "AWS::EC2::Subnet::Id": ("describe_subnets", "SubnetIds"),
    "AWS::EC2::SecurityGroup::Id": ("describe_security_groups", "GroupIds"),
    "AWS::EC2::Image::Id": ("describe_images", "ImageIds"),
    "AWS::EC2::Instance::Id": ("describe_instances", "InstanceIds"),
    "AWS::EC2::Volume::Id": ("describe_volumes", "VolumeIds"),
    "AWS::EC2::AvailabilityZone::Name": ("describe_availability_zones", "ZoneNames"),
}


def chosen(template, given, previous):
    """Name to text, from what the caller gives ([{ParameterKey, ...}]), former values and defaults."""
    unknown = sorted({item["ParameterKey"] for item in given} - set(template.parameters))
    if unknown:
        invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {name: rule["Default"] for name, rule in template.parameters.items() if "Default" in rule}
    for item in given:
        name = item["ParameterKey"]
        if item.get("UsePreviousValue"):
            if name not in previous:
                invalid(f"Parameters: [{name}] must have values")
            values[name] = previous[name]
        elif item.get("ParameterValue") is not None:
            values[name] = item["ParameterValue"]
    missing = sorted(set(template.parameters) - set(values))
    if missing:
        invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: _text(value) for name, value in values.items()}


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def resolved(template, values, account, region):
    """Name to what `Ref` gives: lists split, public parameters fetched; refuses what a rule forbids."""
    found = {}
    for name, given in values.items():
        text = given
        rule = template.parameters[name]
        kind = rule.get("Type", "String")
        ssm = SSM_VALUE.fullmatch(kind)
        if ssm:
            text, kind = _fetch(text, account, region), ssm.group(1)
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        items = [item.strip() for item in text.split(",")] if is_list else [text]
        for item in items:
            _check(name, rule, kind, item)
            _look_up(name, kind.removeprefix("List<").rstrip(">"), item, account, region)
        found[name] = items if is_list else text
    return found


def _check(name, rule, kind, text):
    if "AllowedValues" in rule and text not in map(_text, rule["AllowedValues"]):
        invalid(f"Parameter '{name}' must be one of AllowedValues")
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], text):
        invalid(
            (
                rule.get("ConstraintDescription")
                and f"Parameter {name} failed to satisfy constraint: {rule['ConstraintDescription']}"
            )
            or f"Parameter '{name}' must match pattern {rule['AllowedPattern']}"
        )
    if "MinLength" in rule and len(text) < int(rule["MinLength"]):
        invalid(f"Parameter '{name}' must contain at least {rule['MinLength']} characters")
    if "MaxLength" in rule and len(text) > int(rule["MaxLength"]):
        invalid(f"Parameter '{name}' must contain at most {rule['MaxLength']} characters")
    if kind in ("Number", "List<Number>"):
        try:
            number = float(text)
        except ValueError:
            invalid(f"Parameter '{name}' must be a number")
        if "MinValue" in rule and number < float(rule["MinValue"]):
            invalid(f"Parameter '{name}' must be a number not less than {rule['MinValue']}")
        if "MaxValue" in rule and number > float(rule["MaxValue"]):
            invalid(f"Parameter '{name}' must be a number not greater than {rule['MaxValue']}")


def _look_up(name, kind, text, account, region):
    if kind not in LOOKED_UP:
        return
    action, argument = LOOKED_UP[kind]
    try:
        getattr(client("ec2", region, account), action)(**{argument: [text]})
    except ClientError:
        invalid(f"Parameter validation failed: parameter value {text} for parameter name {name} does not exist")


def _fetch(name, account, region):
    try:
        return client("ssm", region, account).get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError:
        return invalid(f"Unable to fetch parameters [{name}] from parameter store for this account.")
