"""The package as a process sees it: what it imports, its stubs, pickles, keys, forks and threads."""

import ast
import asyncio
import inspect
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
import qmoor
from qmoor import BadInput, Node, PointSchema, Searcher, Target, Unauthorized, WriteOptions, Writer, WriteReport, errors

import corpus

SCHEMA = PointSchema(doc="doc", chunk="chunk", payload=["text"])


def python(script, *arguments, seconds=100):
    """Runs a script in a Python of its own; what it printed."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


# ---- what is imported, and what the stubs say


def test_ray_is_imported_only_by_qmoor_ray():
    script = "import sys, qmoor; print('ray' in sys.modules, 'numpy' in sys.modules, 'boto3' in sys.modules)"
    assert python(script) == ["False", python("import sys, pyarrow; print('numpy' in sys.modules)")[0], "False"]
    assert python("import sys, qmoor.ray; print('ray' in sys.modules)") == ["True"]


def test_all_that_is_public_is_named_and_documented():
    import qmoor.ray

    for module in (qmoor, qmoor.ray):
        for name in module.__all__:
            thing = getattr(module, name)
            assert not callable(thing) or inspect.getdoc(thing), name
    assert (Path(qmoor.__file__).parent / "py.typed").exists()


def signatures(node):
    """Of each function in a stub: its parameters, with a star before those that have a default."""
    found = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            names = [argument.arg for argument in item.args.args if argument.arg not in ("self", "cls")]
            plain = len(names) - len(item.args.defaults)
            found[item.name] = [name if at < plain else f"*{name}" for at, name in enumerate(names)]
    return found


def actual(thing):
    parameters = [each for each in inspect.signature(thing).parameters.values() if each.name != "self"]
    return [each.name if each.default is each.empty else f"*{each.name}" for each in parameters]


def own(kind):
    """The methods that a native class itself has."""
    return {
        name
        for name, value in vars(kind).items()
        if callable(value) and (not name.startswith("__") or name.startswith("__arrow"))
    }


def test_the_stubs_say_what_the_native_module_has():
    from qmoor import _native

    stub = ast.parse((Path(qmoor.__file__).parent / "_native.pyi").read_text())
    functions = signatures(stub)
    classes = {item.name: signatures(item) for item in stub.body if isinstance(item, ast.ClassDef)}
    public = {name for name in vars(_native) if not name.startswith("_")}
    assert public == {*functions, *classes}
    for name, parameters in functions.items():
        assert actual(getattr(_native, name)) == parameters, name
    for name, methods in classes.items():
        kind = getattr(_native, name)
        assert own(kind) == set(methods) - {"__new__"}, name
        for method, parameters in methods.items():
            found = actual(kind if method == "__new__" else getattr(kind, method))
            assert found == parameters, f"{name}.{method}"


# ---- pickles


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_comes_back_whole_from_a_pickle(name):
    kind = getattr(errors, name)
    report = WriteReport(points_acked=7).to_dict()
    error = kind("what", code="word", hint="do this", row=3, column="c", report=report)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert isinstance(again, qmoor.QmoorError)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert "7" in str(again)


def test_what_has_been_used_pickles_as_configuration(place):
    place.make()
    target = place.target()
    writer, searcher = Writer(target, SCHEMA, generation=3), Searcher(place.target("search"))
    writer.write(corpus.table({"a": 2}))
    vector = corpus.chunk("a", 1, 2)["vector"]
    found = searcher.search(vector, 1, fields=["_ix"])
    node = Node(place.node.url, "env:QMOOR_TEST_ADMIN")
    node.status()
    for thing in (target, SCHEMA, WriteOptions(), writer, searcher, node):
        text = pickle.dumps(thing)
        for role in ("ADMIN", "INDEX", "SEARCH"):
            assert os.environ[f"QMOOR_TEST_{role}"].encode() not in text
            assert os.environ[f"QMOOR_TEST_{role}"] not in repr(thing)
        assert repr(pickle.loads(text)) == repr(thing)
    assert pickle.loads(pickle.dumps(writer)).write(corpus.table({"b": 3})).generation == 3
    assert pickle.loads(pickle.dumps(searcher)).search(vector, 1, fields=["_ix"]).equals(found)
    assert pickle.loads(pickle.dumps(node)).status()["engine"]["pid"] == node.status()["engine"]["pid"]
    assert place.chunks() == {"a": [0, 1], "b": [0, 1, 2]}


# ---- keys


def literal(make):
    with pytest.raises(BadInput, match="env:NAME") as failure:
        make()
    return str(failure.value) + repr(failure.value)


@pytest.mark.parametrize("key", ["qm_index_0123456789abcdef", "sk-abc", "env:", "vault:x", ""])
def test_a_key_itself_is_refused_and_not_repeated(key):
    for said in (literal(lambda: Target("http://n:6333", "c", key)), literal(lambda: Node("http://n:6333", key))):
        assert not key or key.endswith(":") or key not in said


def test_a_key_is_read_where_it_is_used_and_again_when_it_has_been_turned(place, tmp_path, monkeypatch):
    place.make()
    path = tmp_path / "key"
    target = Target(place.node.url, place.name, f"file:{path}")
    writer, table = Writer(target, SCHEMA), corpus.table({"a": 1})
    with pytest.raises(BadInput, match="No such file"):
        writer.write(table)
    path.write_text("\n")
    with pytest.raises(BadInput, match="empty"):
        writer.write(table)
    path.write_text(os.environ["QMOOR_TEST_WRONG"] + "\n")
    with pytest.raises(Unauthorized) as failure:
        writer.write(table)
    assert os.environ["QMOOR_TEST_WRONG"] not in str(failure.value) + repr(vars(failure.value))
    path.write_text(os.environ["QMOOR_TEST_INDEX"] + "\n")
    assert writer.write(table).points_acked == 1
    path.write_text(os.environ["QMOOR_TEST_ADMIN"])
    assert writer.write(table).points_acked == 1
    monkeypatch.setenv("TURNED", os.environ["QMOOR_TEST_WRONG"])
    searcher = Searcher(Target(place.node.url, place.name, "env:TURNED"))
    with pytest.raises(Unauthorized):
        searcher.search([1.0] * 8)
    monkeypatch.setenv("TURNED", os.environ["QMOOR_TEST_SEARCH"])
    assert searcher.search([1.0] * 8).num_rows == 1
    monkeypatch.delenv("TURNED")
    with pytest.raises(BadInput, match="`TURNED`"):
        Searcher(Target(place.node.url, place.name, "env:TURNED")).search([1.0] * 8)


# ---- forks, threads, signals

FORKS = """
import os, signal, sys, threading
import corpus, qmoor

