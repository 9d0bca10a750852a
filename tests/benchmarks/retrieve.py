"""`make bench-retrieve`: how fast a study leaves, beside Orthanc and dcmqrscp.

    python -m tests.benchmarks.retrieve [--quick] [--rounds N] [--only NAME ...] [--json FILE]

A CT study of 500 images and a multi-frame object of 200 MB, by C-MOVE, by C-GET, and by WADO-RS as
one multipart answer; one client, and 8 that each take the whole study at once. All have the same
files and the same clients, which keep nothing: DCMTK's getscu, movescu with a storescp that
ignores what it gets, and an HTTP client that counts and forgets. All servers run all the time,
each rests while another is asked, and the rounds are interleaved. Objects and bytes are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pacs_common.tickets import TicketIssuer
from tests.benchmarks import exams, goals, peers, rounds, taking
from tests.benchmarks.exams import Exam
from tests.benchmarks.images import Batch, Scanner
from tests.benchmarks.ingest import send
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.benchmarks.taking import Sink, Taken
from tests.support.process_tree import Consumption

NAMES = ("argens", "orthanc", "dcmqrscp")
DOORS = ("C-MOVE", "C-GET", "WADO-RS")
CLIENTS = (1, 8)
FORKING = {"dcmqrscp"}  # a process for each association: what an ended one took is told late
LEAST = 1e-6  # processor time is counted in ticks of some milliseconds: it may be none


@dataclass(frozen=True)
class Study:
    """What is taken, and how much of it there must be."""

    name: str
    exam: Exam
    file_bytes: int
    pixel_bytes: int

    @property
    def uid(self) -> str:
        """Its Study Instance UID."""
        return self.exam.series.split("/")[1]

    @property
    def address(self) -> str:
        """Where WADO-RS has it."""
        return f"/dicom-web/studies/{self.uid}"


@dataclass(frozen=True)
class Row:
    """One pass: all clients had the whole study after so many seconds."""

    name: str
    study: str
    door: str
    clients: int
    megabytes: float
    seconds: float
    server_s: float

    @property
    def rate(self) -> float:
        """Millions of bytes a second, all clients together."""
        return self.megabytes / self.seconds

    @property
    def server_ms(self) -> float:
        """Milliseconds of the server's processor time for a million bytes."""
        return self.server_s * 1000 / self.megabytes

    @property
    def workload(self) -> str:
        """What is compared."""
        return f"{self.study}, {self.door}, {self.clients} client{'s' * (self.clients > 1)}"


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print it, the ratios last; 1 where an answer was not whole."""
    options = _options(arguments)
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        try:
            peers.sender()
            sinks = stack.enter_context(taking.sinks(folder, max(options.clients)))
        except Absent as absent:
            print(f"nothing is measured: {absent} (apt-get install dcmtk)")
            return 1
        studies = _studies(folder, options)
        servers = _servers(options.only, folder, sinks, stack)
        for server in servers.values():
            _fill(server, studies)
        try:
            for row in _rounds(options, servers, studies, sinks):
                rows.append(row)
                print(_line(row), flush=True)
        except RuntimeError as failure:
            print(f"not whole: {failure}")
            return 1
    print("\n".join(["", *report(rows)]))
    rounds.keep(options.json, findings(rows))
    return 0


def report(rows: Sequence[Row]) -> list[str]:
    """Return the ratios, and for each the processor time beside ours."""
    lines = ["MB a second, as a ratio of medians; processor time of the other to ours"]
    rates, costs = _by_workload(rows, "rate"), _by_workload(rows, "server_ms")
    for workload, of_whom in rates.items():
        for other in NAMES[1:]:
            if "argens" not in of_whom or other not in of_whom:
                continue
            line = f"  {workload:<42} argens / {other:<8} {_ratio(of_whom, other):5.2f}"
            if other not in FORKING:
                cost = 1 / _ratio(costs[workload], other)
                goal = goals.times("retrieve", workload, other)
                line += f" (goal {goal:g})  processor {cost:5.2f}"
            lines.append(line)
    return lines


def _ratio(of_whom: dict[str, list[float]], other: str) -> float:
    ours, theirs = statistics.median(of_whom["argens"]), statistics.median(of_whom[other])
    return max(ours, LEAST) / max(theirs, LEAST)


def findings(rows: Sequence[Row]) -> list[Measured]:
    """Return the medians: MB/s, and the server's processor time for each million bytes."""
    found = []
    for what, unit, said in (("rate", "MB/s", ""), ("server_ms", "ms/MB", ", processor time")):
        for workload, of_whom in _by_workload(rows, what).items():
            for name, values in of_whom.items():
                if what == "server_ms" and name in FORKING:
                    continue
                found.append(
                    rounds.median(
                        values,
                        measure="retrieve",
                        workload=workload + said,
                        who=name,
                        unit=unit,
                        is_more_better=what == "rate",
                    )
                )
    return found


def _by_workload(rows: Sequence[Row], what: str) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        found.setdefault(row.workload, {}).setdefault(row.name, []).append(getattr(row, what))
    return found


