"""Measures the embedded engine and the bulk writer beside the official Python client, in one run.

Loads the same vectors three times into one engine (`qmoor index`, the Python client over gRPC and over
REST), waits until the index is built, then asks queries at default settings and compares the answers
with exact search. Prints a table, and with --json the figures as the last line.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("QMOOR_BIN", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/qmoor"))
CACHE = Path(__file__).resolve().parent / ".cache"
NEAREST = 10
CLIENT_BATCH = 256
INDEXED_DEADLINE = 1200.0
STREAMS = 4


def start(directory):
    """The engine in a directory, and the addresses it printed."""
    command = [BINARY, "engine", "--data", directory / "data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    with open(directory / "engine.log", "w") as log:
        process = subprocess.Popen(
            [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    line = process.stdout.readline()
    if not line:
        sys.exit(f"the engine did not start:\n{(directory / 'engine.log').read_text()}")
    return process, json.loads(line)


def connect(addresses, grpc):
    http, rpc = (int(addresses[name].rsplit(":", 1)[1]) for name in ("http", "grpc"))
    return QdrantClient(host="127.0.0.1", port=http, grpc_port=rpc, prefer_grpc=grpc, timeout=600)


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load_with_qmoor(addresses, vectors, name):
    """Seconds for `qmoor index`, from the start of the process to its end, all acknowledged."""
    command = [BINARY, "index", vectors, "-c", name, "--url", f"http://{addresses['grpc']}", "--quiet", "--json"]
    return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def load_with_client(client, base, name):
    """Seconds for the official uploader, one process, waiting for each batch as `qmoor index` does."""
    client.create_collection(
        name, vectors_config=models.VectorParams(size=base.shape[1], distance=models.Distance.COSINE)
    )
    return timed(
        lambda: client.upload_collection(name, vectors=base, ids=range(len(base)), batch_size=CLIENT_BATCH, wait=True)
    )


def wait_until_indexed(client, name, points):
    """Seconds until the index is built and nothing is left to do."""
    began = time.perf_counter()
    while True:
        info = client.get_collection(name)
        waited = time.perf_counter() - began
        if info.status == models.CollectionStatus.GREEN and info.points_count == points:
            return waited, info.indexed_vectors_count, info.segments_count
        if waited > INDEXED_DEADLINE:
            sys.exit(
                f"{name} is still {info.status} after {waited:.0f} s, {info.indexed_vectors_count} vectors indexed"
            )
        time.sleep(0.5)


def ask(client, name, queries):
    """The ids found, and the seconds each query took."""
    found, seconds = [], []
    for query in queries:
        began = time.perf_counter()
        hits = client.query_points(name, query, limit=NEAREST, with_payload=False).points
        seconds.append(time.perf_counter() - began)
        found.append([hit.id for hit in hits])
    return found, seconds


def recall(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth)]))


def rate_in_parallel(addresses, name, queries):
    """Queries a second over several connections, each asking all of them."""
    clients = [connect(addresses, grpc=True) for _ in range(STREAMS)]
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        seconds = timed(lambda: list(pool.map(lambda client: ask(client, name, queries), clients)))
    return STREAMS * len(queries) / seconds


def rate_in_batches(client, name, queries, size=100):
    requests = [models.QueryRequest(query=query, limit=NEAREST) for query in queries]
    batches = [requests[at : at + size] for at in range(0, len(requests), size)]
    return len(requests) / timed(lambda: [client.query_batch_points(name, batch) for batch in batches])


def resident_bytes(process):
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(directory):
    base, queries, truth = (np.load(CACHE / f"{part}.npy") for part in ("base", "queries", "truth"))
    asked = queries.tolist()
    process, addresses = start(directory)
    try:
        grpc, rest = connect(addresses, grpc=True), connect(addresses, grpc=False)
        figures = {"points": len(base), "dimensions": base.shape[1], "queries": len(queries)}

        # One after the other, each dropped before the next: index building must not slow its neighbour.
        figures["rest_load_s"] = load_with_client(rest, base, "rest")
        rest.delete_collection("rest")
        figures["qmoor_load_s"] = load_with_qmoor(addresses, CACHE / "base.npy", "qmoor")
        if grpc.count("qmoor").count != len(base):
            sys.exit("`qmoor index` did not write every vector")
        grpc.delete_collection("qmoor")
        figures["grpc_load_s"] = load_with_client(grpc, base, "grpc")

        waited, indexed, segments = wait_until_indexed(grpc, "grpc", len(base))
        figures.update(index_s=waited, indexed_vectors=indexed, segments=segments)
        ask(grpc, "grpc", asked[:50])
        found, seconds = ask(grpc, "grpc", asked)
        figures["recall_at_10"] = recall(found, truth)
        figures["query_p50_ms"] = float(np.percentile(seconds, 50) * 1000)
        figures["query_p99_ms"] = float(np.percentile(seconds, 99) * 1000)
        figures["queries_per_s"] = len(seconds) / sum(seconds)
        figures[f"queries_per_s_{STREAMS}_streams"] = rate_in_parallel(addresses, "grpc", asked)
        figures["queries_per_s_batched"] = rate_in_batches(grpc, "grpc", asked)
        figures["engine_peak_rss_bytes"] = resident_bytes(process)
        figures["cores"] = os.cpu_count()
        return figures
    finally:
        process.stdin.close()
        process.wait(120)


def table(figures):
    points = figures["points"]
    mine = figures["qmoor_load_s"]
    lines = [f"{points} vectors of {figures['dimensions']} dimensions, {figures['cores']} cores", ""]
    for title, seconds in (
        ("load, qmoor index", mine),
        ("load, Python client, gRPC", figures["grpc_load_s"]),
        ("load, Python client, REST", figures["rest_load_s"]),
    ):
        lines.append(f"{title:<28}{seconds:8.1f} s {points / seconds:10.0f} points/s {seconds / mine:8.2f} x")
    built = f"{figures['indexed_vectors']} vectors in {figures['segments']} segments"
    times = f"{figures['query_p50_ms']:.2f} ms p50, {figures['query_p99_ms']:.2f} ms p99"
    streams = figures[f"queries_per_s_{STREAMS}_streams"]
    lines += [
        "",
        f"{'until indexed':<28}{figures['index_s']:8.1f} s   {built}",
        f"{'recall@10, default settings':<28}{figures['recall_at_10']:8.4f}",
        f"{'query, one at a time':<28}{figures['queries_per_s']:8.0f} /s  {times}",
        f"{f'query, {STREAMS} streams':<28}{streams:8.0f} /s",
        f"{'query, batches of 100':<28}{figures['queries_per_s_batched']:8.0f} /s",
        f"{'engine, most memory':<28}{figures['engine_peak_rss_bytes'] / 2**20:8.0f} MiB",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmoor-bench-") as directory:
        figures = measure(Path(directory))
    print(table(figures), file=sys.stderr)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
