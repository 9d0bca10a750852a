"""What `make check` checks, and that a check that fails is seen."""

from __future__ import annotations

import sys

from tests.support import gate


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
