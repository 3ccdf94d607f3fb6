"""Holding, for real clients: backups back to back, and nobody fails; a pause too long to hold, and uploads survive it.

The clients are the official one with its own time-outs, `httpx` and `curl` (`lanes.py`). Two nodes are used: one
whose pauses fit its hold budget, and one with a tiny budget, whose engine is made slow to stop by freezing it.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from qdrant_client import models as m

import lanes
import server
from lanes import COLLECTION, LARGE

pytestmark = [pytest.mark.remote, pytest.mark.timeout(600)]

# More points than an upload has on its way at once.
MANY = 500
BACKUPS = 10
BUDGET_MS = 4_000
# Close to what the engine takes at most, which is 32 MiB.
LARGE_BYTES, LARGE_POINTS = 30_000_000, 300
# How often the engine is frozen, and for how long: a batch that comes again every second, as it is told, is
# refused more than the three times after which a stock upload gives up what fails.
FREEZES, FREEZE_SECONDS, MAX_RETRIES = 3, 3.6, 3
# Two uploads over each protocol, one of them from two processes.
UPLOADERS = 3
TINY_BUDGET = "50ms"
STILL = range(100)


@contextlib.contextmanager
def node_with(directory, settings):
    """A node with its two collections and some points to be found."""
    node = server.start_node(directory, f'{settings}[log]\nformat = "json"\n')
    try:
        with lanes.Connected(lanes.stock(node, grpc=True, role="admin")) as client:
            for name in (COLLECTION, LARGE):
                client.create_collection(name, m.VectorParams(size=lanes.DIM, distance=m.Distance.COSINE))
            client.upsert(COLLECTION, [lanes.point(number) for number in STILL], wait=True)
        yield node
    finally:
        code = node.stop()
    assert code == 0, node.tail()


def backup(node, number):
    """A backup, asked for through the gateway as a job does, or on the command line."""
    if number % 2:
        return server.verb(node, "backup", "--batch-id", f"batch-{number}")
    url, key = f"{node.url}/qmoor/v1/backups", node.ready["keys"]["index"]
    answer = httpx.post(url, headers={"api-key": key}, json={"batch_id": f"batch-{number}"}, timeout=110)
    assert answer.status_code == 200, answer.text
    return answer.json()


def everything(node, name=COLLECTION):
    with lanes.Connected(lanes.stock(node, grpc=True, role="search", timeout=60)) as client:
        return lanes.everything(client, name)


def acknowledged(load):
    """What must be there, by id and payload."""
    numbers = set(STILL).union(*(lane.acknowledged for lane in load.all))
    return {number: lanes.payload(number) for number in numbers}


# ---- the largest upsert there may be --------------------------------------------------------


def large_text(number):
    size = LARGE_BYTES // LARGE_POINTS - 100
    words = f"{number:x} "
    return (words * (size // len(words) + 1))[:size]


def large_body():
    points = [
        {"id": number, "vector": lanes.vector(number), "payload": {"text": large_text(number)}}
        for number in range(LARGE_POINTS)
    ]
    body = json.dumps({"points": points}).encode()
    assert 29_000_000 < len(body) < 32 * 2**20
    return body


class LargePuts(lanes.Lane):
    """The same large upsert again and again: now with httpx and its time-outs, now with `curl`."""

    PAUSE = 0.7

    def __init__(self, node, end):
        super().__init__("large PUTs", end, 0)
        self.node, self.body, self.by = node, large_body(), {"httpx": 0, "curl": 0}

    def go(self):
        path = f"/collections/{LARGE}/points?wait=true"
        upload = ["--request", "PUT", "--data-binary", "@-"]
        with lanes.http(self.node) as client:
            sends = {
                "httpx": lambda: lanes.checked(client.put(path, content=self.body)),
                "curl": lambda: lanes.curl(self.node, "index", path, *upload, stdin=self.body),
            }
            while not self.end.wait(self.PAUSE):
                by = min(self.by, key=self.by.get)
                self.timed(sends[by])
                self.by[by] += 1


# ---- the pause fits the budget --------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """Ten backups under the load of all clients, and what came of it."""
    with node_with(tmp_path_factory.mktemp("held"), "") as node:
        load = lanes.Lanes(node)
        load.add_official()
        # One try: the first call that fails ends the upload. A refusal would be waited out all the same,
        # but every refusal is in the access log.
        load.add_uploads(max_retries=1)
        load.add_plain()
        load.all.append(LargePuts(node, load.end))
        with load:
            made = [backup(node, number) for number in range(BACKUPS)]
        yield {"node": node, "load": load, "made": made}


def test_backups_under_load_are_clean_and_their_pauses_fit_the_budget(held):
    assert [made["grade"] for made in held["made"]] == ["clean"] * BACKUPS
    pauses = [made["pause_ms"] for made in held["made"]]
    assert max(pauses) < BUDGET_MS, f"this machine is too slow for what is shown here: {pauses}"


def test_no_client_sees_a_failure(held):
    assert [(lane.name, lane.failed) for lane in held["load"].all if lane.failed] == []
    assert [(lane.name, lane.refused) for lane in held["load"].all if lane.refused] == []


def test_the_gateway_saw_none_either(held):
    lines = lanes.requests(held["node"])
    assert len(lines) > 1_000, "too few requests to mean anything"
    assert [line for line in lines if lanes.is_failed(line)] == []


def test_every_backup_held_requests(held):
    """Without this the tests above would pass at a node that never holds."""
    waiting = lanes.releases(held["node"])
    assert len(waiting) == BACKUPS
    assert min(waiting) >= 3, waiting
    shortest = min(made["pause_ms"] for made in held["made"])
    longest = {
        operation: max(line["held_ms"] for line in lanes.requests(held["node"]) if line["operation"] == operation)
        for operation in ("points.query", "points.upsert")
    }
    assert longest["points.upsert"] > shortest / 2, (longest, shortest)
    assert longest["points.query"] > 50, longest


def test_every_client_went_on_and_waited(held):
    for lane in held["load"].all:
        uploads = isinstance(lane, lanes.Upload)
        assert lane.calls >= (1 if uploads else BACKUPS), lane
        assert lane.longest > 0.1, lane
        if uploads:
            assert len(lane.sent) > 1_000, lane
    (large,) = held["load"].named("large")
    assert min(large.by.values()) >= 3, large.by


def test_every_acknowledged_point_is_there_and_no_other(held):
    assert everything(held["node"]) == acknowledged(held["load"])
    large = {number: {"text": large_text(number)} for number in range(LARGE_POINTS)}
    assert everything(held["node"], LARGE) == large


# ---- the pause does not fit the budget ------------------------------------------------------


def frozen_backup(node, number):
    """A backup whose engine stands still for a while when it is about to be stopped."""
    pid = server.verb(node, "status")["node"]["engine"]["pid"]
    journal = node.log.parent / "qmoor-data/state/journal.jsonl"
    command = [sys.executable, Path(__file__).with_name("freeze.py"), journal, pid, "hold_all", FREEZE_SECONDS]
    freezer = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    assert freezer.stdout.readline() == "watching\n"
    made = backup(node, number)
    said, _ = freezer.communicate(timeout=60)
    assert (freezer.returncode, said) == (0, "T\n"), "the engine was not frozen"
    assert made["pause_ms"] > FREEZE_SECONDS * 1000
    return made


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Backups that take far longer than a request may be held, under load, and what came of it."""
    settings = f'hold_budget = "{TINY_BUDGET}"\n'
    with node_with(tmp_path_factory.mktemp("refused"), settings) as node:
        backup(node, 0)
        load = lanes.Lanes(node)
        load.add_official()
        load.add_uploads()
        # `curl` waits as long as it is told to.
        load.add_plain("--retry", "20")
        with load:
            made = [frozen_backup(node, number) for number in range(FREEZES)]
            # However long they had to wait, they go on afterwards.
            load.until_uploads_have_sent(MANY)
        yield {"node": node, "load": load, "made": made}


