"""The Makefile: help by default, and the two commands that the README names."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.services import require

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str) -> str:
    done = subprocess.run(
        [require("make"), "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_help_is_the_default_and_names_every_target():
    shown = make()
    assert shown == make("help")
    targets = (
        "demo",
        "docs",
        "tutorial-pictures",
        "test",
        "soak",
        "check",
        "bench-ingest",
        "bench-query",
        "bench-web",
        "lock",
        "sbom",
        "audit",
        "clean",
    )
    for target in targets:
        assert f"make {target} " in shown


def test_demo_and_test_prepare_their_libraries_first():
    assert make("-n", "demo", "PYTHON=python3.12").splitlines() == [
        "python3.12 deploy/bootstrap.py",
        "exec .venv/bin/python -m deploy.demo",
    ]
    assert make("-n", "test").splitlines() == [
        "python3 deploy/bootstrap.py --dev",
        "exec .venv/bin/python -m tests.support.run",
    ]
