"""Long random sequences of changes: after each stretch, and after a restart, the referee holds the same points."""

import contextlib
import random

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m

import samples
import server
from agree import assert_same_hits, assert_same_records
from conftest import Door

pytestmark = [pytest.mark.remote, pytest.mark.filterwarnings("ignore:.*large number of points")]

NAME = "c"
IDS = 120


class Both:
    """Makes the same random changes to two servers."""

    def __init__(self, seed, servers):
        self.rng = random.Random(seed)
        self.servers = servers
        # A point's id never changes its kind, and the same ids come again and again.
        self.ids = [point.id for point in samples.points(IDS, seed)]

    def some(self, most):
        return self.rng.sample(self.ids, self.rng.randint(1, most))

    def condition(self):
        return self.rng.choice(
            [
                m.Filter(
                    must=[m.FieldCondition(key="city", match=m.MatchValue(value=self.rng.choice(samples.CITIES)))]
                ),
                m.Filter(must=[m.FieldCondition(key="count", range=m.Range(gte=self.rng.randint(0, 20)))]),
                m.Filter(must_not=[m.FieldCondition(key="tags", match=m.MatchAny(any=["red", "blue", "green"]))]),
                m.Filter(must=[m.HasVectorCondition(has_vector=self.rng.choice(VECTORS))]),
                m.Filter(must=[m.HasIdCondition(has_id=self.some(9))]),
            ]
        )

    def target(self):
        """Points by id or, now and then, by a filter."""
        return m.FilterSelector(filter=self.condition()) if self.rng.random() < 0.3 else self.there(self.some(6))

    def point(self, chosen):
        return m.PointStruct(
            id=chosen, vector=samples.vectors(self.rng), payload=samples.payload(self.rng, self.rng.randint(0, 999))
        )

    def change(self):  # noqa: PLR0911
        """One random change, as a function of the client."""
        rng = self.rng
        kind = rng.choices(list(CHANGES), weights=list(CHANGES.values()))[0]
        if kind == "upsert":
            points = [self.point(chosen) for chosen in self.some(15)]
            return lambda client: client.upsert(NAME, points, wait=True)
        if kind == "delete":
            target = m.FilterSelector(filter=self.condition()) if rng.random() < 0.15 else self.some(8)
            return lambda client: client.delete(NAME, target, wait=True)
        if kind == "batch":
            points = [self.point(chosen) for chosen in self.some(5)]
            operations = [
                m.UpsertOperation(upsert=m.PointsList(points=points)),
                m.SetPayloadOperation(
                    set_payload=m.SetPayload(
                        payload={"batch": rng.randint(0, 9)}, points=[point.id for point in points]
                    )
                ),
                m.DeleteOperation(delete=m.PointIdsList(points=self.some(3))),
            ]
            return lambda client: client.batch_update_points(NAME, operations, wait=True)
        if kind == "update vectors":
            changed = [m.PointVectors(id=chosen, vector=samples.vectors(rng)) for chosen in self.there(self.some(6))]
            return lambda client: changed and client.update_vectors(NAME, changed, wait=True)
        target = self.target()
        if kind == "delete vectors":
            names = rng.sample(VECTORS, rng.randint(1, 2))
            return lambda client: client.delete_vectors(NAME, names, target, wait=True)
        if kind == "set payload":
            payload = {"city": rng.choice(samples.CITIES), "count": rng.randint(0, 20)}
            return lambda client: client.set_payload(NAME, payload, target, wait=True)
        if kind == "overwrite payload":
            payload = samples.payload(rng, rng.randint(0, 999))
            return lambda client: client.overwrite_payload(NAME, payload, target, wait=True)
        if kind == "delete payload":
            keys = rng.sample(["city", "tags", "count", "deep.level", "rooms"], 2)
            return lambda client: client.delete_payload(NAME, keys, target, wait=True)
        return lambda client: client.clear_payload(NAME, target, wait=True)

    def there(self, chosen):
        """Those of the ids that exist: to change another one is an error of the caller."""
        found = {str(record.id) for record in self.servers[-1].retrieve(NAME, chosen, with_payload=False)}
        return [each for each in chosen if str(each) in found]

    def run(self, changes):
        for _ in range(changes):
            change = self.change()
            for client in self.servers:
                change(client)


VECTORS = [samples.DENSE, samples.OTHER, samples.SPARSE, samples.MULTI]
CHANGES = {
    "upsert": 8,
    "delete": 2,
    "batch": 2,
    "update vectors": 3,
    "delete vectors": 2,
    "set payload": 3,
    "overwrite payload": 2,
    "delete payload": 2,
    "clear payload": 1,
}


def compare(client, oracle, seed):
    expected, _ = oracle.scroll(NAME, limit=10_000, with_vectors=True)
    found, _ = client.scroll(NAME, limit=10_000, with_vectors=True)
    by_id = {str(record.id): record for record in found}
    assert by_id.keys() == {str(record.id) for record in expected}
    assert_same_records([by_id[str(record.id)] for record in expected], expected)
    rng = random.Random(seed)
    for using, vector in samples.vectors(rng).items():
        for condition in (None, m.Filter(must=[m.FieldCondition(key="count", range=m.Range(gte=5))])):
            how = {"using": using, "limit": 10, "query_filter": condition}
            assert_same_hits(
                client.query_points(NAME, vector, **how).points, oracle.query_points(NAME, vector, **how).points
            )


@contextlib.contextmanager
def engine_with_client(directory, grpc):
    running = server.start_engine(directory)
    client = Door("127.0.0.1", running.http_port, running.grpc_port, grpc).client(None)
    try:
        yield running, client
    finally:
        client.close()
        if running.process.poll() is None:
            running.kill()


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.parametrize("seed", range(4))
def test_the_referee_holds_the_same_after_any_sequence(tmp_path, seed, grpc):
    oracle = QdrantClient(":memory:")
    samples.fill(oracle, NAME, samples.points(IDS, seed))
    with engine_with_client(tmp_path, grpc) as (running, client):
        samples.fill(client, NAME, samples.points(IDS, seed), indexed=seed % 2 == 0)
        both = Both(seed, [client, oracle])
        for stretch in range(4):
            both.run(40)
            compare(client, oracle, stretch)
        # Half of the runs end in order, half do not.
        assert (running.stop() == 0) if seed < 2 else (running.kill() == -9)
    with engine_with_client(tmp_path, grpc) as (_, client):
        compare(client, oracle, 100)
        both.servers = [client, oracle]
        both.run(40)
        compare(client, oracle, 101)
    oracle.close()