def test_the_backups_are_clean_all_the_same(refused):
    assert [made["grade"] for made in refused["made"]] == ["clean"] * FREEZES


@pytest.mark.parametrize("lane", ["search, REST", "search, gRPC", "upsert, REST", "upsert, gRPC", "small PUTs"])
def test_a_refusal_says_when_to_come_again_in_whole_seconds(refused, lane):
    (lane,) = refused["load"].named(lane)
    assert lane.failed == []
    assert len(lane.refused) >= FREEZES, "nobody was refused"
    assert {str(retry_after) for _, retry_after in lane.refused} == {"1"}


def test_what_was_refused_was_not_applied_and_everything_else_is_there(refused):
    there = everything(refused["node"])
    for lane in refused["load"].all:
        for number, _ in lane.refused:
            assert number not in there, f"{lane} was refused, and its point {number} is there"
    assert there == acknowledged(refused["load"])


@pytest.mark.parametrize("kind", ["upload_points", "upload_collection"])
def test_the_stock_bulk_uploads_survive_and_lose_nothing(refused, kind):
    there = everything(refused["node"]).keys()
    for lane in refused["load"].named(kind):
        assert lane.failed == []
        assert len(lane.sent) > MANY, lane
        assert lane.sent <= there


def test_the_uploads_were_refused_over_both_protocols_and_more_often_than_they_retry_what_fails(refused):
    """The single writes are refused too: what is above their number belongs to the uploads."""
    lines = [line for line in lanes.requests(refused["node"]) if line["operation"] == "points.upsert"]
    for protocol, is_refusal in (
        ("REST", lambda line: line["status"] == 429),
        ("gRPC", lambda line: line.get("grpc_status") == 8),
    ):
        singles = [*refused["load"].named(f"upsert, {protocol}")]
        singles += refused["load"].named("small PUTs") if protocol == "REST" else []
        of_singles = sum(len(lane.refused) for lane in singles)
        of_all = sum(map(is_refusal, lines))
        assert of_all - of_singles > MAX_RETRIES * FREEZES * UPLOADERS, (protocol, of_all, of_singles)


def test_curl_waits_as_it_is_told(refused):
    (lane,) = refused["load"].named("curl")
    assert lane.failed == []
    assert lane.longest > 1, "it never had to wait"


def test_nothing_but_refusals_failed(refused):
    lines = lanes.requests(refused["node"])
    assert [line for line in lines if lanes.is_failed(line) and not lanes.is_refused(line)] == []
