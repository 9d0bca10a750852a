"""Prints docs/settings.md from the settings that each role declares.

    .venv/bin/python docs/make_settings.py > docs/settings.md

Each role is asked in a process of its own, with an empty environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = "<data>"
HEAD = """# Settings

Made by `docs/make_settings.py` from the code; a test compares the two. Every setting is an
environment variable, and the default runs with none set. `NAME_FILE` may name a file that holds the
value of `NAME` (for secrets; giving both is refused). A value that makes no sense ends the program
at start with one line. `<data>` is the role's `PACS_DATA_DIR`. Yes and no are `1`/`0`,
`true`/`false`, `yes`/`no` or `on`/`off`; a NAME=value list is separated by commas; sizes are bytes.
"""
TITLES = {
    "A node": ("from dicom_node.config import ENV", "`manage.py node`"),
    "The archive": ("from archive_node.config import ENV", "`manage.py archive`"),
    "The portal": ("from pacs_web.config import env as ENV", "`manage.py web`"),
    "The demo": (
        "from pacs_common.env import Env; from deploy.demo.hospital import plan; "
        "ENV = Env(); plan(ENV)",
        "`make demo`; it gives its members their other settings itself",
    ),
}
_SHOW = (
    "; import dataclasses, json; print(json.dumps([dataclasses.asdict(d) for d in ENV.declared]))"
)


def declared(code: str) -> list[dict[str, str]]:
    """Return the settings that a role declares, the data folder in them as `<data>`."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "PACS_DATA_DIR": folder}
        done = subprocess.run(  # noqa: S603 - the code is ours
            [sys.executable, "-c", code + _SHOW],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return [{key: text.replace(folder, DATA) for key, text in one.items()} for one in found]


def table(settings: list[dict[str, str]]) -> str:
    """Return the settings as a Markdown table."""
    rows = ["| setting | kind | default | what it does |", "|---|---|---|---|"]
    for one in settings:
        doc = one["doc"].replace("|", "\\|")
        rows.append(f"| `{one['name']}` | {one['kind']} | {_default(one)} | {doc} |")
    return "\n".join(rows)


def page() -> str:
    """Return the whole page."""
    sections = [HEAD]
    for title, (code, runs_as) in TITLES.items():
        sections.append(f"## {title}\n\n{runs_as}\n\n{table(declared(code))}\n")
    return "\n".join(sections)


def _default(one: dict[str, str]) -> str:
    if one["kind"] == "secret":
        return "made at first start"
    return f"`{one['default']}`" if one["default"] else "empty"


if __name__ == "__main__":
    sys.stdout.write(page())
