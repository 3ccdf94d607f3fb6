"""Fixtures: a node with keys for roles, one Ray for all tests, and a collection of one's own."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models
from qmoor import Target, ensure_collection

import server

# Ray's workers are processes of their own: they find the modules of these tests as this one does.
HERE = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(HERE), str(HERE.parent / "python"), os.environ.get("PYTHONPATH")])
)
# Before anything imports Ray: no network, no dashboard, no token in the home directory.
os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_DATA_DISABLE_PROGRESS_BARS="1")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A node; the environment of this process, and so of Ray's workers, has its keys."""
    running = server.start_node(tmp_path_factory.mktemp("node"))
    for role, key in running.ready["keys"].items():
        os.environ[f"QMOOR_TEST_{role.upper()}"] = key
    os.environ["QMOOR_TEST_WRONG"] = "qm_index_" + 64 * "0"
    yield running
    assert running.stop() == 0, running.tail()


@pytest.fixture(scope="session")
def ray(node):
    """A Ray of two cores on this machine."""
    import ray

    # Sockets lie in it, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="qr", dir="/tmp") as folder:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=200 << 20,
            _temp_dir=folder,
            log_to_driver=False,
        )
        yield ray
        ray.shutdown()


class Place:
    """A collection of a node, as each role sees it."""

    def __init__(self, node, name):
        self.node, self.name = node, name

    def target(self, role="index"):
        return Target(self.node.url, self.name, f"env:QMOOR_TEST_{role.upper()}")

    def make(self, vectors=8, **more):
        ensure_collection(self.target(), vectors=vectors, **more)
        return self

    def client(self, role="admin"):
        """The official client."""
        return QdrantClient(
            host="127.0.0.1",
            port=self.node.http_port,
            grpc_port=self.node.grpc_port,
            prefer_grpc=True,
            https=False,
            api_key=os.environ[f"QMOOR_TEST_{role.upper()}"],
            check_compatibility=False,
            timeout=60,
        )

    def points(self, *, but=("_gen",)):
        """All points, by id: payload without these keys, and vectors."""
        client, found, offset = self.client(), {}, None
        while True:
            page, offset = client.scroll(self.name, limit=5000, offset=offset, with_vectors=True)
            for point in page:
                payload = {key: value for key, value in point.payload.items() if key not in but}
                found[str(point.id)] = (payload, point.vector)
            if offset is None:
                return found

    def chunks(self):
        """Of each document, the numbers of its chunks."""
        found = {}
        for payload, _ in self.points().values():
            found.setdefault(payload["_doc"], []).append(payload["_ix"])
        return {doc: sorted(numbers) for doc, numbers in found.items()}

    def count(self, **match):
        must = [models.FieldCondition(key=key, match=models.MatchValue(value=value)) for key, value in match.items()]
        return self.client().count(self.name, count_filter=models.Filter(must=must), exact=True).count


@pytest.fixture
def place(node):
    """A name for a collection that no other test uses; `make` makes it."""
    return Place(node, f"c{next(_numbers)}")
