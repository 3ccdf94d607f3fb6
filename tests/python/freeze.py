"""Freezes a process when a backup comes to a step, for so long, and lets it go on: an engine that is slow to stop.

    python freeze.py JOURNAL PID STEP SECONDS

A process of its own, since it must not wait for its turn among the threads of a test. It says `watching`, and at
the end the state in which it found the frozen process: `T`, or the engine had ended before.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

LOOK_EVERY = 0.0005
DEADLINE = 90.0


def has_come(records, step):
    for line in records.splitlines():
        event = json.loads(line)["event"]
        if event["type"] == "intent" and event["step"] == step:
            return True
    return False


def wait_for(journal, step):
    """Looks at whole lines that are written from now on."""
    deadline = time.monotonic() + DEADLINE
    with open(journal, "rb") as file:
        file.seek(0, os.SEEK_END)
        print("watching", flush=True)
        rest = b""
        while time.monotonic() < deadline:
            rest += file.read()
            whole, newline, rest = rest.rpartition(b"\n")
            if newline and has_come(whole.decode(), step):
                return
            time.sleep(LOOK_EVERY)
    sys.exit(f"the step {step} never came")


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def main():
    journal, pid, step, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    wait_for(journal, step)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        print(state(pid), flush=True)
    finally:
        os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    main()
