"""The systemd units are sound, tight, and start what this tree has."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.roles import ROOT
from tests.support.services import require

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
PLACE = "/opt/argens/current/"
MOST_EXPOSURE = 15  # tenths, of systemd's scale from 0 (safe) to 10
APPS = {"node": "dicom_node", "archive": "archive_node", "web": "pacs_web"}
ROLE_OF = {"node": "node", "archive": "archive", "web": "portal"}


def value(service: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", service.read_text(), re.MULTILINE)


def commands(service: Path) -> list[str]:
    return value(service, "ExecStartPre") + value(service, "ExecStart")


@pytest.fixture
def installed(tmp_path) -> Path:
    """The units with programs that are there: `verify` looks for them."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for file in folder.rglob("*.service"):
        file.write_text(file.read_text().replace(f"{PLACE}.venv/bin/python", "/bin/true"))
    return folder


def test_systemd_finds_no_fault_in_a_unit(installed):
    program = require("systemd-analyze")
    files = [str(file) for file in sorted(installed.iterdir()) if file.is_file()]
    done = subprocess.run([program, "verify", "--man=no", *files], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "argens" in line]
    assert (told, done.returncode) == ([], 0)


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_exposed_to_little(service):
    limit = f"--threshold={MOST_EXPOSURE}"
    done = subprocess.run(
        [require("systemd-analyze"), "security", "--offline=true", limit, str(service)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_runs_commands_that_this_tree_has(service):
    assert commands(service)
    for command in commands(service):
        words = command.split()
        assert words[:2] == [f"{PLACE}.venv/bin/python", "manage.py"]
        module = ROOT / APPS[words[2]] / "management" / "commands" / f"{words[3]}.py"
        assert module.exists(), command


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_gets_its_own_roles_settings_secrets_and_folder(service):
    role = ROLE_OF[commands(service)[-1].split()[2]]
    assert value(service, "EnvironmentFile") == [f"/etc/argens/{role}.env"]
    assert value(service, "StateDirectory") == [f"argens/{role} argens/trust"]
    given = set(value(service, "LoadCredential"))
    names = {"secret-key", "database-url"} | ({"ticket-key"} if role != "node" else set())
    assert given == {f"{name}:/etc/argens/secrets/{role}/{name}" for name in names}
    told = value(service, "Environment")
    for name in names:
        assert f"PACS_{name.upper().replace('-', '_')}_FILE=%d/{name}" in told
    assert f"PACS_DATA_DIR=/var/lib/argens/{role}" in told


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_stopped_later_than_it_stops_itself(service):
    from pacs_common.processes import STOP_TIMEOUT_S

    assert int(value(service, "TimeoutStopSec")[0]) >= 2 * STOP_TIMEOUT_S


def test_the_target_holds_every_service():
    for service in SERVICES:
        assert value(service, "PartOf") == ["argens.target"]
        assert value(service, "WantedBy") == ["argens.target"]
    units = configparser.ConfigParser(strict=False, interpolation=None)
    units.read(UNITS / "argens.target")
    assert units["Install"]["WantedBy"] == "multi-user.target"
