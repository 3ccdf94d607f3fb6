"""Measures what the gateway adds to a request, beside nginx and beside nothing.

Three ways to two engines with the same data on loopback: straight to an engine of its own, through nginx to
the same engine, and through a node's gateway to the node's engine. (The engine of a node has a key that
nobody knows, so the gateway has one of its own.) Everything here is on one machine and shares its cores.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("QMOOR_BIN", ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/qmoor"))
POINTS, SIZE = 1000, 64
RATE, SECONDS, LANES = 1000, 10, 16
HELD = 10_000
ENGINE_KEY = "an-engine-key-for-the-benchmark"

NGINX = """
daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log {dir}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log {dir}/access.log; keepalive_requests 1000000000;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    map $http_api_key $who {{ default ""; "{key}" search; }}
    upstream engine {{ server {engine}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            if ($who = "") {{ return 401; }}
            proxy_pass http://engine; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header api-key "{key}";
        }}
    }}
}}
"""


def ask(address, method, path, key, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"api-key": key, "content-type": "application/json"}
    request = urllib.request.Request(f"http://{address}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def fill(address, key):
    ask(address, "PUT", "/collections/c", key, {"vectors": {"size": SIZE, "distance": "Cosine"}})
    vectors = [[((i * 31 + j * 17) % 101) / 101 + 0.01 for j in range(SIZE)] for i in range(POINTS)]
    points = [{"id": i, "vector": vector} for i, vector in enumerate(vectors)]
    ask(address, "PUT", "/collections/c/points?wait=true", key, {"points": points})


def lines_of(process):
    text = ""
    while line := process.stdout.readline():
        text += line.decode()
        with contextlib.suppress(ValueError):
            return json.loads(text)
    sys.exit(f"it did not start: {text}")


def serve_engine(directory):
    environment = dict(os.environ, QDRANT__SERVICE__API_KEY=ENGINE_KEY)
    command = [BINARY, "engine", "--data", directory / "alone", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    with open(directory / "engine.log", "w") as log:
        process = subprocess.Popen(
            [*command, "--until-stdin-closes"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    return process, lines_of(process)["http"]


def serve_nginx(directory, engine):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(dir=directory, engine=engine, key=ENGINE_KEY, port=port))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    process = subprocess.Popen([program, "-c", config, "-p", directory])
    until_open(port)
    return process, f"127.0.0.1:{port}"


def until_open(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    sys.exit("nginx did not start")


def serve_node(directory):
    config = directory / "qmoor.toml"
    limits = f'max_held = {HELD + 1}\nmax_connections = {HELD + 200}\nhold_budget = "1m"\ndrain_timeout = "2m"\n'
    config.write_text(
        f"[gateway]\nhttp_port = 0\ngrpc_port = 0\n{limits}[node]\ndir = {json.dumps(str(directory / 'node'))}\n"
    )
    with open(directory / "agent.log", "w") as log:
        process = subprocess.Popen([BINARY, "serve", "--json", "--config", config], stdout=subprocess.PIPE, stderr=log)
    return process, lines_of(process), config


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def request_bytes(key):
    body = json.dumps({"query": [0.5] * SIZE, "limit": 3})
    return (
        f"POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def exchange(connection, request):
    """Sends a request and reads its answer to the end."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"not answered with 200: {head!r}")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        body += more(connection)


def more(connection):
    piece = connection.recv(65536)
    if not piece:
        sys.exit("the connection was closed in an answer")
    return piece


def load_in_turns(targets, seconds):
    """The ways take turns, so that whatever else the machine does meets all of them alike."""
    found = {name: [] for name in targets}
    for _turn in range(10):
        for name, (address, key) in targets.items():
            found[name] += load(address, key, seconds / 10)
    return found


def load(address, key, seconds):
    """Seconds of each request in an open loop: every lane has its own connection and times fixed beforehand. A
    request that is due while the one before still waits counts from the time it was due."""
    host, port = address.rsplit(":", 1)
    request = request_bytes(key)
    begun = time.perf_counter() + 0.05
    taken = []

    def lane(number):
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            exchange(connection, request)
            for turn in range(int(RATE * seconds / LANES)):
                start = due = begun + (turn * LANES + number) / RATE
                if (left := due - time.perf_counter()) > 0:
                    time.sleep(left)
                    start = time.perf_counter()
                exchange(connection, request)
                taken.append(time.perf_counter() - start)

    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(lane, number) for number in range(LANES)]:
            done.result()
    return taken


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] * 1000


