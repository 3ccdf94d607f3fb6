"""Points: written in every form, read back, deleted."""

import uuid

import numpy as np
import pytest
from qdrant_client import models

UUID = "b1d8f3a6-6f0e-4d5c-9a7e-2f3f5a1c9e00"


@pytest.fixture
def made(client, name):
    client.create_collection(name, vectors_config=models.VectorParams(size=3, distance=models.Distance.DOT))
    return name


def stored(client, name, *ids):
    found = client.retrieve(name, list(ids), with_payload=True, with_vectors=True)
    return {point.id: (point.payload, point.vector) for point in found}


def test_a_list_of_points_is_stored_and_read_back(client, made):
    result = client.upsert(
        made,
        [
            models.PointStruct(id=1, vector=[1, 2, 3], payload={"a": 1, "b": ["x", None, {"c": 2.5}]}),
            models.PointStruct(id=UUID, vector=[4, 5, 6]),
        ],
        wait=True,
    )
    assert result.status == models.UpdateStatus.COMPLETED
    assert stored(client, made, 1, UUID) == {
        1: ({"a": 1, "b": ["x", None, {"c": 2.5}]}, [1, 2, 3]),
        UUID: ({}, [4, 5, 6]),
    }


def test_a_batch_of_columns_is_stored_and_read_back(client, made):
    client.upsert(
        made,
        models.Batch(ids=[1, UUID, 3], vectors=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], payloads=[{"n": 1}, {}, {"n": 3}]),
    )
    assert stored(client, made, 1, UUID, 3) == {
        1: ({"n": 1}, [1, 0, 0]),
        UUID: ({}, [0, 1, 0]),
        3: ({"n": 3}, [0, 0, 1]),
    }


@pytest.mark.parametrize(
    "given",
    [0, 1, 2**63, 2**64 - 1, UUID, UUID.replace("-", ""), UUID.upper(), f"urn:uuid:{UUID}"],
    ids=str,
)
@pytest.mark.remote
def test_every_form_of_id_is_taken(client, made, given):
    client.upsert(made, [models.PointStruct(id=given, vector=[1, 2, 3])])
    (point,) = client.retrieve(made, [given])
    assert point.id == (given if isinstance(given, int) else UUID)


@pytest.mark.parametrize("count", [1, 1000])
def test_uploads_write_everything(client, made, count):
    vectors = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    client.upload_collection(
        made, vectors=vectors, ids=list(range(count)), payload=[{"i": i} for i in range(count)], wait=True
    )
    assert client.count(made).count == count
    assert stored(client, made, count - 1)[count - 1][0] == {"i": count - 1}


def test_upload_points_writes_everything(client, made):
    points = (models.PointStruct(id=i, vector=[i, 0, 1]) for i in range(500))
    client.upload_points(made, points, batch_size=37, wait=True)
    assert client.count(made).count == 500


def test_writing_again_replaces_the_whole_point(client, made):
    client.upsert(made, [models.PointStruct(id=1, vector=[1, 2, 3], payload={"old": 1, "both": 1})])
    client.upsert(made, [models.PointStruct(id=1, vector=[3, 2, 1], payload={"new": 2, "both": 2})])
    assert stored(client, made, 1) == {1: ({"new": 2, "both": 2}, [3, 2, 1])}
    assert client.count(made).count == 1


@pytest.mark.remote
def test_a_write_that_is_not_waited_for_is_acknowledged(client, made):
    result = client.upsert(made, [models.PointStruct(id=1, vector=[1, 2, 3])], wait=False)
    assert result.status == models.UpdateStatus.ACKNOWLEDGED
    client.upsert(made, [models.PointStruct(id=2, vector=[1, 2, 3])], wait=True)
    assert client.count(made).count == 2


@pytest.mark.remote
def test_operation_numbers_rise(client, made):
    numbers = [client.upsert(made, [models.PointStruct(id=i, vector=[1, 2, 3])]).operation_id for i in range(5)]
    assert numbers == sorted(set(numbers))


def test_points_asked_for_in_any_order_come_back_once_each(client, made):
    client.upsert(made, [models.PointStruct(id=i, vector=[i, 0, 0]) for i in range(5)])
    assert sorted(p.id for p in client.retrieve(made, [3, 1, 77])) == [1, 3]


