"""The suites that `make test` runs, and one run of one suite, counted from pytest's own report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

NO_TESTS_COLLECTED = 5  # pytest's exit status


@dataclass(frozen=True)
class Suite:
    """One folder of tests, which gets a pytest process (and so a role) of its own."""

    name: str
    fast: bool = True
    workers: int = 0


SUITES = (
    Suite("common", workers=2),
    Suite("node", workers=2),
    Suite("archive", workers=2),
    Suite("web", workers=2),
    Suite("contract", workers=2),
    Suite("system", fast=False, workers=3),
    Suite("browser", fast=False, workers=2),
)


@dataclass
class Outcome:
    """What came of a suite."""

    suite: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    skip_reasons: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """How the suites are run."""

    fast: bool = False
    soak: bool = False

    @property
    def marks(self) -> str:
        """Return pytest's -m expression."""
        if self.soak:
            return ""
        return "not slow and not soak" if self.fast else "not soak"


def present(tests: Path) -> list[Suite]:
    """Return the suites that have tests in this folder."""
    return [suite for suite in SUITES if _files(tests / suite.name)]


def _files(folder: Path) -> list[Path]:
    """Return a suite's files of tests; each is run by one worker."""
    return list(folder.rglob("test_*.py"))


def run(suite: Suite, tests: Path, asked: Asked) -> Outcome:
    """Run a suite, its output passing through, and return what its report says."""
    with tempfile.TemporaryDirectory(prefix="argens-report-") as folder:
        report = Path(folder) / "report.xml"
        argv = [
            sys.executable,
            "-m",
            "pytest",
            str(tests.name) + "/" + suite.name,
            "-m",
            asked.marks,
        ]
        argv += ["--junitxml", str(report), "-o", "junit_family=xunit2", "-q", "--color=auto"]
        if suite.workers and len(_files(tests / suite.name)) > 1:
            argv += ["-n", str(suite.workers), "--dist", "loadfile"]
            argv += ["--no-loadscope-reorder"]  # tests/conftest.py knows which files take long
        env = {**os.environ, **({"PACS_TEST_SOAK": "1"} if asked.soak else {})}
        began = time.monotonic()
        status = subprocess.run(argv, cwd=tests.parent, env=env, check=False).returncode
        outcome = read_report(suite.name, report, status)
    outcome.seconds = time.monotonic() - began
    return outcome


def read_report(suite: str, report: Path, status: int) -> Outcome:
    """Return the counts of a JUnit file; a run that broke or ran nothing is a failure."""
    outcome = Outcome(suite)
    if report.exists():
        for case in ET.parse(report).iter("testcase"):
            _count(outcome, case)
    ran = outcome.passed + outcome.failed + outcome.skipped
    if status == NO_TESTS_COLLECTED or (status == 0 and not ran):
        outcome.failed += 1
        outcome.problems.append(f"{suite}: no test ran")
    elif status != 0 and not outcome.failed:
        outcome.failed += 1
        outcome.problems.append(f"{suite}: pytest ended with status {status}")
    return outcome


def _count(outcome: Outcome, case: ET.Element) -> None:
    name = f"{case.get('classname', '')}::{case.get('name', '')}".lstrip(":")
    skipped = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        outcome.failed += 1
        outcome.problems.append(name)
    elif skipped is not None and skipped.get("type") != "pytest.xfail":
        outcome.skipped += 1
        outcome.skip_reasons.setdefault(_reason(skipped), []).append(name)
    else:
        outcome.passed += 1


def _reason(skipped: ET.Element) -> str:
    return (skipped.get("message") or "no reason given").removeprefix("Skipped: ").strip()
