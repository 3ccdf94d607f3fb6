"""The JSON itself: the shapes of answers, the older routes, and forms the client does not send."""

import httpx
import pytest

import conftest

pytestmark = pytest.mark.remote


@pytest.fixture(scope="module")
def call(request):
    """Asks the engine over REST; the `result` of an answer that says ok."""
    running = request.getfixturevalue("engine")
    with httpx.Client(base_url=running.url, headers={"api-key": conftest.KEY}, timeout=30) as session:

        def ask(method, path, body=None):
            answer = session.request(method, path, json=body)
            assert answer.status_code == 200, answer.text
            whole = answer.json()
            assert whole["status"] == "ok"
            assert isinstance(whole["time"], float)
            return whole["result"]

        yield ask


@pytest.fixture
def made(call):
    name = conftest.fresh_name()
    assert call("PUT", f"/collections/{name}", {"vectors": {"size": 4, "distance": "Dot"}}) is True
    call(
        "PUT",
        f"/collections/{name}/points?wait=true",
        {"points": [{"id": i, "vector": [i, 1, 0, 0], "payload": {"i": i, "odd": bool(i % 2)}} for i in range(1, 6)]},
    )
    yield f"/collections/{name}"
    call("DELETE", f"/collections/{name}")


ODD = {"must": [{"key": "odd", "match": {"value": True}}]}


def ids(hits):
    return [hit["id"] for hit in hits]


def test_an_update_answers_with_number_and_status(call, made):
    result = call("PUT", f"{made}/points?wait=true", {"points": [{"id": 9, "vector": [1, 1, 1, 1]}]})
    assert result["status"] == "completed"
    assert isinstance(result["operation_id"], int)
    result = call("PUT", f"{made}/points", {"points": [{"id": 9, "vector": [1, 1, 1, 1]}]})
    assert result["status"] == "acknowledged"


def test_query_parameters_of_writes_and_reads_are_taken(call, made):
    call("PUT", f"{made}/points?wait=true&ordering=strong&timeout=10", {"points": [{"id": 9, "vector": [1, 1, 1, 1]}]})
    call("POST", f"{made}/points/query?consistency=majority&timeout=10", {"query": [1, 0, 0, 0]})


def test_a_batch_of_columns(call, made):
    body = {"batch": {"ids": [10, 11], "vectors": [[1, 0, 0, 0], [2, 0, 0, 0]], "payloads": [{"a": 1}, None]}}
    call("PUT", f"{made}/points?wait=true", body)
    assert call("GET", f"{made}/points/11") == {"id": 11, "payload": {}, "vector": [2.0, 0.0, 0.0, 0.0]}


def test_points_are_written_without_payload_or_with_null(call, made):
    points = [{"id": 10, "vector": [1, 0, 0, 0]}, {"id": 11, "vector": [1, 0, 0, 0], "payload": None}]
    call("PUT", f"{made}/points?wait=true", {"points": points})
    found = call("POST", f"{made}/points", {"ids": [10, 11], "with_payload": True})
    assert [point["payload"] for point in found] == [{}, {}]


def test_the_answer_to_a_query(call, made):
    body = {"query": [1, 0, 0, 0], "limit": 2, "with_payload": ["i"], "with_vector": True}
    points = call("POST", f"{made}/points/query", body)["points"]
    assert ids(points) == [5, 4]
    assert points[0]["score"] == 5.0
    assert points[0]["payload"] == {"i": 5}
    assert points[0]["vector"] == [5.0, 1.0, 0.0, 0.0]
    bare = call("POST", f"{made}/points/query", {"query": [1, 0, 0, 0], "limit": 1})["points"][0]
    assert bare.get("payload") is None and bare.get("vector") is None


@pytest.mark.parametrize(
    "query",
    [[1, 0, 0, 0], {"nearest": [1, 0, 0, 0]}, 5, {"nearest": 5}, {"recommend": {"positive": [5]}}],
    ids=str,
)
def test_a_query_may_be_short_or_spelt_out(call, made, query):
    points = call("POST", f"{made}/points/query", {"query": query, "filter": ODD, "limit": 10})["points"]
    expected = [5, 3, 1] if isinstance(query, list) or query == {"nearest": [1, 0, 0, 0]} else [3, 1]
    assert ids(points) == expected


