"""What a change set tells: which resource is added, changed, replaced or removed, and because of what.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

import json

from . import schemas
from .intrinsics import Unknown, unknowns
from .operation import resolver
from .resources import HANDLERS
from .resources.base import Context
from .template import references

ATTRIBUTES = ("Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy")


def changes(stack, template, parameters, tags, with_values=False):
    """The changes, in the order of the template's waves; nothing is touched."""
    live, remade, found = stack.live(), set(), []

    def reference(name, attribute):
        resource = live.get(name)
        if resource is None or name in remade:
            return Unknown({(name, attribute)})
        handler, on = HANDLERS[resource.kind], Context(stack, name)
        return handler.attribute(on, resource.physical, attribute) if attribute else handler.ref(on, resource.physical)

    values = resolver(stack, template, parameters, reference)
    active = values.active()
    changed_parameters = {name for name, text in parameters.items() if stack.parameters.get(name) != text}
    for wave in template.waves(active):
        for name in wave:
            raw, old = template.resources[name], live.get(name)
            new = schemas.typed(raw["Type"], values.resolve(raw.get("Properties") or {}))
            if old is None:
                found.append(_added(name, raw, new, with_values))
                continue
            change = _modified(old, raw, new, changed_parameters, with_values)
            if change is None and stack.tags != tags and "Tags" in schemas.schema(raw["Type"])["properties"]:
                change = _retagged(old)
            if change:
                found.append(change)
                if change["Replacement"] != "False":
                    remade.add(name)
    found += [_removed(resource) for name, resource in live.items() if name not in active]
    return [{"Type": "Resource", "ResourceChange": change} for change in found]


def _added(name, raw, properties, with_values):
    change = {"Action": "Add", "LogicalResourceId": name, "ResourceType": raw["Type"], "Scope": [], "Details": []}
    if with_values:
        change["AfterContext"] = _context(properties)
    return change


def _removed(resource):
    policies = {"Retain": "Retain", "RetainExceptOnCreate": "Retain", "Snapshot": "Snapshot"}
    return {
        "Action": "Remove",
        "PolicyAction": policies.get(resource.raw.get("DeletionPolicy"), "Delete"),
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.kind,
        "Scope": [],
        "Details": [],
    }


def _retagged(old):
    detail = {
        "Target": {"Attribute": "Tags", "RequiresRecreation": "Never"},
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }
    return _change(old, old.raw, {"Tags"}, [detail], "False")


def _change(old, raw, scope, details, replacement):
    change = {
        "Action": "Modify",
        "LogicalResourceId": old.logical,
        "PhysicalResourceId": old.physical,
        "ResourceType": old.kind,
        "Replacement": replacement,
        "Scope": sorted(scope),
        "Details": details,
    }
    if replacement == "True":
        kept = raw.get("UpdateReplacePolicy", "Delete")
        change["PolicyAction"] = {"Retain": "ReplaceAndRetain", "Snapshot": "ReplaceAndSnapshot"}.get(
            kept, "ReplaceAndDelete"
        )
    return change


def _modified(old, raw, new, changed_parameters, with_values):
    scope, details = set(), []
    for name in sorted({*old.properties, *new}):
        value = new.get(name)
        if old.properties.get(name) == value:
            continue
        target = _target(old, name, value, with_values)
        scope.add(target["Attribute"])
        before = (old.raw.get("Properties") or {}).get(name)
        details += _details(target, before, (raw.get("Properties") or {}).get(name), value, changed_parameters)
    for name in ATTRIBUTES:
        if old.raw.get(name) != raw.get(name):
            scope.add(name)
            details.append(
                {"Target": {"Attribute": name, "RequiresRecreation": "Never"}, "Evaluation": "Static",
                 "ChangeSource": "DirectModification"}
            )  # fmt: skip
    if not details:
        return None
    change = _change(old, raw, scope, details, _replacement(old, new, details))
    if with_values:
        change["BeforeContext"], change["AfterContext"] = _context(old.properties), _context(new)
    return change


def _target(old, name, value, with_values):
    if name == schemas.tag_property(old.kind):
        target = {"Attribute": "Tags", "RequiresRecreation": "Never"}
    else:
        recreation = schemas.recreation(old.kind, name)
        target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    if with_values:
        target["Path"] = f"/Properties/{name}"
        target["BeforeValue"], target["AfterValue"] = _text(old.properties.get(name)), _text(value)
        before, after = name in old.properties, value is not None
        target["AttributeChangeType"] = "Modify" if before and after else "Add" if after else "Remove"
    return target


def _details(target, before, after, value, changed_parameters):
    """Why a property changes: a parameter, another resource, or the template itself."""
    found = []
    for name, attribute in sorted(unknowns(value), key=str):
        found.append(
            {
                "Target": target,
                "Evaluation": "Dynamic",
                "ChangeSource": "ResourceAttribute" if attribute else "ResourceReference",
                "CausingEntity": f"{name}.{attribute}" if attribute else name,
            }
        )
    causes = sorted({name for name, _ in references(after)} & changed_parameters)
    for name in causes:
        found.append(
            {"Target": target, "Evaluation": "Static", "ChangeSource": "ParameterReference", "CausingEntity": name}
        )
    if causes and before == after:
        found.append({"Target": target, "Evaluation": "Dynamic", "ChangeSource": "DirectModification"})
    elif before != after or not found:
        found.append({"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"})
    return found


def _replacement(old, new, details):
    """True, Conditional or False, by the change with the most impact."""
    sure = {
        detail["Target"].get("Name")
        for detail in details
        if detail["Target"]["RequiresRecreation"] == schemas.ALWAYS and detail["Evaluation"] == "Static"
    }
    if sure or (not unknowns(new) and HANDLERS[old.kind].replaces(old.properties, new)):
        return "True"
    needs = {detail["Target"]["RequiresRecreation"] for detail in details}
    return "Conditional" if needs & {schemas.ALWAYS, schemas.SOMETIMES} else "False"


def _text(value):
    if value is None:
        return ""
    if unknowns(value):
        return "{{changeSet:KNOWN_AFTER_APPLY}}"
    return value if isinstance(value, str) else json.dumps(value)


def _context(properties):
    shown = {name: _text(value) if unknowns(value) else value for name, value in properties.items()}
    return json.dumps({"Properties": shown})
