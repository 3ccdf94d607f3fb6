"""Queries agree with the referee: every kind of vector, filter, prefetch, fusion and grouping."""

import random

import numpy as np
import pytest
from qdrant_client import models as m

import samples
from agree import assert_same_hits, ids
from conftest import fresh_name

POINTS = samples.points(400, seed=23)
VECTORS = [samples.DENSE, samples.OTHER, samples.SPARSE, samples.MULTI]
CHEAP = m.Filter(must=[m.FieldCondition(key="price", range=m.Range(lt=60))])
BERLIN = m.Filter(must=[m.FieldCondition(key="city", match=m.MatchValue(value="Berlin"))])


@pytest.fixture(scope="module")
def made(client, oracle):
    name = fresh_name()
    samples.fill(client, name, POINTS, indexed=True)
    samples.fill(oracle, name, POINTS)
    yield name
    client.delete_collection(name)
    oracle.delete_collection(name)


@pytest.fixture
def agree(client, oracle, made):
    """Asks both the same, and compares."""

    def ask(cut=True, **how):
        found = client.query_points(made, **how).points
        assert_same_hits(found, oracle.query_points(made, **how).points, cut)
        return found

    return ask


def vector(using, seed=1):
    rng = random.Random(seed)
    return {
        samples.DENSE: lambda: samples.dense(rng, samples.DENSE_DIM),
        samples.OTHER: lambda: samples.dense(rng, samples.OTHER_DIM),
        samples.SPARSE: lambda: samples.sparse(rng),
        samples.MULTI: lambda: samples.multi(rng),
    }[using]()


def having(using, count):
    """Ids of points that have the vector."""
    return [point.id for point in POINTS if using in point.vector][:count]


@pytest.mark.parametrize("using", VECTORS)
@pytest.mark.parametrize("seed", range(5))
def test_nearest(agree, using, seed):
    assert len(agree(query=vector(using, seed), using=using, limit=20)) > 0


@pytest.mark.parametrize("using", VECTORS)
@pytest.mark.parametrize("condition", [CHEAP, BERLIN], ids=["cheap", "berlin"])
def test_nearest_with_a_filter(agree, using, condition):
    found = agree(query=vector(using), using=using, limit=25, query_filter=condition)
    assert all(hit.payload.get("city") == "Berlin" or condition is CHEAP for hit in found)


@pytest.mark.parametrize("using", VECTORS)
def test_everything_comes_back_with_payload_and_vectors(agree, using):
    found = agree(cut=False, query=vector(using), using=using, limit=1000, with_payload=True, with_vectors=True)
    assert all(using in hit.vector for hit in found)


def test_only_the_vectors_asked_for_come_back(agree):
    found = agree(
        cut=False, query=vector(samples.OTHER), using=samples.OTHER, limit=1000, with_vectors=[samples.SPARSE]
    )
    assert all(set(hit.vector or {}) <= {samples.SPARSE} for hit in found)


@pytest.mark.parametrize("using", VECTORS)
def test_offset(agree, using):
    agree(query=vector(using), using=using, limit=10, offset=7)


@pytest.mark.parametrize("using", VECTORS)
def test_score_threshold(client, agree, made, using):
    middle = client.query_points(made, vector(using), using=using, limit=30).points[10].score
    found = agree(query=vector(using), using=using, limit=50, score_threshold=middle + 1e-3)
    assert 0 < len(found) < 50


@pytest.mark.parametrize("using", VECTORS)
def test_exact_search(agree, using):
    agree(query=vector(using), using=using, limit=10, search_params=m.SearchParams(exact=True, hnsw_ef=32))


@pytest.mark.parametrize("using", VECTORS)
def test_by_the_id_of_a_point_which_is_left_out(agree, using):
    chosen = having(using, 1)[0]
    assert chosen not in ids(agree(query=chosen, using=using, limit=30))


def test_without_a_query_points_come_by_id(client, made):
    found = client.query_points(made, limit=15).points
    records, _ = client.scroll(made, limit=15)
    assert ids(found) == ids(records)


AVERAGE, BEST, SUM = (
    m.RecommendStrategy.AVERAGE_VECTOR,
    m.RecommendStrategy.BEST_SCORE,
    m.RecommendStrategy.SUM_SCORES,
)


