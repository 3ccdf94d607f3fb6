"""Payload and vectors changed on points that are there already."""

import pytest
from qdrant_client import models

SPARSE = models.SparseVector(indices=[1, 4], values=[0.5, 2.0])


def even():
    return models.Filter(must=[models.FieldCondition(key="even", match=models.MatchValue(value=True))])


@pytest.fixture
def made(client, name):
    client.create_collection(
        name,
        vectors_config={
            "a": models.VectorParams(size=2, distance=models.Distance.DOT),
            "b": models.VectorParams(size=3, distance=models.Distance.EUCLID),
            "m": models.VectorParams(
                size=2,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={"s": models.SparseVectorParams()},
    )
    client.upsert(
        name,
        [
            models.PointStruct(
                id=i, vector={"a": [i, 1], "b": [i, 2, 3], "s": SPARSE}, payload={"i": i, "even": i % 2 == 0}
            )
            for i in range(4)
        ],
    )
    return name


def payloads(client, name):
    return {point.id: point.payload for point in client.scroll(name)[0]}


def vectors(client, name, which):
    (point,) = client.retrieve(name, [which], with_vectors=True)
    return point.vector


def test_set_merges_into_what_is_there(client, made):
    client.set_payload(made, {"new": [1], "i": 10}, points=[1, 2])
    assert payloads(client, made) == {
        0: {"i": 0, "even": True},
        1: {"i": 10, "even": False, "new": [1]},
        2: {"i": 10, "even": True, "new": [1]},
        3: {"i": 3, "even": False},
    }


def test_set_takes_a_filter(client, made):
    client.set_payload(made, {"hit": 1}, points=even())
    assert {i for i, payload in payloads(client, made).items() if "hit" in payload} == {0, 2}


def test_set_under_a_key_changes_the_nested_object(client, made):
    client.set_payload(made, {"nest": {"x": 1, "y": 2}}, points=[0])
    client.set_payload(made, {"y": 3}, points=[0], key="nest")
    assert payloads(client, made)[0]["nest"] == {"x": 1, "y": 3}


def test_overwrite_replaces_everything(client, made):
    client.overwrite_payload(made, {"only": True}, points=[1])
    client.overwrite_payload(made, {"even": True}, points=even())
    assert payloads(client, made) == {
        0: {"even": True},
        1: {"only": True},
        2: {"even": True},
        3: {"i": 3, "even": False},
    }


def test_delete_removes_keys(client, made):
    client.delete_payload(made, ["i", "missing"], points=[0])
    client.delete_payload(made, ["even"], points=even())
    assert payloads(client, made) == {0: {}, 1: {"i": 1, "even": False}, 2: {"i": 2}, 3: {"i": 3, "even": False}}


def test_delete_removes_nested_keys(client, made):
    client.set_payload(made, {"nest": {"x": 1, "y": 2}}, points=[0])
    client.delete_payload(made, ["nest.x"], points=[0])
    assert payloads(client, made)[0]["nest"] == {"y": 2}


def test_clear_removes_all_payload_and_keeps_the_points(client, made):
    client.clear_payload(made, [1])
    client.clear_payload(made, even())
    assert payloads(client, made) == {0: {}, 1: {}, 2: {}, 3: {"i": 3, "even": False}}


def test_changed_payload_is_found_by_filters_at_once(client, made):
    client.create_payload_index(made, "i", models.PayloadSchemaType.INTEGER, wait=True)
    client.set_payload(made, {"i": 100}, points=[3])
    hundred = models.Filter(must=[models.FieldCondition(key="i", match=models.MatchValue(value=100))])
    three = models.Filter(must=[models.FieldCondition(key="i", match=models.MatchValue(value=3))])
    assert client.count(made, hundred).count == 1
    assert client.count(made, three).count == 0


def test_one_named_vector_is_updated_and_the_others_stay(client, made):
    client.update_vectors(made, [models.PointVectors(id=1, vector={"a": [7, 8]})])
    assert vectors(client, made, 1)["a"] == [7, 8]
    assert vectors(client, made, 1)["b"] == [1, 2, 3]
    assert vectors(client, made, 1)["s"] == SPARSE
    assert payloads(client, made)[1] == {"i": 1, "even": False}


def test_sparse_and_multi_vectors_are_updated(client, made):
    changed = models.SparseVector(indices=[9], values=[1.5])
    client.update_vectors(made, [models.PointVectors(id=1, vector={"s": changed, "m": [[1, 2], [3, 4]]})])
    assert vectors(client, made, 1)["s"] == changed
    assert vectors(client, made, 1)["m"] == [[1, 2], [3, 4]]


def test_vectors_are_deleted_by_id_and_by_filter(client, made):
    client.delete_vectors(made, ["a"], [1])
    client.delete_vectors(made, ["b", "s"], even())
    assert set(vectors(client, made, 1)) == {"b", "s"}
    assert set(vectors(client, made, 0)) == {"a"}
    assert set(vectors(client, made, 3)) == {"a", "b", "s"}
    assert client.count(made).count == 4


def test_a_point_without_the_vector_is_not_found_by_it(client, made):
    client.delete_vectors(made, ["a"], [1])
    assert sorted(hit.id for hit in client.query_points(made, [1, 1], using="a").points) == [0, 2, 3]
    has = models.Filter(must=[models.HasVectorCondition(has_vector="a")])
    assert client.count(made, has).count == 3


def test_only_the_vectors_asked_for_are_sent(client, made):
    (point,) = client.retrieve(made, [2], with_vectors=["b"])
    assert point.vector == {"b": [2, 2, 3]}


def test_a_point_may_have_no_vector_at_all(client, made):
    client.upsert(made, [models.PointStruct(id=9, vector={}, payload={"x": 1})])
    assert client.count(made).count == 5
    assert not vectors(client, made, 9)


def test_a_sparse_vector_that_was_deleted_is_not_found_by_its_old_terms(client, made):
    client.delete_vectors(made, ["s"], [1])
    client.update_vectors(
        made, [models.PointVectors(id=1, vector={"s": models.SparseVector(indices=[7], values=[1.0])})]
    )
    client.delete_vectors(made, ["s"], even())
    client.upsert(made, [models.PointStruct(id=2, vector={"s": models.SparseVector(indices=[7], values=[2.0])})])

    def found(term):
        query = models.SparseVector(indices=[term], values=[1.0])
        return [(hit.id, hit.score) for hit in client.query_points(made, query, using="s").points]

    assert found(7) == [(2, 2.0), (1, 1.0)]
    assert found(1) == [(3, 0.5)]
