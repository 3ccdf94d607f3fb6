"""The same job on other servers: the embedded engine without a node, and a node whose engine is a container."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from qdrant_client import QdrantClient
from qmoor import (
    BackupFailed,
    BadInput,
    Forbidden,
    Node,
    Searcher,
    Target,
    Unauthorized,
    ensure_collection,
)
from qmoor.ray import Retriever, drop_unchanged, new_generation, write_qdrant

import corpus
import server
from corpus import SCHEMA

# Making the image takes a minute or two, once.
pytestmark = pytest.mark.timeout(600)

COLLECTION = "job"
BEFORE = {f"d{number}": 6 for number in range(50)}
AFTER = {**{f"d{number}": 6 for number in range(1, 49)}, "d49": 2, "new": 3}


class Place:
    """A server: where to write, where to ask, and with which keys."""

    def __init__(self, url, client, node=None):
        self.url, self.client, self.node = url, client, node
        self.name = COLLECTION

    def target(self, role="ADMIN"):
        return Target(self.url, COLLECTION, f"env:OTHER_{role}")

    def points(self):
        page, end = self.client.scroll(COLLECTION, limit=10_000, with_vectors=True)
        assert end is None
        return {str(point.id): (point.payload, point.vector) for point in page}


def official(running, key):
    options = {"prefer_grpc": True, "https": False, "check_compatibility": False, "timeout": 60}
    return QdrantClient(host="127.0.0.1", port=running.http_port, grpc_port=running.grpc_port, api_key=key, **options)


def engine_alone(folder):
    """Qdrant's own two keys, and gRPC on a port of its own."""
    running = server.start_engine(folder, "a key that may all", "a key that may read")
    os.environ.update(OTHER_ADMIN="a key that may all", OTHER_SEARCH="a key that may read")
    return running, Place(f"http://127.0.0.1:{running.grpc_port}", official(running, "a key that may all"))


def docker(*arguments, check=True):
    return subprocess.run(["docker", *arguments], check=check, capture_output=True, text=True)


def node_on_docker(folder):
    """The image that `QMOOR_TEST_IMAGE` names, or one with the project's own engine in it."""
    if shutil.which("docker") is None or docker("info", check=False).returncode:
        pytest.skip("no Docker engine answers on this host")
    image = os.environ.get("QMOOR_TEST_IMAGE", "qmoor-stand-in:v1.19.0")
    if image.startswith("qmoor-stand-in:"):
        script = Path(__file__).parents[1] / "docker/build-images"
        subprocess.run([script, server.BINARY], check=True, capture_output=True)
    name = f"ray{secrets.token_hex(6)}"
    engine = f'[engine]\nkind = "docker"\nimage = "{image}"\nnofile = 0\n'
    containers = [f"qmoor-{name}", f"qmoor-{name}-scratch"]
    try:
        running = server.start_node(folder, f'{engine}[node]\nname = "{name}"\n')
    except AssertionError:
        docker("rm", "-f", *containers, check=False)
        raise
    running.containers = containers
    for role, key in running.ready["keys"].items():
        os.environ[f"OTHER_{role.upper()}"] = key
    node = Node(running.url, "env:OTHER_ADMIN")
    return running, Place(running.url, official(running, running.ready["keys"]["admin"]), node)


@pytest.fixture(scope="module", params=[engine_alone, node_on_docker], ids=["engine", "docker"])
def other(request, tmp_path_factory):
    running, place = request.param(tmp_path_factory.mktemp("other"))
    yield place
    code = running.stop()
    if hasattr(running, "containers"):
        docker("rm", "-f", *running.containers, check=False)
    assert code == 0, running.tail()


@pytest.fixture
def target(other, tmp_path):
    """Its key is in a file: the environment of Ray's workers is of an earlier time."""
    (tmp_path / "key").write_text(os.environ["OTHER_ADMIN"])
    return Target(other.url, COLLECTION, f"file:{tmp_path / 'key'}")


def test_the_whole_of_a_job_and_the_next(other, target, ray):
    ensure_collection(target, vectors=8)
    first = write_qdrant(ray.data.from_arrow(corpus.table(BEFORE)).repartition(4), target, SCHEMA, cleanup="scoped")
    assert (first.points_acked, first.stale_deleted) == (300, 0)
    assert corpus.found(other) == corpus.expected(BEFORE)
    # A document gone, one shorter, one new: the rest is neither embedded nor written again.
    generation = new_generation(target)
    assert generation > first.generation
    texts = corpus.table(AFTER).drop_columns(["vector"])
    left = drop_unchanged(ray.data.from_arrow(texts), target, SCHEMA, generation=generation)
    embedded = left.map_batches(embed, batch_format="pyarrow")
    second = write_qdrant(embedded, target, SCHEMA, generation=generation, cleanup="full")
    assert second.rows_in == 4
    assert second.stale_deleted == 6 + 4
    assert corpus.found(other) == corpus.expected(AFTER)
    asked = ray.data.from_arrow(corpus.table({"d7": 6})).map_batches(
        Retriever,
        fn_constructor_kwargs={"target": target, "k": 1, "fields": ["_doc", "_ix"]},
        batch_format="pyarrow",
        concurrency=1,
        num_cpus=0.1,
    )
    assert [(row["hits"][0]["_doc"], row["hits"][0]["_ix"]) for row in asked.take_all()] == [
        ("d7", number) for number in range(6)
    ]


def embed(table):
    rows = table.to_pylist()
    return table.append_column(
        "vector", [[corpus.chunk(row["doc"], row["chunk"], row["chunks"])["vector"] for row in rows]]
    )


def test_the_key_that_reads_searches_and_cannot_write(other, target, ray):
    ensure_collection(target, vectors=8)
    before = other.points()
    with pytest.raises(Forbidden):
        write_qdrant(ray.data.from_arrow(corpus.table(BEFORE)), other.target("SEARCH"), SCHEMA)
    assert other.points() == before
    assert Searcher(other.target("SEARCH")).search([1.0] * 8).num_rows <= 10
    os.environ["OTHER_NONE"] = "no such key"
    with pytest.raises(Unauthorized):
        Searcher(other.target("NONE")).search([1.0] * 8)


def test_a_backup_where_there_is_a_node_and_a_clear_word_where_not(other, target, ray):
    ensure_collection(target, vectors=8)
    rows = ray.data.from_arrow(corpus.table(AFTER))
    if other.node is None:
        with pytest.raises((BackupFailed, BadInput)) as failure:
            write_qdrant(rows, target, SCHEMA, backup={"batch_id": "b", "timeout_s": 5})
        assert failure.value.report["points_acked"] == len(corpus.expected(AFTER))
    else:
        report = write_qdrant(rows, target, SCHEMA, backup={"batch_id": "b"})
        assert report.backup["complete"]
        assert [backup["batch_id"] for backup in other.node.backups()] == ["b"]
    assert corpus.found(other) == corpus.expected(AFTER)
