"""The rules of the datasink: what is refused before anything runs, what is told, what is tidied, and what is left."""

import os
import pickle
import subprocess
import sys
import warnings

import pyarrow as pa
import pytest
from grpc import StatusCode
from qmoor import BadInput, BadRow, Forbidden, Mismatch, NotFound, PointSchema, QmoorError, Target, WriteOptions, Writer
from qmoor.ray import QdrantDatasink, Retriever, drop_unchanged, new_generation, write_qdrant

import corpus
import dying
from corpus import SCHEMA
from front import Front

FIVE = {f"doc{number}": 5 for number in range(8)}
UNCOUNTED = PointSchema(doc="doc", chunk="chunk", hash="hash", payload=["text"])


@pytest.fixture
def data(ray):
    return ray.data


def dataset(data, counts, edition=0, blocks=3):
    return data.from_arrow(corpus.table(counts, edition)).repartition(blocks)


def leaves_a_trace(table, path):
    """A stage before the write, as an embedder is."""
    with open(path, "a"):
        return table


@pytest.fixture
def embedding(data, tmp_path):
    """A dataset with such a stage, and the file that is there once it has run."""
    trace = tmp_path / "trace"
    stage = {"fn_kwargs": {"path": str(trace)}, "batch_format": "pyarrow"}
    return dataset(data, FIVE).map_batches(leaves_a_trace, **stage), trace


# ---- on the driver, before any stage runs


def without_vectors(data):
    return data.from_arrow(corpus.table(FIVE).drop_columns(["vector"]))


def in_fixed_lists(data):
    table = corpus.table(FIVE)
    fixed = table.column("vector").cast(pa.list_(pa.float32(), 8))
    return data.from_arrow(table.set_column(table.schema.get_field_index("vector"), "vector", fixed))


@pytest.mark.parametrize(
    ("key", "schema", "error"),
    [
        ("index", SCHEMA, NotFound),
        ("search", SCHEMA, Forbidden),
        ("index", PointSchema(doc="doc", chunk="chunk", vectors={"other": "vector"}), Mismatch),
        ("index", PointSchema(doc="doc", chunk="chunk", bm25={"words": "text"}), Mismatch),
    ],
    ids=["missing collection", "search key", "unknown vector", "unknown sparse vector"],
)
def test_what_cannot_be_written_is_refused_before_the_first_stage(embedding, place, key, schema, error):
    ds, trace = embedding
    if error is not NotFound:
        place.make()
    with pytest.raises(error) as refused:
        write_qdrant(ds, place.target(key), schema)
    assert type(refused.value) is error
    assert not trace.exists()
    assert error is NotFound or place.points() == {}


def test_what_can_be_written_runs_the_stage(embedding, place):
    ds, trace = embedding
    write_qdrant(ds, place.make().target(), SCHEMA)
    assert trace.exists()


def test_columns_that_are_known_are_looked_at_before_anything_runs(data, place):
    place.make(vectors=16)
    with pytest.raises(BadInput, match=r"`vector`.*8.*16") as refused:
        write_qdrant(in_fixed_lists(data), place.target(), SCHEMA)
    assert (refused.value.column, refused.value.report) == ("vector", None)
    with pytest.raises(BadInput, match=r"`vector`.*doc, chunk, chunks, hash, text") as refused:
        write_qdrant(without_vectors(data), place.target(), SCHEMA)
    assert refused.value.report is None


def test_the_columns_before_a_fused_stage_are_not_taken_for_those_of_the_rows(data, place):
    # Ray gives on_write_start the columns that go into the stage fused with the write.
    place.make(vectors=8)
    before = corpus.table(FIVE)
    sixteen = [[0.0] * 16] * before.num_rows
    before = before.set_column(before.schema.get_field_index("vector"), "vector", [sixteen])
    ds = data.from_arrow(before).map_batches(halved, batch_format="pyarrow")
    assert write_qdrant(ds, place.target(), SCHEMA).points_acked == 40


def halved(table):
    vectors = [[1.0, *vector[:7]] for vector in table.column("vector").to_pylist()]
    return table.set_column(table.schema.get_field_index("vector"), "vector", [vectors])


