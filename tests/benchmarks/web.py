"""`make bench-web`: how fast pictures, frames and metadata leave by DICOMweb, beside Orthanc.

    python -m tests.benchmarks.web [--quick] [--rounds N] [--only NAME ...] [--kinds KIND ...]

The same files in both, over loopback, with 1 and with 8 clients that keep their connections. Each
client count has instances of its own, so that its first pass is cold; the second pass asks for
the same once more. A series' metadata is asked for by one client: once, then some times again.
Rounds are interleaved, each with an empty store; the table shows medians.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pacs_common.tickets import TicketIssuer
from tests.benchmarks import exams, goals, peers, rounds
from tests.benchmarks.asked import Answers, ask_all
from tests.benchmarks.exams import Exam
from tests.benchmarks.images import Scanner
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.support.process_tree import wait_quiet

CLIENTS = (1, 8)
NAMES = ("argens", "orthanc")
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
SV1 = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.70'
JSON = "application/dicom+json"
LEAST_MS = 1e-3  # processor time is counted in ticks of some milliseconds: it may be none


@dataclass(frozen=True)
class Kind:
    """One kind of request: of which exam, where, and what is accepted."""

    exam: str
    address: str
    accept: str
    elsewhere: str = ""
    """Orthanc's address where it differs: its plug-in has no thumbnails."""

    @property
    def is_of_series(self) -> bool:
        """Whether one answer tells of all the exam."""
        return self.address.endswith("/metadata")


KINDS = {
    "raw frames": Kind("ct", "{}/frames/1", FRAMES),
    ".70 frames as stored": Kind("packed", "{}/frames/1", FRAMES),
    ".70 frames from raw": Kind("ct", "{}/frames/1", SV1),
    ".70 frames from raw CR": Kind("cr", "{}/frames/1", SV1),
    "rendered CT": Kind("ct", "{}/rendered", "image/jpeg"),
    "rendered CR": Kind("cr", "{}/rendered", "image/jpeg"),
    "thumbnails CT": Kind("ct", "{}/thumbnail", "image/jpeg", "{}/rendered?viewport=128,128"),
    "series metadata": Kind("long", "{}/metadata", JSON),
    "metadata of a longer series": Kind("longer", "{}/metadata", JSON),
}


