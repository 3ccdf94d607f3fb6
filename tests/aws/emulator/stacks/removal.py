"""Removing resources, as their DeletionPolicy or UpdateReplacePolicy says, what needs others first."""

from botocore.exceptions import BotoCoreError, ClientError

from ..world import world
from .errors import ResourceFailed
from .resources import HANDLERS
from .resources.base import Context


def told(lost):
    return f"The following resource(s) failed to delete: [{', '.join(sorted(lost))}]. "


def policy(resource, replaced, creating):
    name = "UpdateReplacePolicy" if replaced else "DeletionPolicy"
    found = resource.raw.get(name, "Delete")
    if found == "RetainExceptOnCreate":
        return "Delete" if creating else "Retain"
    return found


def remove(stack, resources, template, retained=(), replaced=(), creating=False):
    """Removes `resources` of `template`; the logical ids of those that could not be."""
    lost = set()
    names = {resource.logical for resource in resources}
    known = names & set(template.resources)
    waves = [*reversed(template.waves(known)), sorted(names - known)]
    for wave in waves:
        for resource in [resource for resource in resources if resource.logical in wave]:
            if any(resource.logical in template.needs(name) for name in lost if name in template.resources):
                continue
            if not _remove(stack, resource, retained, any(resource is one for one in replaced), creating):
                lost.add(resource.logical)
    return lost


def _remove(stack, resource, retained, replaced, creating):
    from .operation import pause, reason_of

    # A replaced resource has its successor under its name: events are told, the entry is not touched.
    entry = stack.resources.get(resource.logical)
    chosen = policy(resource, replaced, creating)
    if chosen == "Retain" or resource.logical in retained:
        stack.tell(resource, "DELETE_SKIPPED")
        return True
    handler, on = HANDLERS[resource.kind], Context(stack, resource.logical)
    stack.tell(resource, "DELETE_IN_PROGRESS")
    pause(stack)
    try:
        planned = world.failure(stack.account, {resource.kind, resource.logical}, "delete")
        if planned:
            raise ResourceFailed(planned)
        if chosen == "Snapshot":
            if not hasattr(handler, "save"):
                raise ResourceFailed(f"DeletionPolicy Snapshot is not supported by {resource.kind}")
            handler.save(on, resource.physical)
        handler.delete(on, resource.physical, resource.properties)
    except (ResourceFailed, ClientError, BotoCoreError) as error:
        stack.tell(resource, "DELETE_FAILED", reason_of(error, resource.kind))
        return False
    stack.tell(resource, "DELETE_COMPLETE")
    if entry is not None and entry.physical == resource.physical:
        entry.status = "DELETE_COMPLETE"
    return True