url, collection = sys.argv[1:]
target = qmoor.Target(url, collection, "env:QMOOR_TEST_INDEX")
writer = qmoor.Writer(target, qmoor.PointSchema(doc="doc", chunk="chunk", payload=["text"]))
searcher = qmoor.Searcher(target)
writer.write(corpus.table({"parent": 300}))
searcher.search(corpus.chunk("parent", 0, 1)["vector"])
stop, rounds = threading.Event(), []

def busy():
    while not stop.is_set():
        writer.write(corpus.table({"parent": 300}))
        rounds.append(1)

thread = threading.Thread(target=busy)
thread.start()
for number in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # A child that hangs dies, and is seen.
        name = f"child{number}"
        report = writer.write(corpus.table({name: 5}))
        found = searcher.search(corpus.chunk(name, 4, 5)["vector"], 1, fields=["_doc", "_ix"]).to_pylist()[0]
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if writer.count() >= 300 else 3)
        code = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1])
        os._exit(code or (0 if report.points_acked == 5 and (found["_doc"], found["_ix"]) == (name, 4) else 4))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code)
stop.set()
thread.join()
assert writer.write(corpus.table({"after": 2})).points_acked == 2
"""


def test_a_forked_child_writes_and_searches_while_its_parent_does(place):
    place.make()
    assert python(FORKS, place.node.url, place.name) == ["0"] * 6
    expected = {f"child{number}": list(range(5)) for number in range(6)}
    assert place.chunks() == {**expected, "parent": list(range(300)), "after": [0, 1]}


def test_eight_threads_share_a_writer_and_a_searcher(place):
    place.make()
    writer, searcher = Writer(place.target(), SCHEMA), Searcher(place.target("search"))

    def work(number):
        found = []
        for turn in range(5):
            doc = f"t{number}-{turn}"
            assert writer.write(corpus.table({doc: 40})).points_acked == 40
            hits = searcher.search(corpus.chunk(doc, turn, 40)["vector"], 1, fields=["_doc", "_ix"]).to_pylist()
            found.append((hits[0]["_doc"], hits[0]["_ix"]) == (doc, turn))
        return found

    with ThreadPoolExecutor(8) as pool:
        assert all(all(found) for found in pool.map(work, range(8)))
    chunks = place.chunks()
    assert chunks == {f"t{number}-{turn}": list(range(40)) for number in range(8) for turn in range(5)}


def test_threads_and_loops_of_asyncio_share_a_searcher(place):
    place.make()
    Writer(place.target(), SCHEMA).write(corpus.table({"a": 50}))
    searcher = Searcher(place.target("search"))
    vectors = [corpus.chunk("a", number, 50)["vector"] for number in range(50)]

    async def ask():
        found = await asyncio.gather(*[searcher.asearch(vector, 1, fields=["_ix"]) for vector in vectors])
        batch = await searcher.asearch_batch(vectors, 1, fields=["_ix"])
        assert [hits[0]["_ix"] for hits in batch.column("hits").to_pylist()] == list(range(50))
        return [table.column("_ix")[0].as_py() for table in found]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: asyncio.run(ask()), range(4)):
            assert found == list(range(50))


@pytest.fixture
def silent():
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def test_other_threads_run_while_one_waits_for_the_node(silent):
    target = Target(f"http://127.0.0.1:{silent.getsockname()[1]}", "c", None)
    options = WriteOptions(server_wait_s=1, deadline_s=2, give_up_after_s=2)
    writer, caught = Writer(target, SCHEMA, options), []

    def write():
        with pytest.raises(qmoor.QmoorError) as failure:
            writer.write(corpus.table({"a": 1}))
        caught.append(failure.value)

    thread = threading.Thread(target=write)
    thread.start()
    connection, _ = silent.accept()
    # Only with the interpreter to itself can this thread come here before the write has given up.
    waiting = thread.is_alive()
    thread.join(60)
    connection.close()
    assert waiting
    assert isinstance(caught[0], qmoor.GaveUp | qmoor.Unreachable)


INTERRUPTED = """
import sys, corpus, qmoor
target = qmoor.Target(sys.argv[1], "c", None)
try:
    qmoor.Writer(target, qmoor.PointSchema(doc="doc", chunk="chunk")).write(corpus.table({"a": 1}))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_an_interrupt_ends_the_wait(silent):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, f"http://127.0.0.1:{silent.getsockname()[1]}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
        connection.close()
    finally:
        process.kill()
        process.wait()
    assert said.split() == ["interrupted"]


def test_a_table_that_fails_while_it_is_read_says_so(place):
    place.make()
    batches = corpus.table({"a": 600}).to_batches(max_chunksize=300)

    def stream():
        yield batches[0]
        raise ValueError("the file ends in the middle")

    with pytest.raises(BadInput, match="the file ends in the middle") as failure:
        Writer(place.target(), SCHEMA).write(pa.RecordBatchReader.from_batches(batches[0].schema, stream()))
    assert failure.value.report["points_acked"] == len(place.points())