def _line(row: Row) -> str:
    line = f"{row.name:<8} {row.workload:<42} {row.rate:7.1f} MB/s"
    return line if row.name in FORKING else f"{line}  processor {row.server_ms:6.2f} ms/MB"


def _studies(folder: Path, options: argparse.Namespace) -> list[Study]:
    made = {
        f"CT of {options.images} images": exams.slices(folder / "ct", options.images, Scanner()),
        f"{options.frames} MB multi-frame": exams.angiography(folder / "xa", options.frames),
    }
    pixels = [options.images, options.frames]
    return [
        Study(
            name,
            exam,
            sum(path.stat().st_size for path in exam.folder.iterdir()),
            count * exam.frame_bytes,
        )
        for (name, exam), count in zip(made.items(), pixels, strict=True)
    ]


def _servers(
    only: Sequence[str], folder: Path, sinks: Sequence[Sink], stack: contextlib.ExitStack
) -> dict[str, Peer]:
    ports = {sink.ae_title: sink.port for sink in sinks}
    known = {name: [name, "127.0.0.1", port] for name, port in ports.items()}
    known[taking.CALLING] = [taking.CALLING, "127.0.0.1", 104]
    destinations = ",".join(f"{name}=127.0.0.1:{port}" for name, port in ports.items())
    starts: dict[str, Callable[[Path], Peer]] = {
        "argens": lambda own: peers.argens(
            own, PACS_MOVE_DESTINATIONS=destinations, **peers.AT_ONCE
        ),
        "orthanc": lambda own: peers.orthanc_on_the_web(
            own, DicomModalities=known, MaximumPduLength=peers.MAX_PDU_BYTES
        ),
        "dcmqrscp": lambda own: peers.dcmqrscp(own, ports),
    }
    found = {}
    for name in (name for name in NAMES if name in only):
        own = folder / name
        own.mkdir()
        try:
            found[name] = starts[name](own)
        except Absent as absent:
            print(f"not measured: {name} ({absent})", flush=True)
            continue
        stack.callback(found[name].stop)
    return found


def _fill(server: Peer, studies: Sequence[Study]) -> None:
    """Send the studies, and wait for what a server does with them afterwards."""
    files = sum(len(study.exam.instances) for study in studies)
    send(server.port, Batch([study.exam.folder for study in studies], files, 0))
    if (held := server.held()) != files:
        raise RuntimeError(f"{files} objects were sent and {held} are held")
    server.rest()


def _rounds(
    options: argparse.Namespace,
    servers: dict[str, Peer],
    studies: Sequence[Study],
    sinks: Sequence[Sink],
) -> Iterator[Row]:
    for number in range(options.rounds):
        turn = number % len(servers) if servers else 0
        names = [*list(servers)[turn:], *list(servers)[:turn]]
        for study in studies:
            for door in options.doors:
                for clients in options.clients:
                    for name in names:
                        if (name, door) != ("dcmqrscp", "WADO-RS"):
                            yield measure(name, servers[name], study, door, sinks[:clients])


def measure(name: str, server: Peer, study: Study, door: str, sinks: Sequence[Sink]) -> Row:
    """Let as many clients as there are sinks take a study; raises RuntimeError if not whole."""
    headers, clients = _credentials(name, server), len(sinks)
    takes: dict[str, Callable[[], list[Taken]]] = {
        "C-MOVE": lambda: taking.by_move(server, study.uid, sinks),
        "C-GET": lambda: taking.by_get(server, study.uid, clients),
        "WADO-RS": lambda: taking.by_web(server, study.address, clients, headers),
    }
    with Consumption(server.pid) as consumption:
        began = time.perf_counter()
        taken = takes[door]()
        seconds = time.perf_counter() - began
    wanted = len(study.exam.instances)
    for one in taken:
        if one.instances != wanted or one.size_bytes < study.pixel_bytes:
            raise RuntimeError(
                f"{name}, {study.name}, {door}: a client got {one.instances} of {wanted} objects,"
                f" {one.size_bytes} bytes where the pixels are {study.pixel_bytes}"
            )
    megabytes = clients * study.file_bytes / 1e6
    return Row(name, study.name, door, clients, megabytes, seconds, consumption.processor_s)


def _credentials(name: str, server: Peer) -> dict[str, str]:
    if name != "argens":
        return {}
    env = server.details["node"].env
    key = Path(env["PACS_DATA_DIR"]).parent / "portal.key"
    signer = TicketIssuer.at("portal", key, Path(env["PACS_TRUST_DIR"]))
    ticket = signer.issue("CT", ["dicomweb"], subject="benchmark")
    return {"Authorization": f"Bearer {ticket}"}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.retrieve", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, a tenth of the bytes")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--images", type=int, help="of the CT, default 500")
    parser.add_argument("--frames", type=int, help="of 1 MB, default 200")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=list(DOORS))
    parser.add_argument("--clients", nargs="+", type=int, default=list(CLIENTS))
    parser.add_argument("--folder", help="where the servers store (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.images = options.images or (50 if options.quick else 500)
    options.frames = options.frames or (20 if options.quick else 200)
    return options


if __name__ == "__main__":
    sys.exit(main())
