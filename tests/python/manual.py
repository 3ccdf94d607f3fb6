"""Runs the commands of one page of the manual, in an empty directory and a network of its own.

    python manual.py PAGE DIRECTORY BINARY

In a `console` block each line that begins with `$ ` is a command, run in the directory with the
release binary on PATH; it must exit with 0. A line that ends in ` &` is a server: it is left running until
the end of the page, and the next line waits until it says that it serves. The lines after a command are its expected
output, compared without numbers, ids, times and spacing; a line `...` stands for any lines. In an
`sh` block each line is a command, and a node with one collection and one backup runs beside it. What follows the line
`<!-- run by tests/X -->` is for the runner in that folder.

Prints what went wrong, and exits with 1, or prints the number of commands run.
"""

import dataclasses
import fcntl
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

COMMAND_DEADLINE = 180.0
READY_DEADLINE = 60.0
# What a server says once it can be used.
READY = ("serving ", "{")
RUN_BY = re.compile(r"^<!-- run by (\S+) -->$")
CARGO_RUN = re.compile(r"^cargo run --release --(?= )")

# What differs from run to run, and what is put in its place; in this order.
MASKS = [
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    (re.compile(r"qm_(\w+?)_\w+"), r"qm_\1_KEY"),
    (re.compile(r"\bb-\d{8}T\d{6}Z-[0-9a-f]+\b"), "BACKUP"),
    (re.compile(r"/tmp/\S+"), "PATH"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}\b"), "ID"),
    (re.compile(r"\d[\d.,_]*"), "N"),
    (re.compile(r"\bN ?(ns|µs|us|ms|s|m|min|h)\b"), "TIME"),
    (re.compile(r"\bN ?([kKMGT]i?)?B\b"), "SIZE"),
    (re.compile(r"[─━═=-]{3,}"), "---"),
    (re.compile(r"\s+"), " "),
]


@dataclasses.dataclass
class Command:
    """One command of a page, and what should follow."""

    line: int
    text: str
    expected: list = dataclasses.field(default_factory=list)
    needs_node: bool = False


def commands(page, runner="tests/python"):
    """The commands of a page that are for a runner, in order."""
    found, kind, prompted, whose = [], None, False, "tests/python"
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"^\s*```(\w*)", line)
        note = RUN_BY.match(line)
        if kind is None and note:
            whose = note[1]
        elif whose != runner:
            continue
        elif fence:
            kind = None if kind is not None else (fence.group(1) or "text")
            prompted = False
        elif kind == "sh":
            text = line.split("#")[0].strip() if not line.lstrip().startswith("#") else ""
            if text:
                found.append(Command(number, text, needs_node=True, expected=["..."]))
        elif kind == "console":
            if line.startswith("$ "):
                found.append(Command(number, line[2:]))
                prompted = True
            elif line.startswith("> ") and prompted and found[-1].text.endswith("\\"):
                found[-1].text += "\n" + line[2:]
            elif prompted:
                found[-1].expected.append(line)
    return found


def mask(line):
    for pattern, instead in MASKS:
        line = pattern.sub(instead, line)
    return line.strip()


def differs(expected, printed):
    """The first expected line that is not where it should be, or None."""
    printed = [masked for masked in map(mask, printed) if masked]
    at, anywhere = 0, False
    for line in expected:
        if not line.strip():
            continue
        if line.strip() == "...":
            anywhere = True
            continue
        wanted = mask(line)
        if anywhere:
            while at < len(printed) and printed[at] != wanted:
                at += 1
        if at >= len(printed) or printed[at] != wanted:
            return line
        at, anywhere = at + 1, False
    return None if anywhere or at == len(printed) else "(nothing more)"


class Session:
    """The shell of one page: its directory, and what it left running."""

    def __init__(self, directory, binary):
        self.directory = directory
        self.running = []
        programs = directory.with_name(directory.name + "-bin")
        programs.mkdir()
        (programs / "qmoor").symlink_to(binary)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("QMOOR_", "QDRANT_"))}
        self.environment = {
            **inherited,
            "HOME": str(directory),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "NO_COLOR": "1",
        }
        self.node = False

    def run(self, command):
        """What went wrong, or None."""
        if command.needs_node and not self.node:
            self.node = True
            problem = self.start_node()
            if problem:
                return problem
        text = CARGO_RUN.sub("qmoor", command.text)
        if text.endswith(" &"):
            return self.leave_running(text[:-2])
        ended = self.shell(text)
        if isinstance(ended, str):
            return ended
        printed = ended.stdout.splitlines()
        if ended.returncode != 0:
            return f"ended with {ended.returncode}:\n{ended.stdout}"
        if command.expected:
            missing = differs(command.expected, printed)
            if missing is not None:
                return f"expected `{missing}` in:\n{ended.stdout}"
        return None

    def shell(self, text):
        try:
            return subprocess.run(
                ["bash", "-o", "pipefail", "-c", text],
                check=False,
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_DEADLINE,
            )
        except subprocess.TimeoutExpired as late:
            return f"did not end within {COMMAND_DEADLINE:.0f} s:\n{late.stdout}"

    def leave_running(self, text):
        process = subprocess.Popen(
            # It ends with this process, however this process ends.
            ["setpriv", "--pdeathsig", "TERM", "bash", "-c", f"exec {text}"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.running.append(process)
        first, printed = threading.Event(), []

        def read():
            for line in process.stdout:
                printed.append(line.decode(errors="replace"))
                if printed[-1].startswith(READY):
                    first.set()
            first.set()

        threading.Thread(target=read, daemon=True).start()
        if not first.wait(READY_DEADLINE) or process.poll() is not None:
            return "did not start:\n" + "".join(printed)
        return None

    def start_node(self):
        problem = self.leave_running("qmoor serve")
        for step in (
            "mkdir -p .notes && echo 'A ship is moored with two anchors.' > .notes/moorings.md",
            "qmoor index .notes -c notes",
            "qmoor backup",
        ):
            if problem:
                return f"the node that this page needs: {problem}"
            ended = self.shell(step)
            problem = ended if isinstance(ended, str) else ended.returncode and f"`{step}`:\n{ended.stdout}"
        return problem or None

    def close(self):
        for process in reversed(self.running):
            process.terminate()
        for process in reversed(self.running):
            try:
                process.wait(COMMAND_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def raise_loopback():
    """Switches on the loopback device of a network namespace that has just been made."""
    up, running, get, put = 0x1, 0x40, 0x8913, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(handle, get, request))[1]
        if not flags & up:
            fcntl.ioctl(handle, put, struct.pack("16sH14x", b"lo", flags | up | running))


def main():
    page, directory, binary = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    raise_loopback()
    session = Session(directory, binary)
    done = 0
    try:
        for command in commands(page):
            problem = session.run(command)
            if problem:
                print(f"{page.name}:{command.line}: `{command.text}` {problem}")
                return 1
            done += 1
    finally:
        session.close()
    print(f"{done} commands")
    return 0


if __name__ == "__main__":
    sys.exit(main())
