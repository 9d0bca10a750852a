"""The Makefile: help by default, and the two commands that the README names."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.benchmarks.book import BENCHMARKS
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
        "bench",
        "bench-quick",
        *(f"bench-{one.name.replace('_', '-')}" for one in BENCHMARKS),
        "lock",
        "sbom",
        "audit",
        "clean",
    )
    for target in targets:
        assert f"make {target} " in shown


def test_the_benchmarks_are_one_book_and_each_by_itself():
    assert make("-n", "bench").splitlines()[-1].endswith("python -m tests.benchmarks.book")
    assert make("-n", "bench-quick").splitlines()[-1].endswith("tests.benchmarks.book --quick")
    for one in BENCHMARKS:
        command = make("-n", f"bench-{one.name.replace('_', '-')}").splitlines()[-1]
        assert command.endswith(f"python -m tests.benchmarks.{one.name}")


def test_demo_and_test_prepare_their_libraries_first():
    assert make("-n", "demo", "PYTHON=python3.12").splitlines() == [
        "python3.12 deploy/bootstrap.py",
        "exec .venv/bin/python -m deploy.demo",
    ]
    assert make("-n", "test").splitlines() == [
        "python3 deploy/bootstrap.py --dev",
        "exec .venv/bin/python -m tests.support.run",
    ]
