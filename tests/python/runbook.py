"""docs/runbook.md: which section an alert leads to, and what that says to type."""

import re

import manual
from rules import alerts
from server import ROOT

PAGE = ROOT / "docs/runbook.md"


def sections():
    """Each section's text, by the anchor that leads there."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {title.lower().replace(" ", "-"): text for title, text in zip(parts[::2], parts[1::2])}


def anchor(alert):
    """The section that an alert leads to."""
    (found,) = re.findall(r"^ +runbook: docs/runbook\.md#(\S+)$", alerts()[alert], flags=re.MULTILINE)
    return found


def says(section, command):
    """Whether a section has a command, as a line of a block or in the text."""
    text = sections()[section]
    return command in text.splitlines() or f"`{command}`" in text.replace("\n", " ")


def to_type():
    """The lines of all `sh` blocks, with their sections."""
    lines = PAGE.read_text().splitlines()
    found = set()
    for command in manual.commands(PAGE):
        title = next(line for line in reversed(lines[: command.line]) if line.startswith("## "))
        found.add((title.removeprefix("## ").lower().replace(" ", "-"), command.text))
    return found
