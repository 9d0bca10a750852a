"""The role boots alone, with its real settings and next to nothing in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def manage(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "manage.py"), "archive", *words],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("words", [("check",), ("makemigrations", "--check"), ("migrate",)])
def test_the_role_boots_alone(tmp_path, words):
    ended = manage(*words, PACS_DATA_DIR=str(tmp_path))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PACS_NODES", "CT", "setting PACS_NODES: 'CT' has a part 'CT' that is not NAME=value"),
        ("PACS_NODES", "../x=http://h", "setting PACS_NODES: '../x' is not letters, digits"),
        ("PACS_NODES", "CT=h:8101", "setting PACS_NODES: CT=h:8101 is not NAME=http(s) address"),
        ("PACS_HIGH_WATERMARK", "1.5", "is not between 0.0 and 1"),
        ("PACS_LOW_WATERMARK", "0.9", "setting PACS_LOW_WATERMARK: is above PACS_HIGH_WATERMARK"),
        ("PACS_DRIVES", "0", "is not between 1 and 100"),
        ("PACS_QUIET_S", "soon", "'soon' is not a number"),
        ("PACS_EVICT_APPROVAL", "perhaps", "'perhaps' is neither yes nor no"),
        ("PACS_ALARM_MAIL_TO", "a@b,it", "setting PACS_ALARM_MAIL_TO: 'it' is no mail address"),
        ("PACS_ALARM_WEBHOOK", "ftp://x", "'ftp://x' is no http(s) address"),
        ("PACS_SMTP_TLS", "yes", "'yes' is none of none, starttls, tls"),
    ],
)
def test_nonsense_in_a_setting_is_one_line(tmp_path, name, value, line):
    ended = manage("check", **{"PACS_DATA_DIR": str(tmp_path), name: value})
    assert ended.returncode != 0
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr and ended.stderr.count("\n") == 1


def test_a_vault_that_is_not_there_ends_the_start_with_a_line(tmp_path):
    place = tmp_path / "a-file"
    place.write_text("")
    ended = manage("run", PACS_DATA_DIR=str(tmp_path / "data"), PACS_VAULTS=f"onsite=tape:{place}")
    assert ended.returncode != 0
    assert "vault onsite: " in ended.stderr and str(place) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/1").exists(), reason="needs /proc")
def test_a_folder_that_cannot_be_written_is_one_line():
    ended = manage("check", PACS_DATA_DIR="/proc/1/archive")
    assert ended.returncode != 0
    assert "/proc/1/archive" in ended.stderr
    assert "Traceback" not in ended.stderr
