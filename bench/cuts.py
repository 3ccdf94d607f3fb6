"""Measures the cuts of a backup while clients read and write, and what a small change costs the next backup.

For each way to make a point (engine, volume, store, mode) a node of its own is filled, and backed up several times
under a reader and a writer. Prints what each phase took, what was added to the engine's own stop and start, and the
longest that a read and a write waited.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("QMOOR_BIN", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/qmoor"))
BACKUPS = 5
IMAGE = "qmoor-stand-in:v1.19.0"
ENGINE_PHASES = ("stop", "snapshot", "start")


class Node:
    """`qmoor serve` in a directory."""

    def __init__(self, directory, settings):
        self.directory = Path(directory)
        self.name = f"bench{os.getpid()}"
        text = f'node.name = "{self.name}"\nnode.dir = "n"\ngateway.http_port = 0\ngateway.grpc_port = 0\n'
        (self.directory / "qmoor.toml").write_text(text + settings)
        with open(self.directory / "log", "w") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--json"], cwd=directory, stdout=subprocess.PIPE, stderr=log, text=True
            )
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the node did not start:\n{(self.directory / 'log').read_text()}")
        ready = json.loads(line)
        self.http, self.key = ready["http"], ready["keys"]["admin"]

    def ask(self, method, path, body=None, timeout=60):
        request = urllib.request.Request(
            f"http://{self.http}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"api-key": self.key, "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def verb(self, *arguments):
        ended = subprocess.run(
            [BINARY, "--json", "--quiet", *arguments], cwd=self.directory, check=False, capture_output=True, text=True
        )
        if ended.returncode != 0:
            sys.exit(f"{arguments}: {ended.stderr}\n{(self.directory / 'log').read_text()[-3000:]}")
        return json.loads(ended.stdout)

    def make(self, dimensions):
        """A collection without an index, so that filling it is quick."""
        body = {
            "vectors": {"size": dimensions, "distance": "Dot"},
            "optimizers_config": {"indexing_threshold": 0},
        }
        self.ask("PUT", "/collections/docs", body)

    def fill(self, vectors, file):
        np.save(file, vectors)
        self.verb("index", str(file), "-c", "docs")
        Path(file).unlink()

    def end(self):
        self.process.terminate()
        self.process.wait()
        subprocess.run(["docker", "rm", "-f", f"qmoor-{self.name}"], capture_output=True, check=False)


class Load:
    """One reader and one writer, each as fast as it is answered; remembers the longest answers."""

    def __init__(self, node, dimensions):
        self.node, self.vector = node, [1.0] * dimensions
        self.slowest = {"read": 0.0, "write": 0.0}
        self.failed = 0
        self.going = True
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in self.slowest]
        for thread in self.threads:
            thread.start()

    def run(self, kind):
        number = 10_000_000
        while self.going:
            number += 1
            began = time.perf_counter()
            try:
                if kind == "read":
                    self.node.ask("POST", "/collections/docs/points/query", {"query": self.vector, "limit": 5})
                else:
                    point = {"id": number, "vector": self.vector}
                    self.node.ask("PUT", "/collections/docs/points?wait=true", {"points": [point]})
            except OSError:
                self.failed += 1
            self.slowest[kind] = max(self.slowest[kind], time.perf_counter() - began)

    def end(self):
        self.going = False
        for thread in self.threads:
            thread.join()


def phase(report, name):
    return sum(phase["ms"] for phase in report["phases"] if phase["name"] == name)


def median(values):
    return float(np.median(values))


def cut(way, directory, points, dimensions):
    """One row: several backups of one node under load."""
    label, settings, mode = way
    node = Node(directory, settings)
    try:
        node.make(dimensions)
        vectors = np.random.default_rng(1).standard_normal((points, dimensions), dtype=np.float32)
        node.fill(vectors, Path(directory) / "vectors.npy")
        node.verb("backup", "--mode", mode)
        load = Load(node, dimensions)
        reports = [node.verb("backup", "--mode", mode) for _ in range(BACKUPS)]
        load.end()
    finally:
        node.end()
    inside = [sum(phase(report, name) for name in ENGINE_PHASES) for report in reports]
    added = [report["pause_ms"] - spent for report, spent in zip(reports, inside, strict=True)]
    row = {
        "cut": label,
        "grade": reports[0]["grade"],
        "writes_paused_ms": median([report["pause_ms"] for report in reports]),
        "reads_paused_ms": median([report["reads_pause_ms"] for report in reports]),
        "stop_ms": median([phase(report, "stop") for report in reports]),
        "freeze_ms": median([phase(report, "freeze") for report in reports]),
        "store_ms": median([phase(report, "snapshot") for report in reports]),
        "start_ms": median([phase(report, "start") for report in reports]),
        "added_ms": median(added),
        "slowest_read_ms": load.slowest["read"] * 1000,
        "slowest_write_ms": load.slowest["write"] * 1000,
        "failed": load.failed,
    }
    assert all(report["grade"] == row["grade"] for report in reports)
    return row


def mounted(directory):
    """An xfs with reflink in a file, for the images and their clones."""
    disk, mount = directory / "disk.img", directory / "disk"
    mount.mkdir()
    with open(disk, "wb") as file:
        file.truncate(24 << 30)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, mount], check=True)
    return mount


def table(rows):
    names = list(rows[0])
    texts = [[f"{row[n]:.1f}" if isinstance(row[n], float) else str(row[n]) for n in names] for row in rows]
    widths = [max(len(name), *(len(text[i]) for text in texts)) for i, name in enumerate(names)]
    for line in [names, *texts]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def small_change(directory, gigabytes, dimensions):
    """What the second restic backup costs after one in a hundred points has changed, and then one in twenty."""
    node = Node(directory, 'backup.max_pause = "10m"\n')
    rows = []
    try:
        points = int(gigabytes * 1e9 / (dimensions * 4))
        node.make(dimensions)
        random = np.random.default_rng(2)
        file = Path(directory) / "vectors.npy"
        node.fill(random.standard_normal((points, dimensions), dtype=np.float32), file)
        first = node.verb("backup")
        for share in (0.0, 0.01, 0.05):
            for begin in range(0, int(points * share), 500):
                ids = range(begin, min(begin + 500, int(points * share)))
                fresh = random.standard_normal((len(ids), dimensions), dtype=np.float32).round(4)
                batch = [{"id": 1_000_000_000 + i, "vector": v.tolist()} for i, v in zip(ids, fresh, strict=True)]
                node.ask("PUT", "/collections/docs/points?wait=true", {"points": batch})
            report = node.verb("backup")
            rows.append(
                {
                    "changed": f"{share:.0%}",
                    "bytes_added": report["bytes_added"],
                    "of_the_first": f"{report['bytes_added'] / first['bytes_added']:.2%}",
                    "pause_ms": report["pause_ms"],
                    "read_while_stopped": report["bytes_read_stopped"],
                }
            )
        print(f"\nrestic store: first backup {first['bytes_added'] / 1e9:.2f} GB, then, after a change of")
        table(rows)
    finally:
        node.end()
    return rows


def has_docker():
    """Whether a Docker engine answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the data of the second table")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmoor-bench-") as temporary:
        scratch = Path(temporary)
        disk = mounted(scratch)
        try:
            image = 'volume.kind = "image"\nvolume.size = "4GiB"\n'
            docker = f'engine.kind = "docker"\nengine.image = "{IMAGE}"\nengine.nofile = 0\n'
            ways = [
                ("embedded, directory, restic, stop", "", "stop"),
                ("embedded, image, restic, freeze", image, "freeze"),
                ("embedded, image, clone, stop", image + 'store.kind = "clone"\n', "stop"),
                ("embedded, image, clone, freeze", image + 'store.kind = "clone"\n', "freeze"),
            ]
            if has_docker():
                subprocess.run([ROOT / "tests/docker/build-images", BINARY], check=True)
                ways += [
                    ("docker, directory, restic, stop", docker, "stop"),
                    ("docker, image, clone, stop", docker + image + 'store.kind = "clone"\n', "stop"),
                    ("docker, image, clone, freeze", docker + image + 'store.kind = "clone"\n', "freeze"),
                ]
            else:
                print("SKIPPED: the docker engine, since no Docker engine answers", file=sys.stderr)
            rows = []
            for number, way in enumerate(ways):
                directory = disk / str(number)
                directory.mkdir()
                rows.append(cut(way, directory, options.points, options.dimensions))
                unmount(directory)
            print(
                f"{options.points} points of {options.dimensions} dimensions, medians of {BACKUPS} backups under load"
            )
            table(rows)
            changes = small_change(scratch_in(disk), options.gigabytes, 768)
        finally:
            unmount(disk)
            subprocess.run(["umount", disk], check=False)
    if options.json:
        print(json.dumps({"cuts": rows, "changes": changes}))


def scratch_in(disk):
    directory = disk / "change"
    directory.mkdir()
    return directory


def unmount(directory):
    """The agent leaves its volume mounted, for its next start."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{directory}/")]):
        subprocess.run(["umount", "-d", mount], check=False)


if __name__ == "__main__":
    main()
