"""Searching from Python: each query finds what the REST API finds for the same JSON. And collections and nodes."""

import asyncio
import json
import os

import httpx
import numpy as np
import pyarrow as pa
import pytest
from qmoor import (
    BadInput,
    Forbidden,
    GaveUp,
    Mismatch,
    Node,
    NotFound,
    PointSchema,
    QmoorError,
    Searcher,
    Target,
    Unauthorized,
    Unreachable,
    VectorSpec,
    WriteOptions,
    Writer,
    ensure_collection,
)

import corpus
from conftest import Place

ROWS, DIM = 200, 8
VECTORS = np.random.default_rng(11).normal(size=(ROWS, DIM)).astype("f4")
WORDS = "anchor harbour tide sail rope storm lamp chart".split()


@pytest.fixture(scope="module")
def shelf(node):
    """A collection with dense, multiple and sparse vectors, BM25, and payload of several types."""
    place = Place(node, "shelf")
    vectors = {"": DIM, "many": VectorSpec(4, multivector=True)}
    place.make(vectors=vectors, sparse=["weights"], bm25=["words"], payload_indexes={"n": "integer"})
    kind = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
    table = pa.table(
        {
            "id": range(ROWS),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), DIM),
            "many": pa.array(VECTORS.reshape(ROWS, 2, 4).tolist()),
            "weights": pa.array([{"indices": [n % 5, 50 + n % 7], "values": [1.0, 0.5]} for n in range(ROWS)], kind),
            "text": [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]}" for n in range(ROWS)],
            "n": range(ROWS),
            "half": [n / 2 for n in range(ROWS)],
            "even": [n % 2 == 0 for n in range(ROWS)],
            "some": [None if n % 3 else f"third {n}" for n in range(ROWS)],
            "tags": [[WORDS[n % 8]] for n in range(ROWS)],
        }
    )
    schema = PointSchema(
        id="id", vectors={"": "vector", "many": "many"}, sparse={"weights": "weights"}, bm25={"words": "text"},
        payload=["text", "n", "half", "even", "some", "tags"],
    )  # fmt: skip
    assert Writer(place.target(), schema).write(table).points_acked == ROWS
    return place


@pytest.fixture
def searcher(shelf):
    return Searcher(shelf.target("search"))


def rest(place, body):
    """What the node's REST API says to this body."""
    url = f"{place.node.url}/collections/{place.name}/points/query"
    answer = httpx.post(url, json={"with_payload": True, **body}, headers={"api-key": os.environ["QMOOR_TEST_SEARCH"]})
    assert answer.status_code == 200, answer.text
    return [(str(hit["id"]), hit["score"], hit.get("payload", {})) for hit in answer.json()["result"]["points"]]


def rows(table):
    return [(row["id"], row["score"], json.loads(row["payload"])) for row in table.to_pylist()]


def same(ours, theirs):
    """The same points in the same order, but for ties."""
    assert sorted((name, json.dumps(payload, sort_keys=True)) for name, _, payload in ours) == sorted(
        (name, json.dumps(payload, sort_keys=True)) for name, _, payload in theirs
    )
    assert [score for _, score, _ in ours] == pytest.approx([score for _, score, _ in theirs], abs=1e-6)


ASKED = VECTORS[3].tolist()
BM25 = {"text": "storm harbour", "model": "qdrant/bm25"}
QUERIES = {
    "nearest": {"query": ASKED, "limit": 7},
    "nearest to a point": {"query": 5, "limit": 3},
    "filter": {"query": ASKED, "limit": 5, "filter": {"must": [{"key": "n", "range": {"gte": 20, "lt": 60}}]}},
    "no query": {"limit": 4, "filter": {"must": [{"key": "even", "match": {"value": True}}]}},
    "offset": {"query": ASKED, "limit": 5, "offset": 3},
    "threshold": {"query": ASKED, "limit": 50, "score_threshold": 0.4},
    "exact": {"query": ASKED, "limit": 5, "params": {"exact": True}},
    "sparse": {"query": {"indices": [51, 3], "values": [1.0, 0.25]}, "using": "weights", "limit": 5},
    "multivector": {"query": VECTORS[9].reshape(2, 4).tolist(), "using": "many", "limit": 5},
    "bm25": {"query": BM25, "using": "words", "limit": 5},
    "hybrid": {
        "prefetch": [{"query": ASKED, "limit": 20}, {"query": BM25, "using": "words", "limit": 20}],
        "query": {"fusion": "rrf"},
        "limit": 6,
    },
    "rescored": {"prefetch": {"query": VECTORS[4].tolist(), "limit": 30}, "query": ASKED, "limit": 6},
    "order": {"query": {"order_by": {"key": "n", "direction": "desc"}}, "limit": 5},
    "recommend": {"query": {"recommend": {"positive": [1, 2], "negative": [3]}}, "limit": 5},
    "some payload": {"query": ASKED, "limit": 2, "with_payload": ["n"]},
    "no payload": {"query": ASKED, "limit": 2, "with_payload": False},
}


