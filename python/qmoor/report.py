"""What a write did."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BadRowFound", "WriteReport"]


_SUMMED = (
    "rows_in",
    "points_acked",
    "points_pending",
    "retried",
    "throttled_s",
    "bad_rows",
    "stale_deleted",
    "bytes",
    "seconds",
)


@dataclass(frozen=True)
class BadRowFound:
    """A row that was set aside: its number in the table, the column to blame, and why."""

    row: int
    column: str | None
    why: str


@dataclass(frozen=True)
class WriteReport:
    """What a write did. Reports add up with ``+``.

    Attributes:
        rows_in: rows read.
        points_acked: points that the node has acknowledged.
        points_pending: of these, points accepted and not known to be applied (durability ``wal``).
        retried: requests that were sent again.
        throttled_s: seconds spent waiting because the node asked for it, summed over requests.
        bad_rows: rows set aside.
        bad_row_list: the first thousand of them.
        stale_deleted: points of earlier generations that were removed.
        bytes: bytes sent, as encoded; a request that was sent again counts once.
        seconds: how long it took; summed, where reports were added up.
        generation: the generation that was written.
        open_documents: documents that were not wholly in one write, and their chunk counts where known; the driver
            tidies them when all is written.
        dead_letters: the rows set aside, with the columns ``_row``, ``_column`` and ``_why``.
        cleanup_left: why nothing stale was removed, where it was asked for.
        backup: what the node said of the backup at the end of the job.
    """

    rows_in: int = 0
    points_acked: int = 0
    points_pending: int = 0
    retried: int = 0
    throttled_s: float = 0.0
    bad_rows: int = 0
    bad_row_list: tuple[BadRowFound, ...] = ()
    stale_deleted: int = 0
    bytes: int = 0
    seconds: float = 0.0
    generation: int | None = None
    open_documents: tuple[tuple[str, int | None], ...] = field(default=(), repr=False)
    dead_letters: pa.Table | None = field(default=None, repr=False, compare=False)
    cleanup_left: str | None = None
    backup: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, text: str) -> WriteReport:
        """The report that the native module describes in JSON."""
        fields = json.loads(text)
        fields["bad_row_list"] = tuple(BadRowFound(**row) for row in fields["bad_row_list"])
        fields["open_documents"] = tuple((doc, count) for doc, count in fields["open_documents"])
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The figures alone, for logs and JSON."""
        hidden = {"bad_row_list", "open_documents", "dead_letters"}
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in hidden}

    def __add__(self, other: WriteReport) -> WriteReport:
        return replace(
            self,
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMMED},
            bad_row_list=(self.bad_row_list + other.bad_row_list)[:1000],
            generation=self.generation if self.generation is not None else other.generation,
            open_documents=self.open_documents + other.open_documents,
            dead_letters=_joined(self.dead_letters, other.dead_letters),
            cleanup_left=self.cleanup_left or other.cleanup_left,
            backup=self.backup or other.backup,
        )


def _joined(one: pa.Table | None, other: pa.Table | None) -> pa.Table | None:
    if one is None or other is None:
        return other if one is None else one
    import pyarrow as pa

    return pa.concat_tables([one, other], promote_options="permissive")
