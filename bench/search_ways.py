"""One way to ask the queries of bench/search, in a process of its own: see search.py.

    python search_ways.py JOB       a JSON object

Asks each query once and compares the answers with those expected, then measures for some seconds and prints what it
took. An answer counts when its ids, and the texts of its payload if asked for, are in Python lists.
"""

import asyncio
import concurrent.futures
import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from served import cpu_of

THREADS = 16
IN_FLIGHT = 64
DEADLINE = 60
KEYS = ["doc", "chunk", "text", "page"]


class QdrantClient:
    """The official client, over gRPC or REST."""

    def __init__(self, job, queries):
        from qdrant_client import AsyncQdrantClient, QdrantClient, models

        # As many connections as requests at a time, for REST: the others would wait for their turn in the client.
        arguments = {
            "url": f"http://{job['http']}",
            "grpc_port": int(job["grpc"].rsplit(":", 1)[1]),
            "prefer_grpc": job["transport"] == "gRPC",
            "api_key": os.environ["QDRANT_API_KEY"],
            "timeout": DEADLINE,
            **({} if job["transport"] == "gRPC" else {"pool_size": IN_FLIGHT}),
        }
        self.collection, self.payload, self.chunk = job["collection"], job["payload"], job["chunk"]
        self.arguments = {"limit": job["k"], "with_payload": self.payload}
        self.queries = queries.tolist()
        self.requests = [models.QueryRequest(query=query, **self.arguments) for query in self.queries]
        self.client = QdrantClient(**arguments)
        self.open_async = lambda: AsyncQdrantClient(**arguments)

    def of(self, points):
        ids = [point.id for point in points]
        return (ids, [point.payload["text"] for point in points]) if self.payload else (ids, None)

    def one(self, number):
        found = self.client.query_points(self.collection, query=self.queries[number], **self.arguments)
        return self.of(found.points)

    def batch(self):
        found = []
        for at in range(0, len(self.requests), self.chunk):
            answers = self.client.query_batch_points(self.collection, self.requests[at : at + self.chunk])
            found += [self.of(answer.points) for answer in answers]
        return found

    async def aone(self, client, number):
        found = await client.query_points(self.collection, query=self.queries[number], **self.arguments)
        return self.of(found.points)


class Qmoor:
    """`qmoor.Searcher`."""

    def __init__(self, job, queries):
        import qmoor

        self.searcher = qmoor.Searcher(
            qmoor.Target(f"http://{job['grpc']}", job["collection"], key="env:QDRANT_API_KEY")
        )
        self.payload, self.k = job["payload"], job["k"]
        self.arguments = {"fields": KEYS} if self.payload else {"with_payload": False}
        self.queries, self.rows = queries, list(queries)
        self.open_async = lambda: self.searcher

    def of(self, table):
        return table["id"].to_pylist(), table["text"].to_pylist() if self.payload else None

    def one(self, number):
        return self.of(self.searcher.search(self.rows[number], self.k, **self.arguments))

    def batch(self):
        hits = self.searcher.search_batch(self.queries, self.k, **self.arguments)["hits"].combine_chunks()
        rows = hits.flatten()
        ids = rows.field("id").to_pylist()
        texts = rows.field("text").to_pylist() if self.payload else None
        ends = hits.offsets.to_pylist()
        parts = [slice(begin - ends[0], end - ends[0]) for begin, end in itertools.pairwise(ends)]
        return [(ids[part], texts[part] if texts else None) for part in parts]

    async def aone(self, searcher, number):
        return self.of(await searcher.asearch(self.rows[number], self.k, **self.arguments))


class Asked:
    """Numbers of queries, each once and in order or until a time, and how long each took."""

    def __init__(self, queries, until=None):
        self.count, self.until = queries, until
        self.numbers = itertools.count() if until else iter(range(queries))
        self.seconds = []

    def __iter__(self):
        for number in self.numbers:
            began = time.perf_counter()
            if self.until and began >= self.until:
                return
            yield number % self.count
            self.seconds.append(time.perf_counter() - began)


def in_batches(way, asked, answers):
    """All queries at a time."""
    while True:
        began = time.perf_counter()
        found = way.batch()
        asked.seconds.append(time.perf_counter() - began)
        answers.update(enumerate(found))
        if not asked.until or time.perf_counter() >= asked.until:
            return


def in_threads(way, asked, answers):
    """One query at a time in each of several threads, with one client."""

    def lane():
        for number in asked:
            answers[number] = way.one(number)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(lane) for _ in range(THREADS)]:
            done.result()


def in_asyncio(way, asked, answers):
    """One query at a time in each of many coroutines, with one client."""

    async def lane(client):
        for number in asked:
            answers[number] = await way.aone(client, number)

    async def lanes():
        client = way.open_async()
        await asyncio.gather(*(lane(client) for _ in range(IN_FLIGHT)))

    asyncio.run(lanes())


WAYS = {"qdrant_client": QdrantClient, "qmoor": Qmoor}
MODES = {"batch": in_batches, "threads": in_threads, "asyncio": in_asyncio}


def compare(answers, expected, payload):
    """Ends the process unless each query was answered as expected. An id may be text or a number."""
    for number, (ids, texts) in enumerate(zip(expected["ids"], expected["texts"], strict=True)):
        found, words = answers[number]
        if [str(point) for point in found] != [str(point) for point in ids]:
            sys.exit(f"query {number} found {found} instead of {ids}")
        if payload and words != texts:
            sys.exit(f"query {number} found the texts {words} instead of {texts}")


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    job = json.loads(sys.argv[1])
    folder = Path(job["folder"])
    queries = np.fromfile(folder / "queries.f32", np.float32).reshape(-1, job["dimensions"])
    expected = json.loads((folder / f"{job['collection']}.json").read_text())
    way, ask = WAYS[job["way"]](job, queries), MODES[job["mode"]]
    answers = {}
    ask(way, Asked(len(queries)), answers)
    compare(answers, expected, job["payload"])
    server = sum(map(cpu_of, job["server_pids"]))
    cpu, began = cpu_s(), time.perf_counter()
    asked = Asked(len(queries), until=began + job["seconds"])
    ask(way, asked, answers)
    wall, cpu = time.perf_counter() - began, cpu_s() - cpu
    server = sum(map(cpu_of, job["server_pids"])) - server
    compare(answers, expected, job["payload"])
    number = len(asked.seconds) * (len(queries) if job["mode"] == "batch" else 1)
    middle, high = np.percentile(asked.seconds, [50, 99]) * 1000
    figures = {
        "per_s": number / wall,
        "cpu_ms_each": cpu * 1000 / number,
        "server_cpu_ms_each": server * 1000 / number,
        "p50_ms": middle,
        "p99_ms": high,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
