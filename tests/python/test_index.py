"""`qmoor index` and `qmoor search` as a person types them: every source, run again, and every bad one."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from qdrant_client import models as m

import server
from conftest import KEY, Door, fresh_name

pytestmark = pytest.mark.remote

MEBIBYTE = 2**20


@pytest.fixture
def client(engine):
    connected = Door("127.0.0.1", engine.http_port, engine.grpc_port, grpc=True).client()
    yield connected
    connected.close()


class Runner:
    """Runs verbs against one collection of the engine."""

    def __init__(self, engine, collection):
        self.collection = collection
        self.target = ["-c", collection, "--url", f"http://127.0.0.1:{engine.grpc_port}"]
        self.environment = {**os.environ, "QMOOR_KEY": KEY}

    def process(self, verb, *arguments):
        command = [server.BINARY, "--json", "--quiet", verb, *map(str, arguments), *self.target]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=self.environment)

    def index(self, *arguments):
        """The summary of a run that works."""
        ended = self.process("index", *arguments)
        assert ended.returncode == 0, ended.stderr
        summary = json.loads(ended.stdout)
        assert summary["chunks"] == summary["written"] + summary["unchanged"] + summary["rejected_count"]
        return summary

    def fails(self, *arguments):
        """What a run says that does not work."""
        ended = self.process("index", *arguments)
        assert ended.returncode == 1, (ended.returncode, ended.stdout, ended.stderr)
        assert "panicked" not in ended.stderr
        return ended.stderr

    def search(self, text, *arguments):
        ended = self.process("search", text, *arguments)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(ended.stdout)
        return found["hits"] if isinstance(found, dict) else found


@pytest.fixture
def run(engine, client):
    runner = Runner(engine, fresh_name())
    yield runner
    client.delete_collection(runner.collection)


def chunks(client, collection):
    """What is in the collection: document, number and text of each chunk."""
    records, _ = client.scroll(collection, limit=10_000)
    return {(r.payload["_doc"], r.payload["_ix"]): r.payload.get("text") for r in records}


MEASURE = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(ended.returncode)
"""


def measured(command, environment):
    """Runs a command; the last line of its output is the most memory it used, in bytes.

    It is started by a small process of its own: a child begins with the peak of its parent.
    """
    command = [sys.executable, "-c", MEASURE, *map(str, command)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=environment)


def fvecs(path, vectors):
    with open(path, "wb") as file:
        for vector in vectors:
            file.write(struct.pack("<i", len(vector)) + np.asarray(vector, "<f4").tobytes())


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


# ---- what works -----------------------------------------------------------------------------


def test_a_folder_is_indexed_searched_and_kept_in_step(run, client, tmp_path):
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "anchor.md").write_text("# Anchors\n\nAn anchor holds a ship.\n")
    (notes / "deep/rope.txt").write_text("A rope is made of hemp.\n")
    (notes / "long.md").write_text("\n\n".join(f"## Part {i}\n\n" + f"word{i} " * 120 for i in range(5)))
    first = run.index(notes)
    assert (first["documents"], first["unchanged"], first["removed"]) == (3, 0, 0)
    assert first["written"] == first["chunks"] == len(chunks(client, run.collection)) > 5

    again = run.index(notes)
    assert (again["written"], again["unchanged"]) == (0, first["chunks"])

    hits = run.search("hemp ropes")
    assert (hits[0]["doc"], hits[0]["chunk"]) == ("deep/rope.txt", 0)

    (notes / "long.md").write_text("# Short now\n")
    (notes / "anchor.md").unlink()
    shrunk = run.index(notes)
    assert shrunk["written"] == 1
    assert set(chunks(client, run.collection)) == {("anchor.md", 0), ("deep/rope.txt", 0), ("long.md", 0)}
    run.index(notes, "--mirror")
    assert chunks(client, run.collection) == {
        ("deep/rope.txt", 0): "A rope is made of hemp.",
        ("long.md", 0): "# Short now",
    }


