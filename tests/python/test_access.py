"""Keys: what is open, what needs a key, and what the read-only key may not do."""

import grpc
import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as pb
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse

import server
from conftest import KEY, READ_ONLY_KEY, fresh_name

pytestmark = pytest.mark.remote


@pytest.fixture
def reader(door):
    connected = door.client(READ_ONLY_KEY)
    yield connected
    connected.close()


@pytest.fixture
def made(client, name):
    client.create_collection(name, vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    client.upsert(name, [m.PointStruct(id=1, vector=[1, 2], payload={"a": 1})])
    return name


def status(call):
    """The status a call is refused with, in the words of HTTP for both doors."""
    with pytest.raises((UnexpectedResponse, grpc.RpcError)) as caught:
        call()
    if isinstance(caught.value, UnexpectedResponse):
        return caught.value.status_code
    return {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403}[caught.value.code()]


@pytest.mark.parametrize("path", ["/", "/healthz", "/livez", "/readyz"])
def test_health_needs_no_key(engine, path):
    assert httpx.get(engine.url + path).status_code == 200


def test_the_root_names_program_and_version(engine):
    answer = httpx.get(engine.url).json()
    assert answer["title"] == "qdrant - vector search engine"
    assert answer["version"].startswith("1.19.")


@pytest.mark.parametrize("path", ["/collections", "/metrics", "/telemetry", "/aliases", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"api-key": "wrong"},
        {"api-key": ""},
        {"api-key": KEY + "x"},
        {"authorization": KEY},
        {"authorization": "Bearer"},
    ],
    ids=str,
)
def test_all_else_needs_a_key(engine, path, headers):
    answer = httpx.get(engine.url + path, headers=headers)
    assert answer.status_code == 401
    assert "API key" in answer.text


@pytest.mark.parametrize("path", ["/collections", "/metrics", "/telemetry", "/aliases"])
@pytest.mark.parametrize("key", [KEY, READ_ONLY_KEY], ids=["key", "read-only"])
def test_both_keys_read_in_both_headers(engine, path, key):
    for headers in ({"api-key": key}, {"authorization": f"Bearer {key}"}):
        assert httpx.get(engine.url + path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/Healthz", "/healthz/", "/healthz/../collections", "//healthz/..//collections", "/healthz%2F..%2Fcollections"],
)
def test_no_trick_with_the_path_opens_it(engine, path):
    status, text = server.raw(engine.http_port, "GET", path)
    assert status in (401, 404)
    assert "result" not in text


@pytest.mark.parametrize("key", ["wrong", None])
def test_a_wrong_key_or_none_is_refused_at_both_doors(door, made, key):
    connected = door.client(key)
    assert status(connected.get_collections) == 401
    assert status(lambda: connected.upsert(made, [m.PointStruct(id=2, vector=[1, 2])])) == 401
    assert status(lambda: connected.query_points(made, [1.0, 2.0])) == 401
    connected.close()


def test_the_read_only_key_reads(reader, made):
    assert reader.collection_exists(made)
    assert reader.get_collection(made).points_count == 1
    assert reader.count(made).count == 1
    assert reader.retrieve(made, [1])[0].id == 1
    assert len(reader.scroll(made)[0]) == 1
    assert reader.query_points(made, [1, 2]).points[0].id == 1
    assert reader.query_batch_points(made, [m.QueryRequest(query=[1, 2])])[0].points[0].id == 1
    assert reader.query_points_groups(made, "a", [1, 2]).groups[0].id == 1
    assert reader.get_aliases().aliases is not None


WRITES = {
    "create": lambda c, n: c.create_collection(
        fresh_name(), vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT)
    ),
    "update": lambda c, n: c.update_collection(n, optimizers_config=m.OptimizersConfigDiff(indexing_threshold=1)),
    "drop": lambda c, n: c.delete_collection(n),
    "upsert": lambda c, n: c.upsert(n, [m.PointStruct(id=2, vector=[1, 2])]),
    "delete": lambda c, n: c.delete(n, [1]),
    "set payload": lambda c, n: c.set_payload(n, {"x": 1}, [1]),
    "overwrite payload": lambda c, n: c.overwrite_payload(n, {"x": 1}, [1]),
    "delete payload": lambda c, n: c.delete_payload(n, ["a"], [1]),
    "clear payload": lambda c, n: c.clear_payload(n, [1]),
    "update vectors": lambda c, n: c.update_vectors(n, [m.PointVectors(id=1, vector=[5, 5])]),
    "delete vectors": lambda c, n: c.delete_vectors(n, [""], [1]),
    "batch": lambda c, n: c.batch_update_points(n, [m.DeleteOperation(delete=m.PointIdsList(points=[1]))]),
    "create index": lambda c, n: c.create_payload_index(n, "a", "integer"),
    "delete index": lambda c, n: c.delete_payload_index(n, "a"),
    "alias": lambda c, n: c.update_collection_aliases(
        [m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=n, alias_name=fresh_name()))]
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_read_only_key_writes_nothing(client, reader, made, write):
    assert status(lambda: WRITES[write](reader, made)) == 403
    (point,) = client.retrieve(made, [1], with_vectors=True)
    assert (client.count(made).count, point.payload, point.vector) == (1, {"a": 1}, [1, 2])


def test_health_over_grpc_needs_no_key(engine):
    with grpc.insecure_channel(f"127.0.0.1:{engine.grpc_port}") as channel:
        answer = pb.QdrantStub(channel).HealthCheck(pb.HealthCheckRequest(), timeout=10)
        assert answer.version.startswith("1.19.")
        # grpc.health.v1: an empty request; SERVING is field 1 with value 1.
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10) == b"\x08\x01"


def test_an_empty_key_is_refused_at_the_start(tmp_path):
    with pytest.raises(AssertionError, match="did not start"):
        server.start_engine(tmp_path, key="")


def test_without_a_key_everything_is_open(tmp_path):
    running = server.start_engine(tmp_path)
    connected = QdrantClient(host="127.0.0.1", port=running.http_port)
    connected.create_collection("c", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    assert connected.collection_exists("c")
    connected.close()
    assert running.stop() == 0
