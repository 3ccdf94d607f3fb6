"""The engine as a process: starts, stops, dies, and finds everything again."""

import contextlib
import socket
import subprocess

import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m

import samples
import server
from agree import assert_same_records

pytestmark = pytest.mark.remote


@contextlib.contextmanager
def connected(running):
    client = QdrantClient(
        host="127.0.0.1",
        port=running.http_port,
        grpc_port=running.grpc_port,
        prefer_grpc=True,
        timeout=30,
        check_compatibility=False,
    )
    try:
        yield client
    finally:
        client.close()


def everything(client, name):
    return client.scroll(name, limit=10_000, with_payload=True, with_vectors=True)[0]


ENDINGS = {
    "terminate": lambda running: running.stop() == 0,
    "parent gone": lambda running: running.close_input() == 0,
    "kill -9": lambda running: running.kill() == -9,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_is_there_after_the_end(tmp_path, ending):
    running = server.start_engine(tmp_path)
    with connected(running) as client:
        samples.fill(client, "c", samples.points(300, seed=5), indexed=True)
        client.delete("c", m.Filter(must=[m.FieldCondition(key="city", match=m.MatchValue(value="Oslo"))]))
        client.set_payload("c", {"late": True}, points=[1, 3, 5])
        client.update_collection_aliases(
            [m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name="c", alias_name="also"))]
        )
        client.create_collection("gone", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
        client.delete_collection("gone")
        before, schema = everything(client, "c"), client.get_collection("c").payload_schema
        config = client.get_collection("c").config
    assert ENDINGS[ending](running), running.tail()

    again = server.start_engine(tmp_path)
    with connected(again) as client:
        assert [c.name for c in client.get_collections().collections] == ["c"]
        assert_same_records(everything(client, "also"), before)
        info = client.get_collection("c")
        assert info.config == config
        assert {k: v.data_type for k, v in info.payload_schema.items()} == {k: v.data_type for k, v in schema.items()}
    assert again.stop() == 0


def test_it_can_be_stopped_and_started_many_times(tmp_path):
    for number in range(6):
        running = server.start_engine(tmp_path)
        with connected(running) as client:
            if number == 0:
                client.create_collection("c", vectors_config=m.VectorParams(size=2, distance=m.Distance.DOT))
            client.upsert("c", [m.PointStruct(id=number, vector=[number, 1])], wait=number % 2 == 0)
            assert client.count("c").count == number + 1
        assert running.stop() == 0


def test_a_second_process_on_the_same_directory_is_refused(tmp_path):
    first = server.start_engine(tmp_path)
    second = subprocess.run(
        [server.BINARY, "engine", "--data", tmp_path / "data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode not in (0, 101, -6), second.stderr
    assert str(tmp_path / "data") in second.stderr
    assert httpx.get(first.url + "/healthz").status_code == 200
    assert first.stop() == 0


def test_a_taken_port_is_one_clear_message(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [server.BINARY, "engine", "--data", tmp_path, "--http", address, "--grpc", "127.0.0.1:0"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert ended.returncode == 1
    assert address in ended.stderr
    assert "panicked" not in ended.stderr


def test_a_data_directory_that_is_a_file_is_one_clear_message(tmp_path):
    (tmp_path / "data").write_text("no directory")
    ended = subprocess.run(
        [server.BINARY, "engine", "--data", tmp_path / "data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert str(tmp_path / "data") in ended.stderr
    assert "panicked" not in ended.stderr


def test_the_places_can_be_given_under_their_qdrant_names(tmp_path):
    environment = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": "0",
        "QDRANT__SERVICE__GRPC_PORT": "0",
        "QDRANT__STORAGE__STORAGE_PATH": str(tmp_path / "here"),
    }
    running = server.Server(["engine", "--until-stdin-closes"], tmp_path / "log", environment).wait_until_ready()
    assert httpx.get(running.url + "/readyz").status_code == 200
    assert (tmp_path / "here").is_dir()
    assert running.stop() == 0


def test_metrics_and_telemetry_count_the_collections(tmp_path):
    running = server.start_engine(tmp_path)
    with connected(running) as client:
        samples.fill(client, "c", samples.points(50, seed=5))
    metrics = httpx.get(running.url + "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    lines = metrics.text.splitlines()
    assert "collections_total 1" in lines
    assert any(line.startswith("app_info{") and 'version="1.19' in line for line in lines)
    assert any(line.startswith('collection_points{id="c"}') and line.endswith(" 50") for line in lines)
    assert httpx.get(running.url + "/telemetry").json()["status"] == "ok"
    assert running.stop() == 0
