"""The number of a run, and the writers that carry it in a worker process."""

from __future__ import annotations

import functools
import time
from typing import Literal

from ..errors import BadInput
from ..schema import PointSchema, WriteOptions
from ..target import Target
from ..writer import Writer

#: By address and collection: the generation that drop_unchanged marks points with on this driver, until a cleanup with
#: the same one has been done. A cleanup with another would remove the points that were marked.
_announced: dict[tuple[str, str], int] = {}

_ANY_SCHEMA = PointSchema(id="id")


def new_generation(target: Target) -> int:
    """A number for this run: higher than that of any run before, and not lower than the time in milliseconds.

    Take it once, on the driver, and give it to :func:`drop_unchanged` and :func:`write_qdrant`.
    """
    newest = Writer(target, _ANY_SCHEMA).newest_generation()
    return max(time.time_ns() // 1_000_000, (newest or 0) + 1)


def announce(target: Target, generation: int) -> None:
    """Remembers that unchanged points are being marked with this generation."""
    _announced[target.url, target.collection] = generation


def announced(target: Target) -> int | None:
    """What unchanged points are being marked with, if they are."""
    return _announced.get((target.url, target.collection))


def settle(target: Target, generation: int) -> None:
    """Forgets it: a cleanup with this generation has been done."""
    if announced(target) == generation:
        del _announced[target.url, target.collection]


def check_same(target: Target, marked: int, generation: int) -> None:
    """Refuses a cleanup with another generation than the one that unchanged points were marked with."""
    if marked != generation:
        raise BadInput(
            f"drop_unchanged was given generation {marked} for `{target.collection}`, and the write has {generation}: "
            "its cleanup would remove what drop_unchanged left out",
            hint="generation = new_generation(target) once, for drop_unchanged and write_qdrant",
        )


@functools.lru_cache(maxsize=8)
def writer(
    target: Target,
    schema: PointSchema,
    options: WriteOptions,
    generation: int,
    cleanup: Literal["scoped"] | None = None,
) -> Writer:
    """The one writer of this process for these settings: tasks that Ray runs in turn share its connection."""
    return Writer(target, schema, options, generation=generation, cleanup=cleanup)
