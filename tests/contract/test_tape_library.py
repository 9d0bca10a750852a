"""What is peculiar to the directory that behaves like a tape library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archive_node.vault import kinds
from archive_node.vault.base import (
    MediumFailed,
    NeedsOperator,
    VaultFull,
    VaultUnavailable,
    VolumeState,
    WrongVolume,
)
from archive_node.vault.folder_volume import FolderVolume
from archive_node.vault.tape import TapeLibrary
from archive_node.vault_setting import BadSpec, VaultDefaults, read
from pacs_common import errors
from tests.support.services import require


def library(root: Path, drives: int = 2, **options) -> TapeLibrary:
    return TapeLibrary.create(root, name="vault-1", drives=drives, volume_bytes=1000, **options)


def put(tape: TapeLibrary, member: str, content: bytes) -> str:
    return tape.append(member, len(content), lambda file: file.write(content))


def states(tape: TapeLibrary) -> list[str]:
    return [str(volume.state) for volume in tape.volumes()]


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
library.append("CT/1.2/r2-1.tar", 999, lambda file: file.write(b"x" * 999))  # closes A00001
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
    line = position("write", "A00001/MEMBERS>", "CT/1.2/r1-1.tar")
    assert line < position("fsync", "A00001/MEMBERS>") < renamed
    index = position("fsync", "A00001/.INDEX.json.")
    assert index < position("rename", "A00001/.INDEX.json.")


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


OTHERS_LABEL = json.dumps({"label": "A00001", "library": "other", "capacity_bytes": 1000})


@pytest.mark.parametrize("content", [None, "", "[]", '{"capacity_bytes": "x"}', OTHERS_LABEL])
def test_a_label_that_is_not_its_own_makes_that_volume_suspect_and_no_other(tmp_path, content):
    tape = three_volumes(tmp_path, drives=1)
    label = tmp_path / "A00003" / "LABEL"
    label.unlink() if content is None else label.write_text(content)
    assert states(tape) == ["full", "full", "suspect"]
    assert put(tape, "CT/1/r9-1.tar", b"x") == "A00004"
    with tape.warm("A00003") as volume, volume.open("CT/1/r2-1.tar") as file:
        assert file.read() == b"x" * 600


@pytest.mark.parametrize("content", ["", "[]", '{"name": "vault-1"}'])
def test_a_library_that_cannot_say_who_it_is_is_refused(tmp_path, content):
    library(tmp_path)
    (tmp_path / "library.json").write_text(content)
    with pytest.raises(VaultUnavailable, match=r"library\.json"):
        TapeLibrary(tmp_path, drives=1, volume_bytes=1000)


def test_a_folder_with_volumes_and_no_library_is_not_made_a_new_library(tmp_path):
    library(tmp_path)
    (tmp_path / "library.json").unlink()
    with pytest.raises(VaultUnavailable, match=r"no library\.json"):
        library(tmp_path)


def test_a_library_that_becomes_another_under_way_is_refused(tmp_path):
    """So that an empty folder, or another disk, never looks like a vault without the member."""
    tape = library(tmp_path)
    put(tape, "CT/1/r1-1.tar", b"x")
    (tmp_path / "library.json").write_text('{"name": "vault-1", "id": "other"}')
    for ask in (tape.volumes, lambda: tape.find("CT/1/r1-1.tar"), lambda: use(tape, "A00001")):
        with pytest.raises(VaultUnavailable, match="another tape library"):
            ask()


# Drives


def test_no_more_volumes_are_in_use_than_there_are_drives(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    with tape.warm("A00001"), pytest.raises(Tired), tape.warm("A00002", give_up):
        pass
    with tape.warm("A00002", give_up):
        pass


def test_two_drives_hold_two_volumes_at_once(tmp_path):
    tape = three_volumes(tmp_path, drives=2)
    with tape.warm("A00001"), tape.warm("A00002", give_up):
        assert sorted(volume.drive or 0 for volume in tape.volumes()) == [0, 1, 2]


def test_what_ends_the_wait_for_a_drive_leaves_the_library_usable(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    with tape.warm("A00001"), pytest.raises(Tired):
        tape.append("CT/1/r9-1.tar", 1, lambda file: file.write(b"x"), give_up)
    assert put(tape, "CT/1/r9-1.tar", b"x") == "A00003"


class Tired(Exception):
    pass


def give_up() -> None:
    raise Tired


@pytest.mark.parametrize("slow", ["mount_s", "eject_s"])
def test_the_robot_takes_its_time_and_asks_whether_to_go_on(tmp_path, slow):
    three_volumes(tmp_path, drives=1)
    tape = library(tmp_path, drives=1, **{slow: 0.1})
    asked = []
    with tape.warm("A00001", lambda: asked.append(1)):
        pass
    assert asked
    asked.clear()
    with tape.warm("A00001", lambda: asked.append(1)):
        pass
    assert not asked  # it is mounted


def test_finding_a_member_takes_its_time(tmp_path):
    three_volumes(tmp_path, drives=1)
    tape = library(tmp_path, drives=1, seek_s=0.1)
    asked = []
    with tape.warm("A00001", lambda: asked.append(1)) as volume:
        assert not asked
        volume.open("CT/1/r0-1.tar").close()
        assert asked


def test_a_mount_that_was_given_up_is_begun_again(tmp_path):
    three_volumes(tmp_path, drives=2)
    tape = library(tmp_path, drives=2, mount_s=0.1)
    with pytest.raises(Tired), tape.warm("A00001", give_up):
        pass
    asked = []
    with tape.warm("A00001", lambda: asked.append(1)):
        assert asked
    assert [volume.drive for volume in tape.volumes()].count(None) >= 1


# Slots and the shelf


def test_volumes_lie_in_slots_of_their_own(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    assert [volume.slot for volume in tape.volumes()] == [1, 2, 3]


def test_a_library_of_the_first_archives_gets_slots_and_keeps_its_members(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    for folder in ("inventory", "locks", "shelf"):
        for file in (tmp_path / folder).iterdir():
            file.unlink()
        (tmp_path / folder).rmdir()
    for label in ("A00001", "A00002"):
        index = tmp_path / label / "INDEX.json"
        (tmp_path / label / "FULL").write_text('{"used_bytes": 600}')
        index.unlink()
    for list_ in tmp_path.glob("A*/MEMBERS"):
        list_.unlink()
    tape = TapeLibrary(tmp_path, drives=1, volume_bytes=1000)
    assert states(tape) == ["full", "full", "filling"]
    assert [volume.slot for volume in tape.volumes()] == [1, 2, 3]
    assert [volume.used_bytes for volume in tape.volumes()] == [600, 600, 600]
    assert put(tape, "CT/1/r9-1.tar", b"x" * 400) == "A00003"
    with tape.warm("A00003") as volume:
        assert volume.members() == ["CT/1/r2-1.tar", "CT/1/r9-1.tar"]


def test_a_volume_on_the_shelf_needs_an_operator_and_is_still_found(tmp_path):
    tape = three_volumes(tmp_path, drives=2)
    use(tape, "A00001")
    tape.shelve("A00001")
    tape.shelve("A00001")
    shelved = tape.volumes()[0]
    assert (shelved.state, shelved.shelved) == (VolumeState.EXPORTED, True)
    assert (shelved.drive, shelved.slot, shelved.used_bytes) == (None, None, 600)
    with pytest.raises(NeedsOperator, match="A00001") as needed:
        use(tape, "A00001")
    assert (needed.value.vault, needed.value.label) == ("vault-1", "A00001")
    assert tape.find("CT/1/r0-1.tar") == "A00001"
    assert (tmp_path / "shelf" / "A00001" / "LABEL").exists()


def test_a_volume_comes_back_from_the_shelf_into_the_lowest_slot_and_the_drive_named(tmp_path):
    tape = three_volumes(tmp_path, drives=2)
    tape.shelve("A00002")
    tape.shelve("A00001")
    tape.insert("A00002", " A00002\n", drive=2)
    back = tape.volumes()[1]
    assert (back.state, back.slot, back.drive, back.shelved) == ("full", 1, 2, False)
    with tape.warm("A00002") as volume, volume.open("CT/1/r1-1.tar") as file:
        assert file.read() == b"x" * 600
    tape.insert("A00002", "A00002")  # asked again: it is there


def test_nothing_is_appended_to_a_volume_on_the_shelf(tmp_path):
    tape = library(tmp_path)
    put(tape, "CT/1/r1-1.tar", b"x")
    tape.shelve("A00001")
    assert put(tape, "CT/1/r2-1.tar", b"x") == "A00002"
    tape.insert("A00001", "A00001")
    assert put(tape, "CT/1/r3-1.tar", b"x") == "A00001"


def test_another_barcode_than_the_label_is_the_wrong_volume(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    tape.shelve("A00001")
    with pytest.raises(WrongVolume, match="'A00002' was inserted, not A00001"):
        tape.insert("A00001", "A00002")
    assert tape.volumes()[0].state == "exported"


def test_what_lies_in_its_place_with_another_label_is_the_wrong_volume(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    tape.shelve("A00001")
    tape.shelve("A00002")
    other = json.loads((tmp_path / "shelf" / "A00002" / "LABEL").read_text())
    (tmp_path / "shelf" / "A00001" / "LABEL").write_text(json.dumps(other))
    with pytest.raises(WrongVolume, match="does not say that it is A00001"):
        tape.insert("A00001", "A00001")
    assert (tmp_path / "shelf" / "A00001").exists()


def test_a_volume_that_was_carried_away_needs_an_operator_and_cannot_be_inserted(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    tape.shelve("A00001")
    (tmp_path / "shelf" / "A00001").rename(tmp_path / "the-safe")
    assert (tape.volumes()[0].label, tape.volumes()[0].state) == ("A00001", "exported")
    with pytest.raises(NeedsOperator):
        use(tape, "A00001")
    with pytest.raises(WrongVolume, match="there is no A00001"):
        tape.insert("A00001", "A00001")
    (tmp_path / "the-safe").rename(tmp_path / "shelf" / "A00001")
    tape.insert("A00001", "A00001")
    use(tape, "A00001")


def test_a_volume_that_was_lost_is_suspect_and_its_label_is_never_given_again(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    for label in ("A00002", "A00003"):
        (tmp_path / label).rename(tmp_path / f"lost-{label}")
    assert states(tape) == ["full", "suspect", "suspect"]
    with pytest.raises(errors.NotFound, match="has no volume A00003"):
        use(tape, "A00003")
    assert put(tape, "CT/1/r9-1.tar", b"x") == "A00004"


def test_every_slot_taken_is_said_when_a_volume_is_added_and_when_one_is_inserted(tmp_path):
    tape = library(tmp_path, slots=2)
    for number in range(2):
        put(tape, f"CT/1/r{number}-1.tar", b"x" * 1000)
    with pytest.raises(VaultFull, match="all 2 slots"):
        put(tape, "CT/1/r2-1.tar", b"x")
    tape.shelve("A00001")
    assert put(tape, "CT/1/r2-1.tar", b"x") == "A00003"
    with pytest.raises(errors.Unavailable, match="all 2 slots"):
        tape.insert("A00001", "A00001")
    tape.shelve("A00002")
    tape.insert("A00001", "A00001")
    assert sorted(volume.slot or 0 for volume in tape.volumes()) == [0, 1, 2]


def test_a_volume_or_drive_in_use_is_not_taken_away(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    tape.shelve("A00002")
    with tape.warm("A00001"):
        with pytest.raises(errors.Unavailable, match="in use"):
            tape.shelve("A00001")
        with pytest.raises(errors.Unavailable, match="in use"):
            tape.insert("A00002", "A00002", drive=1)
    assert states(tape) == ["full", "exported", "filling"]
    with pytest.raises(errors.BadInput, match="no drive 2"):
        tape.insert("A00002", "A00002", drive=2)


def test_unknown_volumes_are_neither_shelved_nor_inserted(tmp_path):
    tape = library(tmp_path)
    for ask in (lambda: tape.shelve("A00009"), lambda: tape.insert("A00009", "A00009")):
        with pytest.raises(errors.NotFound):
            ask()


def test_what_was_decided_of_a_volume_is_kept_beside_it_and_goes_before_its_place(tmp_path):
    tape = three_volumes(tmp_path, drives=1)
    tape.mark("A00001", VolumeState.SUSPECT)
    tape.shelve("A00001")
    shelved = TapeLibrary(tmp_path, drives=1, volume_bytes=1000).volumes()[0]
    assert (shelved.state, shelved.shelved) == ("suspect", True)
    tape.insert("A00001", "A00001")
    assert states(tape)[0] == "suspect"
    (tmp_path / "inventory" / "A00002.json").write_text("{")
    assert states(tape)[:2] == ["suspect", "suspect"]


# The list of members, and the index at the end


def test_a_closed_volume_carries_its_index_at_its_end(tmp_path):
    tape = library(tmp_path)
    for name in ("r2", "r1", "r3"):
        put(tape, f"CT/1/{name}-1.tar", b"x" * 300)
    assert not (tmp_path / "A00001" / "INDEX.json").exists()
    put(tape, "CT/1/r4-1.tar", b"x" * 300)
    index = json.loads((tmp_path / "A00001" / "INDEX.json").read_text())
    assert index["format"] == "argens-volume-index-1"
    assert (index["label"], index["library"], index["used_bytes"]) == (
        "A00001",
        tape.library_id,
        900,
    )
    assert index["closed_at"]
    assert [(each["name"], each["size_bytes"]) for each in index["members"]] == [
        ("CT/1/r2-1.tar", 300),
        ("CT/1/r1-1.tar", 300),
        ("CT/1/r3-1.tar", 300),
    ]
    times = [each["written_at"] for each in index["members"]]
    assert times == sorted(times)


def listed(tape: TapeLibrary, label: str = "A00001") -> list[str]:
    with tape.warm(label) as volume:
        return volume.members()


DAMAGES = {
    "a torn line": lambda raw: raw + b'{"name": "CT/1/r9-1.tar", "si',
    "zeros": lambda raw: raw + b"\0" * 100,
    "no list": lambda raw: None,
    "an empty list": lambda raw: b"",
    "a cut": lambda raw: raw[: len(raw) - 20],
    "a bad line": lambda raw: b"{}\n" + raw.split(b"\n", 1)[1],
    "rubbish": lambda raw: b"no list at all",
    "a list of something else": lambda raw: raw + b'["x"]\n',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_members_whose_line_is_lost_are_adopted_and_counted(tmp_path, damage):
    tape = library(tmp_path)
    names = [f"CT/1/r{number}-1.tar" for number in (3, 1, 2)]
    for moment, name in enumerate(names):
        put(tape, name, b"x" * 100)
        os.utime(tmp_path / "A00001" / name, (moment, moment))
    list_ = tmp_path / "A00001" / "MEMBERS"
    damaged = DAMAGES[damage](list_.read_bytes())
    list_.unlink() if damaged is None else list_.write_bytes(damaged)
    assert sorted(listed(tape)) == sorted(names)
    assert put(tape, "CT/1/r9-1.tar", b"x" * 100) == "A00001"
    assert sorted(listed(tape)) == sorted([*names, "CT/1/r9-1.tar"])
    assert tape.volumes()[0].used_bytes == 400
    assert put(tape, "CT/1/r10-1.tar", b"x" * 601) == "A00002"
    index = json.loads((tmp_path / "A00001" / "INDEX.json").read_text())
    assert (len(index["members"]), index["used_bytes"]) == (4, 400)


def test_a_line_whose_member_was_never_named_does_not_count(tmp_path):
    """A writer that was killed between its line and the name."""
    tape = library(tmp_path)
    put(tape, "CT/1/r1-1.tar", b"x" * 300)
    put(tape, "CT/1/r2-1.tar", b"x" * 300)
    (tmp_path / "A00001" / "CT" / "1" / "r2-1.tar").unlink()
    assert tape.volumes()[0].used_bytes == 300
    assert listed(tape) == ["CT/1/r1-1.tar"]
    put(tape, "CT/1/r3-1.tar", b"x" * 400)
    put(tape, "CT/1/r2-1.tar", b"x" * 300)
    assert listed(tape) == ["CT/1/r1-1.tar", "CT/1/r3-1.tar", "CT/1/r2-1.tar"]
    assert tape.volumes()[0].used_bytes == 1000


def test_how_much_a_volume_holds_is_known_without_a_look_at_each_member(tmp_path, monkeypatch):
    tape = library(tmp_path)
    for number in range(50):
        put(tape, f"CT/{number}/r1-1.tar", b"x" * 10)
    monkeypatch.setattr(FolderVolume, "_found", lambda self: pytest.fail("walked the volume"))
    assert tape.volumes()[0].used_bytes == 500
    put(tape, "CT/50/r1-1.tar", b"x" * 10)
    assert tape.volumes()[0].used_bytes == 510


# What the medium says


def test_a_disk_without_space_is_a_full_vault_and_leaves_no_member(tmp_path):
    tape = library(tmp_path)
    with pytest.raises(VaultFull, match="no space left"):
        tape.append("CT/1/r1-1.tar", 5, lambda file: full_disk(file, b"bytes"))
    assert tape.find("CT/1/r1-1.tar") is None


def full_disk(file, content: bytes) -> None:
    """Put the device that is always full beneath the open file, and write on."""
    device = os.open("/dev/full", os.O_WRONLY)
    os.dup2(device, file.fileno())
    os.close(device)
    file.write(content)


def test_a_medium_that_cannot_be_read_says_which_volume(tmp_path):
    tape = library(tmp_path)
    put(tape, "CT/1/r1-1.tar", b"bytes")
    with tape.warm("A00001") as volume, volume.open("CT/1/r1-1.tar") as file:
        folder = os.open(tmp_path, os.O_RDONLY)
        os.dup2(folder, file.fileno())  # reading a folder is an error of the system
        os.close(folder)
        with pytest.raises(MediumFailed, match="volume A00001 of vault-1") as failed:
            file.read(5)
    assert (failed.value.vault, failed.value.label) == ("vault-1", "A00001")


def test_what_the_writer_itself_cannot_read_is_not_blamed_on_the_medium(tmp_path):
    tape = library(tmp_path)
    with pytest.raises(FileNotFoundError):
        tape.append("CT/1/r1-1.tar", 5, lambda file: (tmp_path / "staged").read_bytes())


# The setting


DEFAULTS = VaultDefaults(drives=2, volume_bytes=1000, state_dir=Path("unused"))


def test_every_option_of_the_setting_reaches_the_library(tmp_path):
    options = "drives=3&volume=2KB&slots=4&mount_s=0.5&seek_s=0.1&eject_s=0.2"
    tape = kinds.create(read("onsite", f"tape:{tmp_path}?{options}"), DEFAULTS)
    assert (tape.name, tape.drives, tape._slots) == ("onsite", 3, 4)
    assert (tape._mount_s, tape._seek_s, tape._eject_s) == (0.5, 0.1, 0.2)
    assert tape.volumes()[0].capacity_bytes == 2000


@pytest.mark.parametrize("option", ["drives=0", "slots=-1", "mount_s=soon", "volume=1", "x=1"])
def test_options_that_make_no_sense_are_refused(tmp_path, option):
    with pytest.raises(BadSpec):
        kinds.create(read("onsite", f"tape:{tmp_path}?{option}"), DEFAULTS)