@pytest.mark.parametrize("kind", ["npy", "npy of doubles", "fvecs", "jsonl"])
def test_vectors_of_every_kind_of_file_arrive(run, client, tmp_path, kind):
    vectors = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
    path = tmp_path / f"vectors.{kind.split()[0]}"
    if kind == "fvecs":
        fvecs(path, vectors)
    elif kind == "jsonl":
        jsonl(path, [{"doc": f"d{i}", "vector": [float(x) for x in v], "lang": "en"} for i, v in enumerate(vectors)])
    else:
        np.save(path, vectors.astype(np.float64) if "doubles" in kind else vectors)
    summary = run.index(path, "--distance", "euclid")
    assert (summary["chunks"], summary["written"]) == (300, 300)
    assert run.index(path, "--distance", "euclid")["unchanged"] == 300
    nearest = client.query_points(run.collection, vectors[17].tolist(), limit=1, with_vectors=True).points[0]
    assert nearest.score == pytest.approx(0, abs=1e-5)
    assert nearest.vector == pytest.approx(vectors[17].tolist())
    assert client.get_collection(run.collection).config.params.vectors.distance == m.Distance.EUCLID


def test_rows_of_a_json_file_keep_their_columns(run, client, tmp_path):
    path = tmp_path / "rows.jsonl"
    jsonl(
        path,
        [
            {"doc": "a", "chunk": 0, "text": "first of a", "lang": "en", "year": 2024},
            {"doc": "a", "chunk": 1, "text": "second of a", "tags": ["x", "y"]},
            {"doc": "b", "chunk": 0, "text": "only one of b"},
        ],
    )
    assert run.index(path)["written"] == 3
    records, _ = client.scroll(run.collection)
    by_chunk = {(r.payload["_doc"], r.payload["_ix"]): r.payload for r in records}
    assert (by_chunk["a", 0]["lang"], by_chunk["a", 0]["year"]) == ("en", 2024)
    assert by_chunk["a", 1]["tags"] == ["x", "y"]
    condition = json.dumps({"must": [{"key": "_doc", "match": {"value": "b"}}]})
    assert [hit["doc"] for hit in run.search("one", "--filter", condition)] == ["b"]


def test_a_load_in_bulk_puts_the_settings_back(run, client, tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.eye(50, dtype=np.float32))
    run.environment["PWD"] = str(tmp_path)
    run.index(path)
    before = client.get_collection(run.collection).config.optimizer_config
    np.save(path, 2 * np.eye(50, dtype=np.float32))
    assert run.index(path, "--bulk")["written"] == 50
    assert client.get_collection(run.collection).config.optimizer_config == before


def test_memory_does_not_grow_with_the_source(run, client, tmp_path):
    def peak(count):
        """The most memory of a run over `count` vectors of 4 KiB each."""
        path = tmp_path / f"{count}.fvecs"
        with open(path, "wb") as file:
            for start in range(0, count, 1000):
                block = np.random.default_rng(start).normal(size=(1000, 1024)).astype("<f4")
                for row in block:
                    file.write(struct.pack("<i", 1024) + row.tobytes())
        ended = measured([server.BINARY, "--quiet", "index", path, *run.target], run.environment)
        assert ended.returncode == 0, ended.stderr
        client.delete_collection(run.collection)
        return int(ended.stdout.splitlines()[-1])

    small, large = peak(5_000), peak(40_000)
    assert large < small + 24 * MEBIBYTE, (
        f"{small / MEBIBYTE:.0f} MiB for 20 MiB, {large / MEBIBYTE:.0f} MiB for 160 MiB"
    )
    assert large < 150 * MEBIBYTE


# ---- what does not --------------------------------------------------------------------------


def rows(*vectors):
    return [{"doc": f"d{i}", "vector": vector} for i, vector in enumerate(vectors)]


