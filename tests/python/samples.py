"""Points with every kind of vector and payload, the same for the same seed."""

import random
import uuid
from datetime import UTC, datetime, timedelta

from qdrant_client import models

DENSE, OTHER, SPARSE, MULTI = "dense", "other", "sparse", "multi"
DENSE_DIM, OTHER_DIM, MULTI_DIM = 12, 4, 6
VOCABULARY = 60
CITIES = ["Berlin", "London", "Paris", "Oslo", "Zürich", "東京"]
WORDS = "the quick brown fox jumps over a lazy dog while seven wizards bake blue bread".split()
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)

VECTORS = {
    DENSE: models.VectorParams(size=DENSE_DIM, distance=models.Distance.COSINE),
    OTHER: models.VectorParams(size=OTHER_DIM, distance=models.Distance.EUCLID),
    MULTI: models.VectorParams(
        size=MULTI_DIM,
        distance=models.Distance.DOT,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
    ),
}
SPARSE_VECTORS = {SPARSE: models.SparseVectorParams()}

INDEXES = {
    "city": models.PayloadSchemaType.KEYWORD,
    "tags": models.PayloadSchemaType.KEYWORD,
    "count": models.PayloadSchemaType.INTEGER,
    "price": models.PayloadSchemaType.FLOAT,
    "open": models.PayloadSchemaType.BOOL,
    "where": models.PayloadSchemaType.GEO,
    "when": models.PayloadSchemaType.DATETIME,
    "code": models.PayloadSchemaType.UUID,
    "rooms[].kind": models.PayloadSchemaType.KEYWORD,
    "deep.level": models.PayloadSchemaType.INTEGER,
}


def dense(rng, dim):
    return [round(rng.gauss(0, 1), 4) for _ in range(dim)]


def sparse(rng):
    indices = sorted(rng.sample(range(VOCABULARY), rng.randint(1, 8)))
    return models.SparseVector(indices=indices, values=[round(rng.uniform(0.1, 2), 4) for _ in indices])


def multi(rng):
    return [dense(rng, MULTI_DIM) for _ in range(rng.randint(1, 3))]


def vectors(rng):
    """All four kinds, now and then without one of them."""
    every = {DENSE: dense(rng, DENSE_DIM), OTHER: dense(rng, OTHER_DIM), SPARSE: sparse(rng), MULTI: multi(rng)}
    if rng.random() < 0.2:
        del every[rng.choice(list(every))]
    return every


def payload(rng, number):
    """Every field is sometimes missing, sometimes null or an empty list."""
    fields = {
        "number": number,
        "city": rng.choice(CITIES),
        "tags": rng.sample("red green blue black white".split(), rng.randint(0, 3)),
        "count": rng.randint(-5, 20),
        "price": round(rng.uniform(0, 100), 2),
        "open": rng.random() < 0.5,
        "where": {"lon": round(rng.uniform(-180, 180), 4), "lat": round(rng.uniform(-85, 85), 4)},
        "when": (EPOCH + timedelta(hours=rng.randint(0, 10_000))).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "code": str(uuid.UUID(int=rng.randint(1, 40))),
        "text": " ".join(rng.choices(WORDS, k=rng.randint(2, 8))),
        "rooms": [
            {"kind": rng.choice(["bed", "bath", "hall"]), "size": rng.randint(1, 40)} for _ in range(rng.randint(0, 3))
        ],
        "deep": {"level": rng.randint(0, 5), "note": rng.choice(["x", "y"])},
    }
    for field in list(fields)[1:]:
        chance = rng.random()
        if chance < 0.08:
            del fields[field]
        elif chance < 0.12:
            fields[field] = None
        elif chance < 0.15:
            fields[field] = []
    return fields


def points(count, seed):
    """Half the ids are integers, half UUIDs."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        chosen = number if number % 2 else str(uuid.UUID(int=rng.getrandbits(128), version=4))
        made.append(models.PointStruct(id=chosen, vector=vectors(rng), payload=payload(rng, number)))
    return made


def fill(client, name, made, indexed=False):
    """Makes the collection and writes the points, with payload indexes or without."""
    client.create_collection(name, vectors_config=VECTORS, sparse_vectors_config=SPARSE_VECTORS)
    if indexed:
        for field, schema in INDEXES.items():
            client.create_payload_index(name, field, schema, wait=True)
    for start in range(0, len(made), 100):
        client.upsert(name, made[start : start + 100], wait=True)
