"""What the columns of a table mean, and how a write is carried out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import BadInput

__all__ = ["DEFAULT_NAMESPACE", "PointSchema", "WriteOptions"]

#: The namespace of point ids unless another is given; the same as that of ``qmoor index``.
DEFAULT_NAMESPACE = uuid.UUID("3d0c7a52-91ee-8b46-a7d1-5e60c2f84b19")


@dataclass(frozen=True)
class PointSchema:
    """What the columns of a table mean.

    A point's id is that of column ``id`` (integers, UUID text or 16 bytes). Without ``id`` it is made from ``doc`` and
    ``chunk``, so that writing again meets the same points.

    Args:
        id: the column of ids; without it ``doc`` and ``chunk`` are needed.
        doc: the column that names a row's document. It is kept as ``_doc``.
        chunk: the column with a row's number in its document, from 0. Kept as ``_ix``.
        chunk_count: the column that says how many chunks the document has now. With it a document that shrank is tidied
            as soon as it is written whole.
        hash: a column of text that changes when the row does; kept as ``_hash``, and what ``drop_unchanged`` compares.
        vectors: vector name in the collection (``""`` is the unnamed one) to column. Lists of floats or integers; lists
            of lists are multivectors.
        sparse: sparse vector name to column, a struct of ``indices`` and ``values``.
        bm25: sparse vector name to a column of text, from which the node computes BM25 (``qdrant/bm25``).
        text: the column of text that the layouts ``langchain`` and ``llamaindex`` need.
        payload: the columns kept as payload; all that have no other meaning, unless given.
        layout: how the payload is laid out: ``flat``, or as LangChain or LlamaIndex write and read it.
        namespace: sets ids made from documents apart from another source's.
    """

    id: str | None = None
    doc: str | None = None
    chunk: str | None = None
    chunk_count: str | None = None
    hash: str | None = None
    vectors: Mapping[str, str] = field(default_factory=lambda: {"": "vector"})
    sparse: Mapping[str, str] = field(default_factory=dict)
    bm25: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    payload: Sequence[str] | None = None
    layout: Literal["flat", "langchain", "llamaindex"] = "flat"
    namespace: uuid.UUID = DEFAULT_NAMESPACE

    def __post_init__(self) -> None:
        if self.id is None and (self.doc is None or self.chunk is None):
            raise BadInput(
                "neither `id` nor `doc` and `chunk` name columns",
                hint='PointSchema(id="id"), or PointSchema(doc="doc", chunk="chunk")',
            )
        if self.chunk is not None and self.doc is None:
            raise BadInput("`chunk` needs `doc`: a chunk is a part of a document")
        if self.chunk_count is not None and self.chunk is None:
            raise BadInput("`chunk_count` needs `chunk`")
        if not (self.vectors or self.sparse or self.bm25):
            raise BadInput("no vectors: `vectors`, `sparse` and `bm25` are all empty")
        if isinstance(self.payload, str):
            raise BadInput(f"`payload` is one name, not a list of them: `{self.payload}`")
        if self.layout not in ("flat", "langchain", "llamaindex"):
            raise BadInput(f"layout `{self.layout}` is none of flat, langchain, llamaindex")
        if self.layout != "flat" and self.text is None:
            raise BadInput(f"layout `{self.layout}` needs `text`, the column with the text")
        used: dict[str, str] = {}
        for role, column in self._roles():
            if column in used and not {role, used[column]} <= {"text", "bm25", "hash", "doc", "id"}:
                raise BadInput(f"column `{column}` is both {used[column]} and {role}")
            used[column] = role

    def _roles(self) -> list[tuple[str, str]]:
        single = ["id", "doc", "chunk", "chunk_count", "hash", "text"]
        roles = [(role, getattr(self, role)) for role in single if getattr(self, role) is not None]
        for role in ("vectors", "sparse", "bm25"):
            roles += [(role, column) for column in getattr(self, role).values()]
        return roles

    def to_json(self) -> str:
        """As the native module reads it."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("vectors", "sparse", "bm25"):
            fields[name] = dict(fields[name])
        fields["payload"] = None if self.payload is None else list(self.payload)
        fields["namespace"] = str(self.namespace)
        return json.dumps(fields)

    def __hash__(self) -> int:
        return hash(self.to_json())


@dataclass(frozen=True)
class WriteOptions:
    """How a write is carried out.

    Args:
        batch_points: the most points in a request.
        batch_bytes: the most bytes in a request, as encoded; a row that is larger goes alone.
        max_inflight: the most requests under way at a time; fewer while the node is slow or says "later". All writers
            of a process share one budget.
        durability: ``applied`` counts a point when the node has applied it and it survives a crash; ``wal`` when the
            node has accepted it, which is faster and not safe.
        server_wait_s: how many seconds the node may take over a request before it says "accepted, not yet applied".
        deadline_s: how many seconds one request may take before it is sent again; more than ``server_wait_s``.
        give_up_after_s: how many seconds a request is repeated before the write fails.
        on_bad_row: ``raise``, or ``dead_letter`` to set such rows aside in the report and go on. The whole table is
            then held in memory.
    """

    batch_points: int = 256
    batch_bytes: int = 4 << 20
    max_inflight: int = 4
    durability: Literal["applied", "wal"] = "applied"
    server_wait_s: int = 30
    deadline_s: int = 45
    give_up_after_s: int = 600
    on_bad_row: Literal["raise", "dead_letter"] = "raise"

    def __post_init__(self) -> None:
        for name in ("batch_points", "batch_bytes", "max_inflight", "server_wait_s", "deadline_s", "give_up_after_s"):
            if getattr(self, name) < 1:
                raise BadInput(f"`{name}` is {getattr(self, name)}; it must be at least 1")
        if self.max_inflight > 16:
            raise BadInput(f"`max_inflight` is {self.max_inflight}; more than 16 gains nothing on one node")
        if self.deadline_s <= self.server_wait_s:
            raise BadInput(
                f"`deadline_s` is {self.deadline_s}; it must be more than `server_wait_s` ({self.server_wait_s}), "
                "so that the answer is the node's and not a guess"
            )
        if self.durability not in ("applied", "wal"):
            raise BadInput(f"durability `{self.durability}` is neither applied nor wal")
        if self.on_bad_row not in ("raise", "dead_letter"):
            raise BadInput(f"on_bad_row `{self.on_bad_row}` is neither raise nor dead_letter")

    def to_json(self, *, generation: int | None, cleanup: str | None) -> str:
        """As the native module reads it."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({**fields, "generation": generation, "cleanup": cleanup})
