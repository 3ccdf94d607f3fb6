"""qmoor on Ray: an indexing job writes, an inference job searches.

>>> import qmoor, qmoor.ray
>>> report = qmoor.ray.write_qdrant(
...     ds, target, schema, cleanup="full", backup={"batch_id": "2026-11-25"}
... )  # doctest: +SKIP
"""

from .generation import new_generation
from .retriever import AsyncRetriever, Retriever
from .sink import QdrantDatasink, write_qdrant
from .unchanged import drop_unchanged

__all__ = ["AsyncRetriever", "QdrantDatasink", "Retriever", "drop_unchanged", "new_generation", "write_qdrant"]
