"""Drift: what the resources of a stack have become, beside what the template made of them.

Only properties that the template sets are compared, and only those that a handler can read.
"""

import json

from .resources import HANDLERS
from .resources.base import Context
from .stack import now


def detect(stack):
    """Compares all resources of a stack; notes the result at each, and at the stack."""
    drifted = 0
    for resource in stack.live().values():
        resource.drift = compare(stack, resource)
        drifted += resource.drift["StackResourceDriftStatus"] in ("MODIFIED", "DELETED")
    status = "DRIFTED" if drifted else "IN_SYNC"
    stack.drift = {"StackDriftStatus": status, "LastCheckTimestamp": now()}
    return status, drifted


def compare(stack, resource):
    expected = resource.properties
    handler = HANDLERS[resource.kind]
    actual = handler.read(Context(stack, resource.logical), resource.physical)
    found = {
        "StackId": stack.id,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.kind,
        "Timestamp": now(),
        "PropertyDifferences": [],
    }
    if actual is None:
        return {**found, "StackResourceDriftStatus": "DELETED", "ExpectedProperties": json.dumps(expected)}
    # What other resources of the stack have added to this one is theirs.
    actual = handler.without_others(actual, resource.physical, stack.live().values())
    names = sorted(set(expected) & set(actual))
    wanted = {name: expected[name] for name in names}
    seen = {name: actual[name] for name in names}
    for name in names:
        found["PropertyDifferences"] += differences(f"/{name}", wanted[name], seen[name])
    status = "MODIFIED" if found["PropertyDifferences"] else "IN_SYNC"
    return {
        **found,
        "StackResourceDriftStatus": status,
        "ExpectedProperties": json.dumps(wanted),
        "ActualProperties": json.dumps(seen),
    }


def differences(path, expected, actual):
    """Lists are compared without their order; objects by the keys that are expected."""
    if isinstance(expected, list) and isinstance(actual, list):
        missing = [(index, item) for index, item in enumerate(expected) if not any(same(item, one) for one in actual)]
        added = [(index, item) for index, item in enumerate(actual) if not any(same(one, item) for one in expected)]
        return [_difference(f"{path}/{index}", json.dumps(item), "null", "REMOVE") for index, item in missing] + [
            _difference(f"{path}/{index}", "null", json.dumps(item), "ADD") for index, item in added
        ]
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            difference
            for name in expected
            for difference in differences(f"{path}/{name}", expected[name], actual.get(name))
        ]
    if same(expected, actual):
        return []
    return [_difference(path, _text(expected), _text(actual), "NOT_EQUAL")]


def same(expected, actual):
    if isinstance(expected, dict) and isinstance(actual, dict):
        return set(expected) == set(actual) and all(same(expected[name], actual[name]) for name in expected)
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return expected == actual
    return _text(expected) == _text(actual)


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def _difference(path, expected, actual, kind):
    return {"PropertyPath": path, "ExpectedValue": expected, "ActualValue": actual, "DifferenceType": kind}
