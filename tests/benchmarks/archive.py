"""`make bench-archive`: copy and proof beside tar and sha256sum, a recall among 1,000, the scan.

    python -m tests.benchmarks.archive [--quick] [--rounds N] [--images N] [--only NAME ...]

A node keeps a study of CT images of 512 KB. *copy*: one worker of the archive fetches it over
HTTP, writes it to a volume, synced, and reads it back from the disk; its peer is `tar` of the same
files, `sync`, and `sha256sum` of the tar, read back from the same disk. Rounds are interleaved,
the ratio is that of medians. *recall*: the same study, one of 1,000 on a volume, is evicted and
brought back; what was read of the volume is counted. *scan*: the rules over a catalogue of
1,000,000 studies, without the nodes' answers.
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
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.images import Scanner
from tests.benchmarks.ingest import _send
from tests.benchmarks.peers import Absent, Peer

TARGET = 0.8
NAMES = ("copy", "recall", "scan")
BESIDE = 999  # other studies on the volume of the recall
OTHER_BYTES = 600_000
WAIT_S = 600.0


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and print it; 1 where a study did not come round."""
    options = _options(arguments)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        _become_an_archive(folder)
        if {"copy", "recall"} & set(options.only):
            try:
                peers.sender()
            except Absent as absent:
                print(f"copy and recall are not measured: {absent} (apt-get install dcmtk)")
            else:
                node = stack.enter_context(_node(folder, options.images))
                if "copy" in options.only:
                    measure_copies(folder, node, options)
                if "recall" in options.only:
                    measure_recall(node, options)
        if "scan" in options.only:
            measure_scan(options)
    return 0


def measure_copies(folder: Path, node: Peer, options: argparse.Namespace) -> None:
    """Print MB/s of our copy and proof, and of tar and sha256sum, round by round and at last."""
    files = _files_of(node)
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    ours, theirs = [], []
    for number in range(options.rounds):
        takers: list[tuple[list[float], Callable[[], float]]] = [
            (ours, lambda: _copied(node)),
            (theirs, lambda: _tarred(folder, files)),
        ]
        for rates, take in takers if number % 2 == 0 else reversed(takers):
            os.sync()
            rates.append(megabytes / take())
        print(
            f"copy: round {number + 1}, {len(files)} images, {megabytes:.0f} MB:"
            f" argens {ours[-1]:.0f} MB/s, tar + sha256sum {theirs[-1]:.0f} MB/s",
            flush=True,
        )
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"copy + verify: argens {mine:.0f} MB/s, tar + sha256sum {other:.0f} MB/s,"
        f" ratio {mine / other:.2f} (target {TARGET:g})"
    )


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


