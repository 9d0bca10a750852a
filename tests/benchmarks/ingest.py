"""`make bench-ingest`: how fast objects get in, beside Orthanc and storescp.

    python -m tests.benchmarks.ingest [--quick] [--rounds N] [--day-rounds N] [--days N]

CT images of 512 KB over loopback, `storescu` as sender, one process for each association; then a
whole "Fréjus day" (480 CT, 70 RF, 215 CR: 2.1 GB), each source over an association of its own. Each
measurement starts a receiver with an empty store, sends images that it has not seen, and counts
afterwards that all arrived. Rounds are interleaved, and the table shows medians. `--days 10` sends
ten such days, one after another, to one node alone, which keeps them all. Argens and Orthanc answer
for durable, indexed data; storescp neither syncs nor indexes.
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
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.benchmarks import days, goals, peers, rounds
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
    workload: str
    instances: int
    seconds: float
    megabytes: float
    processor_s: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.instances / self.seconds


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
        most = max(options.days, int(options.day_rounds > 0))
        if most and (refusal := days.refusal(folder, options.scale, most)):
            print(f"nothing is measured: {refusal}")
            return 1
        for row in _rows(options, starts, folder):
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
    medians: dict[str, dict[str, Row]] = {}
    for workload in dict.fromkeys(row.workload for row in rows):
        for name in NAMES:
            of_rounds = [row for row in rows if (row.workload, row.name) == (workload, name)]
            if of_rounds:
                medians.setdefault(workload, {})[name] = _median(of_rounds)
    lines = ["images a second, as a ratio (medians)"]
    for workload, by_name in medians.items():
        lines += _ratios(workload, by_name)
    heading = f"{'receiver':<18} {'images/s':>9} {'MB/s':>7} {'CPU s':>7} {'peak MB':>8}"
    for workload, by_name in medians.items():
        lines += ["", f"{heading}   {workload}"]
        for name, row in by_name.items():
            lines.append(
                f"{name:<18} {row.rate:>9.0f} {row.megabytes / row.seconds:>7.0f}"
                f" {row.processor_s:>7.2f} {row.peak_bytes / 1e6:>8.0f}"
            )
    return lines


def _ratios(workload: str, by_name: dict[str, Row]) -> list[str]:
    lines = []
    for ours in (name for name in by_name if name.startswith("argens")):
        for other in (name for name in by_name if not name.startswith("argens")):
            target = goals.times("ingest", workload, other)
            wanted = f" (target {target:g})" if target else ""
            ratio = by_name[ours].rate / by_name[other].rate
            lines.append(f"  {ours} / {other}, {workload}: {ratio:.2f}{wanted}")
    return lines


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


def _rows(options: argparse.Namespace, starts: dict[str, Start], folder: Path) -> Iterator[Row]:
    scanner, here = Scanner(), dict(starts)
    for number in range(options.rounds):
        for associations in options.associations:
            with _place(options.images << 19) as place:
                batch = scanner.write(place, options.images, associations)
                yield from _round(number, here, folder, batch)
    if options.day_rounds:
        with _place(int(days.DAY_BYTES * options.scale)) as place:
            batch = days.write(place, options.scale, 0)
            for number in range(options.day_rounds):
                yield from _round(number, here, folder, batch)
    ours = [name for name in here if name.startswith("argens")]
    if options.days and ours:
        yield from _in_turn(ours[0], here[ours[0]], options, folder)


def _round(number: int, here: dict[str, Start], folder: Path, batch: Batch) -> Iterator[Row]:
    """Measure all receivers, another one first in each round; who is not here is dropped."""
    names = list(here)
    turn = number % max(1, len(names))
    for name in names[turn:] + names[:turn]:
        own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        try:
            yield measure(name, here[name], own, batch)
        except Absent as absent:
            del here[name]
            print(f"not measured: {name} ({absent})", flush=True)
        shutil.rmtree(own)


@contextlib.contextmanager
def _place(size_bytes: int) -> Iterator[Path]:
    """A folder in memory where the machine has room there, so that no disk is read."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * size_bytes + (1 << 30)
    with tempfile.TemporaryDirectory(
        prefix="argens-bench-", dir=memory if is_roomy else None
    ) as place:
        yield Path(place)


def measure(name: str, start: Start, folder: Path, batch: Batch) -> Row:
    """Send a batch to a receiver with an empty store; raises RuntimeError where one is lost."""
    peer = start(folder)
    try:
        return _taken(name, peer, batch, batch.instances)
    finally:
        peer.stop()


def _in_turn(name: str, start: Start, options: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Send days to one receiver that keeps them all; each day is made and deleted in between."""
    own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    peer, held = start(own), 0
    try:
        for number in range(options.days):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                batch = days.write(Path(place), options.scale, number)
                held += batch.instances
                row = _taken(name, peer, batch, held)
            yield replace(row, workload=f"{options.days} Fréjus days in turn, each of them")
    finally:
        peer.stop()
        shutil.rmtree(own)


def _taken(name: str, peer: Peer, batch: Batch, held_afterwards: int) -> Row:
    os.sync()
    wait_quiet(peer.pid)
    with Consumption(peer.pid) as consumption:
        began = time.perf_counter()
        send(peer.port, batch)
        seconds = time.perf_counter() - began
    if (held := peer.held()) != held_afterwards:
        raise RuntimeError(f"{name} answered {held_afterwards} objects and holds {held}")
    return Row(
        name,
        batch.workload,
        batch.instances,
        seconds,
        batch.instances * batch.file_bytes / 1e6,
        consumption.processor_s,
        consumption.peak_pss_bytes,
    )


def send(port: int, batch: Batch) -> None:
    """Run one storescu for each association at once; raises RuntimeError where one fails."""
    called = ["-aec", "ARGENS_CT", "-aet", "BENCH", "127.0.0.1", str(port)]
    command = [peers.sender(), *called, "+sd", "+r"]
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
        f"{row.name:<18} {row.rate:6.0f} images/s, {row.processor_s:6.2f} s CPU   {row.workload}",
        flush=True,
    )


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 100 images, a tiny day")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--images", type=int, help="in each measurement, default 800; quick 100")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--associations", nargs="+", type=int)
    parser.add_argument("--day-rounds", type=int, help="of a whole Fréjus day, default 3")
    parser.add_argument("--days", type=int, default=0, help="in turn, for Argens alone")
    parser.add_argument("--folder", help="where the receivers store (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    if options.day_rounds is None:
        options.day_rounds = 1 if options.quick else 3
    options.associations = options.associations or ([4] if options.quick else list(ASSOCIATIONS))
    options.scale = 0.001 if options.quick else 1.0
    options.images = options.images or (100 if options.quick else 800)
    return options


if __name__ == "__main__":
    sys.exit(main())
