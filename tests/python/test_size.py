"""`qmoor size`: its figures beside those of a small node, and what it refuses. `bench/size` has larger ones."""

import json
import subprocess
import sys

import pytest

from server import BINARY, ROOT

sys.path.append(str(ROOT / "bench"))
import size

pytestmark = [pytest.mark.remote, pytest.mark.timeout(300)]

# How far a figure may be off, down and up. On a node so small the fixed parts count, which are rounded up.
FACTOR = (2.0, 2.0)
# The most that rebuilding takes on the disk is the worst case, in which the log is full too. It must not be too little.
WORST_CASE = (1.5, 4.0)


def run(*arguments):
    command = [BINARY, "size", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_what_is_said_is_what_a_node_of_20_000_points_needs(tmp_path):
    measured = size.measure(size.Case(20_000, 256), tmp_path)
    for title, (said, seen) in measured["figures"].items():
        down, up = WORST_CASE if title.startswith("most on the disk") else FACTOR
        assert 1 / down <= said / seen <= up, (title, said, seen)
    assert len(measured["figures"]) == 5


def test_every_figure_has_a_reason_as_text_and_as_json():
    told = ["--points", 1_000_000, "--dim", 768, "--sparse", 100, "--quantization", "scalar"]
    text, document = run(*told).stdout, json.loads(run(*told, "--json").stdout)
    for line in document["memory"] + document["disk"]:
        assert line["why"] and f"{line['part']} " in text and line["why"] in text
    assert document["memory_bytes"] == sum(line["bytes"] for line in document["memory"])
    assert document["disk_bytes"] == sum(line["bytes"] for line in document["disk"])
    assert document["advised"] in [machine["name"] for machine in document["machines"]]
    assert f"volume: {document['volume']['size_gib']} GiB gp3" in text


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["--points", 0, "--dim", 768], "--points"),
        (["--points", 10**12, "--dim", 768], "--points"),
        (["--points", 10, "--dim", 0], "--dim"),
        (["--points", 10, "--dim", 100_000], "--dim"),
        (["--points", 10, "--dim", 8, "--vectors", 0], "--vectors"),
        (["--points", 10, "--dim", 8, "--quantization", "wavelet"], "wavelet"),
        (["--points", -1, "--dim", 8], "-1"),
        (["--points", 10], "--dim"),
    ],
    ids=str,
)
def test_nonsense_is_a_usage_error_that_names_it(arguments, word):
    ended = run(*arguments)
    assert ended.returncode == 2 and word in ended.stderr and "panicked" not in ended.stderr, ended.stderr


def test_it_needs_no_configuration_and_no_node(tmp_path):
    command = [BINARY, "size", "--points", "10", "--dim", "8"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.returncode == 0 and "c8g.large" in ended.stdout, ended.stderr
    assert list(tmp_path.iterdir()) == []
