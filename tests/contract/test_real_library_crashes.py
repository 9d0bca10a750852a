"""SIGKILL at the worst moments, and notes that are lost or old: what is on the tapes counts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from archive_node.vault.base import MemberExists, VaultUnavailable
from pacs_common import errors
from tests.support.tape_stand_ins.use import ONE, THREE, TWO, get, members, put, states, use, volume

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

DOOMED = """
import importlib, os, signal, sys
from pathlib import Path
from tests.support.tape_stand_ins.rig import Rig

root, mode, module, owner, name, count = sys.argv[1:]
owner = getattr(importlib.import_module(module), owner)
real, left = getattr(owner, name), int(count)

def die(*args, **kwargs):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)

setattr(owner, name, die)
content = b"x" * (3 << 20)
Rig(Path(root), mode).vault(volume="10MB").append(
    "CT/1.2/r2-1.tar", len(content), lambda file: file.write(content)
)
"""
WRITE = """
import sys
from pathlib import Path
from tests.support.tape_stand_ins.rig import Rig

content = b"x" * 5000
vault = Rig(Path(sys.argv[1]), "tar").vault()
vault.append("CT/1.2/r2-1.tar", 5000, lambda file: file.write(content))
"""
LIBRARY = "archive_node.vault.library"
MOMENTS = {
    "the changer loads": (f"{LIBRARY}.changer", "Changer", "load", 1),
    "the second part of a member is written": (f"{LIBRARY}.commands", "Feed", "write", 2),
    "a member is on the tape and not noted": (f"{LIBRARY}.notes", "Notes", "add_members", 2),
}


def big(rig):
    return rig.vault(volume="10MB")


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_writer_loses_nothing_and_leaves_no_half_member(rig, moment):
    for label in ("A00001", "A00002"):
        rig.alter(label, capacity=20 << 20)
    put(big(rig), ONE, b"before")
    use(big(rig), "A00002")  # so that A00001 may have to be loaded
    if moment[2] == "load":
        big(rig).shelve("A00001")
        big(rig).insert("A00001", "A00001")
    words = [str(rig.root), rig.mode, *map(str, moment)]
    ended = subprocess.run(
        [sys.executable, "-c", DOOMED, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    vault = big(rig)
    assert vault.find(TWO) is None
    assert members(vault, "A00001") == [ONE]
    content = b"y" * (3 << 20)
    try:
        assert put(vault, TWO, content) == "A00001"
    except MemberExists:  # it was whole on the tape: nothing is written twice
        content = b"x" * (3 << 20)
    assert get(vault, vault.find(TWO), TWO) == content
    assert put(vault, THREE, b"after") == "A00001"
    assert members(vault, "A00001") == [ONE, TWO, THREE]
    assert get(vault, "A00001", ONE) == b"before"


@pytest.mark.parametrize(
    ("fault", "program"), [("write-stuck", "dd.py"), ("mt-stuck", "mt.py"), ("mtx-stuck", "mtx.py")]
)
def test_a_program_that_outlives_its_worker_keeps_the_drive(tar_rig, fault, program):
    """Otherwise two programs would wind one tape, or move one robot."""
    vault = tar_rig.vault()
    put(vault, ONE, b"bytes")
    tar_rig.fault(fault, "2048")
    worker = subprocess.Popen([sys.executable, "-c", WRITE, str(tar_rig.root)], cwd=ROOT)
    orphan = wait_for(tar_rig, program)
    worker.kill()
    worker.wait()
    tar_rig.mend(fault)

    def give_up() -> None:
        raise TimeoutError

    try:
        with pytest.raises(TimeoutError), vault.warm("A00001", give_up):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)
    assert members(vault, "A00001") == [ONE]
    assert put(vault, TWO, b"bytes") == "A00001"
    assert get(vault, "A00001", TWO) == b"bytes"


def wait_for(rig, program: str) -> int:
    """Return the program of this library that hangs, once it does."""
    deadline, seen = time.monotonic() + 30, Counter()
    while time.monotonic() < deadline:
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = Path("/proc", entry, "cmdline").read_text()
            except OSError:
                continue
            if str(rig.root) in line and f"/{program}\0" in line:
                seen[entry] += 1
                if seen[entry] > 20:  # looks: one that does not hang is gone by then
                    return int(entry)
        time.sleep(0.05)
    raise AssertionError(f"{program} does not hang")


def lose_notes(rig) -> None:
    shutil.rmtree(rig.state_dir / "vault-1" / "volumes")
    (rig.state_dir / "vault-1" / "library.json").unlink()


def test_lost_notes_are_read_back_from_the_tapes(rig):
    vault = rig.vault()
    for number, member in enumerate((ONE, THREE, TWO)):  # the first tape closes with its index
        put(vault, member, bytes([number]) * 20_000)
    before = {each.label: each for each in vault.volumes()}
    assert [each.state for each in before.values()] == ["full", "filling"]
    lose_notes(rig)
    again = rig.vault(new=False)
    assert again.library_id == vault.library_id
    assert again.find(TWO) == "A00002"
    assert again.find("CT/1.2/r9-1.tar") is None
    assert members(again, "A00001") == [ONE, THREE]
    assert {
        each.label: (each.state, each.used_bytes, each.capacity_bytes) for each in again.volumes()
    } == {
        label: (each.state, each.used_bytes, each.capacity_bytes) for label, each in before.items()
    }
    assert get(again, "A00001", THREE) == bytes([1]) * 20_000
    assert put(again, "CT/1.2/r4-1.tar", b"bytes") == "A00002"


def test_a_volume_is_read_back_when_it_is_warmed(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    for suffix in ("json", "members"):
        (rig.state_dir / "vault-1" / "volumes" / f"A00001.{suffix}").unlink()
    assert states(vault)["A00001"] == "scratch"
    assert members(rig.vault(), "A00001") == [ONE]
    assert states(vault)["A00001"] == "filling"


def test_a_new_library_is_not_made_where_the_old_ones_tapes_are(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    lose_notes(rig)
    assert rig.vault(new=True).library_id == vault.library_id


def test_without_notes_and_tapes_nobody_says_which_library_this_is(tar_rig):
    tar_rig.vault()
    lose_notes(tar_rig)
    with pytest.raises(VaultUnavailable, match="no tape tells which library"):
        tar_rig.vault(new=False)
    assert tar_rig.vault(new=False, id="known").library_id == "known"


def test_what_is_on_an_unreadable_tape_is_not_called_absent(tar_rig):
    """Else its copies would be taken for lost."""
    vault = tar_rig.vault()
    put(vault, ONE, b"x" * 40_000)
    put(vault, TWO, b"x" * 40_000)
    lose_notes(tar_rig)
    again = tar_rig.vault(new=False, id=vault.library_id)
    use(again, "A00002")
    tar_rig.fault("mt-eio")
    (tar_rig.state_dir / "vault-1" / "drives" / "1.json").unlink()
    with pytest.raises(VaultUnavailable, match="nobody knows what is on A00001"):
        again.find(ONE)
    assert again.find(TWO) == "A00002"
    tar_rig.mend("mt-eio")
    again.mark("A00001", None)
    assert again.find(ONE) == "A00001"


def test_old_notes_never_let_anything_be_overwritten(rig):
    """As a restored backup of the archive's disk is old."""
    vault = rig.vault()
    put(vault, ONE, b"first")
    notes, kept = rig.state_dir / "vault-1" / "volumes", rig.root / "backup"
    shutil.copytree(notes, kept)
    put(vault, TWO, b"second")
    shutil.rmtree(notes)
    shutil.copytree(kept, notes)
    assert put(vault, THREE, b"third") == "A00001"
    assert members(vault, "A00001") == [ONE, TWO, THREE]
    assert get(vault, "A00001", TWO) == b"second"


def test_a_torn_line_of_the_notes_is_no_member(tar_rig):
    vault = tar_rig.vault()
    put(vault, ONE, b"bytes")
    with (tar_rig.state_dir / "vault-1" / "volumes" / "A00001.members").open("ab") as file:
        file.write(b'{"name": "CT/1.2/r2-1.t')
    assert members(vault, "A00001") == [ONE]
    assert volume(vault, "A00001").used_bytes == 5
    put(vault, TWO, b"bytes")
    assert members(vault, "A00001") == [ONE, TWO]
    assert volume(vault, "A00001").used_bytes == 10


def test_a_member_that_cannot_be_made_whole_never_reaches_the_drive(tar_rig):
    def write(file) -> None:
        file.write(b"half")
        raise errors.Unavailable("the node went away")

    vault = tar_rig.vault()
    with pytest.raises(errors.Unavailable, match="the node went away"):
        vault.append(ONE, 8, write)
    assert not any(line.startswith("dd of=") for line in tar_rig.log())
