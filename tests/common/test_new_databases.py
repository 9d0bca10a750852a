"""The databases that tests give to roles are what the roles' own migrations leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import new_databases

pytestmark = pytest.mark.slow


def manage(role: str, data_dir: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACS_")}
    kept.pop("DJANGO_SETTINGS_MODULE", None)
    env = kept | {"PACS_DATA_DIR": str(data_dir), "PACS_TRUST_DIR": str(data_dir / "trust")}
    command = [sys.executable, str(new_databases.ROOT / "manage.py"), role, *argv]
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("role", new_databases.NAMES)
def test_a_new_database_lacks_no_migration(role, tmp_path):
    new_databases.put(role, tmp_path)
    assert (tmp_path / new_databases.NAMES[role]).stat().st_size > 0
    asked = manage(role, tmp_path, "migrate", "--check")
    assert asked.returncode == 0, asked.stderr


def test_a_database_that_is_there_is_left_alone(tmp_path):
    place = tmp_path / new_databases.NAMES["node"]
    place.write_bytes(b"mine")
    new_databases.put("node", tmp_path)
    assert place.read_bytes() == b"mine"