@pytest.mark.parametrize(
    ("schema", "more", "says"),
    [
        (SCHEMA, {"cleanup": "all"}, "neither `scoped` nor `full`"),
        (PointSchema(id="id"), {"cleanup": "full"}, "needs `doc`"),
        (SCHEMA, {"cleanup": "full", "options": WriteOptions(durability="wal")}, "durability `applied`"),
        (SCHEMA, {"backup": {"batch": "b"}}, r"\['batch'\] not known"),
    ],
)
def test_a_contradiction_is_refused_when_the_sink_is_made(place, schema, more, says):
    with pytest.raises(BadInput, match=says):
        QdrantDatasink(place.target(), schema, generation=1, **more)


def test_a_sink_asks_ray_for_several_requests_a_task(place):
    sink = QdrantDatasink(place.target(), SCHEMA, generation=1, options=WriteOptions(batch_points=100))
    assert (sink.min_rows_per_write, sink.min_bytes_per_write) == (400, None)


def test_the_package_is_imported_without_ray_and_says_what_is_missing():
    code = "import sys, qmoor; assert 'ray' not in sys.modules, 'imported'; sys.modules['ray'] = None; import qmoor.ray"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "imported" not in ended.stderr
    assert "pip install 'qmoor[ray]'" in ended.stderr


# ---- in the tasks


def test_a_bad_row_comes_back_whole_from_a_task(data, place):
    place.make()
    rows = corpus.rows(FIVE)
    rows[33]["vector"][2] = float("nan")
    ds = data.from_arrow(pa.Table.from_pylist(rows))
    with pytest.raises(BadRow) as failure:
        write_qdrant(ds, place.target(), SCHEMA, options=WriteOptions(batch_points=10, max_inflight=1))
    error = failure.value
    assert type(error) is BadRow
    assert (error.row, error.column) == (33, "vector")
    assert error.report["points_acked"] == len(place.points())
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.row, again.report) == (str(error), 33, error.report)
    assert os.environ["QMOOR_TEST_INDEX"] not in str(error)


def test_what_an_earlier_stage_raises_is_told_as_it_is(data, place):
    place.make()
    failing = dataset(data, FIVE).map_batches(dying.fails_at, fn_kwargs={"number": 4}, batch_format="pyarrow")
    with pytest.raises(Exception, match="this block does not come") as failure:
        write_qdrant(failing, place.target(), SCHEMA)
    assert not isinstance(failure.value, QmoorError)


def test_blocks_whose_columns_differ_are_one_table(data, place):
    place.make()
    whole, numbered = corpus.table({"a": 3}), corpus.table({"b": 2})
    numbered = numbered.append_column("page", pa.array([1, 2]))
    wide = pa.Table.from_pylist([{**row, "page": 1.5} for row in corpus.rows({"c": 1})])
    schema = PointSchema(doc="doc", chunk="chunk", chunk_count="chunks", hash="hash")
    sink = QdrantDatasink(place.target(), schema)
    report = sink.write([whole, numbered, numbered.slice(0, 0), wide], None)
    assert (report.rows_in, report.points_acked) == (6, 6)
    pages = {(p["_doc"], p["_ix"]): p.get("page") for p, _ in place.points().values()}
    assert pages == {("a", 0): None, ("a", 1): None, ("a", 2): None, ("b", 0): 1, ("b", 1): 2, ("c", 0): 1.5}
    words = corpus.table({"d": 1}).append_column("page", pa.array(["one"]))
    with pytest.raises(BadInput, match="columns of different types"):
        sink.write([numbered, words], None)
    assert sink.write([], None).rows_in == 0


def test_one_writer_serves_all_tasks_of_a_process(place):
    place.make()
    sinks = [QdrantDatasink(place.target(), SCHEMA, generation=7) for _ in range(2)]
    assert sinks[0]._writer() is sinks[1]._writer() is pickle.loads(pickle.dumps(sinks[0]))._writer()
    assert QdrantDatasink(place.target(), SCHEMA, generation=8)._writer() is not sinks[0]._writer()


@pytest.mark.timeout(400)
def test_tasks_killed_while_they_tidy_leave_exactly_the_right_points(data, place, tmp_path):
    place.make()
    before = {f"doc{number}": 9 for number in range(600)}
    write_qdrant(dataset(data, before), place.target(), SCHEMA)
    after = {doc: 1 + number % 9 for number, doc in enumerate(before)}
    options = WriteOptions(batch_points=64)
    sink = dying.DiesAtRandom(place.target(), SCHEMA, folder=tmp_path, cleanup="scoped", options=options)
    dataset(data, after, 1, blocks=7).write_datasink(sink)
    assert len(list(tmp_path.iterdir())) > 8
    assert corpus.found(place) == corpus.expected(after, 1)


