"""Backups: taken under load, restored after a loss, opened without qmoor, and never called good when they are not."""

import concurrent.futures
import contextlib
import os
import random
import shutil
import subprocess
import threading

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m

import samples
import server
from agree import assert_same_records

pytestmark = pytest.mark.remote

POINTS = samples.points(500, seed=77)
PAIR = m.VectorParams(size=2, distance=m.Distance.DOT)


@contextlib.contextmanager
def connected(running, key=None):
    client = QdrantClient(
        host="127.0.0.1",
        port=running.http_port,
        grpc_port=running.grpc_port,
        prefer_grpc=True,
        api_key=key,
        https=False,
        timeout=30,
        check_compatibility=False,
    )
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A node with a collection of every kind of point, an alias and an empty collection that fills."""
    node = server.start_node(tmp_path_factory.mktemp("node"))
    keys = node.ready["keys"]
    with connected(node, keys["admin"]) as client:
        samples.fill(client, "still", POINTS, indexed=True)
        client.create_collection("busy", vectors_config=PAIR)
        create = m.CreateAlias(collection_name="still", alias_name="also")
        client.update_collection_aliases([m.CreateAliasOperation(create_alias=create)])
    yield node, keys
    assert node.stop() == 0, node.tail()


def everything(client, name):
    return client.scroll(name, limit=100_000, with_payload=True, with_vectors=True)[0]


class Load:
    """Writers of ascending ids and a reader, until the end; what failed and what was acknowledged."""

    def __init__(self, node, keys):
        self.failed, self.acknowledged = [], 0
        self._end = threading.Event()
        self._node, self._keys = node, keys
        self._pool = concurrent.futures.ThreadPoolExecutor(2)

    def __enter__(self):
        self._going = [self._pool.submit(self._write), self._pool.submit(self._read)]
        return self

    def __exit__(self, *_):
        self._end.set()
        for each in self._going:
            each.result(timeout=60)
        self._pool.shutdown()

    def _until_the_end(self, role, work):
        with connected(self._node, self._keys[role]) as client:
            while not self._end.is_set():
                try:
                    work(client)
                except Exception as error:
                    self.failed.append(error)

    def _write(self):
        def write(client):
            number = self.acknowledged
            point = m.PointStruct(id=number, vector=[number, 1], payload={"number": number})
            client.upsert("busy", [point], wait=True)
            self.acknowledged = number + 1

        self._until_the_end("index", write)

    def _read(self):
        self._until_the_end("search", lambda client: client.query_points("still", POINTS[1].id, using=samples.OTHER))


@pytest.fixture(scope="module")
def backup(filled):
    """A backup taken while writers and readers go on, and what was acknowledged before it and after it."""
    node, keys = filled
    with connected(node, keys["admin"]) as client:
        still = everything(client, "still")
    with Load(node, keys) as load:
        before = load.acknowledged
        made = server.verb(node, "backup", "--batch-id", "batch-1", "--label", "corpus=test")
        after = load.acknowledged
    assert load.failed == []
    return {"made": made, "still": still, "before": before, "after": after, "at the end": load.acknowledged}


def check_content(client, backup, name="still"):
    """All that the backup must hold, and nothing that cannot be in it."""
    assert sorted(c.name for c in client.get_collections().collections) == ["busy", "still"]
    assert_same_records(everything(client, name), backup["still"])
    assert client.get_collection("still").payload_schema.keys() == samples.INDEXES.keys()
    numbers = [record.payload["number"] for record in everything(client, "busy")]
    assert numbers == list(range(len(numbers))), "a point in time: no write is there without those before it"
    assert backup["before"] <= len(numbers) <= backup["after"] + 1


def test_the_backup_is_clean_and_tells_what_it_took(backup):
    made = backup["made"]
    assert made["grade"] == "clean"
    assert 0 < made["pause_ms"] < 5_000
    assert made["manifest"]["batch_id"] == "batch-1"
    assert made["manifest"]["labels"] == {"corpus": "test"}
    assert made["manifest"]["collections"]["still"]["points"] == len(POINTS)


def test_it_is_listed_and_verified(filled, backup):
    (listed,) = [each for each in server.verb(filled[0], "backups") if each["id"] == backup["made"]["id"]]
    assert listed["complete"] and listed["verified"] and not listed["in_progress"]
    assert (listed["grade"], listed["batch_id"]) == ("clean", "batch-1")
    assert listed["collections"]["still"] == len(POINTS)


def scratch(node):
    """All folders of the node but those inside its store and its data."""
    top = node.log.parent / "qmoor-data"
    return sorted(path for path in [*top.iterdir(), *(top / "state").rglob("*")] if path.is_dir())


def test_a_drill_proves_it_and_leaves_nothing_behind(filled, backup):
    node, keys = filled
    before = scratch(node)
    drilled = server.verb(node, "drill", backup["made"]["id"])
    assert drilled["ok"] and drilled["differences"] == [] and drilled["rto_ms"] > 0
    assert scratch(node) == before
    with connected(node, keys["search"]) as client:
        assert client.count("still").count == len(POINTS), "the node itself goes on"


def test_the_restic_program_restores_it_without_qmoor(filled, backup, tmp_path):
    folder = filled[0].log.parent / "qmoor-data"
    restic = ["restic", "--no-cache", "--repo", folder / "store", "--password-file", folder / "state/store.key"]
    subprocess.run([*restic, "check", "--read-data"], check=True, capture_output=True, timeout=100)
    subprocess.run(
        [*restic, "restore", backup["made"]["manifest"]["snapshot"], "--target", tmp_path / "restored"],
        check=True,
        capture_output=True,
        timeout=100,
    )
    (lock,) = (tmp_path / "restored").rglob("collections")
    (tmp_path / "data").symlink_to(lock.parent)
    running = server.start_engine(tmp_path)
    with connected(running) as client:
        check_content(client, backup, "also")
    assert running.stop() == 0


def test_after_the_loss_of_all_data_it_is_restored(filled, backup):
    node, keys = filled
    plan = server.verb(node, "restore", backup["made"]["id"], "--dry-run")
    assert plan["id"] == backup["made"]["id"] and not plan["refusals"]
    shutil.rmtree(node.log.parent / "qmoor-data/data")
    restored = server.verb(node, "restore", backup["made"]["id"], "--yes")
    assert restored["id"] == backup["made"]["id"]
    with connected(node, keys["admin"]) as client:
        check_content(client, backup, "also")
        client.upsert("busy", [m.PointStruct(id=10**6, vector=[1, 1], payload={"number": 10**6})], wait=True)
        client.delete("busy", [10**6], wait=True)


def test_a_second_backup_adds_little(filled, backup):
    made = server.verb(filled[0], "backup")
    assert made["bytes_added"] < made["bytes_total"] / 2


def test_a_pinned_backup_is_never_pruned(filled, backup):
    node = filled[0]
    assert server.verb(node, "pin", backup["made"]["id"])["pinned"] is True
    decisions = {each["id"]: each for each in server.verb(node, "prune", "--dry-run")["decisions"]}
    assert decisions[backup["made"]["id"]]["keep"]
    assert any("pin" in reason for reason in decisions[backup["made"]["id"]]["reasons"])
    assert all(each["reasons"] for each in decisions.values())


def test_the_status_tells_the_last_backup_and_drill(filled, backup):
    status = server.verb(filled[0], "status")
    assert status["last_backup"]["id"] and status["last_drill"]["drilled"]["ok"]


# ---- what goes wrong ------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path):
    running = server.start_node(tmp_path)
    with connected(running, running.ready["keys"]["admin"]) as client:
        client.create_collection("c", vectors_config=PAIR)
        client.upsert("c", [m.PointStruct(id=i, vector=[i, 1], payload={"t": "x" * 500}) for i in range(2000)])
    yield running
    assert running.stop() == 0, running.tail()


def test_a_flipped_bit_in_the_store_is_found(node):
    made = server.verb(node, "backup")
    packs = [path for path in (node.log.parent / "qmoor-data/store/data").rglob("*") if path.is_file()]
    largest = max(packs, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 3] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(content)
    said = server.verb(node, "drill", made["id"], code=1)
    assert "panicked" not in said
    said = server.verb(node, "restore", made["id"], "--yes", code=1)
    assert "panicked" not in said
    with connected(node, node.ready["keys"]["search"]) as client:
        assert client.count("c").count == 2000, "a restore that fails leaves the node as it was"


def test_a_lost_password_is_one_clear_message(tmp_path):
    node = server.start_node(tmp_path)
    server.verb(node, "backup")
    assert node.stop() == 0
    key = tmp_path / "qmoor-data/state/store.key"
    key.chmod(0o600)
    key.write_text("another password\n")
    node = server.start_node(tmp_path)
    for verb in ("backup", "backups", "drill"):
        assert str(key) in server.verb(node, verb, code=1)
    assert node.stop() == 0


def test_two_backups_at_once_are_one_after_the_other_or_refused(node):
    config = node.log.parent / "qmoor.toml"
    command = [server.BINARY, "--config", config, "--json", "--quiet", "backup"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process, *process.communicate(timeout=100)) for process in both]
    codes = sorted(process.returncode for process, _, _ in ended)
    assert codes in ([0, 0], [0, 3]), ended
    listed = server.verb(node, "backups")
    assert len([each for each in listed if each["complete"]]) == codes.count(0)


@pytest.mark.parametrize("seed", range(4))
def test_an_agent_killed_in_a_backup_comes_back_and_calls_nothing_good_that_is_not(tmp_path, seed):
    node = server.start_node(tmp_path)
    keys = node.ready["keys"]
    with connected(node, keys["admin"]) as client:
        client.create_collection("c", vectors_config=PAIR)
        client.upsert("c", [m.PointStruct(id=i, vector=[i, 1], payload={"t": "x" * 500}) for i in range(2000)])
    command = [server.BINARY, "--config", tmp_path / "qmoor.toml", "--json", "backup"]
    asked = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # Somewhere in the backup: after a number of bytes of its progress that differs from run to run.
    os.read(asked.stderr.fileno(), 1 + random.Random(seed).randrange(400))
    node.kill()
    asked.communicate(timeout=60)

    again = server.start_node(tmp_path)
    with connected(again, keys["search"]) as client:
        assert client.count("c").count == 2000
    complete = [each for each in server.verb(again, "backups") if each["complete"]]
    for each in complete:
        assert server.verb(again, "drill", each["id"])["ok"]
    made = server.verb(again, "backup")
    assert server.verb(again, "drill", made["id"])["ok"]
    assert again.stop() == 0