@dataclass(frozen=True)
class Row:
    """One pass: whose answers, to which kind of request, with how many clients."""

    name: str
    kind: str
    clients: int
    is_warm: bool
    instances: int
    answers: Answers

    @property
    def key(self) -> tuple[str, int, bool]:
        """What is compared."""
        return self.kind, self.clients, self.is_warm

    @property
    def workload(self) -> str:
        """What is compared, in words."""
        if KINDS[self.kind].is_of_series:
            time = "again" if self.is_warm else "the first time"
            return f"series of {self.instances:,} instances, {time}"
        clients = "1 client" if self.clients == 1 else f"{self.clients} clients"
        return f"{self.kind}, {clients}, {'warm' if self.is_warm else 'cold'}"


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print the table."""
    options = _options(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="argens-bench-", dir=options.folder) as folder:
        try:
            peers.sender()
            made = _exams(Path(folder), options)
        except Absent as absent:
            print(f"nothing is measured: {absent} (apt-get install dcmtk)")
            return 1
        for row in _rounds(options, made, Path(folder)):
            rows.append(row)
            print(_line(row), flush=True)
    print("\n".join(["", *report(rows)]))
    rounds.keep(options.json, found(rows))
    return 0


def found(rows: list[Row]) -> list[Measured]:
    """Return the medians of the rounds: answers a second, for metadata milliseconds of one."""
    passes: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        passes.setdefault((row.workload, row.name), []).append(row)
    return [_measured(workload, name, of_rounds) for (workload, name), of_rounds in passes.items()]


def _measured(workload: str, name: str, passes: list[Row]) -> Measured:
    if KINDS[passes[0].kind].is_of_series:
        measure, unit, is_more_better = "metadata", "ms", False
        values = [one.answers.median_ms for one in passes]
    else:
        measure, unit, is_more_better = "renditions", "answers/s", True
        values = [one.answers.rate for one in passes]
    return rounds.median(
        values,
        measure=measure,
        workload=workload,
        who=name,
        unit=unit,
        is_more_better=is_more_better,
    )


def report(rows: list[Row]) -> list[str]:
    """Return the ratios first, then the medians."""
    passes: dict[tuple[str, tuple[str, int, bool]], list[Answers]] = {}
    for row in rows:
        passes.setdefault((row.name, row.key), []).append(row.answers)
    lines = [
        "answers a second, as a ratio to Orthanc's; processor time of Orthanc to ours (medians)"
    ]
    for (name, key), measured in passes.items():
        theirs = passes.get(("orthanc", key))
        if name != "argens" or theirs is None:
            continue
        kind, clients, is_warm = key
        ratio = _median(measured, "rate") / _median(theirs, "rate")
        cost = _median(theirs, "server_ms") / max(_median(measured, "server_ms"), LEAST_MS)
        pass_ = "again" if is_warm else "first"
        goal = goals.times(
            "metadata" if KINDS[kind].is_of_series else "renditions", kind, "orthanc"
        )
        lines.append(
            f"  {kind:<22} {clients} clients, {pass_}: {ratio:6.1f} (goal {goal:g})"
            f"  processor {cost:6.1f}"
        )
    return lines


def _median(passes: list[Answers], what: str) -> float:
    return statistics.median(getattr(answers, what) for answers in passes)


def _line(row: Row) -> str:
    answers, pass_ = row.answers, "again" if row.is_warm else "first"
    return (
        f"{row.name:<8} {row.kind:<22} {row.clients} clients, {pass_}: {answers.rate:8.1f} /s"
        f" {answers.megabytes_a_second:7.1f} MB/s  median {answers.median_ms:7.1f} ms"
        f"  p95 {answers.p95_ms:7.1f} ms"
        f"  processor {answers.server_ms:7.2f} ms (client {answers.client_ms:5.2f} ms)"
    )


def _exams(folder: Path, options: argparse.Namespace) -> dict[str, Exam]:
    """Write what the kinds of request need: each client count has a part of it for itself."""
    scanner, count = Scanner(), options.images * len(CLIENTS)
    needed = {KINDS[kind].exam for kind in options.kinds}
    makers: dict[str, Callable[[Path], Exam]] = {
        "ct": lambda where: exams.slices(where, count, scanner),
        "packed": lambda where: exams.compressed(where, count, scanner),
        "cr": lambda where: exams.radiographs(where, options.radiographs * len(CLIENTS)),
        "long": lambda where: exams.slices(where, options.series[0], scanner),
        "longer": lambda where: exams.slices(where, options.series[1], scanner),
    }
    return {name: make(folder / name) for name, make in makers.items() if name in needed}


def _rounds(options: argparse.Namespace, made: dict[str, Exam], folder: Path) -> Iterator[Row]:
    starts = {"argens": peers.argens, "orthanc": peers.orthanc_on_the_web}
    for number in range(options.rounds):
        names = [name for name in NAMES if name in options.only]
        for name in names if number % 2 == 0 else reversed(names):
            own = folder / f"{name}-{number}"
            own.mkdir()
            with contextlib.ExitStack() as stack:
                try:
                    peer = starts[name](own)
                except Absent as absent:
                    print(f"not measured: {name} ({absent})", flush=True)
                    continue
                stack.callback(shutil.rmtree, own)
                stack.callback(peer.stop)
                _send(peer, made)
                wait_quiet(peer.pid)  # digests are made of what has come: that is no answering
                yield from _passes(name, peer, options, made)


def _passes(
    name: str, peer: Peer, options: argparse.Namespace, made: dict[str, Exam]
) -> Iterator[Row]:
    for kind in options.kinds:
        for part, clients in enumerate(CLIENTS[:1] if KINDS[kind].is_of_series else CLIENTS):
            addresses = _addresses(name, kind, made, part)
            for is_warm in (False, True):
                if is_warm and KINDS[kind].is_of_series:
                    addresses = addresses * options.repeats
                headers = {"Accept": KINDS[kind].accept, **_credentials(name, peer)}
                answers = ask_all(peer.http_port, addresses, headers, clients, peer.pid)
                instances = len(made[KINDS[kind].exam].instances)
                yield Row(name, kind, clients, is_warm, instances, answers)


def _addresses(name: str, kind: str, made: dict[str, Exam], part: int) -> list[str]:
    what = KINDS[kind]
    exam = made[what.exam]
    if what.is_of_series:
        return [f"/dicom-web/{what.address.format(exam.series)}"]
    pattern = what.elsewhere if what.elsewhere and name == "orthanc" else what.address
    size = len(exam.instances) // len(CLIENTS)
    mine = exam.instances[part * size : (part + 1) * size]
    return [f"/dicom-web/{pattern.format(instance)}" for instance in mine]


def _credentials(name: str, peer: Peer) -> dict[str, str]:
    if name != "argens":
        return {}
    env = peer.details["node"].env
    key = Path(env["PACS_DATA_DIR"]).parent / "portal.key"
    signer = TicketIssuer.at("portal", key, Path(env["PACS_TRUST_DIR"]))
    ticket = signer.issue("CT", ["dicomweb"], subject="benchmark")
    return {"Authorization": f"Bearer {ticket}"}


def _send(peer: Peer, made: dict[str, Exam]) -> None:
    for exam in made.values():
        command = [peers.sender(), "-aec", "ARGENS_CT", "-xs", "127.0.0.1", str(peer.port), "+sd"]
        if exam is not made.get("packed"):
            command.remove("-xs")
        done = subprocess.run([*command, str(exam.folder)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"storescu: {done.stderr[-500:]}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.web", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of few images")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--folder", help="where the files lie (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.images, options.radiographs = (8, 2) if options.quick else (200, 16)
    options.series, options.repeats = ((50, 100), 3) if options.quick else ((1000, 5000), 5)
    return options


if __name__ == "__main__":
    sys.exit(main())