# ---- tidying


def with_bad_row(counts, doc, number, edition):
    """The rows of these documents, one without a vector."""
    rows = corpus.rows(counts, edition)
    for row in rows:
        if (row["doc"], row["chunk"]) == (doc, number):
            row["vector"] = None
    return pa.Table.from_pylist(rows)


def dead_letters_of(data, place, schema, cleanup):
    """Writes a document of three chunks, the second of which cannot be used, over one of five."""
    place.make()
    write_qdrant(dataset(data, {"doc": 5, "other": 2}), place.target(), schema)
    ds = data.from_arrow(with_bad_row({"doc": 3}, "doc", 1, 1)).repartition(3)
    options = WriteOptions(on_bad_row="dead_letter")
    report = write_qdrant(ds, place.target(), schema, cleanup=cleanup, options=options)
    assert (report.rows_in, report.points_acked, report.bad_rows) == (3, 2, 1)
    (letter,) = report.dead_letters.to_pylist()
    assert (letter["doc"], letter["chunk"], letter["_column"]) == ("doc", 1, "vector")
    return report


@pytest.mark.parametrize(("schema", "cleanup"), [(SCHEMA, "full"), (UNCOUNTED, "scoped")])
def test_with_rows_set_aside_nothing_is_removed_and_it_is_said(data, place, schema, cleanup):
    with pytest.warns(UserWarning, match="nothing stale was removed: 1 rows were set aside"):
        report = dead_letters_of(data, place, schema, cleanup)
    assert "set aside" in report.cleanup_left
    assert report.stale_deleted == 0
    assert place.chunks() == {"doc": [0, 1, 2, 3, 4], "other": [0, 1]}


def test_with_rows_set_aside_only_what_is_beyond_the_end_goes(data, place):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        report = dead_letters_of(data, place, SCHEMA, "scoped")
    assert (report.stale_deleted, report.cleanup_left) == (2, None)
    now = corpus.expected({"doc": 3}, 1) | corpus.expected({"other": 2})
    assert corpus.found(place) == now | {("doc", 1): "doc 1 0"}


def test_an_empty_run_removes_all_only_if_that_is_said(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    empty = dataset(data, FIVE).filter(is_nothing)
    with pytest.warns(UserWarning, match="no row was written"):
        report = write_qdrant(empty, place.target(), SCHEMA, cleanup="full")
    assert (report.stale_deleted, len(place.points())) == (0, 40)
    report = write_qdrant(empty, place.target(), SCHEMA, cleanup="full", expect_rows=0)
    assert (report.stale_deleted, place.points()) == (40, {})


def is_nothing(row):
    return False


def test_a_cleanup_that_fails_says_that_all_is_written(data, place, node):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    removals = []

    def rule(method):
        if method != "Delete":
            return None
        removals.append(method)
        # The first is the question whether the key may write at all.
        return (StatusCode.PERMISSION_DENIED, "not today", ()) if len(removals) > 2 else None

    with Front(node, rule) as front:
        through = Target(front.grpc_url, place.name, "env:QMOOR_TEST_INDEX")
        with pytest.raises(Forbidden, match="all rows are written, and removing what is stale failed") as failure:
            write_qdrant(dataset(data, {"doc1": 2}, 1), through, SCHEMA, cleanup="full")
    assert failure.value.report["points_acked"] == 2
    assert len(place.points()) == 40
    assert write_qdrant(dataset(data, {"doc1": 2}, 1), place.target(), SCHEMA, cleanup="full").stale_deleted == 38


# ---- what did not change


def test_a_new_generation_is_above_all_that_was(place):
    place.make()
    target = place.target()
    first = new_generation(target)
    Writer(target, SCHEMA, generation=first + 10**12).write(corpus.table({"doc": 1}))
    assert new_generation(target) == first + 10**12 + 1


def texts(data, counts, edition=0):
    return data.from_arrow(corpus.table(counts, edition).drop_columns(["vector"])).repartition(2)


def embedded(table):
    rows = [{**corpus.chunk(r["doc"], r["chunk"], r["chunks"]), **r} for r in table.to_pylist()]
    return pa.Table.from_pylist(rows) if rows else table


def test_the_write_takes_the_generation_of_drop_unchanged(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, FIVE), target, SCHEMA)
    generation = new_generation(target)
    left = drop_unchanged(texts(data, FIVE | {"new": 2}), target, SCHEMA, generation=generation)
    ds = left.map_batches(embedded, batch_format="pyarrow")
    with pytest.raises(BadInput, match=f"given generation {generation} .* the write has 5"):
        write_qdrant(ds, target, SCHEMA, generation=5, cleanup="full")
    report = write_qdrant(ds, target, SCHEMA, cleanup="full")
    assert (report.generation, report.points_acked, report.stale_deleted) == (generation, 2, 0)
    assert corpus.found(place) == corpus.expected(FIVE | {"new": 2})
    # The same dataset again, under another number: it would leave out everything, and remove it.
    with pytest.raises(BadInput, match="drop_unchanged was given"):
        write_qdrant(ds, target, SCHEMA, generation=generation + 1, cleanup="full")
    assert write_qdrant(ds, target, SCHEMA, cleanup="full").stale_deleted == 0
    assert len(place.points()) == 42


