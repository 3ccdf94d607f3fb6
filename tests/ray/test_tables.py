"""What can be written: every kind of table and vector, and for what cannot, the row and the column to blame."""

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from qdrant_client import models
from qmoor import BadInput, BadRow, PointSchema, VectorSpec, WriteOptions, Writer

ROWS, DIM = 20, 8
VECTORS = np.random.default_rng(5).integers(-8, 9, (ROWS, DIM)).astype("f4")
# Small whole numbers: each type of number holds them exactly. None of them is all zeros.
VECTORS[:, 0] = np.arange(1, ROWS + 1)
SCHEMA = PointSchema(id="id")


def dot(**more):
    return VectorSpec(DIM, "dot", **more)


def fixed(values):
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[-1])


def written(place):
    """The vectors that are there, in the order of ids, which are numbers."""
    points = place.points()
    return [points[str(number)][1] for number in sorted(map(int, points))]


# ---- containers


def stream_of_pieces():
    table = pa.table({"id": range(ROWS), "vector": fixed(VECTORS), "n": [f"n{n}" for n in range(ROWS)]})
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=3))


def sliced():
    """Two slices, each with an offset and in several chunks."""
    wide = pa.concat_tables([stream_of_pieces().read_all()] * 2)
    return pa.concat_tables([wide.slice(ROWS, 7), wide.slice(7, ROWS - 7)])


