"""Measures writing points through each client, in one run: the same server, the same data, into fresh collections.

The ways take turns, several rounds, each in a process of its own that reads the data before the clock starts. Prints
medians of the time, of the client's own processor time and of its memory. What was written is compared with the data
after each write. With --memory it measures instead how much memory the writer takes for a large Parquet file.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import served

HERE = Path(__file__).resolve().parent
WORDS = "river stone amber quiet lantern meadow copper winter harbour signal orchard velvet timber canyon".split()
ROW_GROUP = 16_384
SAMPLE = 1_000
PARALLEL = (1, 2, 4)
TARGETS = {"cpu": 5.0, "best": 1.0, "encoded": 0.95}
MEMORY_MIB = 300
MEMORY_DIMENSIONS = 1024


def ways(options):
    """Title, and what the process is told. `parallel` is how many processes write."""
    found = []
    for way, name in (("qdrant_client", "qdrant-client"), ("ray_qdrant", "ray-qdrant sink")):
        for transport in ("gRPC", "REST"):
            for parallel in PARALLEL:
                job = {"way": way, "kind": f"{name}, {transport}", "transport": transport, "parallel": parallel}
                found.append({**job, "title": f"{name}, {transport}, parallel={parallel}", "group": "python"})
    found.append(rust("chunked", "Rust client, upsert_points_chunked", 1))
    for inflight in sorted({1, 2, options.inflight, 8}):
        found.append(rust("encoded", f"encoded beforehand, {inflight} in flight", inflight))
    for way, data in (("qmoor_table", "Arrow table"), ("qmoor_parquet", "Parquet stream")):
        title = f"qmoor.Writer, {data}"
        found.append({"way": way, "kind": title, "title": title, "group": "qmoor", "inflight": options.inflight})
    if options.ray:
        for way, call in (("ray_qdrant_job", "ray_qdrant.write_qdrant, gRPC"), ("qmoor_job", "qmoor.ray.write_qdrant")):
            title = f"in Ray: {call}"
            found.append({"way": way, "kind": title, "title": title, "group": "ray", "inflight": options.inflight})
    wanted = [way for way in found if not options.only or any(part in way["title"] for part in options.only)]
    return wanted or sys.exit(f"--only {options.only} names no way; they are:\n" + "\n".join(w["title"] for w in found))


def rust(way, title, inflight):
    group = "encoded" if way == "encoded" else "rust"
    return {"way": way, "kind": title, "title": title, "group": group, "inflight": inflight}


def texts(random, rows):
    """About sixty characters each."""
    chosen = random.integers(len(WORDS), size=(rows, 9))
    return [" ".join(WORDS[word] for word in row) for row in chosen]


def batch_of(random, first, rows, dimensions):
    """Rows of the table: id, vector, and a payload of four keys."""
    vectors = random.standard_normal(rows * dimensions, dtype=np.float32)
    numbers = np.arange(first, first + rows)
    return pa.record_batch(
        {
            "id": pa.array(numbers, pa.uint64()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), dimensions),
            "doc": pa.array([f"handbook/{number // 8:07}.md" for number in numbers]),
            "chunk": pa.array(numbers % 8, pa.int64()),
            "text": pa.array(texts(random, rows)),
            "page": pa.array(random.integers(1, 400, rows), pa.int64()),
        }
    )


def make(directory, rows, dimensions, raw):
    """points.parquet, and with `raw` the same as the Rust program reads it."""
    random = np.random.default_rng(11)
    schema = batch_of(random, 0, 1, dimensions).schema
    with (
        pq.ParquetWriter(directory / "points.parquet", schema, use_dictionary=False) as file,
        open(directory / "vectors.f32", "wb") as vectors,
        open(directory / "payload.jsonl", "w") as payload,
    ):
        for first in range(0, rows, ROW_GROUP):
            batch = batch_of(random, first, min(ROW_GROUP, rows - first), dimensions)
            file.write_batch(batch)
            if raw:
                vectors.write(batch["vector"].flatten().to_numpy().tobytes())
                payload.writelines(json.dumps(row) + "\n" for row in batch.drop_columns(["id", "vector"]).to_pylist())


def create(server, name, dimensions, on_disk=False):
    """A fresh collection without an index: its building is the server's work, and would come in all ways alike."""
    body = {
        # By dot product vectors are kept as they are, so that they can be compared.
        "vectors": {"size": dimensions, "distance": "Dot", "on_disk": on_disk},
        "optimizers_config": {"indexing_threshold": 0},
    }
    server.ask("PUT", f"/collections/{name}", body)


