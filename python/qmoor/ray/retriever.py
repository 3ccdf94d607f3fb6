"""Searching for each row of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..errors import BadInput
from ..searcher import Searcher
from ..target import Target

__all__ = ["AsyncRetriever", "Retriever"]


class Retriever:
    """Adds a column with the nearest points to each row's vector; a key that may only search is enough.

    >>> ds.map_batches(
    ...     Retriever,
    ...     fn_constructor_kwargs={"target": target, "k": 5, "fields": ["text"]},
    ...     batch_format="pyarrow",
    ...     batch_size=64,
    ...     concurrency=2,
    ...     num_cpus=0.1,
    ... )  # doctest: +SKIP

    Args:
        target: the collection.
        vector_column: the column of vectors to search for.
        k: how many points for each.
        fields: payload keys to return; the whole payload as JSON text unless given.
        output_column: the name of the new column: a list of structs of ``id``, ``score`` and the payload.
        options: ``using``, ``filter``, ``params``, ``score_threshold``: see :meth:`qmoor.Searcher.search`.
    """

    def __init__(
        self,
        target: Target,
        vector_column: str = "vector",
        k: int = 10,
        *,
        fields: Sequence[str] | None = None,
        output_column: str = "hits",
        **options: Any,
    ) -> None:
        self._searcher = Searcher(target)
        self._vector_column = vector_column
        self._k = k
        self._fields = fields
        self._output_column = output_column
        self._options = options

    def _vectors(self, table: pa.Table) -> Any:
        if self._vector_column not in table.column_names:
            raise BadInput(f"there is no column `{self._vector_column}`; there are {', '.join(table.column_names)}")
        if self._output_column in table.column_names:
            raise BadInput(f"there is a column `{self._output_column}` already", hint="name another `output_column`")
        return table.column(self._vector_column)

    def _with(self, table: pa.Table, found: pa.Table) -> pa.Table:
        return table.append_column(self._output_column, found.column("hits"))

    def __call__(self, table: pa.Table) -> pa.Table:
        """The batch with the new column."""
        vectors = self._vectors(table)
        found = self._searcher.search_batch(vectors, self._k, fields=self._fields, **self._options)
        return self._with(table, found)


class AsyncRetriever(Retriever):
    """As :class:`Retriever`, with several batches under way in one actor."""

    async def __call__(self, table: pa.Table) -> pa.Table:
        """The batch with the new column."""
        vectors = self._vectors(table)
        found = await self._searcher.asearch_batch(vectors, self._k, fields=self._fields, **self._options)
        return self._with(table, found)
