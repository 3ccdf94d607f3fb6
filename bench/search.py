"""Measures searching through each client, in one run: the same server, the same collection, the same queries.

Two collections of real vectors: a light one of 1 000 points, where a query costs the server little and the client is
what is seen, and a large one of 100 000 with an index. The ways take turns, several rounds, each in a process of its
own, which compares its answers with the server's own before and after it measures. Prints medians.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

import served
from ingest import texts

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
NEAREST = 10
CHUNKS = (25, 100, 250, 1000)
# How many queries are in a request and how many requests under way, of requests that are encoded beforehand.
ENCODED = {"batch": ((1000, 1), (100, 4)), "threads": ((1, 16),), "asyncio": ((1, 64),)}
LOAD_BATCH = 1_000
MODES = {"batch": "1 000 queries at a time", "threads": "16 threads", "asyncio": "asyncio, 64 in flight"}
LIGHT_TARGET = 3.0


def fill(server, name, vectors, indexed):
    """A collection of these vectors with a payload of four keys, ready to be searched."""
    body = {"vectors": {"size": vectors.shape[1], "distance": "Cosine"}}
    server.ask("PUT", f"/collections/{name}", body)
    words = texts(np.random.default_rng(3), len(vectors))
    for first in range(0, len(vectors), LOAD_BATCH):
        points = [
            {
                "id": number,
                "vector": vectors[number].tolist(),
                "payload": {
                    "doc": f"handbook/{number // 8:07}.md",
                    "chunk": number % 8,
                    "text": words[number],
                    "page": number % 400,
                },
            }
            for number in range(first, min(first + LOAD_BATCH, len(vectors)))
        ]
        server.ask("PUT", f"/collections/{name}/points?wait=true", {"points": points})
    found = server.until_indexed(name, len(vectors))
    if indexed and not found:
        sys.exit(f"{name} has no index")


def expect(server, name, queries, file):
    """What the server answers to each query, by hand, for the ways to compare with."""
    searches = [{"query": query, "limit": NEAREST, "with_payload": True} for query in queries.tolist()]
    answers = server.ask("POST", f"/collections/{name}/points/query/batch", {"searches": searches})
    found = [answer["points"] for answer in answers]
    ids = [[point["id"] for point in points] for points in found]
    words = [[point["payload"]["text"] for point in points] for points in found]
    if any(len(points) != NEAREST for points in ids):
        sys.exit(f"{name}: a query found less than {NEAREST} points")
    file.write_text(json.dumps({"ids": ids, "texts": words}))


def ways(mode):
    """In batches the official client is given several sizes of a request; the best goes on."""
    chunks = CHUNKS if mode == "batch" else (1,)
    for chunk, inflight in ENCODED[mode]:
        title = f"encoded beforehand, {chunk} in a request, {inflight} in flight"
        yield {"way": "queries", "kind": "encoded", "title": title, "batch": chunk, "inflight": inflight}
    for transport in ("gRPC", "REST"):
        for chunk in chunks:
            kind = f"qdrant-client, {transport}"
            title = f"{kind}, {chunk} in a request" if mode == "batch" else kind
            yield {"way": "qdrant_client", "kind": kind, "title": title, "transport": transport, "chunk": chunk}
    yield {"way": "qmoor", "kind": "qmoor", "title": "qmoor.Searcher"}


def measure(server, directory, figures, options):
    """Each mode, with and without payload, on each collection: each way in turn."""
    rows = []
    for name in options.collection:
        for mode in options.mode:
            for payload in (False, True):
                setting = {"collection": name, "mode": mode, "payload": payload}
                job = {
                    **setting,
                    "http": server.http,
                    "grpc": server.grpc,
                    "k": NEAREST,
                    "seconds": options.seconds,
                    "folder": str(directory),
                    "dimensions": figures["dimensions"],
                    "server_pids": served.tree(server.process.pid),
                }
                rows += [{**setting, **row} for row in in_turns(server, job, options)]
    return rows


def in_turns(server, job, options):
    going = [way for way in ways(job["mode"]) if not options.only or any(part in way["title"] for part in options.only)]
    taken = {way["title"]: [] for way in going}
    for number in range(options.rounds):
        for way in list(going):
            encoded = way["kind"] == "encoded"
            command = [served.CLIENT] if encoded else [sys.executable, HERE / "search_ways.py"]
            try:
                figures = served.run_child(command, {**job, **way}, server.keys["search"])
            except served.ChildFailed as error:
                if not way["kind"].startswith("qdrant-client"):
                    raise
                # Seen of its REST client, of 16 threads: `Bad file descriptor`. The other ways are still to be told.
                print(f"{job['collection']}, {job['mode']}: {way['title']}: FAILED, left out\n{error}", file=sys.stderr)
                going.remove(way)
                continue
            taken[way["title"]].append(figures)
            said = f"{figures['per_s']:.0f} queries/s, client {figures['cpu_ms_each']:.3f} ms each"
            print(f"{job['collection']}, {job['mode']}: {way['title']}: {said}", file=sys.stderr)
        if number == 0:
            going = [way for way in going if best_of_kind(way, going, taken)]
    names = ("per_s", "cpu_ms_each", "server_cpu_ms_each", "p50_ms", "p99_ms")
    return [
        {"way": way["title"], **{name: statistics.median(each[name] for each in taken[way["title"]]) for name in names}}
        for way in going
    ]


def best_of_kind(way, all_ways, taken):
    same = [taken[other["title"]][0]["per_s"] for other in all_ways if other["kind"] == way["kind"]]
    return taken[way["title"]][0]["per_s"] == max(same)


def compared(rows):
    """In each setting, how ours compares with the best official client, more than 1 being better, and what part of the
    rate of requests that are encoded beforehand it reaches."""
    found = []
    for setting in dict.fromkeys((row["collection"], row["mode"], row["payload"]) for row in rows):
        same = [row for row in rows if (row["collection"], row["mode"], row["payload"]) == setting]
        mine = [row for row in same if row["way"].startswith("qmoor")]
        others = [row for row in same if row["way"].startswith("qdrant-client")]
        encoded = [row for row in same if row["way"].startswith("encoded")]
        if mine and others and encoded:
            found.append(
                {
                    **dict(zip(("collection", "mode", "payload"), setting, strict=True)),
                    "rate": mine[0]["per_s"] / max(row["per_s"] for row in others),
                    "cpu": min(row["cpu_ms_each"] for row in others) / mine[0]["cpu_ms_each"],
                    "of_encoded": mine[0]["per_s"] / max(row["per_s"] for row in encoded),
                    "encoded_rate": max(row["per_s"] for row in encoded) / max(row["per_s"] for row in others),
                }
            )
    return found


def setting_of(row):
    return f"{row['collection']}, {MODES[row['mode']]}, {'with' if row['payload'] else 'without'} payload"


def table(figures):
    lines = [
        f"{figures['queries']} queries, {figures['dimensions']} dimensions, {NEAREST} nearest, through the "
        f"{figures['door']}; {figures['cores']} cores, load average {figures['load_average']:.1f} before; medians of "
        f"{figures['rounds']} rounds of {figures['seconds']} s",
        "Times are of a query; in batches of all 1 000, or of a request that is encoded beforehand",
    ]
    cells = [["", "queries/s", "client CPU, s/1000", "server CPU, s/1000", "p50, ms", "p99, ms"]]
    blank = [""] * (len(cells[0]) - 1)
    setting = None
    for row in figures["ways"]:
        if setting != (setting := setting_of(row)):
            cells.append([setting, *blank])
        times = [f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms")]
        cells.append(
            [
                f"  {row['way']}",
                f"{row['per_s']:.0f}",
                f"{row['cpu_ms_each']:.3f}",
                f"{row['server_cpu_ms_each']:.3f}",
                *times,
            ]
        )
    lines += ["", *served.aligned(cells), ""]
    ratios = [["qmoor.Searcher to the best client", "queries/s", "its CPU", "wanted", "encoded to it", "of encoded"]]
    for row in figures["compared"]:
        wanted = f"{LIGHT_TARGET:.0f}, less CPU" if row["collection"] == "light" else "less CPU"
        numbers = [f"{row[name]:.2f}" for name in ("rate", "cpu", "encoded_rate", "of_encoded")]
        ratios.append([setting_of(row), *numbers[:2], wanted, *numbers[2:]])
    return "\n".join([*lines, *served.aligned(ratios)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000, help="points of the large collection")
    parser.add_argument("--collection", action="append", choices=("light", "large"), help="only these")
    parser.add_argument("--mode", action="append", choices=tuple(MODES), help="only these")
    parser.add_argument("--only", action="append", help="only ways whose title has this; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each way asks, each round")
    parser.add_argument("--door", choices=("engine", "gateway"), default="engine", help="what the clients talk to")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    options.collection = options.collection or ["light", "large"]
    options.mode = options.mode or list(MODES)
    base, queries = np.load(CACHE / "base.npy", "r"), np.load(CACHE / "queries.npy")
    figures = {**served.machine(), "queries": len(queries), "dimensions": queries.shape[1]}
    figures |= {name: getattr(options, name) for name in ("points", "rounds", "seconds", "door")}
    with tempfile.TemporaryDirectory(prefix="qmoor-bench-") as folder:
        directory = Path(folder)
        server = served.Server(directory, options.door)
        try:
            (directory / "queries.f32").write_bytes(queries.tobytes())
            for name in options.collection:
                points = 1_000 if name == "light" else options.points
                fill(server, name, base[:points], indexed=name == "large")
                expect(server, name, queries, directory / f"{name}.json")
            server.until_idle()
            figures["ways"] = measure(server, directory, figures, options)
        finally:
            server.stop()
    figures["compared"] = compared(figures["ways"])
    print(table(figures))
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
