"""A full disk, a read-only directory, a node that is down, a wrong key: one message, nothing lost."""

import os
import random
import subprocess

import httpx
import pytest

import server
from conftest import KEY

pytestmark = pytest.mark.remote


def start_on_small_disk(tmp_path, size):
    """An engine whose data directory is a small file system of its own, seen by it alone."""
    data = tmp_path / "data"
    data.mkdir()
    engine = f"{server.BINARY} engine --data {data} --http 127.0.0.1:0 --grpc 127.0.0.1:0 --until-stdin-closes"
    script = f"mount -t tmpfs -o size={size} tmpfs {data} && exec {engine}"
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    return server.Server(command, tmp_path / "engine.log", program=()).wait_until_ready()


def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path):
    rng = random.Random(1)
    running = start_on_small_disk(tmp_path, "160m")
    with httpx.Client(base_url=running.url, timeout=60) as client:
        for name in ("kept", "dropped"):
            made = client.put(f"/collections/{name}", json={"vectors": {"size": 2, "distance": "Dot"}})
            assert made.status_code == 200, made.text

        def write(name, number):
            text = rng.randbytes(200_000).hex()
            body = {"points": [{"id": number, "vector": [number, 1], "payload": {"text": text}}]}
            return text, client.put(f"/collections/{name}/points?wait=true", json=body)

        texts = {}
        for number in range(1000):
            text, answer = write("kept" if number < 20 else "dropped", number)
            if answer.status_code != 200:
                break
            texts[number] = text
        assert answer.status_code >= 500, "the disk never filled"
        assert "No space left on device" in answer.json()["status"]["error"]

        # What was acknowledged is there, and reads go on.
        for number in range(20):
            point = client.get(f"/collections/kept/points/{number}").json()["result"]
            assert point["payload"]["text"] == texts[number]
        hits = client.post("/collections/kept/points/query", json={"query": [1, 0], "limit": 3}).json()["result"]
        assert [hit["id"] for hit in hits["points"]] == [19, 18, 17]

        # Space can be made, and writes go on.
        assert client.delete("/collections/dropped").status_code == 200
        assert write("kept", 5000)[1].status_code == 200
    assert running.stop() == 0
    assert "panicked" not in running.tail()


@pytest.fixture
def target(engine):
    """The arguments that say which collection and engine, and the environment with the key."""
    arguments = ["-c", "hardship", "--url", f"http://127.0.0.1:{engine.grpc_port}"]
    return arguments, {**os.environ, "QMOOR_KEY": KEY}


def fails(arguments, environment=None, **more):
    """What a verb that cannot do its work says; it says it once, and does not panic."""
    ended = subprocess.run(
        [server.BINARY, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env=environment,
        **more,
    )
    assert ended.returncode in (1, 2, 3), (ended.returncode, ended.stderr)
    assert "panicked" not in ended.stderr and "RUST_BACKTRACE" not in ended.stderr
    assert ended.stderr.lower().count("error") <= 2, ended.stderr
    return ended.stderr


class WithLog(server.Server):
    """A node whose log goes to a file or a pipe of the test's."""

    def __init__(self, directory, log):
        config = directory / "qmoor.toml"
        config.write_text("[gateway]\nhttp_port = 0\ngrpc_port = 0\n")
        program = ["sh", "-c", f'exec "$0" "$@" 2>{log}', server.BINARY]
        super().__init__(["serve", "--config", config, "--json"], directory / "node.log", program=program)


def requests_and_a_backup(node):
    """More requests than a pipe has room for their lines."""
    key = node.ready["keys"]["search"]
    with httpx.Client(base_url=node.url, timeout=30, headers={"api-key": key}) as client:
        for _ in range(1000):
            assert client.get("/collections").status_code == 200
    assert server.verb(node, "backup")["grade"] == "clean"


def test_a_log_on_a_disk_that_is_full_costs_lines_and_nothing_else(tmp_path):
    node = WithLog(tmp_path, "/dev/full").wait_until_ready()
    requests_and_a_backup(node)
    assert node.stop() == 0


def test_a_log_that_nobody_reads_costs_lines_and_nothing_else(tmp_path):
    pipe = tmp_path / "log.pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    try:
        node = WithLog(tmp_path, pipe).wait_until_ready()
        requests_and_a_backup(node)
        assert node.stop() == 0
        assert os.read(held, 10), "there were lines"
    finally:
        os.close(held)


def test_a_node_that_is_down(tmp_path):
    (tmp_path / "a.md").write_text("# text\n")
    words = fails(["index", tmp_path, "-c", "c", "--url", "http://127.0.0.1:1"])
    assert "127.0.0.1:1" in words
    assert "127.0.0.1:1" in fails(["search", "text", "-c", "c", "--url", "http://127.0.0.1:1"])


@pytest.mark.parametrize("verb", ["status", "backup", "backups", "keys list", "drill", "prune"])
def test_an_agent_that_is_not_there(tmp_path, verb):
    words = fails(verb.split(), cwd=tmp_path)
    assert "qmoor serve" in words, "it says what to do"


def test_a_wrong_key(target, tmp_path):
    (tmp_path / "a.md").write_text("# text\n")
    arguments, environment = target
    words = fails(["index", tmp_path, *arguments], {**environment, "QMOOR_KEY": "the wrong one"})
    assert "key" in words.lower()
    assert "the wrong one" not in words


def test_a_collection_that_is_not_there(target):
    arguments, environment = target
    assert "hardship" in fails(["search", "text", *arguments], environment)


def test_a_node_directory_that_cannot_be_written(tmp_path):
    """Root may write anywhere, so a file stands where the directory should be."""
    (tmp_path / "qmoor-data").write_text("no directory")
    assert str(tmp_path / "qmoor-data") in fails(["serve"], cwd=tmp_path)


def test_a_taken_port(engine, tmp_path):
    words = fails(["serve", "--http-port", engine.http_port, "--grpc-port", "0"], cwd=tmp_path)
    assert f"127.0.0.1:{engine.http_port}" in words


def test_a_second_node_on_the_same_directory(tmp_path):
    node = server.start_node(tmp_path)
    config = node.log.parent / "qmoor.toml"
    words = fails(["serve", "--config", config])
    assert "qmoor-data" in words
    assert httpx.get(f"{node.url}/healthz").status_code == 200
    assert node.stop() == 0


@pytest.mark.parametrize(
    "text, words",
    [
        ("[gatway]\n", ["gatway", "gateway"]),
        ("[gateway]\nhttp_prot = 1\n", ["gateway.http_prot", "http_port"]),
        ("[gateway]\nhttp_port = 'x'\n", ["gateway.http_port"]),
        ("[gateway]\nhttp_port = 70000\n", ["gateway.http_port"]),
        ("[gateway]\nhold_budget = 'soon'\n", ["gateway.hold_budget"]),
        ("[node\n", ["qmoor.toml"]),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be(tmp_path, text, words):
    (tmp_path / "qmoor.toml").write_text(text)
    said = fails(["serve"], cwd=tmp_path)
    for word in words:
        assert word in said
