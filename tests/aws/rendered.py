"""What `qmoor render` prints for the node of examples/aws.toml, or for one like it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARY = Path(os.environ.get("QMOOR_BIN", ROOT / "target/release/qmoor"))
EXAMPLE = ROOT / "examples/aws.toml"
AMI = "ami-0123456789abcdef0"


def qmoor(*arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config(folder, **others):
    """The example with these keys set otherwise: `config(folder, aws__secrets="parameterstore")`."""
    lines, table = [], ""
    for line in EXAMPLE.read_text().splitlines():
        header = re.fullmatch(r"\[(\w+)\]", line)
        name = re.match(r"(\w+) = ", line)
        if name and f"{table}__{name[1]}" in others:
            continue
        lines.append(line)
        if header:
            table = header[1]
            mine = [(key, value) for key, value in others.items() if key.startswith(f"{table}__")]
            lines += [f"{key.removeprefix(f'{table}__')} = {json.dumps(value)}" for key, value in mine]
    file = folder / "qmoor.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def template(file=EXAMPLE):
    return json.loads(qmoor("render", "cloudformation", "--config", file, "--ami", AMI))


def user_data(file=EXAMPLE):
    return qmoor("render", "user-data", "--config", file)


def properties(template, resource):
    return template["Resources"][resource]["Properties"]


def program(name, variable=None, folder=".venv-aws"):
    """A linter: beside this Python, or in an environment that `tests/aws/setup` makes. Skips, loudly, without it."""
    places = [os.environ.get(variable or "", ""), Path(sys.executable).parent / name, ROOT / folder / "bin" / name]
    for place in filter(None, places):
        if Path(place).is_file():
            return str(place)
    pytest.skip(f"SKIPPED: {name} is not there: tests/aws/setup makes it")


def offline(*command, **more):
    """Runs a linter without a network, where that can be had."""
    alone = ["unshare", "-n"] if os.geteuid() == 0 else []
    return subprocess.run([*alone, *command], capture_output=True, text=True, timeout=100, check=False, **more)
