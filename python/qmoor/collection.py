"""Making the collection that a schema needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from . import _native
from .errors import BadInput
from .target import Target

__all__ = ["VectorSpec", "ensure_collection"]


@dataclass(frozen=True)
class VectorSpec:
    """What vectors of one name are like: how many numbers, how they are compared, and whether a point has several."""

    size: int
    distance: Literal["cosine", "dot", "euclid", "manhattan"] = "cosine"
    multivector: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise BadInput(f"a vector's `size` is {self.size}; it must be at least 1")


def ensure_collection(
    target: Target,
    *,
    vectors: Mapping[str, VectorSpec | int] | int | None = None,
    sparse: Iterable[str] = (),
    bm25: Iterable[str] = (),
    payload_indexes: Mapping[str, str] | None = None,
    on_mismatch: Literal["raise"] = "raise",
) -> bool:
    """Makes the collection if it is missing, or checks that the one there fits; whether it was made now.

    The payload keys by which documents are tidied (``_doc``, ``_ix``, ``_gen``) are always indexed. Run it once, where
    a job starts: a qmoor node lets the index key do it, plain Qdrant wants a key that may manage collections.

    Args:
        target: the collection.
        vectors: vector name to :class:`VectorSpec`, or to the size alone (compared by cosine); a size alone for the
            unnamed vector.
        sparse: names of sparse vectors whose weights count as they are, such as those of SPLADE.
        bm25: names of sparse vectors of words, weighed by how rare a word is (Qdrant's ``idf``): those of
            ``PointSchema.bm25``.
        payload_indexes: payload key to ``keyword``, ``integer``, ``float``, ``bool``, ``datetime``, ``text``, ``uuid``
            or ``geo``.
        on_mismatch: only ``raise``: a collection that does not fit is never changed.
    """
    if on_mismatch != "raise":
        raise BadInput(f"on_mismatch `{on_mismatch}`: only `raise` is there; a collection is never changed or replaced")
    for argument, names in (("sparse", sparse), ("bm25", bm25)):
        if isinstance(names, str):
            raise BadInput(f"`{argument}` is one name, not a list of them: `{names}`", hint=f"write [{names!r}]")
    sparse, bm25 = list(sparse), list(bm25)
    if not (isinstance(vectors, int) or vectors or sparse or bm25):
        raise BadInput("no vectors: `vectors`, `sparse` and `bm25` are all empty")
    if isinstance(vectors, int):
        vectors = {"": vectors}
    specs = {name: spec if isinstance(spec, VectorSpec) else VectorSpec(spec) for name, spec in (vectors or {}).items()}
    spec = {
        "vectors": {name: asdict(spec) for name, spec in specs.items()},
        "sparse": {**{name: {"idf": False} for name in sparse}, **{name: {"idf": True} for name in bm25}},
        "payload_indexes": dict(payload_indexes or {}),
    }
    return _native.ensure_collection(
        target.url, target.collection, target.resolved_key(), target.ca(), json.dumps(spec)
    )