def test_the_wrong_generation_is_refused_each_time_it_is_tried(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, FIVE), target, SCHEMA)
    generation = new_generation(target)
    # Materialized: the plan no longer shows where the rows are from.
    left = drop_unchanged(texts(data, FIVE, 1), target, SCHEMA, generation=generation).materialize()
    ds = left.map_batches(embedded, batch_format="pyarrow").materialize()
    for wrong in (None, generation + 1, generation + 1):
        with pytest.raises(BadInput, match="drop_unchanged was given"):
            write_qdrant(ds, target, SCHEMA, generation=wrong, cleanup="full")
        with pytest.raises(BadInput, match="drop_unchanged was given"):
            ds.write_datasink(QdrantDatasink(target, SCHEMA, generation=wrong, cleanup="full"))
    assert corpus.found(place) == corpus.expected(FIVE)
    assert write_qdrant(ds, target, SCHEMA, generation=generation, cleanup="full").points_acked == 40
    # It is done: what comes next may have a number of its own.
    assert write_qdrant(dataset(data, FIVE), target, SCHEMA, cleanup="full").points_acked == 40
    assert corpus.found(place) == corpus.expected(FIVE)


def test_a_document_that_only_became_shorter_is_noticed(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, FIVE), target, SCHEMA)
    generation = new_generation(target)
    shorter = {**FIVE, "doc2": 3}
    left = drop_unchanged(texts(data, shorter), target, SCHEMA, generation=generation)
    ds = left.map_batches(embedded, batch_format="pyarrow")
    with pytest.raises(BadInput, match="needs `chunk_count`"):
        write_qdrant(ds, target, UNCOUNTED, generation=generation, cleanup="scoped")
    report = write_qdrant(ds, target, SCHEMA, cleanup="scoped")
    assert (report.points_acked, report.stale_deleted) == (1, 2)
    assert corpus.found(place) == corpus.expected(shorter)


def test_an_old_run_does_not_take_back_what_a_newer_one_marked(data, place):
    place.make()
    target = place.target()
    write_qdrant(dataset(data, FIVE), target, SCHEMA, generation=10)
    drop_unchanged(texts(data, FIVE), target, SCHEMA, generation=30).materialize()
    drop_unchanged(texts(data, FIVE), target, SCHEMA, generation=20).materialize()
    assert {payload["_gen"] for payload, _ in place.points(but=()).values()} == {30}


# ---- searching


def test_a_retriever_filters_and_names_its_column(data, place):
    place.make()
    write_qdrant(dataset(data, FIVE), place.target(), SCHEMA)
    only = {"must": [{"key": "_doc", "match": {"value": "doc3"}}]}
    retriever = Retriever(place.target("search"), k=3, fields=["_doc"], output_column="near", filter=only)
    found = retriever(corpus.table({"doc1": 2}))
    assert [{hit["_doc"] for hit in row} for row in found.column("near").to_pylist()] == [{"doc3"}] * 2
    assert found.column_names[:-1] == corpus.table({"doc1": 2}).column_names
    assert retriever(corpus.table({"doc1": 2}).slice(0, 0)).column_names == found.column_names
    with pytest.raises(BadInput, match="`near` already"):
        retriever(found)
    with pytest.raises(BadInput, match="no column `vector`; there are doc"):
        retriever(corpus.table({"doc1": 2}).drop_columns(["vector"]))
