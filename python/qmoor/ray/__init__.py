"""qmoor on Ray: an indexing job writes, an inference job searches.

>>> import qmoor, qmoor.ray
>>> report = qmoor.ray.write_qdrant(
...     ds, target, schema, cleanup="full", backup={"batch_id": "2026-11-25"}
... )  # doctest: +SKIP
"""

try:
    import ray.data  # noqa: F401 (only whether it is there)
except ImportError as error:
    raise ImportError("qmoor.ray needs Ray Data (hint: pip install 'qmoor[ray]')") from error

from .generation import new_generation
from .retriever import AsyncRetriever, Retriever
from .sink import QdrantDatasink, write_qdrant
from .unchanged import drop_unchanged

__all__ = ["AsyncRetriever", "QdrantDatasink", "Retriever", "drop_unchanged", "new_generation", "write_qdrant"]
