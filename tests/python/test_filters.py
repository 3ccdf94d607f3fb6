"""Filters, counts, facets and scrolling agree with the referee, with payload indexes and without."""

import functools
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from qdrant_client import models as m

import samples
from agree import assert_same_records, ids
from conftest import fresh_name

POINTS = samples.points(400, seed=11)


def filled(client, oracle, indexed):
    name = fresh_name()
    samples.fill(client, name, POINTS, indexed)
    samples.fill(oracle, name, POINTS)
    yield name
    client.delete_collection(name)
    oracle.delete_collection(name)


@pytest.fixture(scope="module")
def unindexed(client, oracle):
    """The same points in both, without payload indexes; the name of the collection."""
    yield from filled(client, oracle, indexed=False)


@pytest.fixture(scope="module")
def indexed(client, oracle):
    """The same with payload indexes."""
    yield from filled(client, oracle, indexed=True)


@pytest.fixture(params=["unindexed", "indexed"])
def made(request):
    """Both of them."""
    return request.getfixturevalue(request.param)


def field(key, **what):
    return m.FieldCondition(key=key, **what)


def value(key, wanted):
    return field(key, match=m.MatchValue(value=wanted))


def when(hours):
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours)


def near(lon, lat, radius):
    return field("where", geo_radius=m.GeoRadius(center=m.GeoPoint(lon=lon, lat=lat), radius=radius))


def box(left, top, right, bottom):
    corners = {"top_left": m.GeoPoint(lon=left, lat=top), "bottom_right": m.GeoPoint(lon=right, lat=bottom)}
    return field("where", geo_bounding_box=m.GeoBoundingBox(**corners))


def ring(*corners):
    return m.GeoLineString(points=[m.GeoPoint(lon=lon, lat=lat) for lon, lat in [*corners, corners[0]]])


def nested(**filters):
    return m.NestedCondition(nested=m.Nested(key="rooms", filter=m.Filter(**filters)))


CONDITIONS = {
    "keyword": value("city", "Berlin"),
    "keyword unicode": value("city", "東京"),
    "keyword in list": value("tags", "red"),
    "integer": value("count", 3),
    "negative integer": value("count", -2),
    "bool true": value("open", True),
    "bool false": value("open", False),
    "uuid": value("code", POINTS[0].payload.get("code") or "00000000-0000-0000-0000-000000000007"),
    "of another type": value("city", 3),
    "no such key": value("nothing", 3),
    "nested key": value("deep.level", 2),
    "key in array": value("rooms[].kind", "bed"),
    "array by index": value("rooms[0].kind", "bath"),
    "any keyword": field("city", match=m.MatchAny(any=["Oslo", "Paris", "Rome"])),
    "any integer": field("count", match=m.MatchAny(any=[1, 2, 3, 99])),
    "any of none": field("city", match=m.MatchAny(any=[])),
    "except keyword": field("city", match=m.MatchExcept(**{"except": ["Oslo", "Paris"]})),
    "except integer": field("count", match=m.MatchExcept(**{"except": [1, 2, 3]})),
    "range gte lt": field("count", range=m.Range(gte=2, lt=9)),
    "range gt lte": field("price", range=m.Range(gt=10.5, lte=70.25)),
    "range open": field("price", range=m.Range(gte=50)),
    "range empty": field("count", range=m.Range(gt=5, lt=5)),
    "range in array": field("rooms[].size", range=m.Range(gte=35)),
    "datetime": field("when", range=m.DatetimeRange(gte=when(1000), lt=when(4000))),
    "datetime with zone": field(
        "when", range=m.DatetimeRange(gt=datetime(2024, 6, 1, 5, tzinfo=timezone(timedelta(hours=5))))
    ),
    "geo radius": near(13.4, 52.5, 4_000_000),
    "geo box": box(-60, 60, 80, -20),
    "geo polygon": field("where", geo_polygon=m.GeoPolygon(exterior=ring((-90, -60), (90, -60), (90, 60), (-90, 60)))),
    "geo polygon with a hole": field(
        "where",
        geo_polygon=m.GeoPolygon(
            exterior=ring((-90, -60), (90, -60), (90, 60), (-90, 60)),
            interiors=[ring((-30, -30), (30, -30), (30, 30), (-30, 30))],
        ),
    ),
    "count of values": field("tags", values_count=m.ValuesCount(gte=2)),
    "count of values, none": field("tags", values_count=m.ValuesCount(lt=1)),
    "count of objects": field("rooms", values_count=m.ValuesCount(gt=1, lte=2)),
    "is empty": m.IsEmptyCondition(is_empty=m.PayloadField(key="tags")),
    "is empty, missing": m.IsEmptyCondition(is_empty=m.PayloadField(key="city")),
    "is null": m.IsNullCondition(is_null=m.PayloadField(key="city")),
    "has id": m.HasIdCondition(has_id=[1, 3, POINTS[0].id, POINTS[2].id, 9999]),
    "has id, none": m.HasIdCondition(has_id=[]),
    "has dense vector": m.HasVectorCondition(has_vector=samples.DENSE),
    "has sparse vector": m.HasVectorCondition(has_vector=samples.SPARSE),
    "has multi vector": m.HasVectorCondition(has_vector=samples.MULTI),
    "nested must": nested(must=[value("kind", "bed"), field("size", range=m.Range(gt=20))]),
    "nested must not": nested(must_not=[value("kind", "bed")]),
    "nested should": nested(should=[value("kind", "hall"), field("size", range=m.Range(lt=5))]),
}


