"""An object that streams in: all of it stays or nothing does, and it is never held in memory."""

from __future__ import annotations

import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from pydicom import dcmread
from pydicom.filewriter import write_file_meta_info

from dicom_node.ingest import incoming as incoming_module
from dicom_node.ingest.arrival import Origin
from dicom_node.ingest.ingest import Ingest, Outcome
from dicom_node.models import Instance
from dicom_node.store import blobs, part10
from dicom_node.store.layout import hour_of
from pacs_common.errors import DiskFull, MissingUid, NotDicom, UidMismatch, Unavailable, UnsafeUid
from tests.node.objects import EXPLICIT, ct, encoded
from tests.support.services import require

pytestmark = pytest.mark.slow

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def said(number: int = 1, **more: object) -> Origin:
    return Origin(EXPLICIT, CT_CLASS, str(ct(number).SOPInstanceUID), "CT1", "ARGENS_CT", **more)


def names(layout) -> list[str]:
    return sorted(name for _, _, files in os.walk(layout.objects) for name in files)


@pytest.mark.parametrize("origin", [said(), Origin(EXPLICIT)])
@pytest.mark.parametrize("step", [1, 333, 10**6])
def test_an_object_may_come_in_chunks_of_any_size(ingest: Ingest, layout, origin, step):
    content = memoryview(encoded(ct()))
    incoming = ingest.begin(origin)
    for start in range(0, len(content), step):
        incoming.write(content[start : start + step])
    assert incoming.finish().outcome is Outcome.STORED
    row = Instance.objects.get()
    path = layout.object(row.hour, row.uid)
    stored = dcmread(path)
    assert path.read_bytes().endswith(bytes(content))
    assert (stored.file_meta.MediaStorageSOPInstanceUID, stored.SOPInstanceUID) == (row.uid,) * 2
    assert row.size_bytes == path.stat().st_size


def test_chunks_may_lie_in_a_buffer_that_is_used_again(ingest: Ingest, layout):
    content, buffer = encoded(ct()), bytearray(100)
    incoming = ingest.begin(Origin(EXPLICIT))
    for start in range(0, len(content), 100):
        piece = content[start : start + 100]
        buffer[: len(piece)] = piece
        incoming.write(memoryview(buffer)[: len(piece)])
    incoming.finish()
    row = Instance.objects.get()
    assert layout.object(row.hour, row.uid).read_bytes().endswith(content)


def test_what_is_abandoned_leaves_nothing(ingest: Ingest, layout):
    incoming = ingest.begin(said())
    incoming.write(encoded(ct())[:900])
    assert len(names(layout)) == 1
    incoming.abandon()
    incoming.abandon()
    assert names(layout) == [] and not Instance.objects.exists()


def test_what_is_refused_in_the_middle_leaves_nothing_and_stays_refused(ingest: Ingest, layout):
    incoming = ingest.begin(said())
    with pytest.raises(NotDicom, match="group"):
        incoming.write(b"\2\0\x10\0UI\2\x001.")
    assert names(layout) == []
    with pytest.raises(NotDicom, match="group"):
        incoming.write(encoded(ct()))
    with pytest.raises(NotDicom, match="group"):
        incoming.finish()
    incoming.abandon()


def test_what_ends_too_early_leaves_nothing(ingest: Ingest, layout):
    incoming = ingest.begin(said())
    incoming.write(encoded(ct())[:-20])
    with pytest.raises(NotDicom, match="20 bytes are missing"):
        incoming.finish()
    assert names(layout) == []


def test_a_command_that_names_another_object_is_refused(ingest: Ingest, layout):
    incoming = ingest.begin(said(2))
    incoming.write(encoded(ct(1)))
    with pytest.raises(UidMismatch):
        incoming.finish()
    assert names(layout) == []


def test_the_uid_of_a_command_is_no_path(ingest: Ingest, layout):
    incoming = ingest.begin(Origin(EXPLICIT, CT_CLASS, "../../../evil"))
    incoming.write(encoded(ct()))
    with pytest.raises(UidMismatch):
        incoming.finish()
    incoming = ingest.begin(Origin(EXPLICIT))
    with pytest.raises(UnsafeUid):
        incoming.write(encoded(ct(SOPInstanceUID="../../evil")))
    assert names(layout) == []


