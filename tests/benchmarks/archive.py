"""`make bench-archive`: copy and proof beside tar and sha256sum, a recall among 1,000, the scan.

    python -m tests.benchmarks.archive [--quick] [--rounds N] [--images N] [--only NAME ...]

A node keeps a study of CT images of 512 KB. *copy*: one worker of the archive fetches it over
HTTP, writes it to a volume, synced, and reads it back from the disk; its peer is `tar` of the same
files, `sync`, and `sha256sum` of the tar, read back from the same disk. Rounds are interleaved,
the ratio is that of medians. *recall*: the same study, one of 1,000 on a volume, is evicted and
brought back; what was read of the volume is counted; beside the files taken out of the tar, synced
and summed. *scrub*: the volume is read again and compared, beside `sha256sum` of the tar. *scan*:
the rules over a catalogue of 1,000,000 studies, without the nodes' answers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import goals, peers, rounds, tarred
from tests.benchmarks.catalogue import measure_scan
from tests.benchmarks.images import Scanner
from tests.benchmarks.ingest import send
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.benchmarks.tarred import Tarred

NAMES = ("copy", "recall", "scrub", "scan")
BESIDE = 999  # other studies on the volume of the recall
OTHER_BYTES = 600_000
WAIT_S = 600.0


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print it; 1 where a study did not come round."""
    options = _options(arguments)
    found: list[Measured] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        _become_an_archive(folder)
        if {"copy", "recall", "scrub"} & set(options.only):
            try:
                peers.sender()
            except Absent as absent:
                print(f"nothing is measured: {absent} (apt-get install dcmtk)")
                return 1
            node = stack.enter_context(_node(folder, options.images))
            tar = Tarred(folder, _files_of(node))
            _copied(node)
            tar.copy()
            for name, measure in (
                ("copy", measure_copies),
                ("recall", measure_recall),
                ("scrub", measure_scrub),
            ):
                if name in options.only:
                    found += measure(tar, node, options)
        if "scan" in options.only:
            found += measure_scan(options.studies, options.rounds)
    rounds.keep(options.json, found)
    return 0


def measure_copies(tar: Tarred, node: Peer, options: argparse.Namespace) -> list[Measured]:
    """Print MB/s of our copy and proof, and of tar and sha256sum, round by round and at last."""
    return _beside_tar(
        f"copy and proof of {options.images:,} CT of 512 KB",
        node,
        options.rounds,
        lambda: _copied(node),
        tar.copy,
    )


def _beside_tar(
    workload: str,
    node: Peer,
    count: int,
    our_seconds: Callable[[], float],
    their_seconds: Callable[[], float],
) -> list[Measured]:
    """Measure the archive and its peer in turns; print each round and the medians."""
    megabytes = sum(path.stat().st_size for path in _files_of(node)) / 1e6
    rates: dict[str, list[float]] = {"argens": [], "tar": []}
    takers = [("argens", our_seconds), ("tar", their_seconds)]
    for number in range(count):
        for name, take in takers if number % 2 == 0 else reversed(takers):
            os.sync()
            rates[name].append(megabytes / take())
        told = ", ".join(f"{name} {of_rounds[-1]:.0f} MB/s" for name, of_rounds in rates.items())
        print(f"{workload}: round {number + 1}, {megabytes:.0f} MB: {told}", flush=True)
    found = [
        rounds.median(
            of_rounds, measure="archive", workload=workload, who=name, unit="MB/s",
            is_more_better=True,
        )
        for name, of_rounds in rates.items()
    ]  # fmt: skip
    mine, other = (one.value for one in found)
    print(
        f"{workload}: argens {mine:.0f} MB/s, tar + sha256sum {other:.0f} MB/s,"
        f" ratio {mine / other:.2f} (target {goals.BESIDE_TAR:g})"
    )
    return found


def _copied(node: Peer) -> float:
    """Copy the study into an empty vault and prove it; return the seconds."""
    from archive_node.models import Copy, KnownVault, Proof

    for model in (Copy, Proof, KnownVault):
        model.objects.all().delete()
    shutil.rmtree(_vault_dir(), ignore_errors=True)
    began = time.perf_counter()
    job = _run("copy", node)
    seconds = time.perf_counter() - began
    if Copy.objects.filter(verified_at=None).exists() or not Copy.objects.exists():
        raise RuntimeError(f"job {job.id} left a copy unproven")
    return seconds


def measure_recall(tar: Tarred, node: Peer, options: argparse.Namespace) -> list[Measured]:
    """Print how fast one study comes back from a volume of 1,000, and what was read of it."""
    from archive_node import library
    from archive_node.models import Copy

    vault = library.vault("vault-1")
    others = 99 if options.quick else BESIDE
    content = os.urandom(OTHER_BYTES)
    for number in range(others):
        member = f"CT/1.9.{number}/r1-1.tar"
        vault.append(member, OTHER_BYTES, lambda file: file.write(content))

    def recall() -> float:
        _run("evict", node)
        tarred.forget(_volume_files())
        with _counting() as read:
            began = time.perf_counter()
            job = _run("recall", node)
            seconds = time.perf_counter() - began
        if foreign := set(read) - set(Copy.objects.values_list("member", flat=True)):
            raise RuntimeError(f"{len(foreign)} members were read that hold nothing of the study")
        print(
            f"recall: {job.instances_done} images, {sum(read.values()) / 1e6:.1f} MB read of"
            f" {len(read)} member(s) for {job.bytes_done / 1e6:.1f} MB"
        )
        return seconds

    workload = f"recall of {options.images:,} CT of 512 KB, one study of {others + 1:,}"
    return _beside_tar(workload, node, options.rounds, recall, tar.take_back)


