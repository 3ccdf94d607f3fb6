"""One way to write the points of bench/ingest, in a process of its own: see ingest.py.

    python ingest_ways.py JOB       a JSON object

Reads the data into the form that the way takes, then measures the write alone, and prints what it took.
"""

import atexit
import json
import logging
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path

from served import cpu_of, tree

DEADLINE = 60
# Ray gives a sink blocks of at most 128 MiB.
BLOCK_ROWS = 50_000


def qdrant_client(job):
    """`upload_collection` of the official client, from a numpy matrix and a list of dicts."""
    from qdrant_client import QdrantClient

    table = read(job)
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    ids = table["id"].to_pylist()
    payload = table.drop_columns(["id", "vector"]).to_pylist()
    del table

    def write():
        client = QdrantClient(
            url=f"http://{job['http']}",
            grpc_port=port(job["grpc"]),
            prefer_grpc=job["transport"] == "gRPC",
            api_key=os.environ["QDRANT_API_KEY"],
            timeout=DEADLINE,
        )
        client.upload_collection(
            job["collection"],
            vectors=vectors,
            payload=payload,
            ids=ids,
            batch_size=job["batch"],
            parallel=job["parallel"],
            wait=True,
        )
        client.close()
        # Its workers are children of a server of multiprocessing: their time counts once that has ended.
        forkserver._forkserver._stop()

    return write


def ray_qdrant(job):
    """The sink of `ray-qdrant` on Arrow blocks, as Ray's write tasks call it, without Ray itself: in one process, or in
    several that are forked from it and share the blocks."""
    from ray_qdrant import QdrantDatasink

    table = read(job)
    workers = job["parallel"]
    rows = min(BLOCK_ROWS, -(-len(table) // workers))
    blocks = [table.slice(at, rows) for at in range(0, len(table), rows)]
    sink = QdrantDatasink(
        job["collection"],
        url=f"http://{job['http']}",
        batch_size=job["batch"],
        distance="Dot",
        client_kwargs={
            "prefer_grpc": job["transport"] == "gRPC",
            "grpc_port": port(job["grpc"]),
            "timeout": DEADLINE,
        },
    )

    def write():
        if workers == 1:
            return sink.write(blocks, None)
        fork = multiprocessing.get_context("fork")
        tasks = [fork.Process(target=sink.write, args=(blocks[at::workers], None)) for at in range(workers)]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()
        if any(task.exitcode != 0 for task in tasks):
            sys.exit("a task of ray-qdrant failed")

    return write


def ray_qdrant_job(job):
    """`ray_qdrant.write_qdrant` on a local Ray, as many tasks at a time as there are cores."""
    import ray_qdrant

    arguments = {
        "url": f"http://{job['http']}",
        "collection": job["collection"],
        "batch_size": job["batch"],
        "distance": "Dot",
        "client_kwargs": {"prefer_grpc": True, "grpc_port": port(job["grpc"]), "timeout": DEADLINE},
    }
    return in_ray(job, lambda data: ray_qdrant.write_qdrant(data, **arguments))


def qmoor_job(job):
    """`qmoor.ray.write_qdrant` on a local Ray, likewise."""
    import qmoor.ray

    arguments = target_of(job), qmoor.PointSchema(id="id")
    return in_ray(job, lambda data: qmoor.ray.write_qdrant(data, *arguments, options=options_of(job)))


def in_ray(job, write):
    """Starts Ray and reads the data into its store, and lets its workers write a little: they import the packages."""
    import ray

    folder = tempfile.mkdtemp(prefix="qb", dir="/tmp")
    ray.init(
        include_dashboard=False,
        object_store_memory=1 << 30,
        _temp_dir=folder,
        log_to_driver=False,
        logging_level="ERROR",
    )
    atexit.register(lambda: (ray.shutdown(), shutil.rmtree(folder)))
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel("ERROR")
    data = ray.data.read_parquet(file_of(job)).repartition(-(-job["points"] // BLOCK_ROWS)).materialize()
    for _ in range(2):
        write(data.limit(1024).repartition(4))
    return lambda: write(data)


def qmoor_table(job):
    """`qmoor.Writer`, from an Arrow table in memory."""
    table, writer = read(job), qmoor_writer(job)
    return lambda: written(writer.write(table), len(table))


def qmoor_parquet(job):
    """`qmoor.Writer`, from a Parquet file that is read meanwhile."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = qmoor_writer(job)

    def write():
        # So that pages are read as they are needed; otherwise pyarrow holds a whole row group, or two.
        with pq.ParquetFile(file_of(job), pre_buffer=False, buffer_size=1 << 20) as file:
            batches = file.iter_batches(batch_size=1024)
            report = writer.write(pa.RecordBatchReader.from_batches(file.schema_arrow, batches))
            written(report, file.metadata.num_rows)

    return write


def qmoor_writer(job):
    import qmoor

    return qmoor.Writer(target_of(job), qmoor.PointSchema(id="id"), options_of(job))


def target_of(job):
    import qmoor

    return qmoor.Target(f"http://{job['grpc']}", job["collection"], key="env:QDRANT_API_KEY")


def options_of(job):
    import qmoor

    return qmoor.WriteOptions(batch_points=job["batch"], max_inflight=job["inflight"], durability="applied")


def written(report, rows):
    if (report.points_acked, report.points_pending, report.bad_rows) != (rows, 0, 0):
        sys.exit(f"qmoor.Writer did not write {rows} rows: {report}")


def read(job):
    import pyarrow.parquet as pq

    return pq.read_table(file_of(job))


def file_of(job):
    return Path(job["folder"]) / "points.parquet"


def port(address):
    return int(address.rsplit(":", 1)[1])


def memory_mib(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(in_ray):
    """The processor time of this process and of its children that have ended; in Ray of all its processes, which go
    on."""
    if in_ray:
        return sum(cpu_of(pid) for pid in tree(os.getpid()))
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


JOBS = (ray_qdrant_job, qmoor_job)
WAYS = {way.__name__: way for way in (qdrant_client, ray_qdrant, qmoor_table, qmoor_parquet, *JOBS)}


def main():
    job = json.loads(sys.argv[1])
    way = WAYS[job["way"]]
    write = way(job)
    # The most memory so far was for reading the data; from here on it counts.
    Path("/proc/self/clear_refs").write_text("5")
    held = memory_mib("VmRSS")
    cpu, began = cpu_s(way in JOBS), time.perf_counter()
    write()
    took = time.perf_counter() - began
    figures = {"wall_s": took, "cpu_s": cpu_s(way in JOBS) - cpu, "held_mib": held, "own_peak_mib": memory_mib("VmHWM")}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
