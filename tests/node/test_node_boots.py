"""The node alone, as a process with its real settings: it starts, or says in one line why not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.services import ROOT

pytestmark = pytest.mark.slow


def manage(tmp_path, *words: str, **settings: str) -> subprocess.CompletedProcess:
    """Run `manage.py node ...` with nothing but a data folder in its environment."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "manage.py"), "node", *words],
        env=environment | {"PACS_DATA_DIR": str(tmp_path / "node")} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )


def test_a_node_boots_with_an_empty_environment(tmp_path):
    checked = manage(tmp_path, "check")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    complete = manage(tmp_path, "makemigrations", "--check", "--dry-run")
    assert (complete.returncode, complete.stderr) == (0, ""), complete.stdout
    migrated = manage(tmp_path, "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert (tmp_path / "node" / "index.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PACS_DICOM_PORT", "dicom"), ("PACS_LOG_LEVEL", "LOUD"), ("PACS_DATABASE_URL", "nonsense")],
)
def test_a_setting_that_makes_no_sense_is_one_line_and_status_2(tmp_path, name, value):
    refused = manage(tmp_path, "check", **{name: value})
    assert refused.returncode == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"setting {name}: ")


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_data_folder_that_cannot_be_written_is_one_line_and_status_2(tmp_path, below):
    (tmp_path / "file").write_text("in its place")
    folder = f"{tmp_path / 'file'}{below}"
    refused = manage(tmp_path, "check", PACS_DATA_DIR=folder, PACS_SECRET_KEY="given")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert folder in line
    assert line.startswith("setting PACS_DATA_DIR: ")


def test_the_process_that_forks_the_dicom_port_has_no_second_thread(tmp_path):
    code = (
        "import django; django.setup(); import dicom_node.dimse.server.supervisor\n"
        "print(open('/proc/self/status').read().split('Threads:')[1].split()[0])"
    )
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"DJANGO_SETTINGS_MODULE": "dicom_node.settings", "PACS_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1", done.stderr