def every_id(client, name, condition=None):
    """All matching ids, read page by page."""
    found, page = [], None
    while True:
        records, page = client.scroll(name, scroll_filter=condition, limit=90, offset=page, with_payload=False)
        found += ids(records)
        if page is None:
            return found


def agree(client, oracle, name, condition):
    expected = every_id(oracle, name, condition)
    assert sorted(map(str, every_id(client, name, condition))) == sorted(map(str, expected))
    assert client.count(name, condition, exact=True).count == len(expected)


@pytest.mark.parametrize("which", CONDITIONS)
@pytest.mark.parametrize("clause", ["must", "should", "must_not"])
def test_each_condition(client, oracle, made, which, clause):
    agree(client, oracle, made, m.Filter(**{clause: [CONDITIONS[which]]}))


@pytest.mark.parametrize("seed", range(60))
def test_random_combinations(client, oracle, made, seed):
    rng = random.Random(seed)

    def some(depth):
        chosen = rng.sample(list(CONDITIONS.values()), rng.randint(1, 3))
        return [*chosen, combined(depth - 1)] if depth and rng.random() < 0.6 else chosen

    def combined(depth):
        clauses = {clause: some(depth) for clause in ("must", "should", "must_not") if rng.random() < 0.5}
        if rng.random() < 0.3:
            conditions = some(depth)
            clauses["min_should"] = m.MinShould(conditions=conditions, min_count=rng.randint(1, len(conditions)))
        return m.Filter(**clauses)

    agree(client, oracle, made, combined(2))


def test_an_empty_filter_matches_everything(client, oracle, made):
    agree(client, oracle, made, m.Filter())
    agree(client, oracle, made, None)


def test_scrolling_gives_every_point_once_with_payload_and_vectors(client, oracle, made):
    found, _ = client.scroll(made, limit=1000, with_payload=True, with_vectors=True)
    expected, _ = oracle.scroll(made, limit=1000, with_payload=True, with_vectors=True)
    by_id = {str(record.id): record for record in found}
    assert_same_records([by_id[str(record.id)] for record in expected], expected)
    assert len(found) == len(expected)


