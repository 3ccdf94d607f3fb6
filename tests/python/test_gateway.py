"""The gateway: the official client through the one door, with a key of each role."""

import concurrent.futures
import itertools
import json
import threading

import grpc
import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse

import samples
import server
from agree import ids
from conftest import Door, fresh_name

pytestmark = pytest.mark.remote

ROLES = ["search", "index", "admin"]
PAIR = m.VectorParams(size=2, distance=m.Distance.DOT)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    running = server.start_node(tmp_path_factory.mktemp("node"))
    yield running
    assert running.stop() == 0, running.tail()


@pytest.fixture(scope="module")
def keys(node):
    """The key of each role, as the first start showed them."""
    return node.ready["keys"]


@pytest.fixture(params=["rest", "grpc", "grpc on the first port"])
def door(request, node):
    grpc_port = node.http_port if "first" in request.param else node.grpc_port
    return Door("127.0.0.1", node.http_port, grpc_port, grpc=request.param != "rest")


@pytest.fixture
def clients(door, keys):
    """A client for each role."""
    made = {role: door.client(keys[role]) for role in ROLES}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def client(clients):
    """For the fixture that cleans up."""
    return clients["admin"]


@pytest.fixture(scope="module")
def made(node, keys):
    """A collection that all tests use, made with the index key."""
    client = Door("127.0.0.1", node.http_port, node.grpc_port, grpc=False).client(keys["index"])
    name = fresh_name()
    client.create_collection(name, vectors_config=PAIR)
    client.upsert(name, [m.PointStruct(id=1, vector=[1, 2], payload={"a": 1})], wait=True)
    yield name
    client.close()


def status(call):
    """0 when the call works, else the status in the words of HTTP."""
    try:
        call()
        return 0
    except UnexpectedResponse as error:
        return error.status_code
    except grpc.RpcError as error:
        return {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403}[error.code()]


READS = {
    "list": lambda c, n: c.get_collections(),
    "info": lambda c, n: c.get_collection(n),
    "exists": lambda c, n: c.collection_exists(n),
    "retrieve": lambda c, n: c.retrieve(n, [1]),
    "scroll": lambda c, n: c.scroll(n),
    "count": lambda c, n: c.count(n),
    "query": lambda c, n: c.query_points(n, [1.0, 2.0]),
    "query batch": lambda c, n: c.query_batch_points(n, [m.QueryRequest(query=[1.0, 2.0])]),
    "query groups": lambda c, n: c.query_points_groups(n, "a", [1.0, 2.0]),
}
POINT_WRITES = {
    "upsert": lambda c, n: c.upsert(n, [m.PointStruct(id=2, vector=[1, 2])]),
    "set payload": lambda c, n: c.set_payload(n, {"x": 1}, [1]),
    "overwrite payload": lambda c, n: c.overwrite_payload(n, {"x": 1}, [1]),
    "delete payload": lambda c, n: c.delete_payload(n, ["x"], [1]),
    "clear payload": lambda c, n: c.clear_payload(n, [1]),
    "update vectors": lambda c, n: c.update_vectors(n, [m.PointVectors(id=1, vector=[5, 5])]),
    "batch": lambda c, n: c.batch_update_points(n, [m.DeleteOperation(delete=m.PointIdsList(points=[7]))]),
    "delete": lambda c, n: c.delete(n, [2]),
    "index": lambda c, n: c.create_payload_index(n, "a", "integer"),
}
ADMIN_ONLY = {
    "drop": lambda c, n: c.delete_collection(n),
    "alias": lambda c, n: c.update_collection_aliases(
        [m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=n, alias_name=fresh_name()))]
    ),
}


@pytest.mark.parametrize("call", READS)
def test_every_role_reads(clients, made, call):
    assert [status(lambda role=role: READS[call](clients[role], made)) for role in ROLES] == [0, 0, 0]


@pytest.mark.parametrize("call", POINT_WRITES)
def test_only_index_and_admin_write_points(clients, made, call):
    assert [status(lambda role=role: POINT_WRITES[call](clients[role], made)) for role in ROLES] == [403, 0, 0]


@pytest.mark.parametrize("call", ADMIN_ONLY)
def test_only_admin_does_the_rest(clients, name, call):
    clients["index"].create_collection(name, vectors_config=PAIR)
    assert [status(lambda role=role: ADMIN_ONLY[call](clients[role], name)) for role in ROLES] == [403, 403, 0]


def test_without_a_key_or_with_a_wrong_one_nothing_works(door, made):
    for key in (None, "wrong", "qm_admin_" + "0" * 64):
        client = door.client(key)
        assert status(lambda client=client: client.get_collections()) == 401
        assert status(lambda client=client: client.query_points(made, [1.0, 2.0])) == 401
        client.close()


def test_a_whole_session_goes_through(clients, made):
    writer, reader = clients["index"], clients["search"]
    name = fresh_name()
    points = samples.points(300, seed=2)
    samples.fill(writer, name, points, indexed=True)
    assert reader.count(name).count == 300
    found = reader.query_points(name, points[4].id, using=samples.OTHER, limit=5, with_payload=True).points
    assert points[4].id not in ids(found)
    writer.delete(name, m.Filter(must=[m.FieldCondition(key="city", match=m.MatchValue(value="Oslo"))]))
    left = [p for p in points if p.payload.get("city") != "Oslo"]
    assert reader.count(name).count == len(left)
    clients["admin"].delete_collection(name)


# ---- paths ----------------------------------------------------------------------------------


_sources = itertools.count(1)


