"""Errors of CloudFormation."""

from moto.cloudformation.exceptions import CloudFormationError


def invalid(message):
    """The one error that CloudFormation has for nearly everything."""
    raise CloudFormationError("ValidationError", message)


def fail(code, message):
    raise CloudFormationError(code, message)


class ResourceFailed(Exception):
    """A resource could not be made, changed or removed; the text is the reason in the event."""


class NothingDone(ResourceFailed):
    """The same, and nothing was changed before it: there is nothing to undo."""