@pytest.mark.parametrize("using", VECTORS)
@pytest.mark.parametrize("strategy", [AVERAGE, BEST, SUM], ids=str)
@pytest.mark.parametrize("negatives", [0, 2])
def test_recommend(agree, using, strategy, negatives):
    examples = having(using, 5)
    query = m.RecommendQuery(
        recommend=m.RecommendInput(positive=examples[:3], negative=examples[3 : 3 + negatives], strategy=strategy)
    )
    found = agree(query=query, using=using, limit=15)
    assert not set(ids(found)) & set(examples[: 3 + negatives])


@pytest.mark.parametrize("strategy", [BEST, SUM], ids=str)
def test_recommend_from_vectors_and_ids_together(agree, strategy):
    positive = [having(samples.DENSE, 1)[0], vector(samples.DENSE, 8)]
    recommend = m.RecommendInput(positive=positive, negative=[vector(samples.DENSE, 9)], strategy=strategy)
    agree(query=m.RecommendQuery(recommend=recommend), using=samples.DENSE, limit=15)


def prefetch(using, seed=3, limit=25, **more):
    return m.Prefetch(query=vector(using, seed), using=using, limit=limit, **more)


@pytest.mark.parametrize("fusion", list(m.Fusion), ids=str)
@pytest.mark.parametrize(
    "arms", [(samples.DENSE, samples.OTHER), (samples.DENSE, samples.MULTI, samples.OTHER)], ids=str
)
def test_fusion(agree, fusion, arms):
    agree(query=m.FusionQuery(fusion=fusion), prefetch=[prefetch(arm) for arm in arms], limit=20)


def test_fusion_of_dense_and_sparse_with_filters(agree):
    arms = [prefetch(samples.DENSE, filter=CHEAP), prefetch(samples.SPARSE, limit=8, filter=CHEAP)]
    found = agree(query=m.FusionQuery(fusion=m.Fusion.RRF), prefetch=arms, query_filter=CHEAP, limit=12)
    assert all(hit.payload["price"] < 60 for hit in found)


def test_fusion_with_its_own_constant_and_weights(agree):
    arms = [prefetch(samples.DENSE), prefetch(samples.OTHER)]
    agree(query=m.RrfQuery(rrf=m.Rrf(k=10)), prefetch=arms, limit=12)
    agree(query=m.RrfQuery(rrf=m.Rrf(k=10, weights=[3.0, 1.0])), prefetch=arms, limit=12)


@pytest.mark.parametrize("using", [samples.OTHER, samples.MULTI])
def test_rescoring_what_was_fetched_first(agree, using):
    agree(query=vector(using, 4), using=using, prefetch=prefetch(samples.DENSE, limit=40), limit=15)


def test_a_prefetch_inside_a_prefetch(agree):
    inner = [prefetch(samples.DENSE, limit=60), prefetch(samples.OTHER, limit=60)]
    outer = m.Prefetch(prefetch=inner, query=m.FusionQuery(fusion=m.Fusion.RRF), limit=30)
    agree(query=vector(samples.MULTI, 5), using=samples.MULTI, prefetch=outer, limit=10)


def test_a_prefetch_by_id_and_with_a_threshold(agree):
    first = m.Prefetch(query=having(samples.DENSE, 1)[0], using=samples.DENSE, score_threshold=0.1, limit=50)
    agree(query=vector(samples.OTHER), using=samples.OTHER, prefetch=first, limit=10)


@pytest.mark.parametrize("direction", list(m.Direction), ids=str)
def test_order_by_a_field(client, oracle, made, direction):
    query = m.OrderByQuery(order_by=m.OrderBy(key="price", direction=direction))

    def prices(server):
        return [hit.payload["price"] for hit in server.query_points(made, query, limit=40).points]

    assert prices(client) == prices(oracle)


def test_order_by_what_was_fetched_first(client, made):
    first = prefetch(samples.DENSE, limit=20)
    near = set(map(str, ids(client.query_points(made, first.query, using=first.using, limit=20).points)))
    found = client.query_points(made, m.OrderByQuery(order_by="price"), prefetch=first, limit=10).points
    prices = [hit.payload["price"] for hit in found]
    assert prices == sorted(prices)
    assert {str(hit.id) for hit in found} <= near


