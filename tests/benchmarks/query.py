"""`make bench-query`: how fast studies are found, beside Orthanc.

    python -m tests.benchmarks.query [--quick] [--sizes N ...] [--only NAME ...]

C-FIND (one open association, the same client for every peer) and QIDO-RS (one open connection) at
study level. A size is a number of instances, ten to a study; the node's index is made without
files, Orthanc gets the same content as small objects. A question has about as many answers at
every size, so that sizes can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info

from pacs_common.tickets import TicketIssuer
from tests.benchmarks import asking, peers
from tests.benchmarks.asked import Timed
from tests.benchmarks.asking import Asker, Keys
from tests.benchmarks.peers import Absent, Peer
from tests.support import postgres, roles
from tests.support.data_sets import EXPLICIT

PER_STUDY = 10
SIZES, ORTHANC_SIZES = (10_000, 100_000, 1_000_000), (10_000, 100_000)
NAMES = ("argens-sqlite", "argens-postgresql", "orthanc")
WARM_UP = 5
FLAT = 1.5  # p95 at the largest size within this of the smallest


@dataclass(kw_only=True)
class Row(Timed):
    """How one peer answered one kind of question at one size."""

    name: str
    door: str
    size: int
    kind: str
    answers: float


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print the table."""
    options = _options(arguments)
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        cluster = _cluster(stack) if "argens-postgresql" in options.only else None
        for size in options.sizes:
            for row in _of_size(size, options, folder / str(size), cluster):
                rows.append(row)
                print(_line(row), flush=True)
    print("\n".join(["", *report(rows)]))
    return 0


def report(rows: list[Row]) -> list[str]:
    """Return the ratios: each peer against Orthanc, and the largest size against the smallest."""
    found = {(row.name, row.door, row.size, row.kind): row for row in rows}
    lines = []
    for row in rows:
        other = found.get(("orthanc", "C-FIND", row.size, row.kind))
        if other is not None and row.name != "orthanc" and row.door == "C-FIND":
            lines.append(
                f"{row.name:<18} {row.size:>9,} {row.kind:<17}"
                f" {other.median_ms / row.median_ms:6.1f} x Orthanc (median),"
                f" {other.p95_ms / row.p95_ms:6.1f} x (p95)"
            )
    sizes = sorted({row.size for row in rows if row.name != "orthanc"})
    for row in rows:
        if len(sizes) > 1 and row.size == sizes[-1] and row.name != "orthanc":
            small = found[row.name, row.door, sizes[0], row.kind]
            ratio = row.p95_ms / small.p95_ms
            lines.append(
                f"{row.name:<18} {row.door:<7} {row.kind:<17} p95 at {sizes[-1]:,} is"
                f" {ratio:4.2f} x that at {sizes[0]:,} (target {FLAT})"
            )
    return lines


def _line(row: Row) -> str:
    return (
        f"{row.name:<18} {row.door:<7} {row.size:>9,} {row.kind:<17} median {row.median_ms:8.2f} ms"
        f"  p95 {row.p95_ms:8.2f} ms  {row.answers:5.1f} answers"
    )


def _of_size(
    size: int, options: argparse.Namespace, folder: Path, cluster: postgres.Cluster | None
) -> Iterator[Row]:
    """Measure the node on each database, then Orthanc with what the node's SQLite index holds."""
    folder.mkdir(parents=True)
    urls = {"argens-sqlite": ""}
    if cluster is not None:
        urls["argens-postgresql"] = cluster.create(f"query{size}")
    asked: dict[str, list[Keys]] = {}
    for name, url in urls.items():
        index = _fill(folder / name, url, size)
        if cluster is not None and url:
            cluster.execute("VACUUM ANALYZE", f"query{size}")
        asked = asked or asking.questions(asking.held_studies(url, index), options.requests)
        peer = peers.argens(folder / name, url)
        try:
            yield from _find(name, peer.port, size, asked)
            yield from _qido(name, peer, size, asked)
        finally:
            peer.stop()
    if "orthanc" in options.only and size in options.orthanc_sizes:
        index = folder / "argens-sqlite" / "node-ct" / "index.sqlite3"
        yield from _on_orthanc(folder / "orthanc", index, size, asked)


