"""`make check`: format, lint, types, import contracts, templates, migrations, then all tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import run

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TEMPLATES = ("pacs_web/templates", "dicom_node/templates")


def steps() -> list[tuple[str, list[str]]]:
    """Return each check's name and command."""
    manage = [sys.executable, "manage.py"]
    migrations = ["makemigrations", "--check", "--dry-run"]
    found = [
        ("format", [str(BIN / "ruff"), "format", "--check", "."]),
        ("lint", [str(BIN / "ruff"), "check", "."]),
        ("types", [str(BIN / "mypy")]),
        ("import contracts", [str(BIN / "lint-imports")]),
    ]
    found.append(("template lint", [str(BIN / "djlint"), "--lint", "--quiet", *TEMPLATES]))
    for role in ("node", "archive", "web"):
        found.append((f"migrations of {role}", [*manage, role, *migrations]))
    return found


def main() -> int:
    """Run every check, then the tests; return 1 if any fails."""
    with tempfile.TemporaryDirectory(prefix="argens-check-") as folder:
        failed = [name for name, command in steps() if not _passes(name, command, folder)]
    status = run.main([])
    if failed:
        print(f"these checks failed: {', '.join(failed)}", flush=True)
    return 1 if failed or status else 0


def _passes(name: str, command: list[str], data_dir: str) -> bool:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PACS_")}
    environment["PACS_DATA_DIR"] = data_dir
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'}  {name}", flush=True)
    if done.returncode != 0:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
