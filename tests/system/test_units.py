"""The systemd units are sound, tight, and start what this tree has."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.roles import ROOT
from tests.support.services import require

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
BACKUP = UNITS / "argens-backup@.service"
STAYING = [service for service in SERVICES if service != BACKUP]
PLACE = "/opt/argens/current/"
MOST_EXPOSURE = 15  # tenths, of systemd's scale from 0 (safe) to 10
APPS = {"node": "dicom_node", "archive": "archive_node", "web": "pacs_web", "portal": "pacs_web"}
ROLE_OF = {"node": "node", "archive": "archive", "web": "portal", "%i": "%i"}
ROLES = ("node", "archive", "portal")


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
        for role in ROLES if words[2] == "%i" else words[2:3]:
            module = ROOT / APPS[role] / "management" / "commands" / f"{words[3]}.py"
            assert module.exists(), command
            shown = [sys.executable, "manage.py", role, words[3], "--help"]
            assert subprocess.run(shown, cwd=ROOT, capture_output=True).returncode == 0


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_gets_its_own_roles_settings_secrets_and_folder(service):
    role = ROLE_OF[commands(service)[-1].split()[2]]
    assert value(service, "EnvironmentFile") == [f"/etc/argens/{role}.env"]
    assert value(service, "StateDirectory") == [f"argens/{role} argens/trust"]
    given = set(value(service, "LoadCredential"))
    names = {"secret-key", "database-url"} | ({"ticket-key"} if role != "node" else set())
    if service == BACKUP:  # of the whole folder, each with the folder's word before its name
        assert given == {"secret:/etc/argens/secrets/%i"}
        names |= {"ticket-key"}
    else:
        assert given == {f"{name}:/etc/argens/secrets/{role}/{name}" for name in names}
    told = value(service, "Environment")
    for name in names:
        kept = f"secret_{name}" if service == BACKUP else name
        assert f"PACS_{name.upper().replace('-', '_')}_FILE=%d/{kept}" in told
    assert f"PACS_DATA_DIR=/var/lib/argens/{role}" in told


@pytest.mark.parametrize("service", STAYING, ids=lambda path: path.stem)
def test_a_service_is_stopped_later_than_it_stops_itself(service):
    from pacs_common.processes import STOP_TIMEOUT_S

    assert int(value(service, "TimeoutStopSec")[0]) >= 2 * STOP_TIMEOUT_S


def test_the_target_holds_every_service():
    for service in STAYING:
        assert value(service, "PartOf") == ["argens.target"]
        assert value(service, "WantedBy") == ["argens.target"]
    units = configparser.ConfigParser(strict=False, interpolation=None)
    units.read(UNITS / "argens.target")
    assert units["Install"]["WantedBy"] == "multi-user.target"


def test_a_backup_is_made_each_night_into_the_default_folder_and_not_at_each_start():
    timer = BACKUP.with_suffix(".timer")
    assert value(timer, "WantedBy") == ["timers.target"] and value(BACKUP, "WantedBy") == []
    assert value(timer, "Persistent") == ["yes"]
    (when,) = value(timer, "OnCalendar")
    shown = subprocess.run(
        [require("systemd-analyze"), "calendar", "--iterations=3", when],
        capture_output=True,
        text=True,
        check=True,
    )
    days = re.findall(r"(?:elapse|#\d+): \w+ (\d{4}-\d\d-\d\d)", shown.stdout)
    assert len(set(days)) == 3, shown.stdout
    (place,) = value(BACKUP, "ReadWritePaths")
    for role in ROLES:
        default = f"PACS_BACKUP_DIR={place.removeprefix('-').replace('%i', role)}"
        assert f"#{default}\n" in (UNITS.parent / "env" / f"{role}.env").read_text()


def test_a_backup_that_fails_is_tried_again_a_few_times_and_not_for_ever():
    confined = next((UNITS / "argens-.service.d").iterdir())
    (own,) = Path(f"{BACKUP}.d").iterdir()
    assert own.name > confined.name, "drop-ins count in the order of their names"
    assert int(value(own, "StartLimitBurst")[0]) * 15 < 60
    assert value(own, "RestartSec") == ["15min"] and value(own, "StartLimitIntervalSec") == ["1h"]