def test_a_random_sample_is_of_the_asked_size_and_varies(client, made):
    query = m.SampleQuery(sample=m.Sample.RANDOM)
    samples_seen = {
        tuple(map(str, ids(client.query_points(made, query, limit=10, query_filter=CHEAP).points))) for _ in range(5)
    }
    assert all(len(set(each)) == 10 for each in samples_seen)
    assert len(samples_seen) > 1
    cheap = {str(p.id) for p in POINTS if isinstance(p.payload.get("price"), float) and p.payload["price"] < 60}
    assert all(set(each) <= cheap for each in samples_seen)


def test_a_batch_of_queries_is_answered_in_order(client, oracle, made):
    requests = [
        m.QueryRequest(query=vector(using, 6), using=using, limit=5 + n, with_payload=True)
        for n, using in enumerate(VECTORS)
    ] + [m.QueryRequest(query=having(samples.DENSE, 1)[0], using=samples.DENSE, filter=BERLIN, limit=3)]
    found = client.query_batch_points(made, requests)
    expected = oracle.query_batch_points(made, requests)
    assert len(found) == len(requests)
    for left, right in zip(found, expected):
        assert_same_hits(left.points, right.points)


@pytest.mark.parametrize("using", [samples.DENSE, samples.OTHER])
@pytest.mark.parametrize("key", ["city", "tags", "count"])
def test_groups(client, oracle, made, using, key):
    def grouped(server):
        groups = server.query_points_groups(made, key, vector(using), using=using, limit=4, group_size=3).groups
        return {str(group.id): [str(hit.id) for hit in group.hits] for group in groups}

    assert grouped(client) == grouped(oracle)


def test_groups_with_a_filter_and_payload(client, made):
    groups = client.query_points_groups(
        made, "city", vector(samples.DENSE), using=samples.DENSE, query_filter=CHEAP, limit=3, group_size=2
    ).groups
    assert len(groups) == 3
    for group in groups:
        assert 1 <= len(group.hits) <= 2
        assert all(hit.payload["city"] == group.id and hit.payload["price"] < 60 for hit in group.hits)


@pytest.mark.parametrize("distance", list(m.Distance), ids=str)
def test_every_distance(client, oracle, name, distance):
    rng = np.random.default_rng(5)
    data = rng.normal(size=(200, 9)).round(4)
    try:
        for server in (client, oracle):
            server.create_collection(name, vectors_config=m.VectorParams(size=9, distance=distance))
            server.upsert(name, m.Batch(ids=list(range(200)), vectors=data.tolist()), wait=True)
        for query in rng.normal(size=(5, 9)):
            assert_same_hits(
                client.query_points(name, query.tolist()).points, oracle.query_points(name, query.tolist()).points
            )
    finally:
        oracle.delete_collection(name)


def test_sparse_vectors_with_idf(client, oracle, name):
    rng = random.Random(3)
    made = [m.PointStruct(id=i, vector={"s": samples.sparse(rng)}) for i in range(150)]
    try:
        for server in (client, oracle):
            server.create_collection(name, sparse_vectors_config={"s": m.SparseVectorParams(modifier=m.Modifier.IDF)})
            server.upsert(name, made, wait=True)
        for _ in range(5):
            query = samples.sparse(rng)
            found, expected = (
                server.query_points(name, query, using="s", limit=12).points for server in (client, oracle)
            )
            assert_same_hits(found, expected)
    finally:
        oracle.delete_collection(name)


def test_sparse_indices_may_come_in_any_order(client, name):
    client.create_collection(name, sparse_vectors_config={"s": m.SparseVectorParams()})
    client.upsert(name, [m.PointStruct(id=1, vector={"s": m.SparseVector(indices=[9, 2, 5], values=[1, 2, 3])})])
    (hit,) = client.query_points(name, m.SparseVector(indices=[5, 2], values=[1, 10]), using="s").points
    assert hit.score == pytest.approx(23)


def test_what_was_written_is_found_at_once(client, name):
    client.create_collection(name, vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
    for number in range(1, 40):
        client.upsert(name, [m.PointStruct(id=number, vector=[number, 0])], wait=True)
        assert client.query_points(name, [1, 0], limit=1).points[0].id == number