def test_payload_and_vectors_are_sent_only_when_asked_for(client, made):
    client.upsert(made, [models.PointStruct(id=1, vector=[1, 2, 3], payload={"a": 1, "b": {"c": 2, "d": 3}})])

    def read(**how):
        (point,) = client.retrieve(made, [1], **how)
        return point.payload, point.vector

    assert read() == ({"a": 1, "b": {"c": 2, "d": 3}}, None)
    assert not read(with_payload=False)[0]
    assert read(with_payload=["b.c"])[0] == {"b": {"c": 2}}
    assert read(with_payload=models.PayloadSelectorExclude(exclude=["b.c"]))[0] == {"a": 1, "b": {"d": 3}}
    assert read(with_vectors=True)[1] == [1, 2, 3]


def test_cosine_vectors_come_back_with_length_one(client, name):
    client.create_collection(name, vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    client.upsert(name, [models.PointStruct(id=1, vector=[3, 4])])
    assert stored(client, name, 1)[1][1] == pytest.approx([0.6, 0.8])


def test_points_are_deleted_by_id(client, made):
    client.upsert(made, [models.PointStruct(id=i, vector=[i, 0, 0]) for i in range(6)])
    client.delete(made, [1, 2, 99])
    client.delete(made, models.PointIdsList(points=[3]))
    assert sorted(p.id for p in client.scroll(made)[0]) == [0, 4, 5]


def test_points_are_deleted_by_filter(client, made):
    client.upsert(made, [models.PointStruct(id=i, vector=[i, 0, 0], payload={"odd": i % 2 == 1}) for i in range(6)])
    odd = models.Filter(must=[models.FieldCondition(key="odd", match=models.MatchValue(value=True))])
    client.delete(made, models.FilterSelector(filter=odd))
    assert sorted(p.id for p in client.scroll(made)[0]) == [0, 2, 4]


def test_deleting_what_is_not_there_is_no_error(client, made):
    assert client.delete(made, [5, str(uuid.uuid4())]).status == models.UpdateStatus.COMPLETED


def test_a_batch_of_updates_is_applied_in_order(client, made):
    operations = [
        models.UpsertOperation(
            upsert=models.PointsList(
                points=[models.PointStruct(id=i, vector=[i, 0, 0], payload={"i": i}) for i in range(5)]
            )
        ),
        models.SetPayloadOperation(set_payload=models.SetPayload(payload={"set": True}, points=[0, 1])),
        models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload={"only": 1}, points=[1])),
        models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["i"], points=[0])),
        models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[2])),
        models.UpdateVectorsOperation(
            update_vectors=models.UpdateVectors(points=[models.PointVectors(id=3, vector=[9, 9, 9])])
        ),
        models.DeleteOperation(delete=models.PointIdsList(points=[4])),
    ]
    results = client.batch_update_points(made, operations)
    assert [result.status for result in results] == [models.UpdateStatus.COMPLETED] * len(operations)
    assert stored(client, made, 0, 1, 2, 3, 4) == {
        0: ({"set": True}, [0, 0, 0]),
        1: ({"only": 1}, [1, 0, 0]),
        2: ({}, [2, 0, 0]),
        3: ({"i": 3}, [9, 9, 9]),
    }


def test_a_large_batch_is_taken_whole(client, made):
    text = "x" * 1000
    client.upsert(made, [models.PointStruct(id=i, vector=[i, 1, 2], payload={"text": text}) for i in range(4000)])
    assert client.count(made).count == 4000
    assert stored(client, made, 3999)[3999][0] == {"text": text}


def test_payload_keeps_every_json_value(client, made):
    payload = {
        "int": -(2**53),
        "big": 2**62,
        "float": 0.1,
        "whole": 3.0,
        "bool": False,
        "null": None,
        "text": 'ünï ☃ \u0000 " \\',
        "list": [1, [2, [3]], {}],
        "": "empty key",
        "dotted.key": {"a b": [{"c": None}]},
    }
    client.upsert(made, [models.PointStruct(id=1, vector=[1, 2, 3], payload=payload)])
    assert stored(client, made, 1)[1][0] == payload