def check(server, name, directory, rows, dimensions):
    """Ends the run unless the collection has all points, and a sample of them is what the data says."""
    if (found := server.count(name)) != rows:
        sys.exit(f"{name} has {found} points instead of {rows}")
    chosen = np.random.default_rng(5).choice(rows, min(SAMPLE, rows), replace=False)
    body = {"ids": chosen.tolist(), "with_payload": True, "with_vector": True}
    points = {point["id"]: point for point in server.ask("POST", f"/collections/{name}/points", body)}
    vectors = np.memmap(directory / "vectors.f32", np.float32, "r", shape=(rows, dimensions))
    payload = (directory / "payload.jsonl").read_text().splitlines()
    for row in chosen.tolist():
        point = points.get(row)
        # What qmoor.ray adds begins with `_`.
        kept = point and {name: value for name, value in point["payload"].items() if not name.startswith("_")}
        if kept != json.loads(payload[row]):
            sys.exit(f"{name}: the payload of point {row} is {kept}, not {payload[row]}")
        if not np.array_equal(np.array(point["vector"], np.float32), vectors[row]):
            sys.exit(f"{name}: the vector of point {row} is not what was written")


def command_of(way):
    return [served.CLIENT] if way["group"] in ("rust", "encoded") else [sys.executable, HERE / "ingest_ways.py"]


def run(server, way, directory, options):
    """One write into a collection of its own."""
    name = "points"
    create(server, name, options.dimensions)
    if way["group"] == "ray":
        # Where qmoor.ray finds the newest generation.
        server.ask("PUT", f"/collections/{name}/index?wait=true", {"field_name": "_gen", "field_schema": "integer"})
    server.until_idle()
    job = {
        **way,
        "folder": str(directory),
        "collection": name,
        "http": server.http,
        "grpc": server.grpc,
        "dimensions": options.dimensions,
        "batch": options.batch,
        "points": options.points,
    }
    before = server.cpu_s()
    figures = served.run_child(command_of(way), job, server.keys["index"])
    figures["server_cpu_s"] = server.cpu_s() - before
    check(server, name, directory, options.points, options.dimensions)
    server.ask("DELETE", f"/collections/{name}")
    return figures


def measure(server, directory, options):
    """The figures of each way in each round. After the first round only the best settings of a kind go on."""
    going = ways(options)
    taken = {way["title"]: [] for way in going}
    for number in range(options.rounds):
        for way in going:
            figures = run(server, way, directory, options)
            taken[way["title"]].append(figures)
            said = f"{figures['wall_s']:.2f} s, client {figures['cpu_s']:.2f} s, server {figures['server_cpu_s']:.2f} s"
            print(f"round {number + 1}: {way['title']}: {said}", file=sys.stderr)
        if number == 0:
            going = [way for way in going if best_of_kind(way, going, taken)]
    return [row(way, taken[way["title"]], options) for way in going]


def best_of_kind(way, all_ways, taken):
    """Whether no other setting of the same kind was better, by the clock or by the processor time."""
    same = [taken[other["title"]][0] for other in all_ways if other["kind"] == way["kind"]]
    mine = taken[way["title"]][0]
    return any(mine[figure] == min(other[figure] for other in same) for figure in ("wall_s", "cpu_s"))


