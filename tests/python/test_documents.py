"""BM25 over text, computed by the engine itself on write and on query."""

import httpx
import pytest
from qdrant_client import models as m

import conftest

MODEL = "qdrant/bm25"
TEXTS = {
    1: "The quick brown fox jumps over the lazy dog",
    2: "A mooring keeps the ship in one place",
    3: "Ships at their moorings are kept in place by ropes and anchors",
    4: "Foxes, foxes, foxes!",
    5: "",
    6: "anchor",
}

pytestmark = pytest.mark.remote


def document(text):
    return m.Document(text=text, model=MODEL)


@pytest.fixture(params=[m.Modifier.IDF, None], ids=["idf", "plain"])
def made(request, client, name):
    client.create_collection(name, sparse_vectors_config={"text": m.SparseVectorParams(modifier=request.param)})
    client.upsert(
        name, [m.PointStruct(id=i, vector={"text": document(t)}, payload={"text": t}) for i, t in TEXTS.items()]
    )
    return name


def found(client, name, text, **how):
    return [hit.id for hit in client.query_points(name, document(text), using="text", **how).points]


def test_words_are_found_in_any_form(client, made):
    assert sorted(found(client, made, "fox")) == [1, 4]
    assert sorted(found(client, made, "MOORINGS")) == [2, 3]
    assert sorted(found(client, made, "anchored ships")) == [2, 3, 6]


def test_the_text_with_the_word_more_often_comes_first(client, made):
    assert found(client, made, "fox") == [4, 1]


def test_the_shorter_text_comes_first(client, made):
    assert found(client, made, "anchors") == [6, 3]


def test_words_that_carry_nothing_find_nothing(client, made):
    assert found(client, made, "the of and") == []
    assert found(client, made, "zeppelin") == []
    assert found(client, made, "") == []


def test_the_limit_and_filters_hold(client, made):
    assert len(found(client, made, "fox ship anchor", limit=2)) == 2
    assert found(client, made, "fox", query_filter=m.Filter(must=[m.HasIdCondition(has_id=[1])])) == [1]


def test_the_score_is_that_of_the_formula(client, name):
    """tf (k + 1) / (tf + k (1 - b + b len / avg)), with k 1.2, b 0.75 and an average of 256 words."""
    client.create_collection(name, sparse_vectors_config={"text": m.SparseVectorParams()})
    client.upsert(name, [m.PointStruct(id=i, vector={"text": document(t)}) for i, t in TEXTS.items()])

    def weight(times, length):
        return times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / 256))

    scores = {hit.id: hit.score for hit in client.query_points(name, document("fox"), using="text").points}
    assert scores[4] == pytest.approx(weight(3, 3), rel=1e-3)
    (hit,) = [hit for hit in client.query_points(name, document("anchor"), using="text").points if hit.id == 6]
    assert hit.score == pytest.approx(weight(1, 1), rel=1e-3)


def test_documents_work_in_batches_prefetches_and_updates(client, made):
    client.update_vectors(made, [m.PointVectors(id=5, vector={"text": document("zeppelin")})])
    assert found(client, made, "zeppelins") == [5]
    answers = client.query_batch_points(
        made, [m.QueryRequest(query=document(text), using="text", limit=5) for text in ("zeppelin", "fox")]
    )
    assert [[hit.id for hit in answer.points] for answer in answers] == [[5], [4, 1]]
    fused = client.query_points(
        made,
        m.FusionQuery(fusion=m.Fusion.RRF),
        prefetch=[
            m.Prefetch(query=document("fox"), using="text"),
            m.Prefetch(query=document("zeppelin"), using="text"),
        ],
    ).points
    assert {hit.id for hit in fused} == {1, 4, 5}


def test_a_batch_of_columns_may_hold_documents(client, name):
    client.create_collection(name, sparse_vectors_config={"text": m.SparseVectorParams(modifier=m.Modifier.IDF)})
    client.upsert(name, m.Batch(ids=[1, 2], vectors={"text": [document("apple"), document("pear")]}))
    assert found(client, name, "pears") == [2]


def test_a_language_can_be_chosen(engine, client, name):
    client.create_collection(name, sparse_vectors_config={"text": m.SparseVectorParams()})
    german = {"text": "Die Häuser stehen am Wasser", "model": MODEL, "options": {"language": "german"}}
    headers = {"api-key": conftest.KEY}
    body = {"points": [{"id": 1, "vector": {"text": german}}]}
    answer = httpx.put(f"{engine.url}/collections/{name}/points?wait=true", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    query = {"query": {**german, "text": "haus"}, "using": "text"}
    answer = httpx.post(f"{engine.url}/collections/{name}/points/query", json=query, headers=headers)
    assert [hit["id"] for hit in answer.json()["result"]["points"]] == [1]


@pytest.mark.parametrize("kind", ["document", "image", "object"])
def test_a_model_that_is_not_here_is_refused_by_name(engine, client, name, kind):
    client.create_collection(name, sparse_vectors_config={"text": m.SparseVectorParams()})
    vector = {
        "document": {"text": "x", "model": "acme/embed"},
        "image": {"image": "https://example.org/x.png", "model": "acme/embed"},
        "object": {"object": {"a": 1}, "model": "acme/embed"},
    }[kind]
    body = {"points": [{"id": 1, "vector": {"text": vector}}]}
    answer = httpx.put(f"{engine.url}/collections/{name}/points", json=body, headers={"api-key": conftest.KEY})
    assert answer.status_code in (400, 501), answer.text
    assert "acme/embed" in answer.json()["status"]["error"] or answer.status_code == 501
