"""Write to and search a Qdrant node over Arrow. ``qmoor.ray`` is the same for Ray."""

from ._native import __version__
from .collection import VectorSpec, ensure_collection
from .errors import (
    BackupFailed,
    BadInput,
    BadRow,
    Forbidden,
    GaveUp,
    Mismatch,
    NodeError,
    NodeFull,
    NotFound,
    QmoorError,
    Refused,
    Unauthorized,
    Unreachable,
)
from .ids import point_ids
from .node import Node
from .report import BadRowFound, WriteReport
from .schema import DEFAULT_NAMESPACE, PointSchema, WriteOptions
from .searcher import Searcher
from .target import Target
from .writer import Writer

__all__ = [
    "DEFAULT_NAMESPACE",
    "BackupFailed",
    "BadInput",
    "BadRow",
    "BadRowFound",
    "Forbidden",
    "GaveUp",
    "Mismatch",
    "Node",
    "NodeError",
    "NodeFull",
    "NotFound",
    "PointSchema",
    "QmoorError",
    "Refused",
    "Searcher",
    "Target",
    "Unauthorized",
    "Unreachable",
    "VectorSpec",
    "WriteOptions",
    "WriteReport",
    "Writer",
    "__version__",
    "ensure_collection",
    "point_ids",
]
