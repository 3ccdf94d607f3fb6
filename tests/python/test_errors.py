"""Every mistake of a caller gets Qdrant's status, over REST and gRPC, with the reason in words."""

import grpc
import httpx
import pytest
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse

import conftest
import server

BAD, MISSING, EXISTS = (
    (400, grpc.StatusCode.INVALID_ARGUMENT),
    (404, grpc.StatusCode.NOT_FOUND),
    (409, grpc.StatusCode.ALREADY_EXISTS),
)

pytestmark = pytest.mark.remote


@pytest.fixture(scope="module")
def made(engine):
    """One collection for all: what is refused changes nothing."""
    client = conftest.Door("127.0.0.1", engine.http_port, engine.grpc_port, grpc=True).client()
    name = conftest.fresh_name()
    client.create_collection(
        name,
        vectors_config={
            "d": m.VectorParams(size=4, distance=m.Distance.DOT),
            "m": m.VectorParams(
                size=2,
                distance=m.Distance.DOT,
                multivector_config=m.MultiVectorConfig(comparator=m.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={"s": m.SparseVectorParams()},
    )
    client.upsert(name, [m.PointStruct(id=1, vector={"d": [1, 2, 3, 4]}, payload={"city": "Oslo", "n": 1})])
    yield name
    assert client.count(name).count == 1
    client.delete_collection(name)
    client.close()


def refused(call, expected, *words):
    """Checks that `call` fails with the status of the door it went through, and says `words`."""
    with pytest.raises((UnexpectedResponse, grpc.RpcError)) as caught:
        call()
    error = caught.value
    if isinstance(error, UnexpectedResponse):
        status, text = error.status_code, error.content.decode()
        wanted = expected[0]
    else:
        status, text = error.code(), error.details()
        wanted = expected[1]
    assert status == wanted, text
    for word in words:
        assert word in text


def sparse(indices, values):
    return m.SparseVector(indices=indices, values=values)


def point(vector, id=5):
    return [m.PointStruct(id=id, vector=vector)]


def test_a_collection_that_is_not_there(client):
    for call in (
        lambda: client.get_collection("nowhere"),
        lambda: client.upsert("nowhere", point([1])),
        lambda: client.query_points("nowhere", [1.0]),
        lambda: client.scroll("nowhere"),
        lambda: client.count("nowhere"),
        lambda: client.retrieve("nowhere", [1]),
        lambda: client.delete("nowhere", [1]),
        lambda: client.set_payload("nowhere", {"a": 1}, [1]),
        lambda: client.update_collection("nowhere", optimizers_config=m.OptimizersConfigDiff(indexing_threshold=1)),
        lambda: client.create_payload_index("nowhere", "a", "keyword"),
    ):
        refused(call, MISSING, "Collection `nowhere` doesn't exist!")


def test_dropping_a_collection_that_is_not_there_says_false(client):
    assert client.delete_collection("nowhere") is False


def test_making_a_collection_twice(client, made):
    refused(
        lambda: client.create_collection(made, vectors_config=m.VectorParams(size=4, distance=m.Distance.DOT)),
        EXISTS,
        f"Collection `{made}` already exists!",
    )


def test_an_alias_of_a_collection_that_is_not_there(client):
    create = m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name="nowhere", alias_name="an-alias"))
    refused(lambda: client.update_collection_aliases([create]), MISSING, "nowhere")


def test_an_alias_with_the_name_of_a_collection(client, made):
    create = m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=made, alias_name=made))
    refused(lambda: client.update_collection_aliases([create]), EXISTS, made)


def test_a_collection_with_the_name_of_an_alias(client, made):
    alias = conftest.fresh_name()
    create = m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name=made, alias_name=alias))
    client.update_collection_aliases([create])
    refused(
        lambda: client.create_collection(alias, vectors_config=m.VectorParams(size=4, distance=m.Distance.DOT)),
        BAD,
        alias,
    )


