"""What a benchmark found, as `docs/benchmarks.md` tells it: one value, of whom, at which work."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The median of some rounds: `value` in `unit`, of `who`, at `workload` of a `measure`."""

    measure: str
    """ingest, query, retrieve, metadata, renditions, first image, federation, archive, footprint"""
    workload: str
    """What all did alike ("800 CT of 512 KB, 4 associations"): only equal ones are compared."""
    who: str
    """argens, argens-sqlite, argens-postgresql, orthanc, storescp, dcmqrscp, tar ..."""
    value: float
    unit: str
    is_more_better: bool
    """True of images/s, False of ms and MB."""
    rounds: int = 1
    least: float | None = None
    most: float | None = None


def write(path: Path, found: Iterable[Measured]) -> None:
    """Write what a benchmark found as a JSON array."""
    path.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def read(path: Path) -> list[Measured]:
    """Read what `write` wrote."""
    return [Measured(**one) for one in json.loads(path.read_text())]