def _fill(folder: Path, url: str, size: int) -> Path:
    """Make an index of so many instances; returns where SQLite's file is."""
    folder.mkdir()
    node = roles.node(folder, "CT", **({"PACS_DATABASE_URL": url} if url else {}))
    counts = ["--studies", str(size // PER_STUDY), "--instances-per-study", str(PER_STUDY)]
    for argv in (["migrate", "-v0"], ["sample-index", *counts]):
        done = node.command(*argv, timeout_s=1800)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
    return Path(node.env["PACS_DATA_DIR"]) / "index.sqlite3"


def _find(name: str, port: int, size: int, asked: dict[str, list[Keys]]) -> Iterator[Row]:
    asker = Asker(port)
    for kind, all_keys in asked.items():
        requests = [asker.request(keys) for keys in all_keys]
        yield _timed(name, "C-FIND", size, kind, (lambda r=r: asker.ask(r) for r in requests))
    asker.close()


def _qido(name: str, peer: Peer, size: int, asked: dict[str, list[Keys]]) -> Iterator[Row]:
    env = peer.details["node"].env
    key = Path(env["PACS_DATA_DIR"]).parent / "portal.key"
    signer = TicketIssuer.at("portal", key, Path(env["PACS_TRUST_DIR"]))
    connection = http.client.HTTPConnection("127.0.0.1", peer.http_port, timeout=120)

    def ask(keys: Keys) -> int:
        connection.request("GET", f"/dicom-web/studies?{urlencode(keys)}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 204):
            raise RuntimeError(f"QIDO-RS answered {answer.status}: {body[:200]!r}")
        return len(json.loads(body)) if body else 0

    for kind, all_keys in asked.items():
        ticket = signer.issue("CT", ["dicomweb"], subject="benchmark")
        headers = {"Authorization": f"Bearer {ticket}", "Accept": "application/dicom+json"}
        yield _timed(name, "QIDO-RS", size, kind, (lambda k=k: ask(k) for k in all_keys))
    connection.close()


def _timed(
    name: str, door: str, size: int, kind: str, requests: Iterable[Callable[[], int]]
) -> Row:
    seconds, answers = [], []
    for request in requests:
        start = time.perf_counter()
        answers.append(request())
        seconds.append(time.perf_counter() - start)
    return Row(
        name=name,
        door=door,
        size=size,
        kind=kind,
        seconds=seconds[WARM_UP:],
        answers=statistics.mean(answers),
    )


def _on_orthanc(
    folder: Path, index: Path, size: int, asked: dict[str, list[Keys]]
) -> Iterator[Row]:
    folder.mkdir()
    try:
        peer = peers.orthanc(folder, SyncStorageArea=False, DicomAlwaysAllowFind=True)
    except Absent as absent:
        print(f"orthanc: {absent}")
        return
    try:
        start = time.monotonic()
        _load(peer, index)
        print(f"orthanc            took {size:,} in {time.monotonic() - start:.0f} s", flush=True)
        yield from _find("orthanc", peer.port, size, asked)
    finally:
        peer.stop()


def _load(peer: Peer, index: Path, senders: int = 4) -> None:
    """Give Orthanc the content of an index over its REST interface."""
    source, lock = asking.objects(index), threading.Lock()
    failures: list[str] = []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", peer.http_port, timeout=120)
        while not failures:
            with lock:
                encoded = next(source, None)
            if encoded is None:
                return
            connection.request("POST", "/instances", _PREAMBLE + encoded)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failures.append(f"Orthanc answered {answer.status}")

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


def _preamble() -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2"
    meta.TransferSyntaxUID, meta.ImplementationClassUID = EXPLICIT, "1.2"
    file = io.BytesIO()
    write_file_meta_info(file, meta)
    return b"\0" * 128 + b"DICM" + file.getvalue()


_PREAMBLE = _preamble()


def _cluster(stack: contextlib.ExitStack) -> postgres.Cluster | None:
    try:
        return stack.enter_context(postgres.cluster())
    except pytest.skip.Exception as missing:
        print(f"argens-postgresql: {missing}")
        return None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 instances, in a minute")
    parser.add_argument("--sizes", type=int, nargs="+", default=None, help="instances")
    parser.add_argument("--orthanc-sizes", type=int, nargs="+", default=None)
    parser.add_argument("--requests", type=int, default=None, help="questions of each kind")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the stores")
    options = parser.parse_args(arguments)
    options.sizes = options.sizes or ([2000] if options.quick else list(SIZES))
    small = options.sizes if options.quick else ORTHANC_SIZES
    options.orthanc_sizes = small if options.orthanc_sizes is None else options.orthanc_sizes
    options.requests = (options.requests or (40 if options.quick else 200)) + WARM_UP
    return options


if __name__ == "__main__":
    sys.exit(main())