@pytest.mark.parametrize("name", ["a%2Fb", "a%5Cb", "%2Fetc", "a%00b", "%ff", "x" * 300, ""], ids=repr)
def test_a_collection_name_that_cannot_be(engine, name):
    body = {"vectors": {"size": 4, "distance": "Dot"}}
    status, text = server.raw(engine.http_port, "PUT", f"/collections/{name}", [("api-key", conftest.KEY)], body)
    assert 400 <= status < 500, text


@pytest.mark.parametrize("name", ["..", ".", "%20", "%F0%9F%9A%A2", "CON", "collections"], ids=repr)
def test_an_odd_collection_name_stays_inside_the_data_directory(engine, name):
    """A name is no file name: whatever it is, nothing appears beside the data directory."""
    folder = engine.log.parent
    before = sorted(folder.parent.iterdir()) + sorted(folder.iterdir())
    path, key = f"/collections/{name}", [("api-key", conftest.KEY)]
    status, text = server.raw(engine.http_port, "PUT", path, key, {"vectors": {"size": 4, "distance": "Dot"}})
    assert status in (200, 400, 422), text
    if status == 200:
        assert server.raw(engine.http_port, "GET", path, key)[0] == 200
        assert server.raw(engine.http_port, "DELETE", path, key)[0] == 200
    assert sorted(folder.parent.iterdir()) + sorted(folder.iterdir()) == before


@pytest.mark.parametrize("bad", ["chunk::doc123::0", "-1", "1.5", "not-a-uuid"], ids=str)
def test_an_id_that_is_neither_a_number_nor_a_uuid(engine, made, bad):
    words = "is not a valid point ID, valid values are either an unsigned integer or a UUID"
    answer = rest(engine, "PUT", f"/collections/{made}/points?wait=true", {"points": [{"id": bad, "vector": {}}]})
    assert answer.status_code == 400
    assert words in answer.json()["status"]["error"] and bad in answer.json()["status"]["error"]
    assert rest(engine, "GET", f"/collections/{made}/points/{bad}").status_code == 400


@pytest.mark.parametrize("bad", [-1, 1.5, None, [1], 2**64], ids=repr)
def test_an_id_of_another_json_type(engine, made, bad):
    answer = rest(engine, "PUT", f"/collections/{made}/points", {"points": [{"id": bad, "vector": {}}]})
    assert answer.status_code == 400, answer.text


def test_a_vector_of_the_wrong_length(client, made):
    words = "Vector dimension error: expected dim: 4, got 3"
    refused(lambda: client.upsert(made, point({"d": [1, 2, 3]})), BAD, words)
    refused(lambda: client.query_points(made, [1, 2, 3], using="d"), BAD, words)
    refused(lambda: client.update_vectors(made, [m.PointVectors(id=1, vector={"d": [1, 2, 3]})]), BAD, words)
    refused(lambda: client.upsert(made, point({"m": [[1, 2], [1, 2, 3]]})), BAD)
    refused(lambda: client.upsert(made, point({"d": []})), BAD)


def test_one_bad_point_keeps_the_whole_batch_out(client, made):
    points = [m.PointStruct(id=i, vector={"d": [1, 2, 3, 4] if i != 50 else [1]}) for i in range(10, 100)]
    refused(lambda: client.upsert(made, points), BAD)
    assert client.count(made).count == 1


def test_a_vector_name_that_is_not_there(client, made):
    words = "Not existing vector name error: other"
    refused(lambda: client.upsert(made, point({"other": [1, 2, 3, 4]})), BAD, words)
    refused(lambda: client.query_points(made, [1, 2, 3, 4], using="other"), BAD, words)
    refused(lambda: client.update_vectors(made, [m.PointVectors(id=1, vector={"other": [1, 2, 3, 4]})]), BAD, words)
    refused(lambda: client.delete_vectors(made, ["other"], [1]), BAD, words)


def test_an_unnamed_vector_where_all_have_names(client, made):
    refused(lambda: client.upsert(made, point([1, 2, 3, 4])), BAD)
    refused(lambda: client.query_points(made, [1, 2, 3, 4]), BAD)


