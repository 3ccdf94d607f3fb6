"""The resource types: for each a handler that creates, changes, deletes and reads it over the API of its service."""

from . import events, iam, instances, messages, networks, observe, secrets, systems, volumes

HANDLERS = {
    handler.kind: handler
    for module in (events, iam, instances, messages, networks, observe, secrets, systems, volumes)
    for handler in module.ALL
}