def test_an_object_that_never_says_its_uid_is_not_held_back_for_ever(ingest: Ingest, layout):
    incoming = ingest.begin(Origin(EXPLICIT))
    incoming.write(b"\x09\x00\x01\x10OB\0\0" + (1 << 30).to_bytes(4, "little"))
    with pytest.raises(MissingUid):
        for _ in range(100):
            incoming.write(bytes(64 << 10))
    assert names(layout) == []


def test_two_names_in_one_object_are_refused(ingest: Ingest, layout):
    uid = b"\x08\x00\x18\x00UI\x06\x001.2.3\0"
    content = encoded(ct())
    at = content.index(b"\x08\x00\x20\x00DA")
    incoming = ingest.begin(Origin(EXPLICIT))
    incoming.write(content[:at])
    incoming.write(uid + content[at:])
    with pytest.raises(UidMismatch, match="two SOP Instances"):
        incoming.finish()
    assert names(layout) == []


def test_the_disk_may_fill_up_in_the_middle(ingest: Ingest, layout, monkeypatch):
    incoming = ingest.begin(said())
    disk = os.statvfs(layout.objects)
    monkeypatch.setattr(incoming, "_reserve_bytes", disk.f_bavail * disk.f_frsize)
    content = encoded(ct(PixelData=bytes(20 << 20)))
    with pytest.raises(DiskFull):
        for start in range(0, len(content), 1 << 20):
            incoming.write(content[start : start + (1 << 20)])
    assert names(layout) == []


def test_a_transfer_that_took_long_is_filed_under_the_hour_of_its_end(
    ingest: Ingest, layout, monkeypatch
):
    began = datetime(2026, 1, 5, 9, 59, tzinfo=UTC)
    incoming = ingest.begin(said(arrived_at=began))
    incoming.write(encoded(ct()))
    monkeypatch.setattr(incoming_module, "LONG_S", -1.0)
    incoming.finish()
    row = Instance.objects.get()
    assert row.hour == hour_of(datetime.now(UTC))
    assert row.arrived_at == began
    assert layout.object(row.hour, row.uid).exists()