def test_a_vector_of_the_wrong_kind(client, made):
    refused(lambda: client.upsert(made, point({"d": sparse([1], [1.0])})), BAD)
    refused(lambda: client.upsert(made, point({"s": [1, 2, 3, 4]})), BAD)
    refused(lambda: client.query_points(made, sparse([1], [1.0]), using="d"), BAD)
    refused(lambda: client.query_points(made, [1.0, 2.0], using="s"), BAD)


@pytest.mark.parametrize(
    "vector",
    [{"indices": [1, 1], "values": [1, 2]}, {"indices": [1, 2], "values": [1]}, {"indices": [-1], "values": [1]}],
    ids=["twice", "ragged", "negative"],
)
def test_a_sparse_vector_that_is_none(engine, made, vector):
    answer = rest(engine, "PUT", f"/collections/{made}/points", {"points": [{"id": 1, "vector": {"s": vector}}]})
    assert answer.status_code in (400, 422), answer.text


def test_a_number_that_is_not_finite(engine, made):
    """Over gRPC; JSON has no such numbers."""
    client = conftest.Door("127.0.0.1", engine.http_port, engine.grpc_port, grpc=True).client()
    refused(lambda: client.upsert(made, point({"d": [1, 2, 3, float("nan")]})), BAD)
    refused(lambda: client.upsert(made, point({"d": [1, 2, 3, float("inf")]})), BAD)
    client.close()


def test_a_point_that_is_not_there(client, engine, made):
    assert client.retrieve(made, [77]) == []
    assert rest(engine, "GET", f"/collections/{made}/points/77").status_code == 404
    refused(lambda: client.query_points(made, 77, using="d"), MISSING, "No point with id 77 found")


def test_an_order_without_an_index(client, made):
    refused(lambda: client.scroll(made, order_by="n"), BAD, "n")
    refused(lambda: client.query_points(made, m.OrderByQuery(order_by="n")), BAD, "n")


def test_a_facet_without_an_index(client, made):
    refused(lambda: client.facet(made, "city"), BAD, "city")


def test_fusion_without_a_prefetch(client, made):
    refused(lambda: client.query_points(made, m.FusionQuery(fusion=m.Fusion.RRF)), BAD)


# ---- over REST only: bodies that no client would send ---------------------------------------


def rest(engine, method, path, body=None, **more):
    return httpx.request(method, engine.url + path, json=body, headers={"api-key": conftest.KEY}, timeout=30, **more)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"points": 3}', b'{"points": [{}]}', b'{"points": [{"id": 1}]}', b"\xff\xfe", b"nonsense"],
    ids=repr,
)
def test_a_body_that_is_not_what_it_should_be(engine, made, body):
    url = f"{engine.url}/collections/{made}/points?wait=true"
    answer = httpx.put(url, content=body, headers={"api-key": conftest.KEY, "content-type": "application/json"})
    assert answer.status_code == 400
    assert isinstance(answer.json()["status"]["error"], str)
    assert isinstance(answer.json()["time"], float)


