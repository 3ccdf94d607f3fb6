"""One command on one instance: a thread that runs the scripts of its document, one after the other."""

import os
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

RUNNING = ("Pending", "InProgress", "Delayed", "Cancelling")
CUT = "\n---Output truncated---"


def now():
    return datetime.now(UTC)


# The processes of scripts that run now.
RUNNING_NOW = set()


def end_all():
    """Ends all scripts, with what they have started."""
    for process in list(RUNNING_NOW):
        _end(process)


class Plugin:
    """What a step came to."""

    def __init__(self, name):
        self.name = name
        self.status, self.details, self.code = "Pending", "Pending", -1
        self.out, self.err = "", ""
        self.began = self.ended = None

    def end(self, status, details=None, code=-1):
        self.status, self.details, self.code, self.ended = status, details or status, code, now()


class Run:
    """A command on one instance. `program` runs the scripts; `offline`: the agent does not answer, it never begins."""

    def __init__(self, instance_id, steps, region, program, offline):
        self.instance_id, self.steps, self.region, self.program = instance_id, steps, region, program
        self.plugins = [Plugin(step.name) for step in steps]
        self.requested = now()
        self.cancelled = threading.Event()
        self.over = threading.Event()
        self._process = None
        self._lock = threading.Lock()
        if not offline:
            threading.Thread(target=self._work, daemon=True).start()

    @property
    def status(self):
        return self._worst().status

    @property
    def details(self):
        return self._worst().details

    @property
    def code(self):
        return self._worst().code

    def _worst(self):
        """The step that decides: the one that failed, else one that is not done, else the last."""
        for wanted in (("Failed", "TimedOut", "Cancelled"), RUNNING):
            for plugin in self.plugins:
                if plugin.status in wanted:
                    return plugin
        return self.plugins[-1]

    def expire(self):
        """The time to reach an instance that does not answer is over."""
        for plugin in self.plugins:
            if plugin.status == "Pending" and plugin.began is None:
                plugin.end("TimedOut", "DeliveryTimedOut")
        self.over.set()

    def cancel(self):
        self.cancelled.set()
        with self._lock:
            if self._process:
                _end(self._process)
        for plugin in self.plugins:
            if plugin.status == "Pending":
                plugin.end("Cancelled")

    def _work(self):
        try:
            for step, plugin in zip(self.steps, self.plugins, strict=True):
                if self.cancelled.is_set():
                    break
                self._step(step, plugin)
                if plugin.status != "Success":
                    break
            # What comes after a failed step is not begun.
            for plugin in self.plugins:
                if plugin.status == "Pending":
                    plugin.end("Cancelled" if self.cancelled.is_set() else "Failed")
        finally:
            self.over.set()

    def _step(self, step, plugin):
        plugin.status = plugin.details = "InProgress"
        plugin.began = now()
        with tempfile.TemporaryDirectory(prefix="ssm-") as folder:
            script = Path(folder) / "_script.sh"
            script.write_text(step.script)
            command = [self.program, self.instance_id, str(script)] if self.program else ["bash", str(script)]
            names = {"AWS_SSM_INSTANCE_ID": self.instance_id, "AWS_SSM_REGION_NAME": self.region}
            with (Path(folder) / "out").open("w+b") as out, (Path(folder) / "err").open("w+b") as err:
                try:
                    with self._lock:
                        # A group of its own, so that what the script starts ends with it.
                        self._process = subprocess.Popen(
                            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                            cwd=step.directory, env={**os.environ, **names, **step.environment},
                        )  # fmt: skip
                    RUNNING_NOW.add(self._process)
                    if self.cancelled.is_set():
                        _end(self._process)
                    self._wait(step, plugin)
                    RUNNING_NOW.discard(self._process)
                except OSError as error:
                    err.write(f"failed to run commands: {error}\n".encode())
                    plugin.end("Failed", code=1)
                plugin.out, plugin.err = _text(out), _text(err)

    def _wait(self, step, plugin):
        try:
            code = self._process.wait(timeout=step.seconds)
        except subprocess.TimeoutExpired:
            _end(self._process)
            self._process.wait()
            plugin.end("TimedOut", "ExecutionTimedOut")
            return
        if self.cancelled.is_set():
            plugin.end("Cancelled")
        elif code == 0:
            plugin.end("Success", code=0)
        else:
            plugin.end("Failed", code=code if code > 0 else 128 - code)


def _end(process):
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def cut(text, length):
    return text if len(text) <= length else text[: length - len(CUT)] + CUT
