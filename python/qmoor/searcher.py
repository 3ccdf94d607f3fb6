"""Searching."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from . import _arrow, _native
from ._connected import Connected
from .errors import BadInput
from .target import Target

__all__ = ["Searcher"]

Json = Mapping[str, Any]


class Searcher(Connected[_native.Searcher]):
    """Searches a collection. A key that may only search is enough.

    It can be used from several threads and from asyncio, after a fork, and pickled (without connection and key).

    A result is a table with the columns ``id``, ``score`` and ``payload`` (JSON text), best first. With ``fields``,
    each of these payload keys is a column of its own instead of ``payload``. A batch gives a table with one row a query
    and one column, ``hits``, a list of such rows.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)

    def _connect(self, key: str | None) -> _native.Searcher:
        return _native.Searcher(self._target.url, self._target.collection, key, self._target.ca())

    def __repr__(self) -> str:
        return f"Searcher({self._target!r})"

    def search(self, vector: Any, k: int = 10, *, fields: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """The ``k`` points nearest to ``vector``.

        Args:
            vector: a list or numpy array of numbers. Other kinds (sparse, several, an id) go through :meth:`query`.
            k: how many.
            fields: payload keys to return as columns.
            options: ``using`` (vector name), ``filter`` and ``params`` as Qdrant's REST API has them,
                ``score_threshold``, ``with_payload``, ``with_vector``, ``offset``.
        """
        packed, body = _packed(vector), _body(k, options)
        return pa.table(self._call(lambda native: native.search(packed, body, _names(fields))))

    async def asearch(
        self, vector: Any, k: int = 10, *, fields: Sequence[str] | None = None, **options: Any
    ) -> pa.Table:
        """As :meth:`search`, for asyncio."""
        packed, body = _packed(vector), _body(k, options)
        return pa.table(await self._acall(lambda native, post: native.asearch(post, packed, body, _names(fields))))

    def search_batch(
        self, vectors: Any, k: int = 10, *, fields: Sequence[str] | None = None, **options: Any
    ) -> pa.Table:
        """As :meth:`search`, of many vectors: a 2-D numpy array, a column of a table, or a list of lists."""
        matrix, body = _arrow.matrix(vectors), _body(k, options)
        return pa.table(self._call(lambda native: native.search_batch(matrix, body, _names(fields))))

    async def asearch_batch(
        self, vectors: Any, k: int = 10, *, fields: Sequence[str] | None = None, **options: Any
    ) -> pa.Table:
        """As :meth:`search_batch`, for asyncio."""
        matrix, body = _arrow.matrix(vectors), _body(k, options)
        return pa.table(
            await self._acall(lambda native, post: native.asearch_batch(post, matrix, body, _names(fields)))
        )

    def query(self, body: Json, *, fields: Sequence[str] | None = None) -> pa.Table:
        """Any query, as Qdrant's ``POST /collections/NAME/points/query`` takes it: prefetch, fusion, recommendation."""
        text = _json(body)
        return pa.table(self._call(lambda native: native.query(text, _names(fields))))

    async def aquery(self, body: Json, *, fields: Sequence[str] | None = None) -> pa.Table:
        """As :meth:`query`, for asyncio."""
        text = _json(body)
        return pa.table(await self._acall(lambda native, post: native.aquery(post, text, _names(fields))))

    def query_batch(self, bodies: Sequence[Json], *, fields: Sequence[str] | None = None) -> pa.Table:
        """As :meth:`query`, of many queries in one request."""
        text = _json(list(bodies))
        return pa.table(self._call(lambda native: native.query_batch(text, _names(fields))))

    async def aquery_batch(self, bodies: Sequence[Json], *, fields: Sequence[str] | None = None) -> pa.Table:
        """As :meth:`query_batch`, for asyncio."""
        text = _json(list(bodies))
        return pa.table(await self._acall(lambda native, post: native.aquery_batch(post, text, _names(fields))))


def _names(fields: Sequence[str] | None) -> list[str] | None:
    if isinstance(fields, str):
        raise BadInput(f"`fields` is one name, not a list of them: `{fields}`", hint=f"write [{fields!r}]")
    return None if fields is None else list(fields)


def _body(k: int, options: Mapping[str, Any]) -> str:
    body: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    body["limit"] = k
    return _json(body)


def _json(query: Any) -> str:
    try:
        return json.dumps(query)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the query is not JSON: {error}", hint="`.tolist()` makes lists of numpy arrays") from None


def _packed(vector: Any) -> bytes:
    """One dense vector as little-endian floats of 32 bits: a hundredth of the time that JSON takes."""
    try:
        if hasattr(vector, "astype"):
            if vector.ndim != 1:
                raise BadInput(f"an array of shape {vector.shape} is not one vector", hint="search_batch takes many")
            if vector.dtype.kind not in "fiu":
                raise BadInput(f"an array of {vector.dtype} is no vector of numbers")
            return bytes(vector.astype("<f4").tobytes())
        if isinstance(vector, bytes | bytearray):
            raise TypeError("bytes could be any numbers")
        numbers = array("f", vector)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"a {type(vector).__name__} is no vector of numbers: {error}") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
