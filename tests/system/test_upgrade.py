"""A database that older code made and filled is migrated on, and no table loses its row."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Cluster, cluster
from tests.support.roles import ROOT

pytestmark = pytest.mark.slow
APPS = {
    "dicom_node": ["dicom_node"],
    "archive_node": ["archive_node"],
    "pacs_web": ["accounts", "audit", "federation", "nodes", "studies"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.mark.parametrize("role", APPS)
def test_an_older_database_is_migrated_on(tmp_path: Path, server: Cluster, role: str):
    """From the first migrations on PostgreSQL, from those before the last on SQLite."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.older_database", which, *APPS[role]],
            cwd=ROOT,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("PACS_")},
                "DJANGO_SETTINGS_MODULE": f"{role}.settings",
                "PACS_DATA_DIR": str(tmp_path / which),
                "PACS_TRUST_DIR": str(tmp_path / "trust"),
                **({"PACS_DATABASE_URL": url} if url else {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for which, url in (("first", server.create(role)), ("previous", ""))
    ]
    ended = [(process, *process.communicate(timeout=100)) for process in running]
    for process, told, error in ended:
        assert process.returncode == 0, error[-3000:]
        kept, filled = map(int, told.split())
        assert 0 < kept <= filled