@pytest.mark.parametrize("what", QUERIES)
def test_each_query_gives_what_rest_gives(shelf, searcher, what):
    body = QUERIES[what]
    theirs = rest(shelf, body)
    assert theirs
    same(rows(searcher.query(body)), theirs)
    same(rows(asyncio.run(searcher.aquery(body))), theirs)


def test_many_queries_give_what_each_gives(searcher):
    bodies = list(QUERIES.values())
    one_by_one = [searcher.query(body).to_pylist() for body in bodies]
    for batch in (searcher.query_batch(bodies), asyncio.run(searcher.aquery_batch(bodies))):
        found = batch.column("hits").to_pylist()
        assert [len(hits) for hits in found] == [len(hits) for hits in one_by_one]
        for hits, alone in zip(found, one_by_one, strict=True):
            assert [hit["score"] for hit in hits] == pytest.approx([hit["score"] for hit in alone], abs=1e-6)


VECTORS_OF = {
    "numpy": lambda: VECTORS[:20],
    "numpy f64": lambda: VECTORS[:20].astype("f8"),
    "numpy slice": lambda: np.repeat(VECTORS, 2, axis=1)[:20, ::2],
    "lists": VECTORS[:20].tolist,
    "arrow": lambda: pa.FixedSizeListArray.from_arrays(pa.array(VECTORS[:20].reshape(-1)), DIM),
    "arrow slice": lambda: pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.reshape(-1)), DIM).slice(0, 20),
    "arrow chunks": lambda: pa.chunked_array([pa.array(VECTORS[:7].tolist()), pa.array(VECTORS[7:20].tolist())]),
}


@pytest.mark.parametrize("kind", VECTORS_OF)
def test_a_batch_of_vectors_of_any_kind_finds_each_ones_nearest(searcher, kind):
    options = {"fields": ["n"], "filter": {"must": [{"key": "n", "range": {"lt": 100}}]}}
    alone = [searcher.search(vector, 3, **options).to_pylist() for vector in VECTORS[:20]]
    vectors = VECTORS_OF[kind]()
    for batch in (
        searcher.search_batch(vectors, 3, **options),
        asyncio.run(searcher.asearch_batch(vectors, 3, **options)),
    ):
        hits = batch.column("hits").to_pylist()
        assert [[hit["n"] for hit in each] for each in hits] == [[hit["n"] for hit in each] for each in alone]
        assert [each[0]["n"] for each in hits] == list(range(20))


def test_fields_are_columns_of_their_own_type(searcher):
    fields = ["n", "half", "even", "some", "text", "tags", "nowhere"]
    found = searcher.search(VECTORS[0], 10, fields=fields)
    assert found.column_names == ["id", "score", *fields]
    types = {name: found.schema.field(name).type for name in found.column_names}
    assert types["score"] == pa.float32()
    assert (types["n"], types["half"], types["even"]) == (pa.int64(), pa.float64(), pa.bool_())
    assert types["text"] == pa.string()
    first = found.to_pylist()[0]
    assert (first["n"], first["half"], first["even"], first["nowhere"]) == (0, 0.0, True, None)
    assert json.loads(first["tags"]) == ["anchor"]
    assert {row["some"] is None for row in found.to_pylist()} == {True, False}
    empty = searcher.search(VECTORS[0], 10, fields=fields, filter={"must": [{"key": "n", "match": {"value": -1}}]})
    assert (empty.num_rows, empty.column_names) == (0, ["id", "score", *fields])