CONTAINERS = {
    "pyarrow table": lambda: stream_of_pieces().read_all(),
    "pyarrow reader": stream_of_pieces,
    "pyarrow batch": lambda: stream_of_pieces().read_all().combine_chunks().to_batches()[0],
    "sliced chunks": sliced,
    "pandas": lambda: pd.DataFrame({"id": range(ROWS), "vector": list(VECTORS), "n": [f"n{n}" for n in range(ROWS)]}),
    "polars": lambda: pl.from_arrow(stream_of_pieces().read_all()),
    "polars, lists": lambda: pl.DataFrame(
        {"id": range(ROWS), "vector": VECTORS.tolist(), "n": [f"n{n}" for n in range(ROWS)]}
    ),
    "dict of numpy": lambda: {"id": np.arange(ROWS), "vector": VECTORS, "n": np.array([f"n{n}" for n in range(ROWS)])},
    "dict of lists": lambda: {"id": list(range(ROWS)), "vector": VECTORS.tolist(), "n": [f"n{n}" for n in range(ROWS)]},
    "fortran order": lambda: {
        "id": range(ROWS),
        "vector": np.asfortranarray(VECTORS),
        "n": [f"n{n}" for n in range(ROWS)],
    },
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_kind_of_table_is_written_the_same(place, kind):
    place.make(vectors={"": dot()})
    report = Writer(place.target(), SCHEMA).write(CONTAINERS[kind]())
    assert (report.rows_in, report.points_acked, report.bad_rows) == (ROWS, ROWS, 0)
    assert written(place) == VECTORS.tolist()
    assert [place.points()[str(n)][0] for n in range(ROWS)] == [{"n": f"n{n}"} for n in range(ROWS)]


@pytest.mark.parametrize("data", [42, "text", [1, 2], None, np.zeros((2, 2)), {"id": [1], "vector": 5}], ids=repr)
def test_what_is_no_table_is_refused(place, data):
    place.make()
    with pytest.raises(BadInput):
        Writer(place.target(), SCHEMA).write(data)
    assert place.points() == {}


# ---- vectors

FIXED, LIST, LARGE = fixed, lambda values: pa.array(list(values)), lambda values: LIST(values).cast(large_of(values))


def large_of(values):
    return pa.large_list(pa.array(values[0]).type)


def ray_tensors(values):
    from ray.data.extensions import ArrowTensorArray

    return ArrowTensorArray.from_numpy(values)


def arrow_tensors(values):
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


@pytest.mark.parametrize("number", ["f2", "f4", "f8", "u1", "i1"])
@pytest.mark.parametrize("shape", [FIXED, LIST, LARGE, ray_tensors, arrow_tensors])
def test_every_type_of_vector_is_written_exactly(place, shape, number):
    place.make(vectors={"": dot()})
    values = np.abs(VECTORS).astype(number) if number == "u1" else VECTORS.astype(number)
    Writer(place.target(), SCHEMA).write(pa.table({"id": range(ROWS), "vector": shape(values)}))
    assert written(place) == values.astype("f4").tolist()


def test_multivectors_of_one_length_and_of_several(place):
    place.make(vectors={"many": dot(multivector=True)})
    schema = PointSchema(id="id", vectors={"many": "vectors"})
    cube = np.arange(2 * 3 * DIM, dtype="f4").reshape(2, 3, DIM)
    Writer(place.target(), schema).write({"id": [1, 2], "vectors": cube})
    ragged = [VECTORS[:2].tolist(), VECTORS[2:7].tolist()]
    Writer(place.target(), schema).write(pa.table({"id": [3, 4], "vectors": pa.array(ragged)}))
    assert [vector["many"] for vector in written(place)] == [*cube.tolist(), *ragged]
    with pytest.raises(BadRow, match="row 1") as failure:
        Writer(place.target(), schema).write(pa.table({"id": [5, 6], "vectors": pa.array([ragged[0], []])}))
    assert (failure.value.row, failure.value.column) == (1, "vectors")


def test_several_vectors_and_sparse_ones_in_one_point(place):
    place.make(vectors={"a": dot(), "b": VectorSpec(2, "dot")}, sparse=["words"])
    schema = PointSchema(id="id", vectors={"a": "a", "b": "b"}, sparse={"words": "words"})
    words = [{"indices": [7, 3], "values": [0.5, -1.0]}, {"indices": [], "values": []}]
    kind = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
    Writer(place.target(), schema).write(
        pa.table({"id": [1, 2], "a": fixed(VECTORS[:2]), "b": fixed(VECTORS[:2, :2]), "words": pa.array(words, kind)})
    )
    one, two = written(place)
    assert (one["a"], one["b"]) == (VECTORS[0].tolist(), VECTORS[0, :2].tolist())
    pairs = sorted(zip(one["words"].indices, one["words"].values, strict=True))
    assert pairs == [(3, -1.0), (7, 0.5)]
    assert "words" not in two or two["words"] == models.SparseVector(indices=[], values=[])


# ---- ids and payload


def test_ids_are_numbers_uuids_and_bytes(place):
    place.make(vectors={"": dot()})
    name = uuid.UUID("00000000-0000-8000-8000-00000000000a")
    vector = fixed(VECTORS[:1])
    writer = Writer(place.target(), SCHEMA)
    for ids in (
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([7], pa.int64()),
        pa.array([str(name)]),
        pa.array([name.hex], pa.large_string()),
        pa.array([name.bytes], pa.binary(16)),
        pa.array([name.bytes], pa.binary()),
    ):
        writer.write(pa.table({"id": ids, "vector": vector}))
    assert set(place.points()) == {str(2**64 - 1), "7", str(name)}


def test_payload_of_every_type_comes_back(place):
    place.make(vectors={"": dot()})
    payload = {
        "text": pa.array(["ä ☃"]),
        "large": pa.array(["x"], pa.large_string()),
        "coded": pa.array(["red"]).dictionary_encode(),
        "int": pa.array([-(2**63)]),
        "small": pa.array([200], pa.uint8()),
        "float": pa.array([0.25]),
        "half": pa.array([np.float16(0.5)]),
        "yes": pa.array([True]),
        "none": pa.array([None], pa.string()),
        "list": pa.array([["a", "b"]]),
        "struct": pa.array([{"in": {"deep": [1, 2]}}]),
        "day": pa.array(["2026-11-25"]).cast(pa.date32()),
        "time": pa.array([1], pa.timestamp("s", "UTC")),
    }
    Writer(place.target(), SCHEMA).write(pa.table({"id": [1], "vector": fixed(VECTORS[:1]), **payload}))
    found = place.points()["1"][0]
    day, time = found.pop("day"), found.pop("time")
    assert day.startswith("2026-11-25")
    assert time.startswith("1970-01-01T00:00:01")
    assert found.pop("none", None) is None
    assert found == {
        "text": "ä ☃",
        "large": "x",
        "coded": "red",
        "int": -(2**63),
        "small": 200,
        "float": 0.25,
        "half": 0.5,
        "yes": True,
        "list": ["a", "b"],
        "struct": {"in": {"deep": [1, 2]}},
    }


# ---- rows that cannot be used


def good():
    """Columns of five good rows; each test spoils one cell."""
    return {
        "doc": [f"d{n}" for n in range(5)],
        "chunk": [0] * 5,
        "vector": VECTORS[:5].tolist(),
        "n": list(range(5)),
    }


def spoiled(column, row, value):
    columns = good()
    columns[column][row] = value
    return pa.table(columns)


ROWWISE = PointSchema(doc="doc", chunk="chunk")
BAD = {
    "no vector": ("vector", 3, None, "null|missing|no vector"),
    "NaN": ("vector", 2, [float("nan")] * DIM, "(?i)nan"),
    "infinite": ("vector", 4, [float("inf")] * DIM, "inf|finite"),
    "short": ("vector", 1, [1.0, 2.0], "2.*8|8.*2"),
    "long": ("vector", 0, [1.0] * (DIM + 1), "9.*8|8.*9"),
    "empty": ("vector", 4, [], "no numbers"),
    "a null in it": ("vector", 2, [1.0, None] * 4, "null|missing"),
    "no doc": ("doc", 3, None, "null|missing"),
    "no chunk": ("chunk", 1, None, "null|missing"),
    "negative chunk": ("chunk", 1, -1, "-1|negative"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_named_and_nothing_is_written(place, what):
    column, row, value, why = BAD[what]
    place.make(vectors={"": dot()})
    with pytest.raises(BadRow, match=why) as failure:
        Writer(place.target(), ROWWISE).write(spoiled(column, row, value))
    assert (failure.value.row, failure.value.column) == (row, column)
    assert f"row {row}" in str(failure.value)
    assert f"`{column}`" in str(failure.value)
    assert failure.value.report["points_acked"] == 0
    assert place.points() == {}


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([1, 2, -3]),
        pa.array([1, 2, None]),
        pa.array([str(uuid.UUID(int=1)), str(uuid.UUID(int=2)), "no uuid"]),
        pa.array([bytes(16), b"1234567890123456", b"short"]),
        pa.array([1, 2, 1]),
        pa.array([str(uuid.UUID(int=1)), str(uuid.UUID(int=2)), uuid.UUID(int=2).hex]),
    ],
    ids=["negative", "null", "no uuid", "not 16 bytes", "twice", "twice, written otherwise"],
)
def test_a_bad_id_is_named(place, ids):
    place.make(vectors={"": dot()})
    with pytest.raises(BadRow) as failure:
        Writer(place.target(), SCHEMA).write(pa.table({"id": ids, "vector": fixed(VECTORS[:3])}))
    assert (failure.value.row, failure.value.column) == (2, "id")
    assert place.points() == {}


def test_the_row_is_counted_over_the_whole_stream(place):
    place.make(vectors={"": dot()})
    vectors = np.tile(VECTORS, (500, 1))
    vectors[7777, 3] = np.nan
    table = pa.table({"id": range(10_000), "vector": fixed(vectors)})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=90))
    with pytest.raises(BadRow, match="row 7777") as failure:
        Writer(place.target(), SCHEMA).write(reader)
    assert failure.value.row == 7777
    acked = failure.value.report["points_acked"]
    assert acked == len(place.points()) <= 7777


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        ({"id": ["a"], "vektor": [[1.0] * DIM]}, "vector"),
        ({"name": [1], "vector": [[1.0] * DIM]}, "id"),
        ({"id": [1.5], "vector": [[1.0] * DIM]}, "id"),
        ({"id": [1], "vector": ["text"]}, "vector"),
        ({"id": [1], "vector": [1.0]}, "vector"),
        ({"id": [1], "vector": [[[1.0] * DIM]]}, "vector"),
        ({"id": [1], "vector": [[1.0] * DIM], "n": pa.array([[b"x"]])}, "n"),
    ],
    ids=[
        "no vector column",
        "no id column",
        "float ids",
        "text vectors",
        "numbers",
        "multivectors",
        "bytes in payload",
    ],
)
def test_a_table_that_cannot_fit_names_the_column_and_what_there_is(place, columns, column):
    place.make(vectors={"": dot()})
    with pytest.raises(BadInput, match=f"`{column}`") as failure:
        Writer(place.target(), SCHEMA).write(columns)
    assert failure.value.column == column
    if column not in columns:
        assert all(name in str(failure.value) for name in columns)
    assert place.points() == {}