def source():
    """An address that nobody else has: one that is wrong too often is told so with 429, and no more with 401."""
    number = next(_sources)
    return f"127.1.{number // 250}.{number % 250 + 1}"


def raw(node, method, path, key=None):
    headers = [("api-key", key)] if key else []
    return server.raw(node.http_port, method, path, headers, source=source())[0]


@pytest.mark.parametrize("path", ["/", "/healthz", "/livez", "/readyz"])
def test_health_needs_no_key(node, path):
    assert raw(node, "GET", path) == 200


TRICKS = [
    ("POST", "/collections/c/points/query/../delete"),
    ("POST", "/collections/c//points/delete"),
    ("POST", "/collections/c/points/%71uery"),
    ("POST", "/collections/c/points%2Fdelete"),
    ("POST", "/collections/c/points/query/"),
    ("POST", "/Collections/c/points/query"),
    ("POST", "/collections/c/points/query%00"),
    ("POST", "//collections/c/points/query"),
    ("POST", "/collections/c/points/./query"),
    ("POST", "/collections/%2e%2e/points/query"),
    ("GET", "/collections/c/snapshots"),
    ("GET", "/collections/c/snapshots/x.snapshot"),
    ("GET", "/snapshots"),
    ("GET", "/metrics"),
    ("GET", "/telemetry"),
    ("PATCH", "/collections/c/points/query"),
    ("PUT", "/collections/c/points/query"),
    ("GET", "/healthz/../collections"),
]


@pytest.mark.parametrize("method, path", TRICKS, ids=str)
def test_no_trick_with_a_path_raises_a_role(node, keys, method, path):
    assert raw(node, method, path) == 401
    assert raw(node, method, path, keys["search"]) == 403


def test_two_different_keys_in_one_request_are_none(node, keys):
    url = f"{node.url}/collections"
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source())) as client:
        both = {"api-key": keys["search"], "authorization": f"Bearer {keys['admin']}"}
        assert client.get(url, headers=both).status_code == 401
        twice = [("api-key", keys["search"]), ("api-key", keys["admin"])]
        assert client.get(url, headers=twice).status_code == 401


def test_a_refusal_is_in_the_form_of_the_engine(node, keys, made):
    url = f"{node.url}/collections/{made}/points"
    answer = httpx.put(url, json={"points": []}, headers={"api-key": keys["search"]})
    assert answer.status_code == 403
    assert "Forbidden" in answer.json()["status"]["error"]


def test_no_key_is_in_the_log(node, keys, made):
    log = node.log.read_text()
    assert not [role for role in ROLES if keys[role] in log]


# ---- keys -----------------------------------------------------------------------------------


def test_keys_are_shown_once_and_kept_for_their_owner_alone(node, keys):
    assert set(keys) == set(ROLES)
    stored = node.log.parent / "qmoor-data/state/keys.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert not [role for role in ROLES if keys[role] in stored.read_text()]


# ---- backups --------------------------------------------------------------------------------


def test_a_backup_under_load_fails_no_request(node, clients, name):
    """Readers and writers go on through a backup, and nothing that was acknowledged is missing."""
    clients["index"].create_collection(name, vectors_config=PAIR)
    stop, failures, written = threading.Event(), [], []

    def write(client, first):
        number = first
        while not stop.is_set():
            try:
                client.upsert(name, [m.PointStruct(id=number, vector=[number, 1])], wait=True)
                written.append(number)
            except Exception as error:
                failures.append(error)
            number += 2

    def read(client):
        while not stop.is_set():
            try:
                client.query_points(name, [1.0, 2.0], limit=3)
            except Exception as error:
                failures.append(error)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        going = [
            pool.submit(write, clients["index"], 1001),
            pool.submit(write, clients["admin"], 1002),
            pool.submit(read, clients["search"]),
        ]
        try:
            backup = server.verb(node, "backup", "--batch-id", "batch-7")
        finally:
            stop.set()
        for each in going:
            each.result(timeout=60)
    assert failures == []
    assert backup["grade"] == "clean"
    assert clients["search"].count(name).count == len(set(written))
    listed = server.verb(node, "backups")
    assert backup["id"] in json.dumps(listed) and "batch-7" in json.dumps(listed)


def test_the_index_key_may_ask_for_a_backup_and_the_search_key_may_not(node, keys):
    url = f"{node.url}/qmoor/v1/backups"
    assert httpx.post(url, json={}, headers={"api-key": keys["search"]}).status_code == 403
    answer = httpx.post(url, json={"batch_id": "b1"}, headers={"api-key": keys["index"]}, timeout=120)
    assert answer.status_code in (200, 202), answer.text
    identity = answer.json().get("id") or answer.json()["result"]["id"]
    assert httpx.get(f"{url}/{identity}", headers={"api-key": keys["index"]}).status_code == 200
    assert httpx.get(url, headers={"api-key": keys["index"]}).status_code == 403
    assert httpx.get(url, headers={"api-key": keys["admin"]}).status_code == 200


def test_a_node_comes_back_on_its_directory(tmp_path):
    first = server.start_node(tmp_path)
    keys = first.ready["keys"]
    client = QdrantClient(host="127.0.0.1", port=first.http_port, api_key=keys["admin"], https=False)
    samples.fill(client, "c", samples.points(50, seed=1))
    client.close()
    assert first.stop() == 0
    second = server.start_node(tmp_path)
    assert not second.ready.get("keys"), "keys are shown once"
    client = QdrantClient(host="127.0.0.1", port=second.http_port, api_key=keys["search"], https=False)
    assert client.count("c").count == 50
    client.close()
    assert second.stop() == 0
