"""A role that cannot start for an address that holds a password does not tell the password."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.roles import ROOT
from tests.system.production_part import at_once

pytestmark = pytest.mark.slow
WORD = "hunter2-at-the-gate"
DATABASES = (
    f"postgress://argens:{WORD}@127.0.0.1:1/argens",  # an unknown scheme
    f"postgres://argens:{WORD}@127.0.0.1:1/argens",  # nobody there
    f"postgres://argens:{WORD}@127.0.0.1:port/argens",
    f"postgres//argens:{WORD}@127.0.0.1/argens",
)
BROKERS = (f"rediss//:{WORD}@127.0.0.1/0", f"amqp://argens:{WORD}@127.0.0.1", WORD)


def start(folder: Path, role: str, command: str, **settings: str) -> str:
    """Run a command that cannot succeed; return all that it printed and kept in its log."""
    place = {"PACS_DATA_DIR": str(folder), "PACS_TRUST_DIR": str(folder / "trust")}
    done = subprocess.run(
        [sys.executable, "manage.py", role, command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **place, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode != 0
    logs = [file.read_text(errors="replace") for file in folder.rglob("*log*") if file.is_file()]
    return "\n".join([done.stdout, done.stderr, *logs])


@pytest.mark.parametrize("role", ["node", "archive", "web"])
def test_a_database_that_cannot_be_used_is_told_without_its_password(tmp_path: Path, role: str):
    tries = [
        partial(start, tmp_path / str(number), role, "migrate", PACS_DATABASE_URL=url)
        for number, url in enumerate(DATABASES)
    ]
    for told in at_once(*tries):
        assert told.strip() and WORD not in told


def test_a_broker_that_cannot_be_used_is_told_without_its_password(tmp_path: Path):
    tries = [
        partial(start, tmp_path / str(number), "archive", "worker", PACS_BROKER_URL=url)
        for number, url in enumerate(BROKERS)
    ]
    for told in at_once(*tries):
        assert told.startswith("\nsetting PACS_BROKER_URL: ") and WORD not in told
