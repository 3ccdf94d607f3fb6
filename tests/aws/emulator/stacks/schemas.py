"""What AWS publishes of its resource types: the schemas of the CloudFormation registry, which cfn-lint ships.

From them comes which change replaces a resource: `createOnlyProperties` always does, `conditionalCreateOnlyProperties`
sometimes, all others never.
"""

from functools import lru_cache

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

NEVER, SOMETIMES, ALWAYS = "Never", "Conditionally", "Always"

# The page of AWS::EC2::Volume says "Updates are not supported" of these: no replacement, the update fails.
FIXED = {"AWS::EC2::Volume": {"AvailabilityZone", "Encrypted", "KmsKeyId", "OutpostArn", "SnapshotId"}}
# GetAtt of older types, which the schemas lack.
MORE_ATTRIBUTES = {
    "AWS::EC2::Instance": {"AvailabilityZone"},
    "AWS::SNS::Topic": {"TopicName"},
    "AWS::EC2::SecurityGroup": {"VpcId"},
}


@lru_cache
def schema(kind):
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema


@lru_cache
def recreation(kind, name):
    """Whether a change of a property makes a new resource."""
    for key, answer in (("createOnlyProperties", ALWAYS), ("conditionalCreateOnlyProperties", SOMETIMES)):
        if any(path.split("/")[2] == name for path in schema(kind).get(key) or []):
            return answer
    return NEVER


@lru_cache
def has_attribute(kind, name):
    paths = {path.removeprefix("/properties/").replace("/", ".") for path in schema(kind).get("readOnlyProperties", [])}
    return name in paths or name in MORE_ATTRIBUTES.get(kind, ())


def tag_property(kind):
    tagging = schema(kind).get("tagging") or {}
    return tagging.get("tagProperty", "/properties/Tags").rsplit("/", 1)[-1]


def problems(kind, properties):
    """What CloudFormation says of unknown and missing properties."""
    wanted = schema(kind)
    extra = sorted(set(properties) - set(wanted.get("properties", {})))
    missing = sorted(set(wanted.get("required", [])) - set(properties))
    return [f"#: extraneous key [{name}] is not permitted" for name in extra] + [
        f"#: required key [{name}] not found" for name in missing
    ]


def typed(kind, properties):
    """The properties with numbers and booleans as such: templates and parameters give them as text as well."""
    whole = schema(kind)
    return {name: _typed(value, whole.get("properties", {}).get(name, {}), whole) for name, value in properties.items()}


def _typed(value, rule, whole):  # noqa: PLR0911
    for _ in range(10):
        if "$ref" not in rule:
            break
        rule = _follow(rule["$ref"], whole)
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(value, dict):
        inner = rule.get("properties") or {}
        return {name: _typed(item, inner.get(name, {}), whole) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item, rule.get("items") or {}, whole) for item in value]
    if isinstance(value, str) and "string" not in kinds:
        if "boolean" in kinds and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if "integer" in kinds and value.lstrip("-").isdigit():
            return int(value)
        if "number" in kinds:
            try:
                return float(value)
            except ValueError:
                return value
    if kinds == ["string"] and isinstance(value, bool):
        return str(value).lower()
    if kinds == ["string"] and isinstance(value, int | float):
        return str(value)
    return value


def _follow(reference, whole):
    found = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step, {})
    return found
