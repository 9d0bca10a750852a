"""What several rounds found, as one median with its least and its most."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import measured
from tests.benchmarks.measured import Measured


def median(values: Sequence[float], **about: Any) -> Measured:
    """Return the median of a value of each round, `about` being the other fields of `Measured`."""
    return Measured(
        value=statistics.median(values),
        rounds=len(values),
        least=min(values),
        most=max(values),
        **about,
    )


def medians(
    measure: str, values: Iterable[tuple[str, str, str, float]], *, is_more_better: bool
) -> list[Measured]:
    """Return the median of each workload of each program; a value is (workload, who, unit, value).

    They stand in the order in which they were first found.
    """
    of: dict[tuple[str, str, str], list[float]] = {}
    for workload, who, unit, value in values:
        of.setdefault((workload, who, unit), []).append(value)
    return [
        median(
            found,
            measure=measure,
            workload=workload,
            who=who,
            unit=unit,
            is_more_better=is_more_better,
        )
        for (workload, who, unit), found in of.items()
    ]


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark be asked for a file of what it found."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")


def keep(path: Path | None, found: Iterable[Measured]) -> None:
    """Write what was found where `--json` asks for it."""
    if path is not None:
        measured.write(path, found)