def test_a_large_object_passes_in_constant_memory(ingest: Ingest):
    size = 64 << 20
    head = encoded(ct())
    head = head[: head.rindex(b"\xe0\x7f\x10\x00")]
    chunk = bytes(128 << 10)
    tracemalloc.start()
    incoming = ingest.begin(said())
    incoming.write(head + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little"))
    for _ in range(size // len(chunk)):
        incoming.write(chunk)
    incoming.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_the_meta_group_is_what_pydicom_would_write():
    origin = part10.Provenance(datetime.now(UTC), "CT1", "ARGENS", "ISO_IR 144")
    content = part10.meta_group(CT_CLASS, "1.2.3", EXPLICIT, origin)
    meta = dcmread(io.BytesIO(content), force=True).file_meta
    again = io.BytesIO()
    write_file_meta_info(again, meta, enforce_standard=True)
    assert content == part10.PREAMBLE + again.getvalue()
    assert part10.provenance(meta, datetime.now(UTC)) == origin


# Two processes, and a leftover of a killed one

STORE_ONE = """
import os, sys
import django
django.setup()
from dicom_node.config import CONFIG
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Arrival, Ingest
from dicom_node.store.layout import Layout
from tests.support.data_sets import EXPLICIT, ct, encoded
index = IndexWriter()
ingest = Ingest(Layout(CONFIG.data_dir), index, 1 << 20)
arrivals = [Arrival(encoded(ct(n)), EXPLICIT) for n in range(1, int(sys.argv[1]) + 1)]
print("ready", flush=True)
sys.stdin.readline()
for arrival in arrivals:
    print(ingest.take(arrival).outcome, flush=True)
index.close()
"""


@pytest.fixture
def other_node(tmp_path):
    """The environment of processes that share one node of their own: data folder and index."""
    environment = os.environ | {"PACS_DATA_DIR": str(tmp_path), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "manage.py", "node", "migrate", "--verbosity", "0"]
    subprocess.run(command, env=environment, check=True)
    return environment


def test_two_processes_that_take_the_same_uids_at_once_end_with_one_of_each(other_node, tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", STORE_ONE, "25"],
            env=other_node,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60)[0].split() for process in both]
    for one, other in zip(*outcomes, strict=True):
        assert sorted((one, other)) == ["duplicate", "stored"]
    assert len(list((tmp_path / "objects").rglob("*"))) == 4 + 25  # the hour's folders, the files


@pytest.fixture
def left(layout):
    """Put a file under its final name as a process that died before its commit left it."""

    def left(ds, moment: datetime | None = None) -> str:
        moment = moment or datetime.now(UTC)
        hour = hour_of(moment)
        blobs.ensure_folder(layout.folder(hour))
        meta = part10.meta_group(
            str(ds.SOPClassUID), str(ds.SOPInstanceUID), EXPLICIT, part10.Provenance(moment, "CT0")
        )
        layout.object(hour, ds.SOPInstanceUID).write_bytes(meta + encoded(ds))
        return hour

    return left


def test_what_a_killed_process_left_is_taken_over_by_the_senders_retry(take, layout, left):
    hour = left(ct())
    assert take(ct(), source_ae="CT1").outcome is Outcome.STORED
    row = Instance.objects.get()
    assert (row.hour, row.source_ae) == (hour, "CT0")  # as its file says, so as a rebuild would
    assert row.size_bytes == layout.object(row.hour, row.uid).stat().st_size
    assert len(names(layout)) == 1


def test_other_content_that_a_killed_process_left_is_not_overwritten(take, layout, left):
    hour = left(ct(PixelData=bytes(512)))
    with pytest.raises(Unavailable):
        take(ct())
    path = layout.object(hour, ct().SOPInstanceUID)
    assert path.read_bytes().endswith(encoded(ct(PixelData=bytes(512))))
    assert names(layout) == [path.name]


def test_a_file_whose_writer_lives_is_waited_for(ingest: Ingest, layout):
    final = layout.object(hour_of(datetime.now(UTC)), ct().SOPInstanceUID)
    blobs.ensure_folder(final.parent)
    other = blobs.Partial(final.parent)
    other.write(b"of somebody else")
    other.name(final)
    incoming = ingest.begin(said())
    incoming.write(encoded(ct()))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(incoming.finish)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        other.remove()  # it failed: its place is free
        assert waiting.result(30).outcome is Outcome.STORED
    assert final.read_bytes().endswith(encoded(ct()))


# The order of system calls


def test_an_arrival_is_durable_step_by_step_before_its_answer(other_node, tmp_path):
    strace = require("strace")
    log = tmp_path / "calls"
    calls = "trace=write,pwrite64,fdatasync,fsync,link,linkat,unlink,unlinkat"
    command = [strace, "-f", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", STORE_ONE]
    ended = subprocess.run(
        [*command, "1"], env=other_node, input="\n", capture_output=True, text=True, timeout=100
    )
    if "ptrace" in ended.stderr.lower():
        pytest.skip("strace may not trace here")
    assert ended.stdout.split() == ["ready", "stored"], ended.stderr
    seen = [step for line in log.read_text().splitlines() if (step := _step(line))]
    seen = seen[seen.index("write") :]
    assert [step for n, step in enumerate(seen) if step != seen[n - 1]] == [
        *("write", "fdatasync", "link", "directory sync", "commit", "answer"),
    ]
    shutil.rmtree(tmp_path / "objects")


_STEPS = {
    r"write\(\d+<.*\.part": "write",
    r"fdatasync\(\d+<.*\.part": "fdatasync",
    r"link(at)?\(.*\.part.*\.dcm": "link",
    r"fsync\(\d+<.*/objects/\d+/\d+/\d+/\d+>": "directory sync",
    r"pwrite64\(\d+<.*sqlite3-wal": "commit",
    r"write\(1<.*\"stored": "answer",
}


def _step(line: str) -> str:
    call = line.partition(" ")[2].strip()
    return next((name for form, name in _STEPS.items() if re.match(form, call)), "")


def test_an_object_that_cannot_even_begin_leaves_no_file_and_no_open_descriptor(
    ingest: Ingest, layout
):
    ingest.begin(said()).abandon()
    before = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the disk takes no meta group
    try:
        for _ in range(3):
            with pytest.raises(Unavailable):
                ingest.begin(said())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(os.listdir("/proc/self/fd")) == before
    assert names(layout) == []
