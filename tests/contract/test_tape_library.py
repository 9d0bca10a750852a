"""What is peculiar to the directory that behaves like a tape library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archive_node.vault.base import VaultUnavailable
from archive_node.vault.tape import TapeLibrary
from tests.support.services import require


def library(root: Path, drives: int = 2) -> TapeLibrary:
    return TapeLibrary.create(root, name="vault-1", drives=drives, volume_bytes=1000)


def three_volumes(root: Path, drives: int) -> TapeLibrary:
    tape = library(root, drives)
    for number in range(3):
        tape.append(f"CT/1/r{number}-1.tar", 600, lambda file: file.write(b"x" * 600))
    return tape


def use(tape: TapeLibrary, label: str) -> None:
    with tape.warm(label):
        pass


def mounts(root: Path) -> int:
    return sum(json.loads(file.read_text())["mounts"] for file in (root / "drives").glob("*.json"))


def test_a_folder_without_a_library_is_refused_not_filled(tmp_path):
    with pytest.raises(VaultUnavailable, match="is it mounted"):
        TapeLibrary(tmp_path, drives=2, volume_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_the_volume_unused_for_longest_makes_room(tmp_path):
    tape = three_volumes(tmp_path, drives=2)
    for label in ("A00001", "A00002", "A00001", "A00003"):
        use(tape, label)
    mounted = {volume.label for volume in tape.volumes() if volume.drive}
    assert mounted == {"A00001", "A00003"}


def test_a_mounted_volume_is_not_mounted_again(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    use(tape, "A00001")
    before = mounts(tmp_path)
    for _ in range(5):
        use(tape, "A00001")
    assert mounts(tmp_path) == before
    use(tape, "A00002")
    assert mounts(tmp_path) == before + 1


def test_what_a_killed_writer_left_is_removed_and_never_counted(tmp_path):
    tape = library(tmp_path)
    partial = tmp_path / "A00001" / ".partial"
    partial.mkdir()
    (partial / "member").write_bytes(b"x" * 900)
    assert tape.volumes()[0].used_bytes == 0
    tape.append("CT/1/r1-1.tar", 600, lambda file: file.write(b"x" * 600))
    assert list(partial.iterdir()) == []
    assert tape.volumes()[0].used_bytes == 600


def test_a_volume_without_its_label_is_no_volume_yet(tmp_path):
    tape = library(tmp_path)
    (tmp_path / "A00002").mkdir()
    assert [volume.label for volume in tape.volumes()] == ["A00001"]
    tape.append("CT/1/r1-1.tar", 1000, lambda file: file.write(b"x" * 1000))
    assert tape.append("CT/1/r2-1.tar", 1, lambda file: file.write(b"x")) == "A00002"


APPEND = """
import sys
from pathlib import Path
from archive_node.vault.tape import TapeLibrary
library = TapeLibrary(Path(sys.argv[1]), drives=1, volume_bytes=1000)
library.append("CT/1.2/r1-1.tar", 5, lambda file: file.write(b"bytes"))
"""


def test_a_member_is_synced_before_it_is_named_and_its_name_before_success(tmp_path):
    """SIGKILL keeps the page cache: only the order of the system calls proves the power cut."""
    root = tmp_path / "vault"
    library(root)
    trace = tmp_path / "trace"
    calls = "openat,write,fsync,fdatasync,rename,close"
    command = [require("strace"), "-f", "-y", "-o", str(trace), "-e", f"trace={calls}"]
    ended = subprocess.run(
        [*command, sys.executable, "-c", APPEND, str(root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    if "ptrace" in ended.stderr and ended.returncode:
        pytest.skip("strace may not trace here")
    lines = [line for line in trace.read_text().splitlines() if "A00001" in line]

    def position(call: str, *words: str) -> int:
        return next(
            number
            for number, line in enumerate(lines)
            if f" {call}(" in line and all(word in line for word in words)
        )

    written = position("write", ".partial/member>", '"bytes"')
    synced = position("fsync", ".partial/member>")
    renamed = position("rename", ".partial/member", "CT/1.2/r1-1.tar")
    folder = next(
        number
        for number, line in enumerate(lines)
        if number > renamed and " fsync(" in line and "A00001/CT/1.2>" in line
    )
    parents = [position("fsync", f"A00001{folder}>") for folder in ("", "/CT")]
    assert written < synced < renamed < folder
    assert max(parents) < renamed


SETTLE = """
import sys
from pathlib import Path
from archive_node.vault.tape import TapeLibrary
library = TapeLibrary(Path(sys.argv[1]), drives=1, volume_bytes=1000)
with library.warm("A00001") as volume:
    volume.settle("CT/1.2/r1-1.tar")
"""


def test_a_member_that_a_killed_writer_named_is_settled_up_to_the_library(tmp_path):
    """It may have died between the rename and the sync of a folder."""
    root = tmp_path / "vault"
    library(root).append("CT/1.2/r1-1.tar", 5, lambda file: file.write(b"bytes"))
    trace = tmp_path / "trace"
    command = [require("strace"), "-f", "-y", "-o", str(trace), "-e", "trace=fsync"]
    ended = subprocess.run(
        [*command, sys.executable, "-c", SETTLE, str(root)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    if "ptrace" in ended.stderr and ended.returncode:
        pytest.skip("strace may not trace here")
    assert ended.returncode == 0, ended.stderr
    synced = trace.read_text()
    for path in ("/A00001/CT/1.2/r1-1.tar", "/A00001/CT/1.2", "/A00001/CT", "/A00001", ""):
        assert f"{root}{path}>)" in synced, path


@pytest.mark.parametrize("content", ["", "{", "[]", '{"label": 7'])
def test_a_drive_whose_note_a_power_cut_emptied_is_an_empty_drive(tmp_path, content):
    tape = library(tmp_path, drives=1)
    use(tape, "A00001")
    (tmp_path / "drives" / "1.json").write_text(content)
    use(tape, "A00001")
    assert mounts(tmp_path) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"capacity_bytes": "x"}'])
def test_a_label_that_cannot_be_read_is_named(tmp_path, content):
    tape = library(tmp_path)
    (tmp_path / "A00001" / "LABEL").write_text(content)
    with pytest.raises(VaultUnavailable, match="label of A00001"):
        tape.volumes()


@pytest.mark.parametrize("content", ["", "[]", '{"name": "vault-1"}'])
def test_a_library_that_cannot_say_who_it_is_is_refused(tmp_path, content):
    library(tmp_path)
    (tmp_path / "library.json").write_text(content)
    with pytest.raises(VaultUnavailable, match=r"library\.json"):
        TapeLibrary(tmp_path, drives=1, volume_bytes=1000)
