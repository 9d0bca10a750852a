"""`make bench-query`: how fast studies are found, beside Orthanc.

    python -m tests.benchmarks.query [--quick] [--sizes N ...] [--only NAME ...]

C-FIND (one open association) and QIDO-RS (one open connection) at study level, the same clients for
every peer. A size is a number of instances, ten to a study; the node's index is made without
files, Orthanc gets the same content as small objects. All peers of a size are up together and are
asked in turns, round by round. A question has about as many answers at every size, so that sizes
can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pacs_common.tickets import TicketIssuer
from tests.benchmarks import asking, goals, orthanc_filled, peers, rounds
from tests.benchmarks.asked import Timed
from tests.benchmarks.asking import Asker, Keys
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.support import postgres, roles

PER_STUDY = 10
SIZES, ORTHANC_SIZES = (10_000, 100_000, 1_000_000), (10_000, 100_000)
NAMES = ("argens-sqlite", "argens-postgresql", "orthanc", "orthanc-postgresql")
WARM_UP = 5  # questions of each kind, in each round


@dataclass(kw_only=True)
class Row(Timed):
    """How one peer answered one kind of question at one size, in all rounds and in each."""

    name: str
    door: str
    size: int
    kind: str
    rounds: list[Timed] = field(default_factory=list)
    answers: float = 0.0


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print the table."""
    options = _options(arguments)
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        wants_postgresql = any(name.endswith("-postgresql") for name in options.only)
        cluster = _cluster(stack) if wants_postgresql else None
        for size in options.sizes:
            for row in _of_size(size, options, folder / str(size), cluster):
                rows.append(row)
                print(_line(row), flush=True)
    rows, others = compared(rows)
    print("\n".join(["", *others, *report(rows)]))
    rounds.keep(options.json, found(rows))
    return 0