def test_vectors_come_back_when_asked_for(searcher):
    row = searcher.search(VECTORS[0], 1, with_vector=True, params={"exact": True}).to_pylist()[0]
    vector = row["vector"]
    found = json.loads(vector) if isinstance(vector, str) else vector
    found = found[""] if isinstance(found, dict) else found
    assert np.allclose(found, VECTORS[0] / np.linalg.norm(VECTORS[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.query({"query": ASKED, "limt": 3}), "limt"),
        (lambda s: s.query({"query": ASKED, "filter": {"must": [{"kee": "n"}]}}), "kee|key"),
        (lambda s: s.query({"prefetch": [{"query": ASKED, "with_payload": True}]}), "with_payload"),
        (lambda s: s.query_batch([{"query": ASKED}, {"query": ASKED, "lim": 1}]), r"1.*lim"),
        (lambda s: s.search([1.0, 2.0]), "2.*8|8.*2"),
        (lambda s: s.search(VECTORS[0], using="other"), "other"),
        (lambda s: s.search([float("nan")] * DIM), "(?i)nan|finite|number"),
        (lambda s: s.search_batch([[1.0] * DIM, [1.0, float("inf")] * 4]), "(?i)row 1|vector 1|inf"),
        (lambda s: s.search_batch([[1.0] * DIM, [1.0]]), "8.*1|1.*8"),
        (lambda s: s.search_batch([1.0] * DIM), "batch"),
        (lambda s: s.search_batch(["text"]), "(?i)utf8|string|text"),
        (lambda s: s.search(VECTORS[0], k=-1), "limit"),
        (lambda s: s.search(VECTORS[0], score_threshold="high"), "high|score_threshold"),
        (lambda s: s.search(object()), "object"),
        (lambda s: s.search(VECTORS[:2]), r"\(2, 8\)"),
        (lambda s: s.search(np.array(["1.0"] * DIM)), "U3"),
        (lambda s: s.search(VECTORS[0].tobytes()), "bytes"),
        (lambda s: s.search(VECTORS[0], fields="text"), r"\['text'\]"),
        (lambda s: s.search(VECTORS[0], filter={"must": object()}), "JSON"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(searcher, ask, said):
    with pytest.raises(QmoorError, match=said):
        ask(searcher)


def test_a_missing_collection_a_wrong_key_and_no_node(shelf):
    with pytest.raises(NotFound, match="nothing"):
        Searcher(Target(shelf.node.url, "nothing", "env:QMOOR_TEST_SEARCH")).search(ASKED)
    with pytest.raises(Unauthorized):
        Searcher(shelf.target("wrong")).search(ASKED)
    with pytest.raises(BadInput, match="address"):
        Searcher(Target("nowhere", "c", None)).search(ASKED)
    with pytest.raises((Unreachable, GaveUp)):
        Searcher(Target("http://127.0.0.1:1", "c", None)).search(ASKED)


# ---- collections


def test_a_collection_is_made_once_and_never_changed(place):
    target = place.target()
    spec = {"vectors": {"": 8, "b": VectorSpec(4, "dot", multivector=True)}, "sparse": ["w"], "bm25": ["words"]}
    assert ensure_collection(target, **spec, payload_indexes={"day": "datetime"}) is True
    assert ensure_collection(target, **spec, payload_indexes={"day": "datetime"}) is False
    before = place.client().get_collection(place.name)
    assert {"_doc", "_ix", "_gen", "day"} <= set(before.payload_schema)
    for other in (
        {**spec, "vectors": {"": 9, "b": VectorSpec(4, "dot", multivector=True)}},
        {**spec, "vectors": {"": VectorSpec(8, "dot"), "b": VectorSpec(4, "dot", multivector=True)}},
        {**spec, "vectors": {"": 8, "b": VectorSpec(4, "dot")}},
        {**spec, "vectors": {**spec["vectors"], "c": 2}},
        {**spec, "sparse": ["w", "v"]},
        {**spec, "bm25": ["words", "w"]},
    ):
        with pytest.raises(Mismatch, match=place.name):
            ensure_collection(target, **other)
    after = place.client().get_collection(place.name)
    assert (after.config, set(after.payload_schema)) == (before.config, set(before.payload_schema))


@pytest.mark.parametrize(
    "spec",
    [
        {"vectors": {"": VectorSpec(8, "far")}},
        {"vectors": {"": 0}},
        {"vectors": {"": -1}},
        {"vectors": 8, "payload_indexes": {"n": "number"}},
        {"vectors": 8, "on_mismatch": "replace"},
        {"sparse": "words"},
        {"bm25": "words"},
        {},
    ],
    ids=str,
)
def test_a_collection_that_cannot_be_is_refused(place, spec):
    with pytest.raises(BadInput):
        ensure_collection(place.target(), **spec)
    assert not place.client().collection_exists(place.name)


def test_the_search_key_makes_no_collection_and_no_backup(place):
    with pytest.raises(Forbidden):
        ensure_collection(place.target("search"), vectors=8)
    assert not place.client().collection_exists(place.name)
    node = Node(place.node.url, "env:QMOOR_TEST_SEARCH")
    for ask in (node.backup, node.status, node.backups):
        with pytest.raises(Forbidden):
            ask()


# ---- the same rows again, and what an error leaves


def test_writing_again_in_another_order_and_size_changes_nothing(place):
    place.make()
    table = corpus.table({f"d{number}": 7 for number in range(60)})
    Writer(place.target(), corpus.SCHEMA).write(table)
    before = place.points()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    Writer(place.target(), corpus.SCHEMA, WriteOptions(batch_points=13, max_inflight=16)).write(shuffled)
    assert place.points() == before
