"""`make bench-ingest`: how fast objects get in, beside Orthanc and storescp.

    python -m tests.benchmarks.ingest [--quick] [--rounds N] [--images N] [--only NAME ...]

CT images of 512 KB over loopback, `storescu` as sender, one process for each association. Each
measurement starts a receiver with an empty store, sends images that it has not seen, and counts
afterwards that all arrived. Rounds are interleaved, and the table shows medians. Argens and
Orthanc answer for durable, indexed data; storescp neither syncs nor indexes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks import goals, peers, rounds
from tests.benchmarks.images import Batch, Scanner
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.support import postgres
from tests.support.process_tree import Consumption, wait_quiet

ASSOCIATIONS = (1, 4, 16)
NAMES = ("argens-sqlite", "argens-postgresql", "orthanc", "orthanc-postgresql", "storescp")
SEND_TIMEOUT_S = 600


@dataclass(frozen=True)
class Row:
    """One measurement: `instances` in `seconds`, and what the receiver's processes took."""

    name: str
    associations: int
    instances: int
    seconds: float
    megabytes: float
    processor_s: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.instances / self.seconds

    @property
    def workload(self) -> str:
        """What is compared."""
        plural = "s" if self.associations > 1 else ""
        return f"{self.instances} CT of 512 KB, {self.associations} association{plural}"


Start = Callable[[Path], Peer]


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, print the table, and return 1 where an image was lost."""
    options = _options(arguments)
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        try:
            peers.sender()
        except Absent as absent:
            print(f"nothing is measured: {absent} (apt-get install dcmtk)")
            return 1
        starts, absent_ones = _receivers(options.only, stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        for row in _rounds(options, starts, folder):
            rows.append(row)
            _say(row)
    print("\n".join(["", *report(rows), *absent_ones]))
    rounds.keep(options.json, found(rows))
    return 0


def found(rows: list[Row]) -> list[Measured]:
    """Return images a second: the median of the rounds of each receiver at each workload."""
    rates: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        rates.setdefault((row.workload, row.name), []).append(row.rate)
    return [
        rounds.median(
            of_rounds, measure="ingest", workload=workload, who=name, unit="images/s",
            is_more_better=True,
        )
        for (workload, name), of_rounds in rates.items()
    ]  # fmt: skip


def report(rows: list[Row]) -> list[str]:
    """Return the ratios, then the table of medians."""
    medians = {
        key: _median([row for row in rows if (row.name, row.associations) == key])
        for key in sorted({(row.name, row.associations) for row in rows}, key=_order)
    }
    lines = ["images a second, as a ratio (medians)"]
    for ours in (name for name in NAMES if name.startswith("argens")):
        for other in (name for name in NAMES if not name.startswith("argens")):
            lines += _ratios(medians, ours, other)
    heading = f"{'receiver':<18} {'assoc.':>6} {'images/s':>9} {'MB/s':>7} {'CPU s':>7}"
    lines += ["", f"{heading} {'peak MB':>8} {'rounds':>7}"]
    for (name, associations), row in medians.items():
        rounds = sum((one.name, one.associations) == (name, associations) for one in rows)
        lines.append(
            f"{name:<18} {associations:>6} {row.rate:>9.0f} {row.megabytes / row.seconds:>7.0f}"
            f" {row.processor_s:>7.2f} {row.peak_bytes / 1e6:>8.0f} {rounds:>7}"
        )
    return lines


def _ratios(medians: dict[tuple[str, int], Row], ours: str, other: str) -> list[str]:
    parts = []
    for associations in sorted({count for _, count in medians}):
        mine, theirs = medians.get((ours, associations)), medians.get((other, associations))
        if mine and theirs:
            part = f"{mine.rate / theirs.rate:.2f} at {associations}"
            target = goals.times("ingest", mine.workload, other)
            parts.append(f"{part} (target {target:g})" if target else part)
    return [f"  {ours} / {other}: {', '.join(parts)}"] if parts else []


def _order(key: tuple[str, int]) -> tuple[int, int]:
    return key[1], NAMES.index(key[0])


def _median(rows: list[Row]) -> Row:
    middle = statistics.median_low([row.rate for row in rows])
    return next(row for row in rows if row.rate == middle)


def _receivers(only: list[str], stack: contextlib.ExitStack) -> tuple[dict[str, Start], list[str]]:
    """Return how to start each receiver that is here, and a line for each that is not."""
    starts: dict[str, Start] = {
        "argens-sqlite": peers.argens,
        "orthanc": peers.orthanc,
        "storescp": peers.storescp,
    }
    absent = []
    of_postgresql = {
        "argens-postgresql": peers.argens,
        "orthanc-postgresql": peers.orthanc_on_postgresql,
    }
    if set(of_postgresql) & set(only):
        try:
            cluster = stack.enter_context(postgres.cluster())
        except pytest.skip.Exception as missing:
            absent = [f"not measured: {name} ({missing})" for name in of_postgresql if name in only]
        else:
            starts |= {name: _on(cluster, start) for name, start in of_postgresql.items()}
    return {name: starts[name] for name in NAMES if name in only and name in starts}, absent


def _on(cluster: postgres.Cluster, start_on: Callable[[Path, str], Peer]) -> Start:
    """Return how to start a receiver on an empty database of its own."""
    return lambda folder: start_on(folder, cluster.create(folder.name))


def _rounds(options: argparse.Namespace, starts: dict[str, Start], folder: Path) -> Iterator[Row]:
    scanner = Scanner()
    missing: set[str] = set()
    for number in range(options.rounds):
        for associations in options.associations:
            with _batch(scanner, options, associations) as batch:
                names = list(starts)
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    if name in missing:
                        continue
                    own = folder / f"{name}-{number}-{associations}"
                    own.mkdir()
                    try:
                        yield measure(name, starts[name], own, batch)
                    except Absent as absent:
                        missing.add(name)
                        print(f"not measured: {name} ({absent})", flush=True)
                    shutil.rmtree(own)


@contextlib.contextmanager
def _batch(scanner: Scanner, options: argparse.Namespace, associations: int) -> Iterator[Batch]:
    """Images in memory where the machine has room there, so that no disk is read."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None
    with tempfile.TemporaryDirectory(prefix="argens-bench-", dir=where) as folder:
        yield scanner.write(Path(folder), options.images, associations)


