"""Writing tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa

from . import _arrow, _native
from ._connected import Connected
from .errors import BadInput
from .report import WriteReport
from .schema import PointSchema, WriteOptions
from .target import Target

__all__ = ["Writer"]


class Writer(Connected[_native.Writer]):
    """Writes tables into a collection. Writing the same rows again changes nothing.

    It can be used from several threads, after a fork, and pickled (without its connection and its key).

    Args:
        target: the collection.
        schema: what the columns mean.
        options: how it is written.
        generation: the number of this run, kept with each point as ``_gen``. A point of a newer generation is never
            overwritten by an older one.
        cleanup: ``scoped`` removes what is left of a document's earlier generations as soon as the document is written
            whole; needs ``generation`` and ``schema.doc``.
    """

    def __init__(
        self,
        target: Target,
        schema: PointSchema,
        options: WriteOptions | None = None,
        *,
        generation: int | None = None,
        cleanup: Literal["scoped"] | None = None,
    ) -> None:
        if cleanup is not None:
            if cleanup != "scoped":
                raise BadInput(
                    f"cleanup `{cleanup}` is not `scoped`", hint="`full` is write_qdrant's: it needs all rows"
                )
            if generation is None:
                raise BadInput("`cleanup` needs `generation`: it removes what older generations wrote")
            if schema.doc is None:
                raise BadInput("`cleanup` needs `doc` in the schema: it removes what documents no longer have")
        if generation is not None and not 0 < generation < 1 << 63:
            raise BadInput(f"`generation` is {generation}; it must be a positive integer of 63 bits")
        super().__init__(target)
        self._schema = schema
        self._options = options or WriteOptions()
        self._generation = generation
        self._cleanup = cleanup

    def _connect(self, key: str | None) -> _native.Writer:
        return _native.Writer(
            self._target.url,
            self._target.collection,
            key,
            self._target.ca(),
            self._schema.to_json(),
            self._options.to_json(generation=self._generation, cleanup=self._cleanup),
        )

    def __repr__(self) -> str:
        return f"Writer({self._target!r}, {self._schema!r}, generation={self._generation})"

    def write(self, data: Any) -> WriteReport:
        """Writes all rows of ``data`` and waits until the node has them.

        Args:
            data: anything with ``__arrow_c_stream__`` (pyarrow, pandas, polars), read once and in pieces; or a dict of
                columns.

        Raises:
            BadRow: a row cannot be used. Rows in other batches may have been written; ``report`` says how many.
            QmoorError: as its name says; ``report`` has what was acknowledged before.
        """
        data = _arrow.table(data)
        if self._options.on_bad_row == "raise":
            return WriteReport.from_json(self._call(lambda native: native.write(data)))
        held = data if isinstance(data, pa.Table) else pa.table(data)
        text, rows, columns, reasons = self._call(lambda native: native.write_or_set_aside(held))
        report = WriteReport.from_json(text)
        if not rows:
            return report
        dead = held.take(pa.array(rows, pa.int64()))
        for name, values in (("_row", rows), ("_column", columns), ("_why", reasons)):
            dead = dead.append_column(name, pa.array(values, pa.int64() if name == "_row" else pa.string()))
        return replace(report, dead_letters=dead)

    def check(self, schema: pa.Schema | None = None) -> None:
        """Asks whether the collection can take the schema's vectors, and the table's columns if given."""
        self._call(lambda native: native.check(schema))

    def check_key(self) -> None:
        """Asks whether the key may write. Changes nothing."""
        self._call(lambda native: native.check_key())

    def delete_tails(self, documents: Iterable[tuple[str, int]]) -> int:
        """Removes, of each document, chunks from the given count on that are of an older generation; how many.

        Only for documents whose chunks have all been acknowledged: otherwise text could be lost.
        """
        documents = list(documents)
        return self._call(lambda native: native.delete_tails(documents))

    def delete_older_of(self, docs: Iterable[str]) -> int:
        """Removes all points of these documents that are of an older generation; how many."""
        docs = list(docs)
        return self._call(lambda native: native.delete_older_of(docs))

    def delete_older(self) -> int:
        """Removes all points with a document that are of an older generation; how many."""
        return self._call(lambda native: native.delete_older())

    def count(self) -> int:
        """How many points the collection has, exactly."""
        return self._call(lambda native: native.count())

    def newest_generation(self) -> int | None:
        """The highest generation in the collection."""
        return self._call(lambda native: native.newest_generation())

    def changed(self, data: Any) -> list[bool]:
        """Of each row, whether it is new or different by its hash. The others are given this writer's generation."""
        data = _arrow.table(data)
        return self._call(lambda native: native.changed(data))