def test_the_older_search_still_works(call, made):
    body = {"vector": [1, 0, 0, 0], "limit": 2, "filter": ODD, "with_payload": True}
    hits = call("POST", f"{made}/points/search", body)
    assert ids(hits) == [5, 3]
    assert hits[0]["payload"] == {"i": 5, "odd": True}
    assert ids(call("POST", f"{made}/points/search", {"vector": [1, 0, 0, 0], "top": 1})) == [5]
    batch = call("POST", f"{made}/points/search/batch", {"searches": [body, {**body, "limit": 1}]})
    assert [ids(each) for each in batch] == [[5, 3], [5]]


def test_the_older_search_takes_named_vectors(call):
    name = f"/collections/{conftest.fresh_name()}"
    call("PUT", name, {"vectors": {"a": {"size": 2, "distance": "Dot"}}, "sparse_vectors": {"s": {}}})
    vector = {"a": [1, 2], "s": {"indices": [1], "values": [2]}}
    call("PUT", f"{name}/points?wait=true", {"points": [{"id": 1, "vector": vector}]})
    assert (
        call("POST", f"{name}/points/search", {"vector": {"name": "a", "vector": [1, 1]}, "limit": 1})[0]["score"] == 3
    )
    sparse = {"name": "s", "vector": {"indices": [1], "values": [3]}}
    assert call("POST", f"{name}/points/search", {"vector": sparse, "limit": 1})[0]["score"] == 6
    call("DELETE", name)


def test_scrolling_says_where_to_go_on(call, made):
    page = call("POST", f"{made}/points/scroll", {"limit": 3})
    assert ids(page["points"]) == [1, 2, 3]
    assert page["next_page_offset"] == 4
    last = call("POST", f"{made}/points/scroll", {"limit": 3, "offset": 4})
    assert ids(last["points"]) == [4, 5]
    assert last["next_page_offset"] is None


def test_counts(call, made):
    assert call("POST", f"{made}/points/count", {}) == {"count": 5}
    assert call("POST", f"{made}/points/count", {"filter": ODD, "exact": True}) == {"count": 3}


def test_collection_info(call, made):
    info = call("GET", made)
    assert info["status"] in ("green", "yellow", "grey")
    assert info["optimizer_status"] == "ok"
    assert info["points_count"] == 5
    assert info["config"]["params"]["vectors"] == {"size": 4, "distance": "Dot"}
    assert info["config"]["hnsw_config"]["m"] == 16
    assert info["config"]["optimizer_config"]["indexing_threshold"] is not None
    assert info["payload_schema"] == {}
    assert call("GET", f"{made}/exists") == {"exists": True}


def test_aliases_have_three_routes(call, made):
    alias, name = conftest.fresh_name(), made.rsplit("/", 1)[1]
    actions = [{"create_alias": {"collection_name": name, "alias_name": alias}}]
    assert call("POST", "/collections/aliases", {"actions": actions}) is True
    wanted = {"alias_name": alias, "collection_name": name}
    assert call("GET", f"{made}/aliases") == {"aliases": [wanted]}
    assert wanted in call("GET", "/aliases")["aliases"]


def test_a_batch_of_updates(call, made):
    results = call(
        "POST",
        f"{made}/points/batch?wait=true",
        {
            "operations": [
                {"upsert": {"batch": {"ids": [20], "vectors": [[1, 1, 1, 1]]}}},
                {"set_payload": {"payload": {"x": 1}, "points": [20]}},
                {"delete_vectors": {"points": [1], "vector": [""]}},
                {"delete": {"filter": ODD}},
            ]
        },
    )
    assert [result["status"] for result in results] == ["completed"] * 4
    assert ids(call("POST", f"{made}/points/scroll", {})["points"]) == [2, 4, 20]


def test_groups(call, made):
    groups = call("POST", f"{made}/points/query/groups", {"query": [1, 0, 0, 0], "group_by": "odd", "group_size": 2})[
        "groups"
    ]
    assert groups == [] or {group["id"] for group in groups} <= {"true", "false", True, False}
    groups = call("POST", f"{made}/points/query/groups", {"query": [1, 0, 0, 0], "group_by": "i", "limit": 2})["groups"]
    assert [(group["id"], ids(group["hits"])) for group in groups] == [(5, [5]), (4, [4])]


def test_an_index_by_name_and_by_object(call, made):
    call("PUT", f"{made}/index?wait=true", {"field_name": "i", "field_schema": "integer"})
    call("PUT", f"{made}/index?wait=true", {"field_name": "t", "field_schema": {"type": "text", "tokenizer": "word"}})
    schema = call("GET", made)["payload_schema"]
    assert schema["i"]["data_type"] == "integer" and schema["i"]["points"] == 5
    assert schema["t"]["data_type"] == "text" and schema["t"]["params"]["tokenizer"] == "word"
    page = call("POST", f"{made}/points/scroll", {"order_by": {"key": "i", "direction": "desc"}, "limit": 2})
    assert ids(page["points"]) == [5, 4]
    assert [point["order_value"] for point in page["points"]] == [5, 4]
    call("DELETE", f"{made}/index/i?wait=true")
    assert set(call("GET", made)["payload_schema"]) == {"t"}