def compared(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows with as many answers as the node gave, and a line for each other row."""
    given = {
        (row.door, row.size, row.kind): row.answers for row in rows if row.name == "argens-sqlite"
    }
    lines = [
        f"not compared: {row.name} {row.door} {row.size:,} {row.kind}: {row.answers:.1f} answers,"
        f" the node gave {given[row.door, row.size, row.kind]:.1f}"
        for row in rows
        if not _is_near(row, given)
    ]
    return [row for row in rows if _is_near(row, given)], lines


def _is_near(row: Row, given: dict[tuple[str, int, str], float]) -> bool:
    return abs(row.answers - given[row.door, row.size, row.kind]) < 0.01


def found(rows: list[Row]) -> Iterator[Measured]:
    """Yield the medians, over the rounds, of a round's median answer and of its 95th percentile."""
    for row in rows:
        workload = f"{row.door}, {row.kind}, {row.size:,} instances"
        for what, values in (
            (workload, [one.median_ms for one in row.rounds]),
            (f"{workload}, p95", [one.p95_ms for one in row.rounds]),
        ):
            yield rounds.median(
                values, measure="query", workload=what, who=row.name, unit="ms",
                is_more_better=False,
            )  # fmt: skip


def report(rows: list[Row]) -> list[str]:
    """Return the ratios: each peer against Orthanc, and the largest size against the smallest."""
    by_key = {(row.name, row.door, row.size, row.kind): row for row in rows}
    lines = []
    for row in rows:
        other = by_key.get(("orthanc", row.door, row.size, row.kind))
        if other is not None and row.name.startswith("argens"):
            lines.append(
                f"{row.name:<18} {row.door:<7} {row.size:>9,} {row.kind:<17}"
                f" {other.median_ms / row.median_ms:6.1f} x Orthanc (median),"
                f" {other.p95_ms / row.p95_ms:6.1f} x (p95)"
            )
    sizes = sorted({row.size for row in rows if row.name.startswith("argens")})
    for row in rows:
        if len(sizes) > 1 and row.size == sizes[-1] and row.name.startswith("argens"):
            small = by_key[row.name, row.door, sizes[0], row.kind]
            ratio = row.p95_ms / small.p95_ms
            lines.append(
                f"{row.name:<18} {row.door:<7} {row.kind:<17} p95 at {sizes[-1]:,} is"
                f" {ratio:4.2f} x that at {sizes[0]:,} (target {goals.FLAT:g})"
            )
    return lines


def _line(row: Row) -> str:
    return (
        f"{row.name:<18} {row.door:<7} {row.size:>9,} {row.kind:<17} median {row.median_ms:8.2f} ms"
        f"  p95 {row.p95_ms:8.2f} ms  {row.answers:5.1f} answers"
    )


def _of_size(
    size: int, options: argparse.Namespace, folder: Path, cluster: postgres.Cluster | None
) -> list[Row]:
    """Fill and start every peer, and ask them in turns."""
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        running: dict[str, Peer] = {}
        for name, url in _nodes(size, options, cluster).items():
            fill(folder / name, url, size, cluster)
            running[name] = peers.argens(folder / name, url)
            stack.callback(running[name].stop)
        index = folder / "argens-sqlite" / "node-ct" / "index.sqlite3"
        for name in options.only:
            if name.startswith("orthanc") and size in options.orthanc_sizes:
                with contextlib.suppress(Absent):
                    running[name] = orthanc_filled.start(name, folder / name, index, size, cluster)
                    stack.callback(running[name].stop)
        each = options.requests + WARM_UP
        asked = asking.questions(asking.held_studies("", index), options.rounds * each)
        rows: dict[tuple[str, str, str], Row] = {}
        for number in range(options.rounds):
            names = list(running)
            turn = number % len(names)
            own = {kind: keys[number * each :][:each] for kind, keys in asked.items()}
            for name in names[turn:] + names[:turn]:
                _one_round(name, running[name], size, own, rows)
    return sorted(rows.values(), key=lambda row: (NAMES.index(row.name), row.door))


def _nodes(
    size: int, options: argparse.Namespace, cluster: postgres.Cluster | None
) -> dict[str, str]:
    """Return the database of each node; SQLite's is always there: the questions are made of it."""
    urls = {"argens-sqlite": ""}
    if cluster is not None and "argens-postgresql" in options.only:
        urls["argens-postgresql"] = cluster.create(f"query{size}")
    return urls


def fill(folder: Path, url: str, size: int, cluster: postgres.Cluster | None = None) -> None:
    """Make an index of so many instances."""
    folder.mkdir()
    node = roles.node(folder, "CT", **({"PACS_DATABASE_URL": url} if url else {}))
    counts = ["--studies", str(size // PER_STUDY), "--instances-per-study", str(PER_STUDY)]
    for argv in (["migrate", "-v0"], ["sample-index", *counts]):
        done = node.command(*argv, timeout_s=1800)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
    if cluster is not None and url:
        cluster.execute("VACUUM ANALYZE", f"query{size}")


def _one_round(
    name: str,
    peer: Peer,
    size: int,
    asked: dict[str, list[Keys]],
    rows: dict[tuple[str, str, str], Row],
) -> None:
    """Ask one peer at both doors; what it took is added to its rows."""
    doors: list[tuple[str, Callable[[Peer, list[Keys]], Iterator[Callable[[], int]]]]] = [
        ("C-FIND", _find)
    ]
    if "node" in peer.details or peers.DICOMWEB_PLUGIN.is_file():
        doors.append(("QIDO-RS", _qido))
    for door, asking_at in doors:
        for kind, all_keys in asked.items():
            new = Row(name=name, door=door, size=size, kind=kind)
            _time(rows.setdefault((name, door, kind), new), asking_at(peer, all_keys))


def _find(peer: Peer, all_keys: list[Keys]) -> Iterator[Callable[[], int]]:
    asker = Asker(peer.port)
    requests = [asker.request(keys) for keys in all_keys]
    yield from (lambda r=r: asker.ask(r) for r in requests)
    asker.close()


def _qido(peer: Peer, all_keys: list[Keys]) -> Iterator[Callable[[], int]]:
    connection = http.client.HTTPConnection("127.0.0.1", peer.http_port, timeout=120)
    headers = {"Accept": "application/dicom+json", **_credentials(peer)}

    def ask(keys: Keys) -> int:
        address = f"/dicom-web/studies?{urlencode(keys, safe='*^')}"  # Orthanc takes no %2A
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise RuntimeError(f"QIDO-RS answered {answer.status}: {body[:200]!r}")
        return len(json.loads(body)) if body else 0

    yield from (lambda k=k: ask(k) for k in all_keys)
    connection.close()


def _credentials(peer: Peer) -> dict[str, str]:
    """Return the portal's ticket where the peer is a node."""
    if "node" not in peer.details:
        return {}
    env = peer.details["node"].env
    key = Path(env["PACS_DATA_DIR"]).parent / "portal.key"
    signer = TicketIssuer.at("portal", key, Path(env["PACS_TRUST_DIR"]))
    ticket = signer.issue("CT", ["dicomweb"], subject="benchmark")
    return {"Authorization": f"Bearer {ticket}"}


def _time(row: Row, requests: Iterable[Callable[[], int]]) -> None:
    """Ask all, and add the round to the row."""
    seconds, answers = [], []
    for request in requests:
        start = time.perf_counter()
        answers.append(request())
        seconds.append(time.perf_counter() - start)
    row.rounds.append(Timed(seconds=seconds[WARM_UP:]))
    row.seconds += row.rounds[-1].seconds
    row.answers += (statistics.mean(answers) - row.answers) / len(row.rounds)


def _cluster(stack: contextlib.ExitStack) -> postgres.Cluster | None:
    try:
        return stack.enter_context(postgres.cluster())
    except pytest.skip.Exception as missing:
        print(f"not measured: argens-postgresql, orthanc-postgresql ({missing})")
        return None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 instances, one round")
    parser.add_argument("--sizes", type=int, nargs="+", default=None, help="instances")
    parser.add_argument("--orthanc-sizes", type=int, nargs="+", default=None)
    parser.add_argument("--requests", type=int, help="of each kind in a round, default 100")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the stores")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.sizes = options.sizes or ([1000] if options.quick else list(SIZES))
    small = options.sizes if options.quick else ORTHANC_SIZES
    options.orthanc_sizes = small if options.orthanc_sizes is None else options.orthanc_sizes
    options.requests = options.requests or (10 if options.quick else 100)
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


if __name__ == "__main__":
    sys.exit(main())