def _tarred(folder: Path, files: list[Path]) -> float:
    """Do the same with tar and sha256sum; return the seconds."""
    target, names = folder / "peer.tar", folder / "peer.names"
    names.write_text("".join(f"{path}\n" for path in files))
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["tar", "-cPf", target, "-T", names], check=True)
    subprocess.run(["sync", target], check=True)
    with target.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    subprocess.run(["sha256sum", target], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure_recall(node: Peer, options: argparse.Namespace) -> None:
    """Print how long one study takes back from a volume of 1,000, and what was read of it."""
    from archive_node import library
    from archive_node.models import Copy

    _copied(node)
    vault = library.vault("vault-1")
    others = 99 if options.quick else BESIDE
    content = os.urandom(OTHER_BYTES)
    for number in range(others):
        member = f"CT/1.9.{number}/r1-1.tar"
        vault.append(member, OTHER_BYTES, lambda file: file.write(content))
    _run("evict", node)
    with _counting() as read:
        began = time.perf_counter()
        job = _run("recall", node)
        seconds = time.perf_counter() - began
    foreign = {
        name for name in read if name not in set(Copy.objects.values_list("member", flat=True))
    }
    if foreign:
        raise RuntimeError(f"{len(foreign)} members were read that hold nothing of the study")
    on_volume = sum(volume.used_bytes for volume in vault.volumes())
    print(
        f"recall: {job.instances_done} images of one study among {others + 1} on a volume of"
        f" {on_volume / 1e6:.0f} MB: {seconds:.2f} s, {job.bytes_done / 1e6 / seconds:.0f} MB/s,"
        f" {sum(read.values()) / 1e6:.1f} MB read of {len(read)} member(s)"
        f" for {job.bytes_done / 1e6:.1f} MB"
    )


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


def measure_scan(options: argparse.Namespace) -> None:
    """Print how long the rules take over a catalogue in which nothing is left to do, and behind."""
    from django.utils import timezone

    from archive_node.models import Job
    from archive_node.policy import scan

    studies = options.studies
    _invent(studies)
    disk = {"total_bytes": 10**13, "free_bytes": 9 * 10**12, "reserve_bytes": 0}
    times = []
    for _ in range(options.rounds):
        began = time.perf_counter()
        scan.apply_rules("CT", disk, {}, timezone.now())
        times.append(time.perf_counter() - began)
    jobs = Job.objects.filter(kind="copy", state="queued").count()
    print(
        f"scan: the rules over {studies} studies: {statistics.median(times):.2f} s"
        f" (slowest {max(times):.2f} s), {jobs} copies asked for"
    )


def _invent(studies: int) -> None:
    """Fill a catalogue: all quiet and proven, but for one in 100,000."""
    from django.db import transaction
    from django.utils import timezone

    from archive_node.models import NodeState, Proof, StudyFacts

    now = timezone.now()
    began = time.perf_counter()
    NodeState.objects.update_or_create(name="CT")
    for first in range(0, studies, 20_000):
        numbers = range(first, min(first + 20_000, studies))
        proofs = [
            Proof(node="CT", study_uid=f"1.9.{number}", vault="vault-1", revision=60)
            for number in numbers
            if number % 100_000
        ]
        with transaction.atomic():
            facts = [StudyFacts(**_invented(number, now)) for number in numbers]
            StudyFacts.objects.bulk_create(facts, batch_size=500)
            Proof.objects.bulk_create(proofs, batch_size=500)
    print(f"scan: {studies} studies invented in {time.perf_counter() - began:.0f} s", flush=True)


def _invented(number: int, now: datetime) -> dict[str, Any]:
    """Return the facts of one study."""
    used_at = now - timedelta(days=1 + number % 3000)
    return {
        "node": "CT",
        "study_uid": f"1.9.{number}",
        "patient_issuer": "FREJUS",
        "patient_id": str(number // 3),
        "modalities": "CT",
        "study_date": "20200101",
        "description": "Crâne sans injection",
        "instances": 60,
        "online": 60,
        "size_bytes": 30_000_000,
        "online_bytes": 30_000_000,
        "revision": 60,
        "last_arrival_at": used_at,
        "last_access_at": used_at,
        "digests_ready": True,
        "seen_at": now,
        "first_seen_at": used_at,
    }


def _run(kind: str, node: Peer) -> Any:
    """Run one job here, as a worker would; raises RuntimeError where it does not end well."""
    from archive_node.jobs import dispatch, runner

    job, _ = dispatch.request(kind, "CT", node.details["study_uid"], "bench")
    runner.run(job.id)
    job.refresh_from_db()
    if job.state != "done":
        raise RuntimeError(f"{kind} ended as {job.state}: {job.error}")
    return job


@contextlib.contextmanager
def _node(folder: Path, images: int) -> Iterator[Peer]:
    """A whole node with one study, whose digests are computed."""
    peer = peers.argens(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="argens-bench-") as files:
            batch = Scanner().write(Path(files), images, 1)
            _send(peer.port, batch)
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
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.images = options.images or (200 if options.quick else 2000)
    options.studies = options.studies or (20_000 if options.quick else 1_000_000)
    return options


if __name__ == "__main__":
    sys.exit(main())