def measure(name: str, start: Start, folder: Path, batch: Batch) -> Row:
    """Send a batch to a receiver with an empty store; raises RuntimeError where one is lost."""
    peer = start(folder)
    try:
        os.sync()
        wait_quiet(peer.pid)
        with Consumption(peer.pid) as consumption:
            began = time.perf_counter()
            _send(peer.port, batch)
            seconds = time.perf_counter() - began
        held = peer.held()
        if held != batch.instances:
            raise RuntimeError(f"{name} answered {batch.instances} objects and holds {held}")
    finally:
        peer.stop()
    return Row(
        name,
        len(batch.folders),
        batch.instances,
        seconds,
        batch.instances * batch.file_bytes / 1e6,
        consumption.processor_s,
        consumption.peak_pss_bytes,
    )


def _send(port: int, batch: Batch) -> None:
    """Run one storescu for each association at once; raises RuntimeError where one fails."""
    command = [peers.sender(), "-aec", "ARGENS_CT", "-aet", "BENCH", "127.0.0.1", str(port), "+sd"]
    senders = [
        subprocess.Popen(
            [*command, str(folder)],
            env={**os.environ, **peers.DCMTK},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in batch.folders
    ]
    failed = []
    for sender in senders:
        output, _ = sender.communicate(timeout=SEND_TIMEOUT_S)
        if sender.returncode:
            failed.append(f"status {sender.returncode}: {output.decode(errors='replace')[-500:]}")
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(senders)} storescu failed: {failed[0]}")


def _say(row: Row) -> None:
    print(
        f"{row.name:<18} {row.associations:>3} associations: {row.rate:6.0f} images/s,"
        f" {row.processor_s:6.2f} s CPU",
        flush=True,
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 200 images")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--images", type=int, help="in each measurement, default 800")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--associations", nargs="+", type=int, default=list(ASSOCIATIONS))
    parser.add_argument("--folder", help="where the receivers store (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.images = options.images or (200 if options.quick else 800)
    return options


if __name__ == "__main__":
    sys.exit(main())
