"""Prints docs/conformance.md: docs/conformance/template.md with what the code says in it.

    .venv/bin/python docs/make_conformance.py > docs/conformance.md

The node is asked in a process of its own, with an empty environment (docs/conformance/facts.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "docs" / "conformance" / "template.md"
DATA = "<data>"
PLACE = re.compile(r"\{\{(.+?)\}\}")
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
CONTENTS = "contents"
AS_IT_IS = ("|", "#", "```", "- [", "  - [")
ITEM = re.compile(r"- |\d+\. ")
QUOTED = re.compile(r"`[^`]+`")
GLUE = "\ufffc"  # what holds together is not broken over lines
WIDTH = 120


def page() -> str:
    """Return the whole page."""
    template = TEMPLATE.read_text()
    said = facts(sorted(set(PLACE.findall(template)) - {CONTENTS}))
    said[CONTENTS] = contents(template)
    return filled(PLACE.sub(lambda place: said[place[1]], template))


def filled(text: str) -> str:
    """Return the page with its paragraphs and list items filled; tables and code stay."""
    blocks = [
        block if block.startswith(AS_IT_IS) else _filled(block) for block in text.split("\n\n")
    ]
    return "\n\n".join(blocks).rstrip("\n") + "\n"


def _filled(block: str) -> str:
    items = re.split(r"\n(?=- |\d+\. )", block)
    found = []
    for item in items:
        mark = ITEM.match(item)
        indent = " " * len(mark[0]) if mark else ""
        found.append(
            textwrap.fill(
                QUOTED.sub(lambda quoted: quoted[0].replace(" ", GLUE), " ".join(item.split())),
                WIDTH,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            ).replace(GLUE, " ")
        )
    return "\n".join(found)


def facts(places: list[str]) -> dict[str, str]:
    """Return what the node's code says at each place of the template."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "PACS_DATA_DIR": folder}
        done = subprocess.run(
            [sys.executable, "-m", "docs.conformance.facts"],
            cwd=ROOT,
            env=environment,
            input=json.dumps(places),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found: dict[str, str] = json.loads(done.stdout)
        return {place: text.replace(folder, DATA) for place, text in found.items()}


def contents(template: str) -> str:
    """Return the table of contents: a list of links to the headings."""
    lines = []
    for marks, title in HEADING.findall(template):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        lines.append(f"{'  ' * (len(marks) - 2)}- [{title}](#{anchor})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
