"""Point ids that are the same each time."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import pyarrow as pa

from . import _arrow, _native
from .schema import DEFAULT_NAMESPACE

__all__ = ["point_ids"]


def point_ids(
    doc: Any,
    chunk: Any = None,
    *,
    namespace: uuid.UUID = DEFAULT_NAMESPACE,
    scheme: Literal["qmoor", "langchain", "haystack"] = "qmoor",
) -> pa.FixedSizeBinaryArray:
    """The ids of points, 16 bytes each; ``uuid.UUID(bytes=id.as_py())`` shows one.

    Args:
        doc: names of documents; for ``langchain`` the texts (``page_content``), for ``haystack`` the ids of documents.
        chunk: each row's number in its document, from 0; nothing means 0. For ``langchain`` the metadata, as
            ``json.dumps(metadata, sort_keys=True)`` writes it.
        namespace: sets ids apart from another source's; only for ``qmoor``.
        scheme: ``qmoor`` is a UUID version 8 of SHA-256, what ``qmoor index`` and ``Writer`` make. ``langchain`` is
            what ``langchain_core.indexing.index`` makes with its default encoder, ``haystack`` what Haystack's Qdrant
            store makes.
    """
    second = None if chunk is None else _arrow.array(chunk)
    ids = _native.point_ids(_arrow.array(doc), second, str(namespace), scheme)
    column = pa.table(ids).column(0).combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
