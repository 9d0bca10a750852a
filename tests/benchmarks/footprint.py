"""`make bench-footprint`: memory, disk and start-up time of a node, beside Orthanc.

    python -m tests.benchmarks.footprint [--quick] [--rounds N] [--parts PART ...] [--json FILE]

*memory*: the proportional set size (PSS: shared pages once) of all processes, of an empty server
at rest and at most while 200 CT images come over 4 associations. *disk*: what files and database
take, as `du` counts, for each GB that came. *start*: from the first process to the answer of HTTP
and to that of C-ECHO, of a server that has run before on the same index: an empty one, and full
ones, whose rows have no files (a node compares with its disk only the hours since it last ran).
Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import goals, peers, rounds, starting
from tests.benchmarks.images import Batch, Scanner
from tests.benchmarks.ingest import send
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.support.process_tree import Consumption, pss_bytes

NAMES, PARTS = ("argens", "orthanc"), ("memory", "disk", "start")
ASSOCIATIONS = 4
NO_RENDITIONS, BESIDE, AT_REST = (
    {"PACS_RENDITIONS": kept, **peers.AT_ONCE} for kept in ("off", "cache", "at-rest")
)
Start = Callable[[Path], Peer]


@dataclass(frozen=True)
class Found:
    """One value of one round."""

    name: str
    workload: str
    value: float
    unit: str


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print it, the goals last; 1 where something was lost."""
    options = _options(arguments)
    found: list[Found] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        try:
            for one in _found(Path(folder), options):
                found.append(one)
                print(f"{one.name:<8} {one.workload:<44} {one.value:9.2f} {one.unit}", flush=True)
        except RuntimeError as failure:
            print(f"not whole: {failure}")
            return 1
    medians = findings(found)
    print("\n".join(["", *report(medians)]))
    rounds.keep(options.json, medians)
    return 0


def findings(found: Sequence[Found]) -> list[Measured]:
    """Return the medians of all rounds."""
    values = ((one.workload, one.name, one.unit, one.value) for one in found)
    return rounds.medians("footprint", values, is_more_better=False)


def report(medians: Sequence[Measured]) -> list[str]:
    """Return each median of ours with its goal, and as a ratio of Orthanc's."""
    others = {one.workload: one.value for one in medians if one.who == "orthanc"}
    lines = ["medians of argens; its part of Orthanc's (less is better)"]
    for one in medians:
        if one.who != "argens":
            continue
        line = f"  {one.workload:<44} {one.value:9.2f} {one.unit}"
        if one.workload in others:
            line += f"  {one.value / others[one.workload]:5.2f} of Orthanc's"
        lines.append(line + _goal(one))
    return lines


def _goal(one: Measured) -> str:
    if one.workload.endswith("at rest, empty"):
        return f" (goal {goals.IDLE_MB:g} MB)"
    return f" (goal {goals.READY_S:g} s)" if one.unit == "s" else ""


def _found(folder: Path, options: argparse.Namespace) -> Iterator[Found]:
    images = Scanner()
    if {"memory", "disk"} & set(options.parts):
        try:
            peers.sender()
        except Absent as absent:
            print(f"memory and disk are not measured: {absent} (apt-get install dcmtk)")
            options.parts = [part for part in options.parts if part == "start"]
    if "memory" in options.parts:
        batch = images.write(folder / "loaded", options.load, ASSOCIATIONS)
        starts: dict[str, Start] = {"argens": peers.argens, "orthanc": peers.orthanc}
        yield from _each(folder / "memory", starts, options, lambda n, s: _memory(n, s, batch))
    if "disk" in options.parts:
        batch = images.write(folder / "stored", options.images, ASSOCIATIONS)
        for kind, starts in _kept().items():
            yield from _each(
                folder / "disk" / kind,
                starts,
                options,
                lambda n, s, kind=kind: _disk(n, s, kind, batch),
                rounds=1,
            )
    if "start" in options.parts:
        for start in starting.starts(folder / "start", options):
            ready, echo = (f"start until {what}, {start.index}" for what in ("ready", "C-ECHO"))
            yield Found(start.name, ready, start.ready_s, "s")
            yield Found(start.name, echo, start.echo_s, "s")


def _kept() -> dict[str, dict[str, Start]]:
    """Return the ways in which images are kept."""
    return {
        "as they came": {
            "argens": lambda own: peers.argens(own, **NO_RENDITIONS),
            "orthanc": peers.orthanc,
        },
        "with renditions beside": {"argens": lambda own: peers.argens(own, **BESIDE)},
        "compressed": {
            "argens": lambda own: peers.argens(own, **AT_REST),
            "orthanc": lambda own: peers.orthanc(own, StorageCompression=True),
        },
    }


def _each(
    folder: Path,
    starts: dict[str, Start],
    options: argparse.Namespace,
    measure: Callable[[str, tuple[Path, Peer]], list[Found]],
    rounds: int = 0,
) -> Iterator[Found]:
    """Start each anew for every round and measure it; who is not here is named."""
    for number in range(rounds or options.rounds):
        names = [name for name in starts if name in options.only]
        for name in names if number % 2 == 0 else reversed(names):
            own = folder / f"{name}-{number}"
            own.mkdir(parents=True)
            try:
                peer = starts[name](own)
            except Absent as absent:
                print(f"not measured: {name} ({absent})", flush=True)
                continue
            try:
                yield from measure(name, (own, peer))
            finally:
                peer.stop()


def _memory(name: str, server: tuple[Path, Peer], batch: Batch) -> list[Found]:
    _, peer = server
    peer.rest()
    at_rest = pss_bytes(peer.pid)
    with Consumption(peer.pid) as consumption:
        _take(peer, batch)
    loaded = f"memory, {batch.instances} CT over {ASSOCIATIONS} associations"
    return [
        Found(name, "memory at rest, empty", at_rest / 1e6, "MB"),
        Found(name, loaded, consumption.peak_pss_bytes / 1e6, "MB"),
    ]


def _disk(name: str, server: tuple[Path, Peer], kind: str, batch: Batch) -> list[Found]:
    own, peer = server
    before = disk_bytes(own)
    _take(peer, batch)
    peer.rest()
    came = batch.instances * batch.file_bytes
    kept = (disk_bytes(own) - before) / came * 1000
    return [Found(name, f"disk, CT {kind}", kept, "MB/GB")]


def _take(peer: Peer, batch: Batch) -> None:
    send(peer.port, batch)
    if (held := peer.held()) != batch.instances:
        raise RuntimeError(f"{batch.instances} objects were sent and {held} are held")


def disk_bytes(folder: Path) -> int:
    """Return what a folder takes on its disk, as `du` does: a file of two names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent) / name for name in names)):
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.footprint", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, and 10,000 instances")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--images", type=int, help="that are stored, default 800")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", type=int, help="instances of an index")
    parser.add_argument("--folder", help="where the servers store (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.images = options.images or (200 if options.quick else 800)
    options.load = min(options.images, 200)
    options.orthanc_most = 0 if options.quick else 10_000  # objects that are worth sending
    options.sizes = options.sizes or ([10_000] if options.quick else [10_000, 1_000_000])
    return options


if __name__ == "__main__":
    sys.exit(main())
