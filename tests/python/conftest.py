"""Fixtures: the servers under test, the doors into them, and a collection name of one's own."""

import itertools
from dataclasses import dataclass

import pytest
from qdrant_client import QdrantClient

import server

KEY = "a key that may do everything"
READ_ONLY_KEY = "a key that may read"

_numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption(
        "--local",
        action="store_true",
        help="run against the client's own in-memory mode: checks the tests, not qmoor",
    )


def pytest_collection_modifyitems(config, items):
    """Leaves out, with `--local`, what the in-memory mode cannot do."""
    if config.getoption("--local"):
        left_out = [item for item in items if item.get_closest_marker("remote")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@dataclass(frozen=True)
class Door:
    """One way in: which server, over which protocol."""

    host: str
    http_port: int
    grpc_port: int
    grpc: bool

    def client(self, key=KEY):
        return QdrantClient(
            host=self.host,
            port=self.http_port,
            grpc_port=self.grpc_port,
            prefer_grpc=self.grpc,
            api_key=key,
            https=False,
            timeout=30,
            check_compatibility=False,
        )


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """One engine for the whole run; each test has collections of its own in it."""
    running = server.start_engine(tmp_path_factory.mktemp("engine"), KEY, READ_ONLY_KEY)
    yield running
    assert running.stop() == 0, running.tail()


@pytest.fixture(scope="session", params=["rest", "grpc"])
def door(request):
    """Both protocols of the engine."""
    if request.config.getoption("--local"):
        return None
    running = request.getfixturevalue("engine")
    return Door("127.0.0.1", running.http_port, running.grpc_port, grpc=request.param == "grpc")


@pytest.fixture(scope="session")
def client(door):
    """The official client, with the key that may do everything."""
    connected = door.client() if door else QdrantClient(":memory:")
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def oracle():
    """The official client's own in-memory implementation, by other people: the referee."""
    local = QdrantClient(":memory:")
    yield local
    local.close()


@pytest.fixture
def name(client):
    """A collection name nobody else has; the collection is dropped afterwards."""
    chosen = f"c{next(_numbers)}"
    yield chosen
    client.delete_collection(chosen)


def fresh_name():
    return f"m{next(_numbers)}"