def test_scrolling_goes_by_id_and_offset_is_where_to_go_on(client, made):
    first, page = client.scroll(made, limit=7)
    second, _ = client.scroll(made, limit=7, offset=page)
    both, _ = client.scroll(made, limit=14)
    assert ids(first) + ids(second) == ids(both)
    assert second[0].id == page
    integers = [i for i in every_id(client, made) if isinstance(i, int)]
    assert integers == sorted(integers)


@pytest.mark.parametrize("selector", [["city", "deep.level"], ["rooms[].kind"], []], ids=str)
@pytest.mark.parametrize("how", ["include", "exclude"])
def test_payload_selectors(client, oracle, made, selector, how):
    chosen = (
        m.PayloadSelectorInclude(include=selector) if how == "include" else m.PayloadSelectorExclude(exclude=selector)
    )
    wanted = [point.id for point in POINTS[:50]]
    found = {str(r.id): r.payload or {} for r in client.retrieve(made, wanted, with_payload=chosen)}
    expected = {str(r.id): r.payload or {} for r in oracle.retrieve(made, wanted, with_payload=chosen)}
    assert found == expected


# ---- order_by and facets, which need an index -----------------------------------------------


@pytest.mark.parametrize("key", ["count", "price", "when", "deep.level"])
@pytest.mark.parametrize("direction", list(m.Direction), ids=str)
def test_scrolling_in_the_order_of_a_field(client, oracle, indexed, key, direction):
    order = m.OrderBy(key=key, direction=direction)

    def values(server):
        records, _ = server.scroll(indexed, order_by=order, limit=60)
        return [functools.reduce(dict.get, key.split("."), record.payload) for record in records]

    assert values(client) == values(oracle)


def test_scrolling_in_order_starts_where_told(client, oracle, indexed):
    order = m.OrderBy(key="count", start_from=7)
    found, _ = client.scroll(indexed, order_by=order, limit=30)
    expected, _ = oracle.scroll(indexed, order_by=order, limit=30)
    assert [r.payload["count"] for r in found] == [r.payload["count"] for r in expected]
    assert found[0].payload["count"] == 7


@pytest.mark.parametrize("key", ["city", "tags", "count", "open", "code"])
@pytest.mark.parametrize("which", [None, "range gt lte", "keyword in list"])
def test_facets(client, oracle, indexed, key, which):
    condition = m.Filter(must=[CONDITIONS[which]]) if which else None

    def hits(client):
        return {hit.value: hit.count for hit in client.facet(indexed, key, condition, limit=1000, exact=True).hits}

    assert hits(client) == hits(oracle)


def test_a_facet_is_sorted_by_count_and_cut(client, indexed):
    hits = client.facet(indexed, "city", limit=3, exact=True).hits
    assert len(hits) == 3
    assert [hit.count for hit in hits] == sorted((hit.count for hit in hits), reverse=True)


# ---- writes that take a filter --------------------------------------------------------------


@pytest.mark.parametrize("which", ["keyword", "range gte lt", "nested must", "geo radius", "is empty"])
def test_changes_by_filter_change_the_same_points(client, oracle, name, which):
    some = POINTS[:120]
    condition = m.Filter(must=[CONDITIONS[which]])
    for server in (client, oracle):
        samples.fill(server, name, some)
        server.set_payload(name, {"marked": True}, points=m.FilterSelector(filter=condition), wait=True)
        server.delete_payload(name, ["price"], points=m.FilterSelector(filter=condition), wait=True)
        server.delete_vectors(name, [samples.OTHER], points=m.FilterSelector(filter=condition), wait=True)
    try:
        wanted = [point.id for point in some]
        found = {str(r.id): r for r in client.retrieve(name, wanted, with_vectors=True)}
        for record in oracle.retrieve(name, wanted, with_vectors=True):
            assert_same_records([found[str(record.id)]], [record])
        for server in (client, oracle):
            server.delete(name, m.FilterSelector(filter=condition), wait=True)
        assert sorted(map(str, every_id(client, name))) == sorted(map(str, every_id(oracle, name)))
    finally:
        oracle.delete_collection(name)
