"""Runs the commands and the Python of one page that are for these tests, in order, in a network of its own.

    python page.py PAGE DIRECTORY BINARY

As tests/python/manual.py, with `python` blocks besides: they share one interpreter, which is this one. One Ray runs
beside the page, and whoever calls `ray.init()` meets it.

Prints what went wrong, and exits with 1, or prints the number of steps.
"""

import os
import re
import sys
import tempfile
import traceback
from pathlib import Path

import manual

RUNNER = "tests/ray"
# Beginnings of lines that are not run here, and why.
NOT_RUN = {
    "pip install": "tests/ray/setup has built the wheel and installed it",
    "maturin build": "tests/ray/setup has built the wheel and installed it",
}
RAY = (
    "ray start --head --block --node-ip-address=127.0.0.1 --port=6379 --num-cpus=4 --object-store-memory=200000000 "
    "--include-dashboard=false --log-style=pretty --log-color=false"
)


def blocks(page):
    """The `python` blocks for this runner: the line and the text of each."""
    text = page.read_text()
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        notes = re.findall(manual.RUN_BY.pattern, text[: block.start()], re.MULTILINE)
        if notes and notes[-1] == RUNNER:
            yield text[: block.start()].count("\n") + 2, block[1]


def steps(page):
    """What is to be done, by line: a command, or Python as text."""
    commands = [(command.line, command) for command in manual.commands(page, RUNNER)]
    return sorted([*commands, *blocks(page)], key=lambda step: step[0])


def run(session, line, step, namespace):
    """What went wrong, or None."""
    if isinstance(step, manual.Command):
        problem = None if step.text.startswith(tuple(NOT_RUN)) else session.run(step)
        return problem and f"`{step.text}` {problem}"
    try:
        exec(compile("\n" * (line - 1) + step, "page", "exec"), namespace)
    except Exception:
        return traceback.format_exc()
    return None


def main():
    page, directory, binary = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), Path(sys.argv[3])
    # Ray notes here which cluster is running, for whoever comes after; and sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="qr", dir="/tmp") as temporary:
        os.environ["RAY_TMPDIR"] = temporary
        return follow(page, directory, binary)


def follow(page, directory, binary):
    manual.raise_loopback()
    manual.COMMAND_DEADLINE = manual.READY_DEADLINE = 400.0
    manual.READY = (*manual.READY, "Ray runtime started")
    (directory / "examples").symlink_to(Path(__file__).resolve().parents[2] / "examples")
    os.chdir(directory)
    session = manual.Session(directory, binary)
    session.environment["PATH"] = f"{Path(sys.executable).parent}:{session.environment['PATH']}"
    os.environ.update(session.environment)
    done, namespace = 0, {"__name__": "__main__"}
    try:
        if any(blocks(page)):
            problem = session.leave_running(RAY)
            os.environ["RAY_ADDRESS"] = session.environment["RAY_ADDRESS"] = "127.0.0.1:6379"
            if problem:
                print(f"Ray {problem}")
                return 1
        for line, step in steps(page):
            problem = run(session, line, step, namespace)
            if problem:
                print(f"{page.name}:{line}: {problem}")
                return 1
            done += 1
    finally:
        # This process leaves the cluster before it ends.
        if "ray" in namespace:
            namespace["ray"].shutdown()
        session.close()
    print(f"{done} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