def bad_sources(folder):
    """Sources that are wrong, each with words its error must hold."""
    vectors = np.ones((20, 4), np.float32)

    def npy(name, array):
        np.save(folder / name, array)
        return folder / name

    cut = npy("cut.npy", vectors)
    cut.write_bytes(cut.read_bytes()[:-7])
    yield "cut npy", cut, ["cut.npy"]
    (folder / "no.npy").write_text("this is no array")
    yield "not an array", folder / "no.npy", ["no.npy"]
    (folder / "no.parquet").write_text("this is no table")
    yield "not a table", folder / "no.parquet", ["no.parquet"]
    yield "three dimensions", npy("cube.npy", np.ones((2, 2, 2), np.float32)), ["cube.npy"]
    nan = vectors.copy()
    nan[13, 2] = np.nan
    yield "not a number", npy("nan.npy", nan), ["nan.npy", "row 14"]
    fvecs(folder / "ragged.fvecs", [[1, 2, 3], [1, 2, 3], [1, 2]])
    yield "ragged", folder / "ragged.fvecs", ["ragged.fvecs"]
    fvecs(folder / "cut.fvecs", vectors)
    (folder / "cut.fvecs").write_bytes((folder / "cut.fvecs").read_bytes()[:-3])
    yield "cut fvecs", folder / "cut.fvecs", ["cut.fvecs"]
    jsonl(folder / "ragged.jsonl", rows([1, 2, 3], [1, 2]))
    yield "ragged lines", folder / "ragged.jsonl", ["ragged.jsonl", "2"]
    (folder / "syntax.jsonl").write_text('{"doc": "a", "text": "fine"}\n{"doc": "b", "text": \n')
    yield "no JSON", folder / "syntax.jsonl", ["syntax.jsonl", "2"]
    jsonl(folder / "twice.jsonl", [{"doc": "a", "chunk": 0, "text": "x"}, {"doc": "a", "chunk": 0, "text": "y"}])
    yield "the same chunk twice", folder / "twice.jsonl", ["twice.jsonl"]
    (folder / "latin.txt").write_bytes("Zürich".encode("latin-1"))
    yield "not UTF-8", folder / "latin.txt", ["latin.txt", "UTF-8"]
    (folder / "empty.jsonl").write_text("")
    yield "empty", folder / "empty.jsonl", ["empty.jsonl"]
    (folder / "nothing").mkdir()
    yield "empty folder", folder / "nothing", ["nothing"]
    yield "missing", folder / "missing.jsonl", ["missing.jsonl"]
    (folder / "what.xyz").write_text("?")
    yield "unknown kind", folder / "what.xyz", ["what.xyz"]


BAD = [
    "cut npy", "not an array", "not a table", "three dimensions", "not a number", "ragged", "cut fvecs", "ragged lines",
    "no JSON", "the same chunk twice", "not UTF-8", "empty", "empty folder", "missing", "unknown kind",
]  # fmt: skip


@pytest.mark.parametrize("which", BAD)
def test_a_bad_source_is_named_with_its_row(run, tmp_path, which):
    made = {name: (path, words) for name, path, words in bad_sources(tmp_path)}
    assert set(made) == set(BAD)
    path, words = made[which]
    said = run.fails(path)
    for word in words:
        assert word in said
    assert "hint" in said.lower(), said


def test_a_second_run_after_mending_puts_everything_right(run, client, tmp_path):
    path = tmp_path / "v.jsonl"
    good = rows(*[[float(i), 1.0, 0.0] for i in range(2000)])
    jsonl(path, [*good[:1500], {"doc": "d1500", "vector": [1.0]}, *good[1501:]])
    assert "1501" in run.fails(path)
    jsonl(path, good)
    run.index(path)
    assert client.count(run.collection).count == 2000


def test_bad_rows_may_be_set_aside(run, client, tmp_path):
    path, aside = tmp_path / "v.jsonl", tmp_path / "aside.jsonl"
    jsonl(path, rows([1, 2, 3], [1, 2], [4, 5, 6]))
    summary = run.index(path, "--dead-letter", aside)
    assert (summary["written"], summary["rejected_count"]) == (2, 1)
    assert len(aside.read_text().splitlines()) == 1
    assert client.count(run.collection).count == 2


def test_vectors_of_another_dimension_than_the_collection_are_refused(run, client, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4), np.float32))
    np.save(tmp_path / "b.npy", np.ones((3, 5), np.float32))
    run.index(tmp_path / "a.npy")
    said = run.fails(tmp_path / "b.npy")
    assert "4" in said and "5" in said
    assert client.count(run.collection).count == 3


def test_a_line_of_a_gigabyte_is_not_read_into_memory(run, tmp_path):
    """A sparse file: it has no line end for two gigabytes, and takes no room."""
    path = tmp_path / "endless.jsonl"
    with open(path, "wb") as file:
        file.write(b'{"doc": "a", "text": "')
        file.truncate(2 * 1024 * MEBIBYTE)
    ended = measured([server.BINARY, "--quiet", "index", path, *run.target], run.environment)
    assert ended.returncode == 1
    assert "endless.jsonl" in ended.stderr
    assert int(ended.stdout.splitlines()[-1]) < 400 * MEBIBYTE
