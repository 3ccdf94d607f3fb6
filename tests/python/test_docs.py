"""Every command in the README and the manual works, and prints what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import manual
from server import BINARY, ROOT

pytestmark = [pytest.mark.remote, pytest.mark.timeout(600)]

PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.exists()]
# Followed by tests/aws/test_docs.py, which has an AWS.
ON_AWS = ROOT / "docs/aws.md"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != ON_AWS], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_commands_of_a_page(page, tmp_path):
    if not manual.commands(page):
        return
    # A network namespace: the default ports are free in it, and nothing outside can be reached.
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, manual.__file__, page, tmp_path, BINARY],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_of_commands_is_one_that_is_run(page):
    kinds = re.findall(r"^\s*```(\w+)", page.read_text(), re.MULTILINE)
    assert not set(kinds) & {"bash", "shell", "zsh"}, "commands stand in `console` or `sh` blocks, which are run"


def test_every_relative_link_of_a_page_leads_somewhere():
    dead = []
    for page in [*PAGES, *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


# ---- the runner itself ----------------------------------------------------------------------


def page_of(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_commands_are_read_with_their_output(tmp_path):
    page = page_of(
        tmp_path,
        "text\n```console\n$ one\nout\n\n$ two \\\n> more\n```\n```sh\n# no\nthree  # why\n```\n```toml\n$ no\n```\n",
    )
    assert [(c.line, c.text, c.expected, c.needs_node) for c in manual.commands(page)] == [
        (3, "one", ["out", ""], False),
        (6, "two \\\nmore", [], False),
        (11, "three", ["..."], True),
    ]


@pytest.mark.parametrize(
    "expected, printed, problem",
    [
        (["3 points in 1.5 s"], ["12 points in 980 ms"], None),
        (["id 8f14e45fceea167a"], ["id 45c48cce2e2d7fbd"], None),
        (["a"], ["a", "b"], "(nothing more)"),
        (["a", "..."], ["a", "b", "c"], None),
        (["...", "c"], ["a", "b", "c"], None),
        (["a", "x"], ["a", "b"], "x"),
        (["a", "", "b"], ["a", "b"], None),
    ],
)
def test_output_is_compared_without_what_changes(expected, printed, problem):
    assert manual.differs(expected, printed) == problem


def test_what_another_runner_runs_is_left_to_it(tmp_path):
    block = "```console\n$ {}\n```\n"
    texts = [block.format("one"), "<!-- run by tests/x -->\n", block.format("two"), "<!-- run by tests/python -->\n"]
    page = page_of(tmp_path, "".join([*texts, block.format("three")]))
    assert [command.text for command in manual.commands(page)] == ["one", "three"]
    assert [command.text for command in manual.commands(page, "tests/x")] == ["two"]


def test_a_page_whose_command_fails_is_told(tmp_path):
    page = page_of(tmp_path, "```console\n$ echo fine\nfine\n$ false\n```\n")
    ended = subprocess.run(
        [sys.executable, manual.__file__, page, tmp_path, Path("/bin/true")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "page.md:4: `false` ended with 1" in ended.stdout
