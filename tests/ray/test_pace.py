"""A write rate limit, as Qdrant's strict mode has: jobs come through slower, and ray-qdrant's do not."""

import os

import pyarrow as pa
import pytest
from qmoor import GaveUp, Target, WriteOptions
from qmoor.ray import write_qdrant
from ray_qdrant import write_qdrant as ray_qdrant_write

import corpus
from corpus import SCHEMA
from front import Front, WriteRate

DOCUMENTS = {f"doc{number}": 10 for number in range(12)}
# Twelve requests where eight a second may pass, so that none comes through without being sent away.
OPTIONS = WriteOptions(batch_points=10)
WRITES, SECONDS = 4, 1


@pytest.fixture
def limited(node):
    """A front that lets a few writes pass each second."""
    with Front(node, WriteRate(WRITES, SECONDS)) as front:
        yield front


def dataset(ray):
    table = corpus.table(DOCUMENTS).append_column("id", pa.array(range(120), pa.uint64()))
    return ray.data.from_arrow(table).repartition(2)


@pytest.mark.parametrize("over", ["rest", "grpc"])
def test_ray_qdrant_dies_of_a_rate_limit(ray, place, limited, over):
    place.make()
    more = {"prefer_grpc": True, "grpc_port": limited.grpc_port} if over == "grpc" else {}
    with pytest.raises(Exception, match=r"ResourceExhausted|rate limit"):
        ray_qdrant_write(
            dataset(ray).select_columns(["id", "vector", "text"]),
            url=limited.http_url,
            collection=place.name,
            api_key=os.environ["QMOOR_TEST_INDEX"],
            batch_size=10,
            client_kwargs={"check_compatibility": False, **more},
        )
    assert limited.rule.refused
    assert len(place.points()) < 120


def test_a_job_comes_through_a_rate_limit(ray, place, limited):
    place.make()
    through = Target(limited.grpc_url, place.name, "env:QMOOR_TEST_INDEX")
    report = write_qdrant(dataset(ray), through, SCHEMA, options=OPTIONS)
    assert corpus.found(place) == corpus.expected(DOCUMENTS)
    assert report.points_acked == 120
    assert report.retried == limited.rule.refused > 0
    assert limited.rule.passed == 12
    assert report.throttled_s > SECONDS / 2


def test_what_never_passes_ends_with_the_budget_and_says_what_was_written(ray, place, node):
    place.make()
    with Front(node, WriteRate(3, 3600)) as front:
        through = Target(front.grpc_url, place.name, "env:QMOOR_TEST_INDEX")
        options = WriteOptions(batch_points=10, max_inflight=1, give_up_after_s=2)
        with pytest.raises(GaveUp, match="rate limit") as failure:
            write_qdrant(dataset(ray).repartition(1), through, SCHEMA, options=options)
    assert failure.value.report["points_acked"] == len(place.points()) == 30