def test_dead_letters_hold_each_bad_row_and_the_rest_is_written(place):
    place.make(vectors={"": dot()})
    columns = good()
    columns["doc"][1] = None
    columns["vector"][3] = [float("nan")] * DIM
    writer = Writer(place.target(), ROWWISE, WriteOptions(on_bad_row="dead_letter"))
    report = writer.write(pa.table(columns))
    assert (report.rows_in, report.points_acked, report.bad_rows) == (5, 3, 2)
    dead = report.dead_letters.to_pydict()
    assert (dead["_row"], dead["_column"], dead["n"]) == ([1, 3], ["doc", "vector"], [1, 3])
    assert all(dead["_why"])
    assert [(row.row, row.column) for row in report.bad_row_list] == [(1, "doc"), (3, "vector")]
    assert sorted(payload["n"] for payload, _ in place.points().values()) == [0, 2, 4]
    # Mended, they are written like any other.
    mended = report.dead_letters.drop_columns(["doc", "vector", "_row", "_column", "_why"])
    mended = mended.append_column("doc", pa.array(["d1", "d3"])).append_column("vector", fixed(VECTORS[[1, 3]]))
    assert writer.write(mended).dead_letters is None
    assert sorted(payload["n"] for payload, _ in place.points().values()) == list(range(5))
