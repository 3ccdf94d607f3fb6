"""Templates: read from JSON or YAML, checked as CloudFormation checks them before it begins."""

import json
import re

import yaml

from . import schemas
from .errors import fail, invalid

PSEUDO = {
    "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId",
    "AWS::StackName", "AWS::URLSuffix",
}  # fmt: skip
IN_SUB = re.compile(r"\$\{([^!}][^}]*)\}")
MAX_BODY = 51_200
NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
}


class _Loader(yaml.SafeLoader):
    pass


def _short(loader, tag, node):
    """`!Sub x` for `Fn::Sub: x`."""
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short)
# A version such as 2012-10-17 is text.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


class Template:
    """A template that can be used: of the right form, with known types and references that lead somewhere."""

    def __init__(self, text):
        if text is None:
            invalid("Either Template URL or Template Body must be specified.")
        if len(text.encode()) > MAX_BODY:
            invalid(
                f"1 validation error detected: Value '{text[:40]}...' at 'templateBody' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BODY}"
            )
        self.text = text
        try:
            data = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_Loader)
        except (ValueError, yaml.YAMLError) as error:
            invalid(f"Template format error: JSON or YAML not well-formed. ({str(error).splitlines()[0]})")
        if not isinstance(data, dict):
            invalid("Template format error: unsupported structure.")
        self.data = data
        self.description = data.get("Description")
        self.parameters = data.get("Parameters") or {}
        self.conditions = data.get("Conditions") or {}
        self.mappings = data.get("Mappings") or {}
        self.resources = data.get("Resources") or {}
        self.outputs = data.get("Outputs") or {}
        self._check()

    def _check(self):
        if not self.resources:
            invalid("Template format error: At least one Resources member must be defined.")
        from .resources import HANDLERS

        unknown = sorted({str(r.get("Type")) for r in self.resources.values()} - set(HANDLERS))
        if unknown:
            invalid(f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")
        known = PSEUDO | set(self.parameters) | set(self.resources)
        for block in ("Resources", "Outputs"):
            lost = sorted({name for name, _ in references(self.data.get(block) or {})} - known)
            if lost:
                invalid(
                    f"Template format error: Unresolved resource dependencies [{', '.join(lost)}] "
                    f"in the {block} block of the template"
                )
        for name, resource in self.resources.items():
            for other, attribute in references(resource.get("Properties") or {}):
                if attribute and not schemas.has_attribute(self.resources[other]["Type"], attribute):
                    invalid(
                        f"Template error: resource {other} does not support attribute type {attribute} in Fn::GetAtt"
                    )
            for other in depends_on(resource):
                if other not in self.resources:
                    invalid(
                        f"Template format error: Unresolved resource dependencies [{other}] "
                        f"in the Resources block of the template"
                    )
            for condition in filter(None, [resource.get("Condition")]):
                if condition not in self.conditions:
                    invalid(
                        f"Template format error: Unresolved condition dependency {condition} "
                        f"in the Resources block of the template ({name})"
                    )
        self.waves(set(self.resources))

    def needs(self, name):
        """The resources that a resource refers to, or names in DependsOn."""
        resource = self.resources[name]
        found = {other for other, _ in references(resource.get("Properties") or {})}
        return (found | set(depends_on(resource))) & set(self.resources)

    def waves(self, names):
        """The names in groups: each needs only what is in earlier groups."""
        left, done, waves = set(names), set(), []
        while left:
            ready = sorted(name for name in left if not (self.needs(name) & left) - {name})
            ready = [name for name in ready if name not in self.needs(name)]
            if not ready:
                invalid(f"Circular dependency between resources: [{', '.join(sorted(left))}]")
            waves.append(ready)
            left -= set(ready)
            done |= set(ready)
        return waves

    def needs_capability(self):
        """CAPABILITY_NAMED_IAM, CAPABILITY_IAM, or None."""
        iam = [r for r in self.resources.values() if r["Type"].startswith("AWS::IAM::")]
        if any(NAMED.get(r["Type"]) in (r.get("Properties") or {}) for r in iam):
            return "CAPABILITY_NAMED_IAM"
        return "CAPABILITY_IAM" if iam else None

    def check_capabilities(self, given):
        need = self.needs_capability()
        enough = {"CAPABILITY_NAMED_IAM"} | ({"CAPABILITY_IAM"} if need == "CAPABILITY_IAM" else set())
        if need and not enough & set(given):
            fail("InsufficientCapabilitiesException", f"Requires capabilities : [{need}]")


def depends_on(resource):
    names = resource.get("DependsOn") or []
    return [names] if isinstance(names, str) else names


def references(value):
    """All (name, attribute or None) that a value refers to."""
    if isinstance(value, list):
        return {found for item in value for found in references(item)}
    if not isinstance(value, dict):
        return set()
    if set(value) == {"Ref"}:
        return {(value["Ref"], None)}
    if set(value) == {"Fn::GetAtt"}:
        asked = value["Fn::GetAtt"]
        name, attribute = asked.split(".", 1) if isinstance(asked, str) else (asked[0], ".".join(asked[1:]))
        return {(name, attribute)}
    if set(value) == {"Fn::Sub"}:
        text, own = value["Fn::Sub"], {}
        if isinstance(text, list):
            text, own = text
        found = {tuple((*name.strip().split(".", 1), None)[:2]) for name in IN_SUB.findall(text)}
        return {(name, attribute) for name, attribute in found if name not in own} | references(own)
    return {found for item in value.values() for found in references(item)}