def test_facets(call, made):
    call("PUT", f"{made}/index?wait=true", {"field_name": "odd", "field_schema": "bool"})
    hits = call("POST", f"{made}/facet", {"key": "odd", "exact": True})["hits"]
    assert hits == [{"value": True, "count": 3}, {"value": False, "count": 2}]


def test_a_text_index_finds_words(call, made):
    call(
        "PUT",
        f"{made}/index?wait=true",
        {"field_name": "t", "field_schema": {"type": "text", "tokenizer": "word", "lowercase": True}},
    )
    call("POST", f"{made}/points/payload?wait=true", {"payload": {"t": "Ships at anchor"}, "points": [1, 2]})
    call("POST", f"{made}/points/payload?wait=true", {"payload": {"t": "Shipyard"}, "points": [3]})

    def matching(match):
        body = {"filter": {"must": [{"key": "t", "match": match}]}}
        return ids(call("POST", f"{made}/points/scroll", body)["points"])

    assert matching({"text": "anchor ships"}) == [1, 2]
    assert matching({"text": "ship"}) == []
    assert matching({"text_any": "shipyard anchor"}) == [1, 2, 3]
    assert matching({"phrase": "nothing"}) == []


def test_the_client_may_keep_its_connection_and_pipeline(engine):
    with httpx.Client(base_url=engine.url, headers={"api-key": conftest.KEY}) as session:
        for _ in range(50):
            assert session.get("/collections").status_code == 200


def test_answers_are_json_by_type(engine):
    answer = httpx.get(f"{engine.url}/collections", headers={"api-key": conftest.KEY})
    assert answer.headers["content-type"].startswith("application/json")


def test_an_upsert_may_have_a_condition(call, made):
    """What the filter does not match is left alone; a new point is written all the same."""
    five = {"must": [{"key": "i", "match": {"value": 5}}]}
    points = [{"id": i, "vector": [0, 0, 0, 9], "payload": {"changed": True}} for i in (1, 5, 50)]
    call("PUT", f"{made}/points?wait=true", {"points": points, "update_filter": five})
    found = call("POST", f"{made}/points", {"ids": [1, 5, 50], "with_payload": True})
    assert {point["id"]: "changed" in point["payload"] for point in found} == {1: False, 5: True, 50: True}


def test_an_upsert_may_be_for_old_or_for_new_points_only(call, made):
    for mode in ("update_only", "insert_only"):
        points = [{"id": i, "vector": [0, 0, 0, 9], "payload": {"mode": mode}} for i in (1, 60)]
        call("PUT", f"{made}/points?wait=true", {"points": points, "update_mode": mode})
    found = call("POST", f"{made}/points", {"ids": [1, 60], "with_payload": ["mode"]})
    assert {point["id"]: point["payload"]["mode"] for point in found} == {1: "update_only", 60: "insert_only"}


def test_a_batch_with_one_bad_operation_does_nothing(engine, call, made):
    good = {"upsert": {"points": [{"id": 70, "vector": [1, 1, 1, 1]}]}}
    bad = {"upsert": {"points": [{"id": 71, "vector": [1]}]}}
    url = f"{engine.url}{made}/points/batch?wait=true"
    answer = httpx.post(url, json={"operations": [good, bad]}, headers={"api-key": conftest.KEY})
    assert answer.status_code == 400
    assert call("POST", f"{made}/points/count", {})["count"] == 5


@pytest.mark.parametrize(
    "path, body",
    [
        ("points/query", {"query": 1, "lookup_from": {"collection": "c"}}),
        ("points/query/groups", {"query": [1, 0, 0, 0], "group_by": "i", "with_lookup": "c"}),
        ("points/query", {"query": [1, 0, 0, 0], "shard_key": "a"}),
    ],
    ids=["lookup_from", "with_lookup", "shard_key"],
)
def test_what_a_request_asks_for_is_done_or_refused_but_never_passed_over(engine, made, path, body):
    answer = httpx.post(f"{engine.url}{made}/{path}", json=body, headers={"api-key": conftest.KEY})
    assert answer.status_code in (400, 501), answer.text
