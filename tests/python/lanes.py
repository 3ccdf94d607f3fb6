"""Real clients that go on while backups are made: each lane calls until it is told to end, and keeps account.

A lane notes what failed, what was refused, its longest call, and every point that was acknowledged. What the
gateway itself noticed of all of them is in its access log, which no client can leave anything out of.
"""

import functools
import itertools
import json
import subprocess
import threading
import time

import httpx
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

DIM = 4
COLLECTION, LARGE = "points", "large"
# Ids of one lane. No lane comes near.
IDS = 10_000_000
CALLS_MAX = 20_000
JOIN_DEADLINE = 90.0
# A moment between two calls, so that a dozen lanes leave something of two cores to the engine.
BREATH = 0.01
# How long an upload may take to send what a test needs of it, in seconds.
UPLOADS_DEADLINE = 90
QUERY = [1.0, 2.0, 3.0, 4.0]


def stock(node, grpc, role="index", **more):
    """The official client as a user has it: with its own time-outs."""
    return QdrantClient(
        host="127.0.0.1",
        port=node.http_port,
        grpc_port=node.grpc_port,
        prefer_grpc=grpc,
        api_key=node.ready["keys"][role],
        https=False,
        **more,
    )


def vector(number):
    return [1.0, float(number % 97), float(number % 31), 3.0]


def payload(number):
    return {"number": number, "text": f"chunk {number}"}


def point(number):
    return m.PointStruct(id=number, vector=vector(number), payload=payload(number))


def as_json(number):
    return {"id": number, "vector": vector(number), "payload": payload(number)}


class Lane(threading.Thread):
    """One client in a thread of its own."""

    def __init__(self, name, end, first):
        super().__init__(name=name, daemon=True)
        self.end, self.first = end, first
        self.calls, self.longest = 0, 0.0
        self.failed, self.refused, self.sent, self.acknowledged = [], [], set(), set()

    def run(self):
        try:
            self.go()
        except BaseException as error:
            self.failed.append(error)

    def go(self):
        raise NotImplementedError

    def timed(self, call):
        began = time.monotonic()
        try:
            return call()
        finally:
            self.calls += 1
            self.longest = max(self.longest, time.monotonic() - began)

    def joined(self):
        self.join(JOIN_DEADLINE)
        assert not self.is_alive(), f"{self.name} did not end"

    def __repr__(self):
        return f"<{self.name}: {self.calls} calls, {len(self.refused)} refused, longest {self.longest:.2f} s>"


class Calls(Lane):
    """The same small call over and over. `call(number)` makes one; the number is that of its point, if it writes."""

    def __init__(self, name, end, first, open_client, call, *, writes):
        super().__init__(name, end, first)
        self.open_client, self.call, self.writes = open_client, call, writes

    def go(self):
        with self.open_client() as client:
            for number in range(self.first, self.first + CALLS_MAX):
                if self.end.wait(BREATH):
                    return
                self.one(client, number)

    def one(self, client, number):
        if self.writes:
            self.sent.add(number)
        try:
            self.timed(lambda: self.call(client, number))
        except Refused as refusal:
            self.refused.append((number if self.writes else None, refusal.retry_after))
        except Exception as error:
            self.failed.append(error)
        else:
            if self.writes:
                self.acknowledged.add(number)


class Upload(Lane):
    """One stock bulk upload that goes on until the end: `send(client, numbers)` sends what an iterator yields."""

    def __init__(self, name, end, first, open_client, send):
        super().__init__(name, end, first)
        self.open_client, self.send = open_client, send

    def numbers(self):
        for number in range(self.first, self.first + CALLS_MAX * 10):
            # A real source takes time, too: thousands a second are not the point here.
            if number % 64 == 0 and self.end.wait(4 * BREATH):
                return
            self.sent.add(number)
            yield number

    def go(self):
        with self.open_client() as client:
            self.timed(lambda: self.send(client, self.numbers()))
        self.acknowledged = set(self.sent)


class Refused(Exception):
    """The node said: come again in so many seconds."""

    def __init__(self, retry_after):
        super().__init__(retry_after)
        self.retry_after = retry_after