def measure_scrub(tar: Tarred, node: Peer, options: argparse.Namespace) -> list[Measured]:
    """Print how fast a volume is read again and compared."""
    from archive_node.jobs import dispatch
    from archive_node.models import Copy

    (label,) = set(Copy.objects.values_list("volume", flat=True))

    def scrub() -> float:
        tarred.forget(_volume_files())
        began = time.perf_counter()
        job = _ended(dispatch.request_for_volume("scrub", "vault-1", label, "bench")[0])
        seconds = time.perf_counter() - began
        if job.instances_done != options.images:
            raise RuntimeError(f"the scrub read {job.instances_done} of {options.images} images")
        return seconds

    workload = f"scrub of {options.images:,} CT of 512 KB"
    return _beside_tar(workload, node, options.rounds, scrub, tar.read_again)


@contextlib.contextmanager
def _counting() -> Iterator[dict[str, int]]:
    """Count the bytes that are read of each member."""
    from archive_node.vault.tape import TapeVolume

    read: dict[str, int] = {}
    real = TapeVolume.open

    def opened(volume: Any, member: str) -> Any:
        return _Counted(real(volume, member), member, read)

    TapeVolume.open = opened  # type: ignore[method-assign]
    try:
        yield read
    finally:
        TapeVolume.open = real  # type: ignore[method-assign]


class _Counted:
    """A reader that counts."""

    def __init__(self, file: Any, member: str, read: dict[str, int]) -> None:
        self._file, self._member, self._read = file, member, read

    def read(self, size: int = -1) -> bytes:
        """Read and count."""
        content = self._file.read(size)
        self._read[self._member] = self._read.get(self._member, 0) + len(content)
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *why: object) -> None:
        self._file.close()


def _run(kind: str, node: Peer) -> Any:
    """Run one job here, as a worker would; raises RuntimeError where it does not end well."""
    from archive_node.jobs import dispatch

    job, _ = dispatch.request(kind, "CT", node.details["study_uid"], "bench")
    return _ended(job)


def _ended(job: Any) -> Any:
    from archive_node.jobs import runner

    runner.run(job.id)
    job.refresh_from_db()
    if job.state != "done":
        raise RuntimeError(f"{job.kind} ended as {job.state}: {job.error}")
    return job


@contextlib.contextmanager
def _node(folder: Path, images: int) -> Iterator[Peer]:
    """A whole node with one study, whose digests are computed."""
    peer = peers.argens(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="argens-bench-") as files:
            batch = Scanner().write(Path(files), images, 1)
            send(peer.port, batch)
        _join(folder, peer)
        yield peer
    finally:
        peer.stop()


def _join(folder: Path, peer: Peer) -> None:
    """Let the archive know the node, and wait until the node offers its study."""
    from django.conf import settings

    from archive_node import nodes

    settings.ARCHIVE.nodes["CT"] = f"http://127.0.0.1:{peer.http_port}"
    nodes.issuer()
    client = nodes.client("CT", subject="bench")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        (facts,) = client.custody_studies()["studies"]
        if facts["digests_ready"]:
            peer.details["study_uid"] = facts["study_uid"]
            return
        time.sleep(0.5)
    raise RuntimeError("the node did not compute its digests")


def _files_of(node: Peer) -> list[Path]:
    objects = Path(node.details["node"].env["PACS_DATA_DIR"])
    return sorted(path for path in objects.rglob("*.dcm") if path.is_file())


def _become_an_archive(folder: Path) -> None:
    """Make this process the archive's one worker, with its defaults and a folder of its own."""
    for name in [name for name in os.environ if name.startswith("PACS_")]:
        del os.environ[name]
    os.environ["PACS_DATA_DIR"] = str(folder / "archive")
    os.environ["PACS_TRUST_DIR"] = str(folder / "trust")
    os.environ["PACS_LOG_LEVEL"] = "ERROR"
    os.environ["DJANGO_SETTINGS_MODULE"] = "archive_node.settings"
    import django
    from django.core.management import call_command

    (folder / "archive").mkdir()
    django.setup()
    call_command("migrate", verbosity=0)


def _volume_files() -> list[Path]:
    return [path for path in _vault_dir().rglob("*") if path.is_file()]


def _vault_dir() -> Path:
    from django.conf import settings

    return settings.ARCHIVE.vault_dir


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.archive", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, small counts")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--images", type=int, help="of the study, default 2,000")
    parser.add_argument("--studies", type=int, help="in the catalogue, default 1,000,000")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--folder", help="on the disk that is measured (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.images = options.images or (60 if options.quick else 2000)
    options.studies = options.studies or (5000 if options.quick else 1_000_000)
    return options


if __name__ == "__main__":
    sys.exit(main())
