"""For the benchmarks of clients: a server to talk to, and a child process whose cost is measured."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = Path(os.environ.get("QMOOR_BIN", TARGET / "release/qmoor"))
# Of bench/rust.
CLIENT = TARGET / "release/bench-client"
ENGINE_KEY = "a-key-for-the-benchmark"
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_DEADLINE = 120.0
INDEXED_DEADLINE = 1200.0
CHILD_DEADLINE = 3600.0


class Server:
    """An engine with a key, or a node whose gateway is used; with each role's key."""

    def __init__(self, directory, door, keys=None):
        environment = dict(os.environ)
        if door == "engine":
            environment["QDRANT__SERVICE__API_KEY"] = ENGINE_KEY
            addresses = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
            command = [BINARY, "engine", "--data", directory / "data", *addresses, "--until-stdin-closes"]
        else:
            config = directory / "qmoor.toml"
            folder = json.dumps(str(directory / "node"))
            config.write_text(f"[gateway]\nhttp_port = 0\ngrpc_port = 0\n[node]\ndir = {folder}\n")
            command = [BINARY, "serve", "--json", "--config", config]
        log = directory / "server.log"
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the server did not start:\n{log.read_text()}")
        ready = json.loads(line)
        self.http, self.grpc = ready["http"], ready["grpc"]
        # A node tells its keys at its first start alone.
        self.keys = keys or ready.get("keys") or dict.fromkeys(("admin", "index", "search"), ENGINE_KEY)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"api-key": self.keys["admin"], "content-type": "application/json"}
        request = urllib.request.Request(f"http://{self.http}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)["result"]

    def count(self, collection):
        return self.ask("POST", f"/collections/{collection}/points/count", {"exact": True})["count"]

    def cpu_s(self):
        """The processor time of all its processes so far."""
        return sum(cpu_of(pid) for pid in tree(self.process.pid))

    def until_idle(self):
        """Waits until what went before is worked off, so that it is not charged to what comes next."""
        deadline = time.monotonic() + IDLE_DEADLINE
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.cpu_s()
            if now - before <= 0.02:
                return
            before = now
        sys.exit(f"the server is still busy after {IDLE_DEADLINE:.0f} s")

    def until_indexed(self, collection, points):
        deadline = time.monotonic() + INDEXED_DEADLINE
        while time.monotonic() < deadline:
            info = self.ask("GET", f"/collections/{collection}")
            if info["status"] == "green" and info["points_count"] == points:
                return info["indexed_vectors_count"]
            time.sleep(0.5)
        sys.exit(f"{collection} is not indexed after {INDEXED_DEADLINE:.0f} s")

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(120)


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_of(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def private_mib(pid):
    """The memory that a process shares with no other."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


class ChildFailed(Exception):
    """A process that measures has ended with an error: what it was, and said."""


def run_child(command, job, key):
    """Runs a process that is told what to do and prints figures as its last line; with what the whole process cost.

    Adds cpu_total_s, from its start to its end with its children, and children_mib, the most memory that each of its
    children was seen to have for itself, added up.
    """
    environment = dict(os.environ, QDRANT_API_KEY=key, PYTHONWARNINGS="ignore", RAY_AUTH_MODE="disabled")
    command = [*(str(part) for part in command), json.dumps(job)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    peaks, ended = {}, threading.Event()

    def watch():
        while not ended.wait(0.2):
            for pid in tree(process.pid)[1:]:
                peaks[pid] = max(peaks.get(pid, 0.0), private_mib(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    killer = threading.Timer(CHILD_DEADLINE, process.kill)
    killer.start()
    try:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        killer.cancel()
        ended.set()
        watcher.join()
    if process.returncode != 0:
        raise ChildFailed(f"{' '.join(command)}\nended with {process.returncode}:\n{said}")
    figures = json.loads(said.splitlines()[-1])
    return {**figures, "cpu_total_s": usage.ru_utime + usage.ru_stime, "children_mib": sum(peaks.values())}


def machine():
    return {"cores": os.cpu_count(), "load_average": os.getloadavg()[0]}


def aligned(rows):
    """Rows of text under their header: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(text.rjust(width) if column else text.ljust(width) for column, (text, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
