"""The number of a run, and the writers that carry it in a worker process."""

from __future__ import annotations

import functools
import time
from typing import Literal

from ..errors import BadInput
from ..schema import PointSchema, WriteOptions
from ..target import Target
from ..writer import Writer

#: What drop_unchanged was given on this driver, by address and collection: write_qdrant must be given the same.
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


def check_announced(target: Target, generation: int) -> None:
    """Refuses a generation that is not the one unchanged points were marked with: cleanup would remove those."""
    announced = _announced.pop((target.url, target.collection), generation)
    if announced != generation:
        raise BadInput(
            f"drop_unchanged was given generation {announced} for `{target.collection}`, write_qdrant {generation}",
            hint="generation = new_generation(target), once, for both: cleanup removes what is of another generation",
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
