"""`make test`: each suite in a pytest process of its own, then what passed, failed, was skipped.

    python -m tests.support.run [--fast | --soak] [SUITE ...]

With PACS_REQUIRE_SERVICES=1 a skip for want of a service ("needs X: ...") is a failure. The
last line is always `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.support.suites import SUITES, Asked, Outcome, Suite, present, run

TESTS = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None, tests: Path = TESTS) -> int:
    """Run what is asked for and return the exit status, 1 on any failure."""
    options = _options(arguments)
    asked = Asked(fast=options.fast, soak=options.soak)
    outcomes: list[Outcome] = []
    try:
        for suite in _chosen(options, tests):
            print(f"\n== {suite.name}", flush=True)
            outcomes.append(run(suite, tests, asked))
    except KeyboardInterrupt:
        print("\n".join([*summary(outcomes)[:-1], "interrupted"]), flush=True)
        return 130
    if os.environ.get("PACS_REQUIRE_SERVICES") == "1":
        for outcome in outcomes:
            forbid_missing_services(outcome)
    print("\n".join(summary(outcomes)), flush=True)
    return 1 if not outcomes or any(outcome.failed for outcome in outcomes) else 0


def forbid_missing_services(outcome: Outcome) -> None:
    """Turn skips for want of a service into failures."""
    for reason in [reason for reason in outcome.skip_reasons if reason.startswith("needs ")]:
        names = outcome.skip_reasons.pop(reason)
        outcome.skipped -= len(names)
        outcome.failed += len(names)
        outcome.problems += [f"{name}: {reason}" for name in names]


def summary(outcomes: list[Outcome]) -> list[str]:
    """Return the closing lines: a table, the failures, why tests were skipped, the totals."""
    lines = ["", f"{'suite':<10} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for one in outcomes:
        lines.append(
            f"{one.suite:<10} {one.passed:>7} {one.failed:>7} {one.skipped:>8} {one.seconds:>8.1f}"
        )
    problems = [problem for one in outcomes for problem in one.problems]
    if problems:
        lines += ["", "failed:", *(f"  {problem}" for problem in problems)]
    lines += _skips(outcomes)
    passed, failed, skipped = (
        sum(getattr(one, count) for one in outcomes) for count in ("passed", "failed", "skipped")
    )
    return [*lines, "", f"{passed} passed, {failed} failed, {skipped} skipped"]


def _skips(outcomes: list[Outcome]) -> list[str]:
    counts: dict[str, int] = {}
    for one in outcomes:
        for reason, names in one.skip_reasons.items():
            counts[reason] = counts.get(reason, 0) + len(names)
    if not counts:
        return []
    return ["", "skipped:", *(f"  {count:>4}  {why}" for why, count in sorted(counts.items()))]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.support.run", description=__doc__)
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--fast", action="store_true", help="without slow tests, system, browser")
    speed.add_argument("--soak", action="store_true", help="with the full counts")
    names = [suite.name for suite in SUITES]
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(names))
    options = parser.parse_args(arguments)
    for name in options.suites:
        if name not in names:
            parser.error(f"there is no suite {name!r}; there are {', '.join(names)}")
    return options


def _chosen(options: argparse.Namespace, tests: Path) -> list[Suite]:
    if options.suites:
        return [suite for suite in SUITES if suite.name in options.suites]
    return [suite for suite in present(tests) if suite.fast or not options.fast]


if __name__ == "__main__":
    sys.exit(main())