def most(directory, address, key, seconds):
    """Requests a second by wrk on 32 connections that stay open."""
    script = directory / "query.lua"
    body = json.dumps({"query": [0.5] * SIZE, "limit": 3})
    script.write_text(
        f'wrk.method="POST"\nwrk.path="/collections/c/points/query"\nwrk.body={json.dumps(body)}\n'
        f'wrk.headers["api-key"]="{key}"\nwrk.headers["content-type"]="application/json"\n'
    )
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, f"http://{address}/"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        sys.exit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def hold_many(config, ready, pid):
    """The agent's memory while it holds ten thousand requests; none when so many files may not be open."""
    held = []
    address = ready["http"].rsplit(":", 1)
    head = (
        "PUT /collections/c/points HTTP/1.1\r\nhost: x\r\napi-key: {}\r\ncontent-type: application/json\r\n"
        "content-length: {}\r\n\r\n"
    )

    def begin(announced, body):
        connection = socket.create_connection((address[0], int(address[1])), 30)
        connection.sendall(head.format(ready["keys"]["index"], announced).encode() + body)
        held.append(connection)

    def gate():
        return ask(ready["http"], "GET", "/qmoor/v1/status", ready["keys"]["admin"])["gate"]

    begin(1000, b"{")
    while gate()["writes_in_flight"] != 1:
        time.sleep(0.01)
    backup = subprocess.Popen([BINARY, "backup", "--config", config, "--quiet"], stdout=subprocess.DEVNULL)
    try:
        while gate()["phase"] == "open":
            time.sleep(0.01)
        for _ in range(HELD):
            begin(2, b"{}")
        deadline = time.monotonic() + 30
        while gate()["held"] < HELD and time.monotonic() < deadline:
            time.sleep(0.05)
        count = gate()["held"]
        return (count, resident_mib(pid))
    finally:
        for connection in held:
            connection.close()
        backup.wait(120)


def measure(directory, seconds):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    processes = []
    try:
        engine, alone = serve_engine(directory)
        processes.append(engine)
        nginx, proxied = serve_nginx(directory, alone)
        processes.append(nginx)
        node, ready, config = serve_node(directory)
        processes.append(node)
        fill(alone, ENGINE_KEY)
        fill(ready["http"], ready["keys"]["index"])
        idle = resident_mib(node.pid)
        targets = {
            "none": (alone, ENGINE_KEY),
            "nginx": (proxied, ENGINE_KEY),
            "gateway": (ready["http"], ready["keys"]["search"]),
        }
        figures = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "rate": RATE, "idle_mib": idle}
        taken = load_in_turns(targets, seconds)
        for name, latencies in taken.items():
            figures[f"{name}_p50_ms"] = percentile(latencies, 0.50)
            figures[f"{name}_p99_ms"] = percentile(latencies, 0.99)
        rounds = {name: [] for name in targets}
        for _ in range(3):
            for name, (address, key) in targets.items():
                rounds[name].append(most(directory, address, key, max(1, seconds // 3)))
        for name, rates in rounds.items():
            figures[f"{name}_most"] = sorted(rates)[1]
        if hard >= HELD + 1000:
            figures["held"], figures["held_mib"] = hold_many(config, ready, node.pid)
        else:
            print(f"SKIPPED: holding {HELD} requests needs more than {hard} open files", file=sys.stderr)
        return figures
    finally:
        for process in reversed(processes):
            if process.stdin:
                process.stdin.close()
            process.terminate()
            process.wait(60)


def table(figures):
    lines = [
        f"{figures['cores']} cores, load average {figures['load_average']:.1f} at the start",
        "",
        f"{'':<10}{'p50, ms':>10}{'p99, ms':>10}{'added p50':>12}{'added p99':>12}{'most, /s':>12}",
    ]
    for name in ("none", "nginx", "gateway"):
        p50, p99, rate = (figures[f"{name}_{what}"] for what in ("p50_ms", "p99_ms", "most"))
        more = (p50 - figures["none_p50_ms"], p99 - figures["none_p99_ms"])
        lines.append(f"{name:<10}{p50:10.3f}{p99:10.3f}{more[0]:12.3f}{more[1]:12.3f}{rate:12.0f}")
    lines += [
        "",
        f"gateway to nginx, most requests: {figures['gateway_most'] / figures['nginx_most']:.2f}",
        f"agent, memory idle: {figures['idle_mib']:.1f} MiB",
    ]
    if "held" in figures:
        lines.append(f"agent, memory with {figures['held']} requests held: {figures['held_mib']:.1f} MiB")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long each way is loaded")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmoor-gateway-") as directory:
        figures = measure(Path(directory), arguments.seconds)
    print(table(figures), file=sys.stderr)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
