"""One `manage.py` for three roles: the first word picks the settings, `web` without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHOW = "from django.conf import settings; print(settings.SETTINGS_MODULE)"


def manage(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PACS_")}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    environment |= {"PACS_DATA_DIR": str(tmp_path), "PACS_TRUST_DIR": str(tmp_path / "trust")}
    argv = [sys.executable, str(ROOT / "manage.py"), *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["node"], "dicom_node.settings"),
        (["archive"], "archive_node.settings"),
        (["web"], "pacs_web.settings"),
        ([], "pacs_web.settings"),
    ],
)
def test_the_first_word_picks_the_role(tmp_path, words, settings):
    done = manage(tmp_path, *words, "shell", "--no-imports", "-c", SHOW)
    assert done.stdout.strip() == settings, done.stderr


@pytest.mark.parametrize("role", ["node", "archive", "web"])
def test_a_role_s_own_commands_are_its_alone(tmp_path, role):
    listed = manage(tmp_path, role, "help", "--commands").stdout.split()
    assert "run" in listed
    assert ("reindex" in listed) == (role == "node")
    assert ("create-account" in listed) == (role == "web")


@pytest.mark.parametrize("role", ["node", "archive", "web"])
def test_a_setting_that_makes_no_sense_is_one_line(tmp_path, monkeypatch, role):
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), role, "check"],
        env={**os.environ, "PACS_DATA_DIR": str(tmp_path), "PACS_HTTP_PORT": "http"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "setting PACS_HTTP_PORT: 'http' is not a number\n"
