"""Bytes on disk: whole, synced and under their final name, or not there at all."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.store import blobs
from dicom_node.store.layout import PARTIAL, Layout, is_partial
from pacs_common.errors import DiskFull, MissingUid, Unavailable, UnsafeUid
from tests.support.services import require

WRITE_ONE = """
import sys
from pathlib import Path
from dicom_node.store import blobs
folder = Path(sys.argv[1]) / "2026" / "11"
blobs.ensure_folder(folder)
final = folder / "1.2.3.dcm"
blobs.write(final, [b"a" * 3000000, b"end"])
blobs.sync_folder(folder)
"""
WRITE_SLOWLY = """
import sys
from pathlib import Path
from dicom_node.store import blobs

def chunks():
    yield b"begun"
    print("begun", flush=True)
    sys.stdin.readline()
    yield b" and ended"

blobs.write(Path(sys.argv[1]), chunks())
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_what_is_written_is_what_is_read(tmp_path_factory, chunks):
    folder = tmp_path_factory.mktemp("blobs")
    assert blobs.write(folder / "1.dcm", chunks) == len(b"".join(chunks))
    assert (folder / "1.dcm").read_bytes() == b"".join(chunks)
    assert names(folder) == ["1.dcm"]


def test_nothing_is_written_over_a_file(tmp_path):
    blobs.write(tmp_path / "1.dcm", [b"first"])
    with pytest.raises(blobs.AlreadyThere):
        blobs.write(tmp_path / "1.dcm", [b"second"])
    assert (tmp_path / "1.dcm").read_bytes() == b"first"
    assert names(tmp_path) == ["1.dcm"]


def test_a_file_is_the_nodes_own_to_read(tmp_path):
    blobs.write(tmp_path / "1.dcm", [b"x"])
    assert (tmp_path / "1.dcm").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, Unavailable)],
)
@pytest.mark.parametrize("call", ["write", "fdatasync", "link"])
def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path, monkeypatch, call, number, error):
    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(blobs.os, call, refuse)
    with pytest.raises(error):
        blobs.write(tmp_path / "1.dcm", [b"x" * 100])
    monkeypatch.undo()
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing_behind(tmp_path):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
    ended = subprocess.run(
        [sys.executable, "-c", limited + WRITE_ONE, str(tmp_path)], capture_output=True, text=True
    )
    assert "Unavailable: the disk does not take it: File too large" in ended.stderr
    assert names(tmp_path / "2026" / "11") == []


def test_a_sender_that_breaks_off_leaves_nothing_behind(tmp_path):
    def chunks():
        yield b"begun"
        raise ConnectionAbortedError

    with pytest.raises(Unavailable):
        blobs.write(tmp_path / "1.dcm", chunks())
    assert names(tmp_path) == []


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="No such file"):
        blobs.write(tmp_path / "gone" / "1.dcm", [b"x"])


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(blobs.os, "write", lambda handle, data: real(handle, data[:7]))
    blobs.write(tmp_path / "1.dcm", [b"0123456789" * 3])
    monkeypatch.undo()
    assert (tmp_path / "1.dcm").read_bytes() == b"0123456789" * 3


def test_bytes_are_synced_before_they_have_their_name_and_the_name_after(tmp_path):
    strace = require("strace")
    log = tmp_path / "calls"
    calls = "trace=openat,mkdir,write,fdatasync,fsync,link,linkat,unlink,close"
    command = [strace, "-f", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", WRITE_ONE]
    ended = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    if "ptrace" in ended.stderr.lower():
        pytest.skip("strace may not trace here")
    assert ended.returncode == 0, ended.stderr
    seen = [step for line in log.read_text().splitlines() if (step := _step(line))]
    assert seen == [
        *("mkdir 2026", "fsync parent", "mkdir 11", "fsync 2026"),
        *("open", "write", "write", "fdatasync"),
        *("link", "unlink", "close", "fsync 11"),
    ]


_STEPS = {
    r"mkdir\(.*/2026/11\"": "mkdir 11",
    r"mkdir\(.*/2026\"": "mkdir 2026",
    r"openat\(.*\.part\".*O_EXCL": "open",
    r"write\(\d+<.*\.part": "write",
    r"fdatasync\(\d+<.*\.part": "fdatasync",
    r"link(at)?\(.*\.part\".*/1\.2\.3\.dcm\"": "link",
    r"unlink\(.*\.part\"": "unlink",
    r"close\(\d+<.*\.part": "close",
    r"fsync\(\d+<.*/2026/11>": "fsync 11",
    r"fsync\(\d+<.*/2026>": "fsync 2026",
    r"fsync\(": "fsync parent",
}


def _step(line: str) -> str:
    """Return what a traced call does to the file that is written, "" for others."""
    if " = -1 " in line:
        return ""
    call = line.partition(" ")[2].strip()
    return next((name for form, name in _STEPS.items() if re.match(form, call)), "")


def test_a_sweep_takes_what_a_killed_writer_left(tmp_path):
    (tmp_path / f".1.dcm.aa{PARTIAL}").write_bytes(b"half")
    (tmp_path / "2.dcm").write_bytes(b"whole")
    assert blobs.sweep(tmp_path) == 1
    assert names(tmp_path) == ["2.dcm"]


def test_a_sweep_leaves_a_living_writers_file_alone(tmp_path):
    final = tmp_path / "1.dcm"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_SLOWLY, str(final)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout.readline() == "begun\n"
        assert blobs.sweep(tmp_path) == 0
        assert not final.exists()
        writer.communicate("\n", timeout=30)
    assert final.read_bytes() == b"begun and ended"
    assert names(tmp_path) == ["1.dcm"]


def test_a_sweep_beside_writers_costs_no_file(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(
            lambda: [blobs.write(tmp_path / f"{number}.dcm", [b"x"]) for number in range(300)]
        )
        while not writing.done():
            assert blobs.sweep(tmp_path) >= 0
        assert len(writing.result()) == 300
    assert len(names(tmp_path)) == 300


def test_the_reserve_is_not_touched(tmp_path):
    disk = os.statvfs(tmp_path)
    free = disk.f_bavail * disk.f_frsize
    blobs.require_space(tmp_path, 0, 0)
    with pytest.raises(DiskFull, match="reserved"):
        blobs.require_space(tmp_path, 0, free + (1 << 40))
    with pytest.raises(DiskFull):
        blobs.require_space(tmp_path, free + (1 << 40), 0)


def test_paths_come_from_uids_and_hours_alone(tmp_path):
    layout = Layout(tmp_path)
    assert layout.object("2026/11/21/09", "1.2.3") == (tmp_path / "objects/2026/11/21/09/1.2.3.dcm")
    for uid in ("../1", "1/2", "", "1..2", "a"):
        with pytest.raises((UnsafeUid, MissingUid)):
            layout.object("2026/11/21/09", uid)
    for hour in ("../../../..", "2026/11/21", "2026/11/21/09/", "2026/11/21/09\n"):
        with pytest.raises(ValueError, match="not an hour"):
            layout.object(hour, "1.2.3")


def test_hours_are_found_in_order_and_from_a_moment_on(tmp_path):
    layout = Layout(tmp_path)
    for hour in ("2026/11/21/09", "2026/01/05/23", "2025/12/31/00", "lost+found/x/y/z"):
        (layout.objects / hour).mkdir(parents=True)
    assert list(layout.hours(layout.objects)) == [
        "2025/12/31/00",
        "2026/01/05/23",
        "2026/11/21/09",
    ]
    assert next(layout.hours(layout.objects, "2026/01/05/23")) == "2026/01/05/23"
    assert not any(map(is_partial, layout.objects.iterdir()))
