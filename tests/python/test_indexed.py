"""A collection large enough for the vector index: it is built by itself, found points stay right, writes go on."""

import threading
import time

import numpy as np
import pytest
from qdrant_client import models as m

from agree import ids
from conftest import Door, fresh_name

pytestmark = pytest.mark.remote

COUNT, DIM = 6_000, 32
INDEXED_DEADLINE = 90.0


@pytest.fixture(scope="module")
def client(engine):
    connected = Door("127.0.0.1", engine.http_port, engine.grpc_port, grpc=True).client()
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def vectors():
    """Clustered, as real embeddings are."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(60, DIM))
    made = centres[rng.integers(60, size=COUNT)] + 0.4 * rng.normal(size=(COUNT, DIM))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def wait_until_indexed(client, name, count):
    """Green, with most points in the index: what came last may stay in a segment below the threshold."""
    deadline = time.monotonic() + INDEXED_DEADLINE
    while time.monotonic() < deadline:
        info = client.get_collection(name)
        if info.status == m.CollectionStatus.GREEN and info.indexed_vectors_count >= count // 2:
            return info
        time.sleep(0.2)
    raise AssertionError(f"not indexed after {INDEXED_DEADLINE:.0f} s: {info}")


@pytest.fixture(scope="module")
def made(client, vectors):
    """Written in one go, then left alone: the index must be built without another write."""
    name = fresh_name()
    client.create_collection(
        name,
        vectors_config=m.VectorParams(size=DIM, distance=m.Distance.COSINE),
        optimizers_config=m.OptimizersConfigDiff(indexing_threshold=100, default_segment_number=1),
    )
    client.create_payload_index(name, "group", m.PayloadSchemaType.INTEGER, wait=True)
    client.upload_collection(
        name, vectors=vectors, ids=range(COUNT), payload=[{"group": i % 50} for i in range(COUNT)], wait=True
    )
    wait_until_indexed(client, name, COUNT)
    yield name
    client.delete_collection(name)


def recall(client, name, vectors, allowed, condition=None):
    rng = np.random.default_rng(8)
    found = []
    for query in rng.normal(size=(60, DIM)).astype(np.float32):
        order = np.argsort(-(vectors @ query), kind="stable")
        exact = [i for i in order.tolist() if allowed(i)][:10]
        hits = client.query_points(name, query.tolist(), limit=10, query_filter=condition).points
        assert all(allowed(hit.id) for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        found.append(len(set(ids(hits)) & set(exact)) / 10)
    return float(np.mean(found))


def test_the_nearest_are_found(client, made, vectors):
    assert recall(client, made, vectors, lambda _: True) > 0.97


def test_the_nearest_are_found_with_a_wide_filter(client, made, vectors):
    condition = m.Filter(must=[m.FieldCondition(key="group", range=m.Range(lt=25))])
    assert recall(client, made, vectors, lambda i: i % 50 < 25, condition) > 0.95


def test_the_nearest_are_found_with_a_narrow_filter(client, made, vectors):
    condition = m.Filter(must=[m.FieldCondition(key="group", match=m.MatchValue(value=7))])
    assert recall(client, made, vectors, lambda i: i % 50 == 7, condition) > 0.95


def test_exact_search_passes_the_index_by(client, made, vectors):
    query = vectors[5] + 2 * vectors[77]
    exact = np.argsort(-(vectors @ query), kind="stable")[:20].tolist()
    hits = client.query_points(made, query.tolist(), limit=20, search_params=m.SearchParams(exact=True)).points
    assert ids(hits) == exact


def test_every_point_is_its_own_nearest(client, made, vectors):
    requests = [m.QueryRequest(query=vectors[i].tolist(), limit=1) for i in range(0, COUNT, 60)]
    found = client.query_batch_points(made, requests)
    assert np.mean([answer.points[0].id == i for answer, i in zip(found, range(0, COUNT, 60))]) > 0.98


@pytest.mark.timeout(200)
def test_reads_and_writes_go_on_while_the_index_is_built(client, engine, vectors):
    """Constant writes starve neither the index nor the readers, and each write is seen at once."""
    name = fresh_name()
    client.create_collection(
        name,
        vectors_config=m.VectorParams(size=DIM, distance=m.Distance.COSINE),
        optimizers_config=m.OptimizersConfigDiff(indexing_threshold=100),
    )
    client.upload_collection(name, vectors=vectors, ids=range(COUNT), wait=True)
    end, failed, slowest = threading.Event(), [], [0.0]

    def write():
        writer = Door("127.0.0.1", engine.http_port, engine.grpc_port, grpc=True).client()
        number = COUNT
        while not end.is_set():
            began = time.monotonic()
            writer.upsert(name, [m.PointStruct(id=number, vector=vectors[number % COUNT].tolist())], wait=True)
            if not writer.retrieve(name, [number]):
                failed.append(number)
            slowest[0] = max(slowest[0], time.monotonic() - began)
            number += 1
        failed.extend([] if writer.count(name).count == number else ["count"])
        writer.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        deadline = time.monotonic() + INDEXED_DEADLINE
        while client.get_collection(name).indexed_vectors_count < COUNT * 0.9:
            assert time.monotonic() < deadline, "constant writes starved the index"
            began = time.monotonic()
            assert len(client.query_points(name, vectors[1].tolist(), limit=10).points) == 10
            slowest[0] = max(slowest[0], time.monotonic() - began)
    finally:
        end.set()
        writing.join(60)
    assert failed == []
    assert slowest[0] < 5.0, f"a request took {slowest[0]:.1f} s"
    client.delete_collection(name)