def row(way, rounds, options):
    middle = {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
    millions = options.points / 1e6
    return {
        "way": way["title"],
        "group": way["group"],
        "rounds": len(rounds),
        "wall_s": middle["wall_s"],
        "points_per_s": options.points / middle["wall_s"],
        "cpu_s_per_million": middle["cpu_s"] / millions,
        "cpu_s_per_million_with_start": middle["cpu_total_s"] / millions,
        "server_cpu_s_per_million": middle["server_cpu_s"] / millions,
        "peak_mib": middle["own_peak_mib"] + middle["children_mib"],
        "above_data_mib": middle["own_peak_mib"] - middle["held_mib"] + middle["children_mib"],
        "wall_each_s": [figures["wall_s"] for figures in rounds],
    }


def ratios(rows):
    """How ours compares: more than 1 is better than the other."""
    groups = {}
    for each in rows:
        groups.setdefault(each["group"], []).append(each)
    if "qmoor" not in groups:
        return {}
    mine = groups["qmoor"][0]
    found = {}
    if "python" in groups:
        best = min(groups["python"], key=lambda each: each["cpu_s_per_million"])
        found["cpu"] = (best["cpu_s_per_million"] / mine["cpu_s_per_million"], best["way"])
    others = groups.get("python", []) + groups.get("rust", [])
    for name, candidates in (("best", others), ("encoded", groups.get("encoded", []))):
        if candidates:
            best = min(candidates, key=lambda each: each["wall_s"])
            found[name] = (best["wall_s"] / mine["wall_s"], best["way"])
    return {name: {"ratio": ratio, "against": way} for name, (ratio, way) in found.items()}


def table(figures):
    titles = ["", "wall, s", "points/s", "client CPU", "with start", "server CPU", "peak, MiB", "above data"]
    cells = [titles]
    for each in figures["ways"]:
        names = ("points_per_s", "cpu_s_per_million", "cpu_s_per_million_with_start", "server_cpu_s_per_million")
        numbers = [f"{each['wall_s']:.2f}", f"{each[names[0]]:.0f}", *(f"{each[name]:.1f}" for name in names[1:])]
        cells.append([each["way"], *numbers, f"{each['peak_mib']:.0f}", f"{each['above_data_mib']:.0f}"])
    lines = [
        f"{figures['points']} points of {figures['dimensions']} dimensions (random), {figures['batch']} in a request, "
        f"through the {figures['door']}; {figures['cores']} cores, load average {figures['load_average']:.1f} before; "
        f"medians of {figures['rounds']} rounds",
        "CPU in seconds per million points: of the write, and of the client's whole process from its start",
        "",
        *served.aligned(cells),
        "",
    ]
    words = {
        "cpu": "client CPU of {} to qmoor.Writer",
        "best": "wall time of the best other ({}) to qmoor.Writer",
        "encoded": "wall time of requests {} to qmoor.Writer",
    }
    for name, found in figures["ratios"].items():
        lines.append(f"{words[name].format(found['against'])}: {found['ratio']:.2f} (wanted: {TARGETS[name]:.2f})")
    return "\n".join(lines)


def measure_memory(server, directory, options):
    """The most memory of a process that writes a Parquet file of so many GB."""
    rows = int(options.gigabytes * 1e9 / (MEMORY_DIMENSIONS * 4 + 100))
    make(directory, rows, MEMORY_DIMENSIONS, raw=False)
    create(server, "points", MEMORY_DIMENSIONS, on_disk=True)
    size = (directory / "points.parquet").stat().st_size
    job = {
        "way": "qmoor_parquet",
        "folder": str(directory),
        "collection": "points",
        "grpc": server.grpc,
        "batch": options.batch,
        "inflight": options.inflight,
    }
    figures = served.run_child([sys.executable, HERE / "ingest_ways.py"], job, server.keys["index"])
    if (found := server.count("points")) != rows:
        sys.exit(f"{found} points were written instead of {rows}")
    return {"bytes": size, "points": rows, "dimensions": MEMORY_DIMENSIONS, **figures, **served.machine()}


def memory_text(figures):
    peak = figures["own_peak_mib"] + figures["children_mib"]
    what = (
        f"{figures['bytes'] / 1e9:.2f} GB of Parquet, {figures['points']} points of {figures['dimensions']} dimensions"
    )
    return (
        f"{what}, in {figures['wall_s']:.0f} s: the writer's process had {figures['held_mib']:.0f} MiB at the start "
        f"and {peak:.0f} MiB at most (wanted: less than {MEMORY_MIB})"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--batch", type=int, default=256, help="points in a request, in all ways alike")
    parser.add_argument("--inflight", type=int, default=4, help="requests under way at a time, where a way has that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--door", choices=("engine", "gateway"), default="engine", help="what the clients talk to")
    parser.add_argument("--only", action="append", help="only ways whose title has this; may be repeated")
    parser.add_argument("--ray", action="store_true", help="also as jobs on a local Ray, whose start does not count")
    parser.add_argument("--memory", action="store_true", help="measure the memory for a large Parquet file instead")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of that file")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmoor-bench-") as folder:
        directory = Path(folder)
        server = served.Server(directory, options.door)
        try:
            if options.memory:
                figures = measure_memory(server, directory, options)
                print(memory_text(figures))
            else:
                figures = {**served.machine(), **{name: getattr(options, name) for name in ("points", "dimensions")}}
                figures |= {name: getattr(options, name) for name in ("batch", "rounds", "door")}
                make(directory, options.points, options.dimensions, raw=True)
                figures["ways"] = measure(server, directory, options)
                figures["ratios"] = ratios(figures["ways"])
                print(table(figures))
        finally:
            server.stop()
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
