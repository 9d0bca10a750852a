"""What `make check` checks, and that a check that fails is seen."""

from __future__ import annotations

import re
import sys

from tests.support import gate
from tests.support.services import PACKAGES, ROOT


def test_a_check_that_fails_is_named_with_what_it_said(capsys, tmp_path):
    command = [sys.executable, "-c", "print('line 7: no'); raise SystemExit(1)"]
    assert not gate._passes("format", command, str(tmp_path))
    assert capsys.readouterr().out == "FAILED  format\nline 7: no\n\n"


def test_a_check_that_passes_is_one_line(capsys, tmp_path):
    assert gate._passes("format", [sys.executable, "-c", "print('fine')"], str(tmp_path))
    assert capsys.readouterr().out == "ok      format\n"


def test_checks_do_not_see_this_machines_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("PACS_NODE_NAME", "OTHER")
    looks = (
        "import os; assert [n for n in os.environ if n.startswith('PACS_')] == ['PACS_DATA_DIR']"
    )
    assert gate._passes("environment", [sys.executable, "-c", looks], str(tmp_path))


def test_every_part_of_the_gate_is_there():
    names = {name for name, _ in gate.steps()}
    assert names == {
        "format",
        "lint",
        "types",
        "import contracts",
        "template lint",
        "migrations of node",
        "migrations of archive",
        "migrations of web",
    }  # fmt: skip


def test_the_gate_of_a_bare_machine_installs_whatever_a_test_asks_for():
    script = (ROOT / ".ci" / "run").read_text()
    installed = set(re.search(r"packages=\((.*?)\)", script, re.DOTALL)[1].split()) | {"npm"}
    assert set(PACKAGES.values()) <= installed
    asked = {
        program
        for path in (ROOT / "tests").rglob("test_*.py")
        for program in re.findall(r'(?<![.\w])require\("([A-Za-z0-9.-]+)"\)', path.read_text())
    }
    assert asked <= set(PACKAGES), "services.py does not know what to install for these"
