"""What tests ask of the emulator itself: POST /emulator/NAME with a JSON object, answered with JSON.

Each takes `account` (default 123456789012), since tests beside each other use accounts of their own.
"""

import json

from .calls import calls
from .world import DEFAULT_ACCOUNT, world


def behaviour(account, **changes):
    """{"snapshots": {"describes": 2, "never": false, "error": false}, ...}: see world.USUAL."""
    return world.behave(account, changes)


def usual(account):
    """Back to the usual behaviour."""
    world.usual(account)
    return {}


def fail_next(account, what, reason, operation="create", times=1):
    """CloudFormation's next operation on a type (AWS::EC2::Instance) or a logical id fails with `reason`."""
    world.fail_next(account, what, operation, reason, times)
    return {}


def mark(account):
    """A mark to list calls from."""
    return {"mark": calls.mark()}


def listed(account, mark=0, action=None, everyone=False):
    """The calls since a mark, in order: number, service, action, parameters, by, status, error."""
    return {"calls": calls.since(mark, None if everyone else account, action)}


NAMES = {
    "/emulator/behaviour": behaviour,
    "/emulator/usual": usual,
    "/emulator/fail": fail_next,
    "/emulator/mark": mark,
    "/emulator/calls": listed,
}


def answer(path, body):
    """Status and body for one request."""
    if path not in NAMES:
        return "404 Not Found", {"error": f"no {path}; there are {sorted(NAMES)}"}
    try:
        asked = json.loads(body or b"{}")
        return "200 OK", NAMES[path](asked.pop("account", DEFAULT_ACCOUNT), **asked)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return "400 Bad Request", {"error": f"{path}: {error}"}
