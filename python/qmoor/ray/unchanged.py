"""Leaving out what need not be embedded again."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from ray.data import Dataset

from ..errors import BadInput
from ..schema import PointSchema, WriteOptions
from ..target import Target
from .generation import announce, writer

__all__ = ["drop_unchanged"]


def drop_unchanged(
    ds: Dataset, target: Target, schema: PointSchema, *, generation: int, batch_size: int = 1024
) -> Dataset:
    """The rows that are new or different, by ``schema.hash``. Put it before the embedding.

    The points of the other rows are given ``generation``, so that cleanup keeps them: write what is left with
    the same generation, even if nothing is left. The last chunk of a document that shrank stays in, so that the write
    knows of the document; that takes ``chunk_count`` in the schema, or a ``full`` cleanup.

    Args:
        ds: the dataset, with the columns for ``doc``, ``chunk``, ``hash`` and, if the schema has it, ``chunk_count``.
        target: the collection.
        schema: the same as for :func:`write_qdrant`; it needs ``hash``.
        generation: ``new_generation(target)``, the same as for :func:`write_qdrant`, which refuses another one.
        batch_size: rows that are asked about in one request.
    """
    if schema.hash is None:
        raise BadInput("drop_unchanged needs `hash` in the schema: the column that changes when a row does")
    announce(target, generation)
    changed: Any = _changed
    return ds.map_batches(
        changed,
        fn_kwargs={"target": target, "schema": schema, "generation": generation},
        batch_format="pyarrow",
        batch_size=batch_size,
    )


def _changed(table: pa.Table, target: Target, schema: PointSchema, generation: int) -> pa.Table:
    keep = writer(target, schema, WriteOptions(), generation).changed(table)
    return table.filter(pa.array(keep, pa.bool_()))


def marked(ds: Dataset, target: Target) -> set[int]:
    """What drop_unchanged was given on the way to this dataset, as far as its plan still shows."""
    plan = getattr(getattr(ds, "_logical_plan", None), "dag", None)
    found: set[int] = set()
    for step in plan.post_order_iter() if plan is not None else ():
        if getattr(step, "fn", getattr(step, "_fn", None)) is _changed:
            given = getattr(step, "fn_kwargs", getattr(step, "_fn_kwargs", None)) or {}
            if (given["target"].url, given["target"].collection) == (target.url, target.collection):
                found.add(given["generation"])
    return found
