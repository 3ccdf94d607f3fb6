"""What can go wrong, named for what the caller does next.

Every error is picklable, so that it comes back whole from a Ray worker.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = [
    "BackupFailed",
    "BadInput",
    "BadRow",
    "Forbidden",
    "GaveUp",
    "Mismatch",
    "NodeError",
    "NodeFull",
    "NotFound",
    "QmoorError",
    "Refused",
    "Unauthorized",
    "Unreachable",
]


class QmoorError(Exception):
    """The base of all errors of this package.

    Attributes:
        code: a stable word for programs, such as ``unauthorized``.
        hint: what to do next, if there is anything to do.
        row: the row to blame, counted from 0 over all that was given to the call.
        column: the column to blame.
        report: what had been done before, as ``WriteReport.to_dict()`` has it; ``None`` where nothing was written.
    """

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        row: int | None = None,
        column: str | None = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.hint = hint
        self.row = row
        self.column = column
        self.report = report

    def __str__(self) -> str:
        parts = [self.message]
        if self.report is not None:
            parts.append(f"acknowledged before: {self.report.get('points_acked', 0)} points")
        if self.hint is not None:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.message, dict(self.__dict__))


class BadInput(QmoorError):
    """An argument, a table or a file cannot be used as it is."""

    code = "bad_input"


class BadRow(BadInput):
    """One row of a table cannot be used; ``row`` and ``column`` say which."""

    code = "bad_row"


class Unauthorized(QmoorError):
    """The node does not know the key, or none was sent."""

    code = "unauthorized"


class Forbidden(QmoorError):
    """The node knows the key, and it may not do this."""

    code = "forbidden"


class NotFound(QmoorError):
    """The collection does not exist."""

    code = "not_found"


class Mismatch(QmoorError):
    """The collection exists and does not fit what is to be written."""

    code = "mismatch"


class Unreachable(QmoorError):
    """Nothing answers at the address."""

    code = "unreachable"


class GaveUp(QmoorError):
    """The node kept saying "later" until the budget for waiting was used up."""

    code = "gave_up"


class Refused(QmoorError):
    """The node refused a request for good."""

    code = "refused"


class NodeFull(QmoorError):
    """The node's disk is full."""

    code = "full"


class NodeError(QmoorError):
    """The node failed, or lacks what is asked of it."""

    code = "failed"


class BackupFailed(QmoorError):
    """Everything is written; only the backup at the end of the job is missing."""

    code = "backup_failed"


_CLASSES: dict[str, type[QmoorError]] = {
    "address": BadInput,
    "filter": BadInput,
    "file": BadInput,
    "bad_input": BadInput,
    "row": BadRow,
    "bad_row": BadRow,
    "schema": BadInput,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "mismatch": Mismatch,
    "unreachable": Unreachable,
    "gave_up": GaveUp,
    "invalid": Refused,
    "refused": Refused,
    "full": NodeFull,
    "failed": NodeError,
    "unsupported": NodeError,
    "internal": NodeError,
}


def from_native(text: str) -> QmoorError:
    """The error that the native module describes in JSON."""
    fields = json.loads(text)
    kind = _CLASSES.get(fields["code"], QmoorError)
    if fields.get("row") is not None and kind is not BadRow:
        kind = BadRow
    return kind(
        fields["message"],
        code=fields["code"],
        hint=fields.get("hint"),
        row=fields.get("row"),
        column=fields.get("column"),
        report=fields.get("report"),
    )


def _rebuilt(kind: type[QmoorError], message: str, state: dict[str, Any]) -> QmoorError:
    error = kind(message)
    error.__dict__.update(state)
    return error
