"""Compares what `qmoor size` says with a node that has so many points.

For each case a node is filled through its gateway with random vectors, a text and a document's name as payload, an
index on that name, and UUIDs, as `qmoor index` makes them. Once all is indexed, and once more after a restart and some
searches, the memory of the agent and the engine is read from /proc, and what the data takes on the disk from its
blocks. Prints a table of predicted and measured, and with --json the figures as the last line.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

import served

COLLECTION = "points"
BATCH = 256
MIB = 1 << 20
LOOK_EVERY = 0.2
SEARCHES = 200
WORDS = [f"{a}{b}{c}" for a in ("moor", "anch", "chai", "buoy") for b in ("ing", "or", "n", "ant") for c in "aeiou"]
QUANTIZED = {
    "none": None,
    "scalar": models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8)),
    "binary": models.BinaryQuantization(binary=models.BinaryQuantizationConfig()),
    "product": models.ProductQuantization(
        product=models.ProductQuantizationConfig(compression=models.CompressionRatio.X16)
    ),
}


@dataclass
class Case:
    """What is loaded."""

    points: int
    dim: int
    quantization: str = "none"
    on_disk: bool = False
    text_bytes: int = 800

    def __str__(self):
        more = [] if self.quantization == "none" else [self.quantization]
        more += ["on disk"] if self.on_disk else []
        return f"{self.points} x {self.dim}" + "".join(f", {word}" for word in more)

    def payload(self, number, words):
        return {"doc": f"folder/document-{number // 20}.md", "chunk": number % 20, "text": words}

    def payload_bytes(self):
        return len(json.dumps(self.payload(self.points, "x" * self.text_bytes)))

    def arguments(self):
        flags = ["--on-disk"] if self.on_disk else []
        numbers = {"points": self.points, "dim": self.dim, "payload-bytes": self.payload_bytes()}
        told = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
        return [*told, "--quantization", self.quantization, *flags]


CASES = [Case(100_000, 256), Case(50_000, 768), Case(50_000, 768, "scalar")]


@dataclass
class Memory:
    """Bytes of a process: its own, of files, and the most of both together so far."""

    own: int = 0
    files: int = 0
    most: int = 0

    @classmethod
    def of(cls, pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (line.partition(":") for line in lines)
            if name in ("RssAnon", "RssFile", "VmHWM")
        }
        return cls(found["RssAnon"], found["RssFile"], found["VmHWM"])

    def __add__(self, other):
        return Memory(self.own + other.own, self.files + other.files, self.most + other.most)


@dataclass
class Peak:
    """The most of its own memory that a process was seen to have, and the most that its data took."""

    pid: int
    data: Path
    own: int = 0
    disk: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._ended.wait(LOOK_EVERY):
            with contextlib.suppress(OSError, KeyError):
                self.own = max(self.own, Memory.of(self.pid).own)
            self.disk = max(self.disk, blocks(self.data))

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def texts(case):
    """Texts of the length that the case wants, each another one."""
    rng = random.Random(7)
    while True:
        words = " ".join(rng.choices(WORDS, k=case.text_bytes // 5 + 1))
        yield words[: case.text_bytes]


def connect(node):
    http, grpc = (int(address.rsplit(":", 1)[1]) for address in (node.http, node.grpc))
    return QdrantClient(
        host="127.0.0.1",
        port=http,
        grpc_port=grpc,
        prefer_grpc=True,
        api_key=node.keys["admin"],
        https=False,
        timeout=600,
        check_compatibility=False,
    )


def fill(client, case):
    params = models.VectorParams(size=case.dim, distance=models.Distance.COSINE, on_disk=case.on_disk or None)
    client.create_collection(COLLECTION, params, quantization_config=QUANTIZED[case.quantization])
    client.create_payload_index(COLLECTION, "doc", models.PayloadSchemaType.KEYWORD)
    rng, words = np.random.default_rng(7), texts(case)
    for first in range(0, case.points, 10_000):
        numbers = range(first, min(first + 10_000, case.points))
        client.upload_collection(
            COLLECTION,
            vectors=rng.standard_normal((len(numbers), case.dim), dtype=np.float32),
            payload=[case.payload(number, next(words)) for number in numbers],
            ids=[str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in numbers],
            batch_size=BATCH,
            wait=True,
        )


def search(client, case):
    rng = np.random.default_rng(8)
    for _ in range(SEARCHES):
        client.query_points(COLLECTION, rng.standard_normal(case.dim, dtype=np.float32), limit=10)


def blocks(folder, without=None):
    """What the files in a folder take on the disk. Files come and go."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and without not in path.parts:
                total += path.stat().st_blocks * 512
    return total