class Connected:
    """A client that is closed at the end of its lane."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        self.client.close()


# ---- what is called -------------------------------------------------------------------------


def official(call):
    """A call of the official client, its own word for a refusal turned into ours."""

    def called(client, number):
        try:
            return call(client, number)
        except ResourceExhaustedResponse as refusal:
            raise Refused(refusal.retry_after_s) from refusal

    return called


def upsert(client, number):
    client.upsert(COLLECTION, [point(number)], wait=True)


def search(client, _):
    assert client.query_points(COLLECTION, QUERY, limit=3, with_payload=True).points


def checked(answer):
    if answer.status_code == 429:
        raise Refused(answer.headers["retry-after"])
    assert answer.status_code == 200, answer.text
    return answer


def small_put(client, number):
    body = {"points": [as_json(number)]}
    checked(client.put(f"/collections/{COLLECTION}/points?wait=true", json=body))


def curl(node, role, path, *arguments, stdin=None):
    """What `curl` prints; its own errors and every status that is none of success are errors here."""
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "30"]
    key = node.ready["keys"][role]
    head = ["--header", f"api-key: {key}", "--header", "content-type: application/json"]
    ended = subprocess.run(
        [*command, *head, *arguments, f"{node.url}{path}"], check=False, input=stdin, capture_output=True, timeout=60
    )
    assert ended.returncode == 0, (ended.returncode, ended.stderr)
    return ended.stdout


def curl_search(node, *arguments):
    def call(_, __):
        body = json.dumps({"query": QUERY, "limit": 3})
        path = f"/collections/{COLLECTION}/points/query"
        found = json.loads(curl(node, "search", path, "--data", body, *arguments))
        assert found["result"]["points"]

    return call


# ---- all the lanes --------------------------------------------------------------------------


class Nothing:
    """Where a client is needed and none is: each `curl` is a process of its own."""

    def close(self):
        """Nothing to close."""


def http(node, role="index"):
    return httpx.Client(base_url=node.url, headers={"api-key": node.ready["keys"][role]})


class Lanes:
    """Lanes to one node, from their start to their end."""

    def __init__(self, node):
        self.node, self.end, self.all = node, threading.Event(), []

    def __enter__(self):
        for lane in self.all:
            lane.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for lane in self.all:
            lane.joined()

    def _first(self):
        return (len(self.all) + 1) * IDS

    def calls(self, name, client, call, writes):
        opened = lambda: Connected(client())  # noqa: E731
        self.all.append(Calls(name, self.end, self._first(), opened, call, writes=writes))

    def upload(self, name, grpc, send):
        opened = lambda: Connected(stock(self.node, grpc))  # noqa: E731
        self.all.append(Upload(name, self.end, self._first(), opened, send))

    def add_official(self):
        """Searches and single writes of the official client, over both protocols, with its own time-outs."""
        for kind, grpc in (("REST", False), ("gRPC", True)):
            opened = functools.partial(stock, self.node, grpc)
            self.calls(f"search, {kind}", functools.partial(opened, "search"), official(search), writes=False)
            self.calls(f"upsert, {kind}", opened, official(upsert), writes=True)

    def add_uploads(self, **more):
        """Its bulk uploads: points and columns, in one process and in two, waiting for the disk and not."""

        def points(parallel, **waiting):
            def send(client, numbers):
                client.upload_points(COLLECTION, map(point, numbers), parallel=parallel, **waiting, **more)

            return send

        def columns(parallel, **waiting):
            def send(client, numbers):
                # Three columns of one source, which are asked for in turn.
                ids, vectors, payloads = in_columns(numbers)
                client.upload_collection(COLLECTION, vectors, payloads, ids, parallel=parallel, **waiting, **more)

            return send

        self.upload("upload_points, REST, 1", False, points(1))
        self.upload("upload_points, gRPC, 2", True, points(2, wait=True))
        self.upload("upload_collection, REST, 2", False, columns(2, wait=True))
        self.upload("upload_collection, gRPC, 1", True, columns(1))

    def add_plain(self, *curl_arguments):
        """What is no client at all: small requests on one connection, and `curl`."""
        self.calls("small PUTs", lambda: http(self.node), small_put, writes=True)
        self.calls("curl search", Nothing, curl_search(self.node, *curl_arguments), writes=False)

    def until_uploads_have_sent(self, count):
        """Waits until each upload has sent more points than so many; one that stands still fails here."""
        deadline = time.monotonic() + UPLOADS_DEADLINE
        waiting = [lane for lane in self.all if isinstance(lane, Upload)]
        while waiting := [lane for lane in waiting if len(lane.sent) <= count]:
            assert time.monotonic() < deadline, f"{waiting} do not go on"
            time.sleep(BREATH)

    def named(self, part):
        return [lane for lane in self.all if part in lane.name]


def in_columns(numbers):
    """Ids, vectors and payloads of one iterator, each an iterator of its own."""
    ids, vectors, payloads = itertools.tee(numbers, 3)
    return ids, map(vector, vectors), map(payload, payloads)


# ---- what the gateway noticed ---------------------------------------------------------------


def logged(node):
    """Every line of the node's log: its fields, its target and its time."""
    lines = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [{**line["fields"], "target": line["target"], "at": line["timestamp"]} for line in lines]


def requests(node):
    """One line a request."""
    return [line for line in logged(node) if line["target"] == "access"]


def is_refused(line):
    return line["status"] == 429 or line.get("grpc_status") == 8


def is_failed(line):
    return line["status"] != 200 or line.get("grpc_status", 0) != 0 or line["cut"]


def releases(node):
    """How many requests waited whenever the gate was opened."""
    return [line["waiting"] for line in logged(node) if line.get("message") == "gate: held -> open"]


# ---- what is there at the end ---------------------------------------------------------------


def everything(client, collection=COLLECTION):
    """Id and payload of every point."""
    found, offset = {}, None
    while True:
        records, offset = client.scroll(collection, limit=5_000, offset=offset, with_payload=True)
        found.update({record.id: record.payload for record in records})
        if offset is None:
            return found
