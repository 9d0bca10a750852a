"""`make bench-pages`: how long each page of the portal takes, beside a hospital's worth of studies.

    python -m tests.benchmarks.pages [--quick] [--studies N] [--rounds N]

One node with an index of invented studies (no files), one portal, SQLite. A page's time is that
from the request to the last byte over a kept connection: the portal's own and that of the node
behind it. The goal is 200 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import goals, rounds
from tests.benchmarks.federation import filled, serving
from tests.benchmarks.measured import Measured
from tests.benchmarks.people import Browser
from tests.support import roles

STUDIES, ROUNDS = 100_000, 11
PAGES = {
    "clinician": ("/", "results", "exam", "timeline", "/account/"),
    "technologist": (
        "/arrivals/",
        "/arrivals/transfers/",
        "/arrivals/quarantine/",
        "/arrivals/lost/",
        "/arrivals/rejections/",
        "/arrivals/import/",
    ),
    "it": (
        "/servers/",
        "/admin-console/",
        "/admin-console/nodes/",
        "/admin-console/peers/",
        "/admin-console/forwarding/",
        "/admin-console/work/",
        "/admin-console/log/",
        "/admin-console/certificates/",
        "/admin-console/new-exams/",
        "/admin-console/accounts/",
        "/audit/",
    ),
}


@dataclass(frozen=True)
class Row:
    """One page: the seconds of each round."""

    person: str
    page: str
    seconds: Sequence[float]

    @property
    def median_ms(self) -> float:
        """The median answer."""
        return statistics.median(self.seconds) * 1000

    @property
    def worst_ms(self) -> float:
        """The slowest answer."""
        return max(self.seconds) * 1000


def main(arguments: list[str] | None = None) -> int:
    """Measure every page, print a table and what misses the goal."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        nodes = filled(folder, 1, options.studies)
        portal = roles.portal(folder, {"N01": nodes[0]}, "")
        with serving(nodes), roles.running(portal), contextlib.ExitStack() as stack:
            rows = [
                row
                for person in PAGES
                for row in _measured(Browser(portal, folder, stack, person), person, options.rounds)
            ]
    print("\n".join(report(rows, options.studies)))
    rounds.keep(options.json, found(rows, options.studies))
    return 0


def found(rows: Sequence[Row], studies: int) -> Iterator[Measured]:
    """Yield the milliseconds of each page."""
    for row in rows:
        yield rounds.median(
            [one * 1000 for one in row.seconds],
            measure="pages",
            workload=f"{row.page} ({row.person}), {studies:,} studies",
            who="argens",
            unit="ms",
            is_more_better=False,
        )


def report(rows: Sequence[Row], studies: int) -> list[str]:
    """Return the table, the slowest page first, and last how many miss the goal."""
    lines = [
        "",
        f"{'person':<13} {'page':<32} {'median':>10} {'slowest':>10}   {studies:,} studies",
    ]
    for row in sorted(rows, key=lambda row: -row.median_ms):
        lines.append(
            f"{row.person:<13} {row.page:<32} {row.median_ms:>7.1f} ms {row.worst_ms:>7.1f} ms"
        )
    late = [row for row in rows if row.median_ms > goals.PAGE_MS]
    lines += ["", f"{len(late)} of {len(rows)} pages take longer than {goals.PAGE_MS:.0f} ms"]
    return lines


def _measured(browser: Browser, person: str, turns: int) -> Iterator[Row]:
    found = _found(browser) if person == "clinician" else {}
    for page in PAGES[person]:
        address = found.get(page, page)
        seconds = []
        for turn in range(turns + 1):
            began = time.perf_counter()
            answer = browser.http.get(address)
            taken = time.perf_counter() - began
            assert answer.status_code == 200, f"{address}: {answer.status_code}"
            if turn:  # the first one warms
                seconds.append(taken)
        yield Row(person, page, seconds)


def _found(browser: Browser) -> dict[str, str]:
    """Search for everything and return the addresses of pages that follow from it."""
    results = browser.post("/", {})
    exam = browser.address(results, r'data-href="(/studies/[0-9.]+/)"')
    return {
        "results": results,
        "exam": exam,
        "timeline": browser.address(exam, r'href="([^"]*timeline[^"]*)"'),
    }


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 studies, two rounds")
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", help="where the index is made")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    if options.quick:
        options.studies, options.rounds = 1000, 2
    return options


if __name__ == "__main__":
    sys.exit(main())
