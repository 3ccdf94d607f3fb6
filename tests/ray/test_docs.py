"""docs/ray.md, the README's section and both examples, for real: a node, a Ray, and no network."""

import os
import subprocess
import sys
import tempfile

import pytest
from qdrant_client import QdrantClient

import page
from server import BINARY, ROOT

pytestmark = pytest.mark.timeout(1200)

EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", ROOT / "docs/ray.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_says_works(path, tmp_path):
    # A network namespace: the default ports are free in it, and nothing outside can be reached.
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, page.__file__, path, tmp_path, BINARY],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8000:]


def test_both_pages_have_something_to_run():
    assert all(len(page.steps(path)) >= 8 for path in PAGES)


def run(example, *arguments):
    """An example from the command line, as anybody would; how it ended."""
    command = [sys.executable, EXAMPLES / example, *map(str, arguments)]
    # Ray notes in its folder which cluster is running, and sockets need a short path: one of its own.
    with tempfile.TemporaryDirectory(prefix="qr", dir="/tmp") as temporary:
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        environment["RAY_TMPDIR"] = temporary
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=400, env=environment)


def job(node, collection, *arguments, key="env:QMOOR_TEST_INDEX"):
    return run("index_job.py", *arguments, "--url", node.url, "--collection", collection, "--key", key)


@pytest.mark.parametrize("example", ["index_job.py", "serve_app.py"])
def test_an_example_says_how_it_is_used(example):
    ended = run(example, "--help")
    assert ended.returncode == 0, ended.stderr
    for words in ("--url", "--collection", "--key", "env:NAME, file:PATH", f"python examples/{example} --url"):
        assert words in " ".join(ended.stdout.split())


def test_the_job_follows_a_folder(node, tmp_path):
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "long.md").write_text("\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(4)))
    (folder / "deep/short.txt").write_text("One paragraph.\n")
    (folder / "gone.md").write_text("It will be deleted.\n")
    (folder / "image.png").write_bytes(b"\x89PNG")
    client = QdrantClient(url=node.url, api_key=node.ready["keys"]["search"])

    def chunks():
        return sorted((p.payload["_doc"], p.payload["_ix"]) for p in client.scroll("folder", limit=100)[0])

    first = job(node, "folder", folder, "--batch-id", "a folder")
    assert first.returncode == 0, first.stderr[-4000:]
    said = first.stdout.splitlines()
    assert "3 documents: 6 chunks written, 0 removed" in said
    assert any(line.startswith("backup ") and line.endswith(" of batch a folder: clean") for line in said)
    assert chunks() == [("deep/short.txt", 0), ("gone.md", 0), *(("long.md", number) for number in range(4))]

    (folder / "gone.md").unlink()
    (folder / "long.md").write_text("\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(2)))
    (folder / "deep/short.txt").write_text("Another paragraph.\n")
    second = job(node, "folder", folder, "--cleanup", "full")
    assert second.returncode == 0, second.stderr[-4000:]
    assert chunks() == [("deep/short.txt", 0), ("long.md", 0), ("long.md", 1)]

    third = job(node, "folder", folder, "--cleanup", "full")
    assert "2 documents: 0 chunks written, 0 removed" in third.stdout.splitlines(), third.stderr[-4000:]


def test_the_job_is_refused_before_anything_is_made(node, tmp_path):
    (tmp_path / "a.md").write_text("Text.")
    refused = job(node, "nothing", tmp_path, key="env:QMOOR_TEST_SEARCH")
    assert refused.returncode != 0
    assert "Forbidden" in refused.stderr
    empty = job(node, "nothing", tmp_path / "a.md")
    assert (empty.returncode, "is no folder" in empty.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    empty = job(node, "nothing", tmp_path / "empty")
    assert empty.returncode != 0 and "nothing was changed" in empty.stderr
    missing = run("index_job.py", tmp_path, "--url", node.url, "--collection", "nothing", "--key", "env:NOT_SET_HERE")
    assert missing.returncode != 0 and "NOT_SET_HERE" in missing.stderr
    assert not QdrantClient(url=node.url, api_key=node.ready["keys"]["search"]).collection_exists("nothing")


def test_the_examples_need_what_their_requirements_say():
    pinned = [line.split("==")[0] for line in (EXAMPLES / "requirements.txt").read_text().splitlines() if "==" in line]
    assert {name.split("[")[0] for name in pinned} == {"fastapi", "numpy", "pyarrow", "ray", "wordllama"}
    assert all("==" in line for line in (EXAMPLES / "requirements.txt").read_text().splitlines() if line[0] != "#")