def processes(node):
    """The agent and its engine."""
    agent = node.process.pid
    engines = [pid for pid in served.tree(agent)[1:] if b"engine" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    if len(engines) != 1:
        sys.exit(f"not one engine but {engines}")
    return agent, engines[0]


def predict(case):
    command = [served.BINARY, "--json", "size", *case.arguments()]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def line(lines, part):
    return sum(one["bytes"] for one in lines if one["part"] == part)


def measure(case, directory):
    """Loads a node, and what was predicted and measured of it, in bytes."""
    said = predict(case)
    process = sum(one["bytes"] for one in said["memory"] if one["held"] == "process")
    system, state = line(said["memory"], "the system"), line(said["disk"], "journal, log, keys")
    deleted = line(said["disk"], "deleted and replaced")
    began = time.monotonic()
    node = served.Server(directory, "gateway")
    try:
        agent, engine = processes(node)
        with Peak(engine, directory / "node/data") as peak, contextlib.closing(connect(node)) as client:
            fill(client, case)
            loaded = time.monotonic()
            node.until_indexed(COLLECTION, case.points)
            indexed = time.monotonic()
            node.until_idle()
            search(client, case)
        most = peak.own + Memory.of(agent).own
        resident = Memory.of(engine).most
    finally:
        node.stop()
    node = served.Server(directory, "gateway", keys=node.keys)
    try:
        node.until_indexed(COLLECTION, case.points)
        with contextlib.closing(connect(node)) as client:
            search(client, case)
        node.until_idle()
        agent, engine = processes(node)
        quiet = Memory.of(agent) + Memory.of(engine)
        disk = blocks(directory / "node/data", without="wal")
    finally:
        node.stop()
    return {
        "case": str(case),
        "load_s": loaded - began,
        "index_s": indexed - loaded,
        "resident_most": resident,
        "figures": {
            "process memory, quiet": (said["process_bytes"] - system, quiet.own),
            "process memory, most while loading": (process - system, most),
            "files in memory, quiet": (said["cache_bytes"], quiet.files),
            "data on the disk, quiet": (said["data_bytes"], disk),
            "most on the disk, while loading": (said["disk_bytes"] - state - deleted, peak.disk),
        },
    }


def table(results):
    rows = [("", "predicted MiB", "measured MiB", "predicted / measured")]
    for result in results:
        rows.append((result["case"], "", "", ""))
        for title, (said, seen) in result["figures"].items():
            rows.append((f"  {title}", f"{said / MIB:.0f}", f"{seen / MIB:.0f}", f"{said / seen:.2f}"))
    return "\n".join(served.aligned(rows))


def parse(text):
    """POINTSxDIM, and a kind of quantization behind a colon."""
    shape, _, quantization = text.partition(":")
    points, _, dim = shape.partition("x")
    return Case(int(points), int(dim), quantization or "none")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--case", type=parse, action="append", help="POINTSxDIM or POINTSxDIM:QUANTIZATION, as often as wanted"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object as well")
    arguments = parser.parse_args()
    results = []
    for case in arguments.case or CASES:
        with tempfile.TemporaryDirectory(prefix="qmoor-bench-") as directory:
            results.append(measure(case, Path(directory)))
            print(
                f"{case}: {results[-1]['load_s']:.0f} s loading, {results[-1]['index_s']:.0f} s until indexed",
                file=sys.stderr,
            )
    print(table(results), file=sys.stderr)
    if arguments.json:
        print(json.dumps({"results": results, **served.machine()}))


if __name__ == "__main__":
    main()
