"""Indexing jobs on a real Ray: what is right after workers, drivers and engines died, and what is refused at once.

Of the eleven acceptance tests of the design, number 10 (the official client's view of the node) is all of tests/python.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from qdrant_client import models
from qmoor import (
    BackupFailed,
    BadInput,
    Forbidden,
    GaveUp,
    Mismatch,
    Node,
    NotFound,
    PointSchema,
    QmoorError,
    Target,
    Unauthorized,
    WriteOptions,
    Writer,
)
from qmoor.ray import AsyncRetriever, QdrantDatasink, Retriever, drop_unchanged, new_generation, write_qdrant

import corpus
import dying
import server
from corpus import SCHEMA

FIVE = {f"doc{number}": 5 for number in range(20)}


@pytest.fixture
def data(ray):
    import ray.data

    return ray.data


def dataset(data, counts, edition=0, blocks=4):
    return data.from_arrow(corpus.table(counts, edition)).repartition(blocks)


# ---- at least once, and right all the same


def test_a_worker_that_dies_after_writing_changes_nothing(data, place, tmp_path):
    place.make()
    sink = dying.DiesAfterWriting(place.target(), SCHEMA, folder=tmp_path, options=WriteOptions(batch_points=4))
    dataset(data, FIVE).write_datasink(sink)
    deaths = len(list(tmp_path.iterdir())) - len({path.name.split("-")[0] for path in tmp_path.iterdir()})
    assert deaths > 1
    assert sink.report.points_acked == sink.report.rows_in == 100
    assert corpus.found(place) == corpus.expected(FIVE)


def test_the_same_job_twice_is_the_same(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    before = place.points()
    report = write_qdrant(dataset(data, FIVE), place.target(), SCHEMA, cleanup="scoped")
    assert place.points() == before
    assert (report.points_acked, report.stale_deleted) == (100, 0)


@pytest.mark.parametrize("blocks", [1, 7])
def test_a_document_that_shrank_leaves_nothing(data, place, blocks):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    shrunk = {"doc3": 3, "doc4": 1}
    report = write_qdrant(dataset(data, shrunk, 1, blocks), place.target(), SCHEMA, cleanup="scoped")
    assert report.stale_deleted == 6
    assert {doc: len(numbers) for doc, numbers in place.chunks().items()} == {**FIVE, **shrunk}


def test_without_chunk_counts_the_driver_tidies_at_the_end(data, place):
    place.make()
    schema = PointSchema(doc="doc", chunk="chunk", payload=["text"])
    write_qdrant(dataset(data, FIVE), place.target(), schema)
    report = write_qdrant(dataset(data, {"doc3": 2}, 1), place.target(), schema, cleanup="scoped")
    assert report.stale_deleted == 3
    assert place.chunks() == {**{doc: list(range(5)) for doc in FIVE}, "doc3": [0, 1]}


def test_a_document_that_vanished_goes_with_a_full_cleanup(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    place.client().upsert(place.name, [models.PointStruct(id=7, vector=[1.0] * 8, payload={"by": "hand"})])
    left = {doc: count for doc, count in FIVE.items() if doc != "doc7"}
    report = write_qdrant(dataset(data, left), place.target(), SCHEMA, cleanup="full", expect_rows=95)
    assert report.stale_deleted == 5
    points = place.points()
    assert points.pop("7")[0] == {"by": "hand"}
    assert len(points) == 95


def test_a_job_that_fails_between_two_blocks_of_a_document_takes_no_text_away(data, place):
    place.make()
    write_qdrant(dataset(data, {"doc": 5}), place.target(), SCHEMA)
    half = dataset(data, {"doc": 3}, 1, blocks=3).map_batches(
        dying.fails_at, fn_kwargs={"number": 2}, batch_format="pyarrow"
    )
    with pytest.raises(Exception, match="this block does not come"):
        write_qdrant(half, place.target(), SCHEMA, cleanup="scoped")
    assert place.chunks() == {"doc": [0, 1, 2, 3, 4]}
    write_qdrant(dataset(data, {"doc": 3}, 1, blocks=3), place.target(), SCHEMA, cleanup="scoped")
    assert corpus.found(place) == corpus.expected({"doc": 3}, 1)


def test_an_old_run_overwrites_nothing_and_the_next_cleanup_takes_what_it_brought_back(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, {"doc": 3}, 2), target, SCHEMA, generation=20)
    write_qdrant(dataset(data, {"doc": 5}, 1), target, SCHEMA, generation=10)
    now = corpus.found(place)
    assert {key: now[key] for key in corpus.expected({"doc": 3}, 2)} == corpus.expected({"doc": 3}, 2)
    write_qdrant(dataset(data, {"doc": 3}, 2), target, SCHEMA, generation=21, cleanup="scoped")
    assert corpus.found(place) == corpus.expected({"doc": 3}, 2)


@pytest.mark.timeout(600)
def test_workers_killed_at_random_leave_exactly_the_right_points(data, place, tmp_path):
    place.make()
    counts = {f"doc{number}": number % 40 + 1 for number in range(4878)}
    table = corpus.table(counts)
    assert table.num_rows >= 99_900
    before = {f"doc{number}": number % 40 + 3 for number in range(0, 4878, 100)} | {"gone": 4}
    write_qdrant(dataset(data, before, 7), place.target(), SCHEMA)
    sink = dying.DiesAtRandom(
        place.target(), SCHEMA, folder=tmp_path, cleanup="full", options=WriteOptions(batch_points=512)
    )
    data.from_arrow(table).repartition(12).write_datasink(sink)
    deaths = len([path for path in tmp_path.iterdir() if not path.name.endswith("-3")])
    print(f"{deaths} workers were killed while {table.num_rows} chunks were written")
    assert deaths >= 12
    assert corpus.found(place) == corpus.expected(counts)


@pytest.mark.parametrize("moment", ["before-cleanup", "after-cleanup", "in-backup"])
def test_a_driver_killed_at_the_end_and_run_again_is_right(ray, place, moment):
    place.make()
    write_qdrant(dataset(ray.data, FIVE | {"gone": 3}), place.target(), SCHEMA)

    def job(at):
        command = [sys.executable, "job.py", ray.get_runtime_context().gcs_address, place.node.url, place.name]
        return subprocess.run(
            [*command, json.dumps(FIVE), at],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    killed = job(moment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = job("never")
    assert ended.returncode == 0, ended.stderr
    assert corpus.found(place) == corpus.expected(FIVE)
    report = json.loads(ended.stdout.splitlines()[-1])
    assert report["backup"]["complete"] and report["backup"]["grade"] == "clean"
    backups = Node(place.node.url, "env:QMOOR_TEST_ADMIN").backups()
    ours = [backup for backup in backups if backup["batch_id"] == place.name]
    assert ours and all(backup["complete"] for backup in ours)


# ---- a node that is busy, and one that dies


def shed(node):
    """How many requests the gateway has told to come again."""
    return Node(node.url, "env:STRICT_ADMIN").status()["gate"]["shed"]


@pytest.fixture
def strict(tmp_path):
    """A node that sends requests away after a tenth of a second of holding."""
    running = server.start_node(tmp_path, 'hold_budget = "100ms"\n')
    for role, key in running.ready["keys"].items():
        os.environ[f"STRICT_{role.upper()}"] = key
    yield running
    assert running.stop() == 0, running.tail()


def verb(node, *arguments):
    config = node.log.parent / "qmoor.toml"
    subprocess.run([server.BINARY, *arguments, "--config", config, "--json"], check=True, capture_output=True)


def test_a_node_that_says_later_is_waited_for_where_ray_qdrant_fails(ray, strict):
    from qmoor import ensure_collection
    from ray_qdrant import write_qdrant as control

    target = Target(strict.url, "busy", "env:STRICT_INDEX")
    ensure_collection(target, vectors=8)
    verb(strict, "hold", "--lease", "5m")
    table = corpus.table({"doc": 5}).append_column("id", pa.array(range(5), pa.uint64()))
    with pytest.raises(Exception, match=r"(?s).*(429|Resource|Too Many).*"):
        control(
            ray.data.from_arrow(table.select(["id", "vector", "text"])),
            url=strict.url,
            collection="busy",
            api_key=os.environ["STRICT_INDEX"],
        )
    reports, errors = [], []

    def write():
        try:
            reports.append(Writer(target, SCHEMA).write(corpus.table(FIVE)))
        except QmoorError as error:
            errors.append(error)

    before = shed(strict)
    assert before > 0, "it was the gateway that sent the other client away"
    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    while writing.is_alive() and shed(strict) == before:
        pass
    verb(strict, "release")
    writing.join(60)
    assert not writing.is_alive()
    assert not errors
    assert reports[0].points_acked == 100
    assert reports[0].retried > 0
    assert reports[0].throttled_s > 0


def test_every_acknowledged_point_survives_an_engine_killed_in_the_middle(place):
    place.make()
    node = Node(place.node.url, "env:QMOOR_TEST_ADMIN")
    pid = node.status()["engine"]["pid"]
    batches = corpus.table({f"doc{number}": 10 for number in range(1000)}).to_batches(max_chunksize=500)

    def stream():
        for number, batch in enumerate(batches):
            if number == len(batches) // 2:
                os.kill(pid, signal.SIGKILL)
            yield batch

    reader = pa.RecordBatchReader.from_batches(batches[0].schema, stream())
    report = Writer(place.target(), SCHEMA).write(reader)
    assert report.points_acked == 10_000
    assert node.status()["engine"]["pid"] != pid
    assert len(corpus.found(place)) == 10_000


def test_a_dead_node_fails_after_the_budget_and_says_what_it_has(tmp_path):
    from qmoor import ensure_collection

    node = server.start_node(tmp_path)
    os.environ["DEAD_INDEX"] = node.ready["keys"]["index"]
    target = Target(node.url, "dead", "env:DEAD_INDEX")
    ensure_collection(target, vectors=8)
    batches = corpus.table({f"doc{number}": 10 for number in range(200)}).to_batches(max_chunksize=100)

    def stream():
        for number, batch in enumerate(batches):
            if number == 15:
                node.kill()
            yield batch

    writer = Writer(target, SCHEMA, WriteOptions(batch_points=100, give_up_after_s=2))
    with pytest.raises(GaveUp) as failure:
        writer.write(pa.RecordBatchReader.from_batches(batches[0].schema, stream()))
    assert 0 < failure.value.report["points_acked"] < 2000
    assert str(failure.value.report["points_acked"]) in str(failure.value)


# ---- keys, and what is refused before anything is written


def test_the_search_key_retrieves_and_cannot_write(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target("index"), SCHEMA)
    asked = dataset(data, {"doc1": 5, "doc2": 5}).map_batches(
        Retriever,
        fn_constructor_kwargs={"target": place.target("search"), "k": 1, "fields": ["_doc", "_ix"]},
        batch_format="pyarrow",
        concurrency=1,
        num_cpus=0.1,
    )
    rows = asked.take_all()
    assert [(hit["_doc"], hit["_ix"]) for row in rows for hit in row["hits"]] == [
        (row["doc"], row["chunk"]) for row in rows
    ]
    with pytest.raises(Forbidden, match="search key"):
        QdrantDatasink(place.target("search"), SCHEMA).on_write_start()
    before = place.points()
    with pytest.raises(Forbidden):
        write_qdrant(dataset(data, FIVE, 1), place.target("search"), SCHEMA)
    assert place.points() == before


def test_retrieval_with_several_batches_under_way(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    asked = dataset(data, FIVE).map_batches(
        AsyncRetriever,
        fn_constructor_kwargs={"target": place.target("search"), "k": 2, "fields": ["text"]},
        batch_format="pyarrow",
        batch_size=10,
        concurrency=1,
        num_cpus=0.1,
    )
    rows = asked.take_all()
    assert len(rows) == 100
    assert all(row["hits"][0]["text"] == row["text"] and len(row["hits"]) == 2 for row in rows)


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        (PointSchema(doc="doc", chunk="chunk", vectors={"other": "vector"}), Mismatch),
        (PointSchema(doc="doc", chunk="chunk", sparse={"words": "text"}), Mismatch),
        (PointSchema(doc="doc", chunk="chunk", bm25={"words": "text"}), Mismatch),
    ],
)
def test_a_vector_that_the_collection_lacks_is_refused_before_any_task(data, place, schema, error):
    place.make()
    with pytest.raises(error):
        write_qdrant(dataset(data, FIVE), place.target(), schema)
    assert place.points() == {}


def test_another_dimension_is_refused_and_nothing_is_written(data, place):
    place.make(vectors=16)
    with pytest.raises(BadInput, match=r"`vector`.*8.*16") as failure:
        write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    assert failure.value.column == "vector"
    assert place.points() == {}


def test_a_missing_collection_and_a_wrong_key_fail_on_the_driver(data, place):
    with pytest.raises(NotFound, match=place.name):
        write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    place.make()
    with pytest.raises(Unauthorized):
        write_qdrant(dataset(data, FIVE), place.target("wrong"), SCHEMA)
    with pytest.raises(BadInput, match="QMOOR_TEST_NOBODY"):
        write_qdrant(dataset(data, FIVE), place.target("nobody"), SCHEMA)


def test_no_key_is_in_a_pickle(place):
    place.make()
    sink = QdrantDatasink(place.target(), SCHEMA, backup={"batch_id": "b"}, cleanup="full")
    sink.on_write_start()
    key = os.environ["QMOOR_TEST_INDEX"]
    for thing in (sink, Writer(place.target(), SCHEMA), Node(place.node.url, "env:QMOOR_TEST_INDEX"), place.target()):
        assert key.encode() not in pickle.dumps(thing)
        assert key not in repr(thing)
    again = pickle.loads(pickle.dumps(sink))
    again.on_write_start()


# ---- counting rows, backups, and what did not change


def test_rows_that_are_missing_stop_the_cleanup(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    with pytest.raises(BadInput, match="5 rows were written and 100 expected"):
        write_qdrant(dataset(data, {"doc1": 5}), place.target(), SCHEMA, cleanup="full", expect_rows=100)
    assert len(place.points()) == 100
    empty = dataset(data, FIVE).filter(lambda row: False)
    write_qdrant(empty, place.target(), SCHEMA, cleanup="full")
    assert len(place.points()) == 100


def test_a_failed_backup_says_that_all_is_written(data, place):
    place.make()
    with pytest.raises(BackupFailed, match="all points are written") as failure:
        write_qdrant(
            dataset(data, FIVE),
            place.target(),
            SCHEMA,
            backup={"batch_id": "b", "url": "http://127.0.0.1:1", "timeout_s": 0.1},
        )
    assert failure.value.report["points_acked"] == 100
    assert len(place.points()) == 100


def test_a_backup_has_the_batch_id_and_the_labels(data, place):
    place.make()
    report = write_qdrant(
        dataset(data, FIVE), place.target(), SCHEMA, backup={"batch_id": "night-7", "labels": {"team": "docs"}}
    )
    assert report.backup["batch_id"] == "night-7"
    assert report.backup["labels"] == {"team": "docs"}
    assert report.backup["collections"][place.name] == 100


def test_what_did_not_change_is_dropped_and_kept(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, FIVE), target, SCHEMA, cleanup="full")
    # One document edited, one shrunk though nothing else changed in it, one gone, one new.
    rows = [row for row in corpus.rows(FIVE) if row["doc"] not in ("doc0", "doc1", "doc2")]
    rows += corpus.rows({"doc0": 5}, 1) + corpus.rows({"doc1": 3}) + corpus.rows({"new": 2})
    texts = pa.Table.from_pylist(rows).drop_columns(["vector"])
    generation = new_generation(target)
    left = drop_unchanged(data.from_arrow(texts).repartition(3), target, SCHEMA, generation=generation).materialize()
    kept = sorted((row["doc"], row["chunk"]) for row in left.take_all())
    assert kept == [*(("doc0", number) for number in range(5)), ("doc1", 2), ("new", 0), ("new", 1)]
    vectors = {(row["doc"], row["chunk"]): row["vector"] for row in rows}
    embedded = pa.Table.from_pylist([{**row, "vector": vectors[row["doc"], row["chunk"]]} for row in left.take_all()])
    with pytest.raises(BadInput, match="drop_unchanged was given generation"):
        write_qdrant(data.from_arrow(embedded), target, SCHEMA, generation=generation + 1, cleanup="full")
    report = write_qdrant(data.from_arrow(embedded), target, SCHEMA, generation=generation, cleanup="full")
    assert report.points_acked == 8
    expected = {(row["doc"], row["chunk"]): row["text"] for row in rows}
    assert corpus.found(place) == expected
    # Nothing changed at all: nothing is embedded, written or lost.
    generation = new_generation(target)
    left = drop_unchanged(data.from_arrow(texts), target, SCHEMA, generation=generation).materialize()
    assert left.count() == 0
    write_qdrant(left, target, SCHEMA, generation=generation, cleanup="full")
    assert corpus.found(place) == expected


# ---- kinds of blocks


def test_every_kind_of_block_that_ray_makes_is_written(data, place, tmp_path):
    import numpy as np
    import pyarrow.parquet as pq

    place.make()
    vectors = np.random.default_rng(3).normal(size=(40, 8)).astype("f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 8)
    half = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype("f2").reshape(-1)), 8)
    for number, (kind, column) in enumerate(
        [
            ("fixed", fixed),
            ("half", half),
            ("list", fixed.cast(pa.list_(pa.float32()))),
            ("double", pa.array(list(vectors.astype("f8")))),
        ]
    ):
        pq.write_table(
            pa.table({"id": range(1000 * number, 1000 * number + 40), "vector": column}), tmp_path / f"{kind}.parquet"
        )
    frame = pa.table({"id": range(9000, 9040), "vector": list(vectors)}).to_pandas()
    sets = [data.read_parquet(str(tmp_path / f"{kind}.parquet")) for kind in ("fixed", "half", "list", "double")] + [
        data.from_numpy(vectors).map_batches(_named, batch_format="numpy", batch_size=None),
        data.from_pandas(frame),
        data.from_items([{"id": 8000 + at, "vector": vector.tolist()} for at, vector in enumerate(vectors)]),
        data.from_arrow(pa.table({"id": range(7000, 7040), "vector": fixed}).slice(0, 40)).repartition(3),
    ]
    schema = PointSchema(id="id")
    for ds in sets:
        assert write_qdrant(ds, place.target(), schema).points_acked == 40
    points = place.points()
    assert len(points) == 40 * 8
    for name, (_, vector) in points.items():
        assert np.allclose(vector, vectors[int(name) % 1000], atol=1e-3), name


def _named(batch):
    import numpy as np

    return {"id": np.arange(6000, 6000 + len(batch["data"])), "vector": batch["data"]}
