"""`make bench`: every benchmark in turn, and `docs/benchmarks.md` of what they found.

    python -m tests.benchmarks.book [--quick] [--only NAME ...] [--from FOLDER]

Each runs as a process of its own, its output passing through; what it found is kept as JSON in
var/benchmarks/, so that `--only` measures some again and `--from` writes the page without
measuring. The status is 1 where one could not run (or lost an image); the others go on. With
`--quick` the counts are small, the goals are printed, and the page is left alone. A slower
benchmark is no failure. The stores lie in the temporary folder (TMPDIR).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import machine, measured, page
from tests.benchmarks.chapters import CHAPTERS
from tests.benchmarks.page import Book, Run
from tests.support.roles import ROOT

KEPT = ROOT / "var" / "benchmarks"
DOCS = ROOT / "docs"
NOTES = "benchmarks-notes"
ABOUT = "about.json"


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder, and what it is asked beside its defaults."""

    name: str
    whole: tuple[str, ...] = ()

    def command(self, is_quick: bool) -> list[str]:
        """Return how it is run, but for where it writes what it found."""
        return [*self.module, *(["--quick"] if is_quick else self.whole)]

    @property
    def module(self) -> list[str]:
        """How Python is told its module."""
        return ["-m", f"tests.benchmarks.{self.name}"]


BENCHMARKS = (
    Benchmark("ingest", ("--rounds", "5", "--day-rounds", "3", "--days", "10")),
    Benchmark("query"),
    Benchmark("retrieve"),
    Benchmark("web"),
    Benchmark("first_image"),
    Benchmark("federation"),
    Benchmark("archive"),
    Benchmark("footprint"),
    Benchmark("pages"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, tell how it stands to the goals; 1 where something could not run."""
    options = _options(arguments)
    failed: list[str] = []
    if options.kept is None:
        options.kept = KEPT / "quick" if options.quick else KEPT
        failed = run_all(options.only, options.quick, options.kept)
    found = read(options.kept, DOCS / NOTES)
    print("\n".join(["", "how the findings stand to the goals", *page.ratios(found.found)]))
    if not options.quick:
        page.write(found, DOCS)
        print(f"written: {(DOCS / 'benchmarks.md').relative_to(ROOT)}")
    for told in failed:
        print(told)
    return 1 if failed else 0


def run_all(names: Sequence[str], is_quick: bool, kept: Path) -> list[str]:
    """Run benchmarks in turn, keep what they found; return a line for each that could not run."""
    kept.mkdir(parents=True, exist_ok=True)
    failed = []
    for benchmark in BENCHMARKS:
        if benchmark.name not in names:
            continue
        command = benchmark.command(is_quick)
        print(f"\n== python {' '.join(command)}", flush=True)
        run = _run(command, kept / f"{benchmark.name}.json")
        _remember(kept, benchmark.name, run)
        print(f"== {benchmark.name} took {run.seconds:.0f} s", flush=True)
        if run.status:
            failed.append(f"could not run: {benchmark.name} (status {run.status})")
            print(failed[-1], flush=True)
    return failed


def _run(command: list[str], file: Path) -> Run:
    """Run one; what an earlier run of it found is forgotten first."""
    file.unlink(missing_ok=True)
    began, at = time.monotonic(), datetime.now(UTC)
    argv = [sys.executable, *command, "--json", str(file)]
    status = subprocess.run(argv, cwd=ROOT, check=False).returncode
    return Run(
        command=f"python {' '.join(command)}",
        began=f"{at:%Y-%m-%d %H:%M}",
        seconds=time.monotonic() - began,
        status=status,
        commit=machine.commit(),
    )


def _remember(kept: Path, name: str, run: Run) -> None:
    about = _about(kept)
    about["runs"][name] = asdict(run)
    about |= {"machine": machine.machine(), "programs": machine.programs()}
    (kept / ABOUT).write_text(json.dumps(about, indent=1) + "\n")


def _about(kept: Path) -> dict:
    empty = {"machine": {}, "programs": {}, "runs": {}}
    return json.loads((kept / ABOUT).read_text()) if (kept / ABOUT).exists() else empty


def read(kept: Path, notes: Path) -> Book:
    """Return the book of what a folder keeps, with the notes of a measure from MEASURE.md."""
    about = _about(kept)
    files = [kept / f"{benchmark.name}.json" for benchmark in BENCHMARKS]
    written = {chapter.measure: notes / _file(chapter.measure) for chapter in CHAPTERS}
    return Book(
        found=[one for file in files if file.exists() for one in measured.read(file)],
        machine=about["machine"],
        programs=about["programs"],
        runs={
            benchmark.name: Run(**about["runs"][benchmark.name])
            for benchmark in BENCHMARKS
            if benchmark.name in about["runs"]
        },
        notes={measure: path.read_text() for measure, path in written.items() if path.exists()},
    )


def _file(measure: str) -> str:
    return f"{measure.replace(' ', '-')}.md"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="tests.benchmarks.book", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, two minutes in all")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--from", dest="kept", type=Path, help="write the page of these JSON files")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
