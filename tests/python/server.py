"""Runs the `qmoor` binary as a child process and tells where it listens."""

import http.client
import json
import os
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("QMOOR_BIN", ROOT / "target/release/qmoor"))

START_DEADLINE = 60.0
STOP_DEADLINE = 60.0


class Server:
    """A `qmoor` that serves until it is stopped; it ends with the test run, however that ends."""

    def __init__(self, arguments, log, environment=None, program=(BINARY,)):
        self.arguments = [str(argument) for argument in arguments]
        self.log = Path(log)
        self.ready = None
        with open(self.log, "ab") as errors:
            self.process = subprocess.Popen(
                [*program, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environment or {})},
            )
        self._lines = []
        self._first_line = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.append(line)
            self._first_line.set()
        self._first_line.set()

    def wait_until_ready(self):
        """The object that the server prints once it listens."""
        if not self._first_line.wait(START_DEADLINE) or not self._lines:
            self.kill()
            raise AssertionError(f"`qmoor {' '.join(self.arguments)}` did not start:\n{self.tail()}")
        self.ready = json.loads(self._lines[0])
        return self

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self):
        """Asks it to end, as a service manager would; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._wait()

    def close_input(self):
        """Closes its standard input, as the death of its parent would; the exit code."""
        self.process.stdin.close()
        return self._wait()

    def kill(self):
        self.process.kill()
        return self._wait()

    def _wait(self):
        try:
            return self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {STOP_DEADLINE:.0f} s:\n{self.tail()}") from None
        finally:
            for pipe in (self.process.stdin, self.process.stdout):
                pipe.close()

    @property
    def url(self):
        return f"http://{self.ready['http']}"

    @property
    def http_port(self):
        return int(self.ready["http"].rsplit(":", 1)[1])

    @property
    def grpc_port(self):
        return int(self.ready["grpc"].rsplit(":", 1)[1])


def start_engine(directory, key=None, read_only_key=None):
    """`qmoor engine` on `directory`/data, on ports the system chose."""
    directory = Path(directory)
    environment = {}
    if key is not None:
        environment["QDRANT__SERVICE__API_KEY"] = key
    if read_only_key is not None:
        environment["QDRANT__SERVICE__READ_ONLY_API_KEY"] = read_only_key
    arguments = ["engine", "--data", directory / "data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    server = Server([*arguments, "--until-stdin-closes"], directory / "engine.log", environment)
    return server.wait_until_ready()


def start_node(directory, settings=""):
    """`qmoor serve` with its folder in `directory`, on ports the system chose."""
    directory = Path(directory)
    config = directory / "qmoor.toml"
    config.write_text(f"[gateway]\nhttp_port = 0\ngrpc_port = 0\n{settings}")
    node = Server(["serve", "--config", config, "--json"], directory / "node.log")
    return node.wait_until_ready()


class Elsewhere:
    """A place without a node: what a verb reaches from there, the environment says."""

    def __init__(self, directory):
        self.directory = directory

    def verb(self, *arguments, code=0):
        command = [BINARY, "--json", "--quiet", *arguments]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, cwd=self.directory)
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return json.loads(ended.stdout.splitlines()[-1]) if code == 0 else ended.stderr


def run(node, *arguments):
    """A verb on a node's configuration, however it ends."""
    config = node.log.parent / "qmoor.toml"
    command = [BINARY, "--config", config, "--json", "--quiet", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)


def verb(node, *arguments, code=0):
    """A verb on a node's configuration: what it printed as JSON, or said on stderr when it fails."""
    ended = run(node, *arguments)
    assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr, node.tail())
    return json.loads(ended.stdout.splitlines()[-1]) if code == 0 else ended.stderr


def raw(port, method, path, headers=(), body=None, *, source="127.0.0.1"):
    """A request whose path is sent as it is: the usual clients tidy it first. Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    connection.putrequest(method, path, skip_accept_encoding=True)
    sent = b"" if body is None else json.dumps(body).encode()
    for header, value in [*headers, ("content-type", "application/json"), ("content-length", str(len(sent)))]:
        connection.putheader(header, value)
    connection.endheaders(sent)
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode(errors="replace")
    connection.close()
    return status, text