@pytest.mark.parametrize(
    "path, body",
    [
        ("points/query", {"query": [1, 2, 3, 4], "using": "d", "limit": 0}),
        ("points/scroll", {"limit": 0}),
        ("points/query", {"query": [1, 2, 3, 4], "using": "d", "limit": -1}),
        ("points/query", {"query": [1, 2, 3, 4], "using": "d", "limit": "ten"}),
        ("points/query", {"query": {"unheard": 1}}),
        ("points/scroll", {"filter": {"must": [{"key": "a", "match": {"unheard": 1}}]}}),
        ("points/scroll", {"filter": {"musty": []}}),
        ("points/count", {"filter": []}),
        ("points/payload", {"payload": {"a": 1}}),
        ("points/delete", {}),
        ("points/delete", {"points": ["x"]}),
    ],
    ids=str,
)
def test_a_field_that_cannot_be(engine, made, path, body):
    answer = rest(engine, "POST", f"/collections/{made}/{path}", body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["status"]["error"]
    assert rest(engine, "POST", f"/collections/{made}/points/count", {}).json()["result"]["count"] == 1


@pytest.mark.parametrize(
    "vectors",
    [
        {"size": 0, "distance": "Dot"},
        {"size": 4, "distance": "Far"},
        {"size": 70000, "distance": "Dot"},
        {"distance": "Dot"},
    ],
    ids=str,
)
def test_vector_settings_that_cannot_be(engine, vectors):
    name = conftest.fresh_name()
    assert rest(engine, "PUT", f"/collections/{name}", {"vectors": vectors}).status_code in (400, 422)
    assert rest(engine, "GET", f"/collections/{name}/exists").json()["result"]["exists"] is False


def test_a_path_that_is_not_there(engine):
    for path in ("/health", "/point_search", "/collections/x/y/z", "/nothing"):
        assert rest(engine, "GET", path).status_code == 404


def test_a_body_over_32_mib(engine, made):
    limit = 32 * 1024 * 1024
    body = b'{"points":[{"id":1,"vector":{},"payload":{"t":"%s"}}]}' % (b"x" * limit)
    url = f"{engine.url}/collections/{made}/points?wait=true"
    answer = httpx.put(
        url, content=body, headers={"api-key": conftest.KEY, "content-type": "application/json"}, timeout=60
    )
    assert answer.status_code == 413
    assert str(limit) in answer.text
    assert rest(engine, "GET", f"/collections/{made}/points/1").json()["result"]["payload"]["city"] == "Oslo"


def test_a_body_just_under_32_mib_is_taken_and_kept(engine, made):
    text = "x" * (32 * 1024 * 1024 - 200)
    answer = rest(
        engine,
        "PUT",
        f"/collections/{made}/points?wait=true",
        {"points": [{"id": 2, "vector": {}, "payload": {"t": text}}]},
    )
    assert answer.status_code == 200, answer.text
    assert rest(engine, "GET", f"/collections/{made}/points/2").json()["result"]["payload"]["t"] == text
    assert rest(engine, "POST", f"/collections/{made}/points/delete?wait=true", {"points": [2]}).status_code == 200


NOT_HERE = [
    ("POST", "/collections/{c}/points/discover"),
    ("POST", "/collections/{c}/points/discover/batch"),
    ("POST", "/collections/{c}/points/recommend"),
    ("POST", "/collections/{c}/points/recommend/batch"),
    ("POST", "/collections/{c}/points/recommend/groups"),
    ("POST", "/collections/{c}/points/search/groups"),
    ("POST", "/collections/{c}/points/search/matrix/pairs"),
    ("POST", "/collections/{c}/points/search/matrix/offsets"),
    ("GET", "/collections/{c}/snapshots"),
    ("POST", "/collections/{c}/snapshots"),
    ("PUT", "/collections/{c}/snapshots/recover"),
    ("GET", "/snapshots"),
    ("POST", "/snapshots"),
    ("GET", "/cluster"),
    ("GET", "/collections/{c}/cluster"),
    ("PUT", "/collections/{c}/shards"),
    ("POST", "/collections/{c}/shards/delete"),
]


@pytest.mark.parametrize("method, path", NOT_HERE, ids=str)
def test_what_is_not_built_says_so_and_names_itself(engine, made, method, path):
    answer = rest(engine, method, path.format(c=made), {} if method != "GET" else None)
    assert answer.status_code == 501, answer.text
    assert path.split("{c}")[-1] in answer.json()["status"]["error"]


UNBUILT_QUERIES = {
    "discover": {"discover": {"target": 1, "context": [{"positive": 1, "negative": 1}]}},
    "context": {"context": [{"positive": 1, "negative": 1}]},
    "formula": {"formula": {"sum": ["$score", 1]}},
    "mmr": {"nearest": [1, 2, 3, 4], "mmr": {"diversity": 0.5}},
}


@pytest.mark.parametrize("kind", UNBUILT_QUERIES)
def test_a_kind_of_query_that_is_not_built_says_so(engine, made, kind):
    body = {"query": UNBUILT_QUERIES[kind], "using": "d", "prefetch": {"query": [1, 2, 3, 4], "using": "d"}}
    answer = rest(engine, "POST", f"/collections/{made}/points/query", body)
    assert answer.status_code == 501, answer.text
    assert kind in answer.json()["status"]["error"].lower()
