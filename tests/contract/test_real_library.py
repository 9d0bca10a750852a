"""What is peculiar to a library with a changer: inventory, moves, labels, the shelf."""

from __future__ import annotations

import io
import subprocess
import tarfile
import threading

import pytest

from archive_node.vault.base import NeedsOperator, VaultFull, VolumeState, WrongVolume
from archive_node.vault.library import inventory
from pacs_common import errors
from tests.support.services import require
from tests.support.tape_stand_ins.use import ONE, TWO, get, members, put, states, use, volume

pytestmark = pytest.mark.slow

STATUS = """\
  Storage Changer /dev/sch0:3 Drives, 6 Slots ( 1 Import/Export )
Data Transfer Element 0:Full (Storage Element 2 Loaded):VolumeTag = A00002L6                     \
   :AlternateVolumeTag =
Data Transfer Element 1:Empty
Data Transfer Element 2:Full (Unknown Storage Element Loaded)
      Storage Element 1:Full :VolumeTag=A00001L6                            
      Storage Element 2:Empty
      Storage Element 3:Full 
      Storage Element 4:Full :VolumeTag=CLNU01L1                            
      Storage Element 5:Empty:VolumeTag=
      Storage Element 6 IMPORT/EXPORT:Full :VolumeTag=A00006L6                            
"""


def moves(rig) -> list[str]:
    """Return what the robot did."""
    return [
        " ".join(line.split()[3:])
        for line in rig.log()
        if line.startswith("mtx") and line.split()[3] in {"load", "unload", "transfer"}
    ]


# Inventory


def test_what_mtx_prints_is_understood():
    seen = inventory.parse(STATUS)
    assert seen.labels() == {"A00001L6", "A00002L6", "A00006L6"}
    assert seen.bay_of("A00002L6") == inventory.Bay(0, True, "A00002L6", 2)
    assert seen.bays[2] == inventory.Bay(2, True, "", None)
    assert seen.slot_of("A00006L6") == inventory.Slot(6, True, "A00006L6", True)
    assert seen.nameless() == [3]
    assert (seen.free_slot(), seen.free_slot(5), seen.free_slot(1)) == (2, 5, 2)
    assert seen.free_mail_slot() is None


def test_a_cleaning_cartridge_is_no_volume_and_is_never_moved(tar_rig):
    tar_rig.add("CLN001", 3)
    vault = tar_rig.vault()
    assert set(states(vault)) == {"A00001", "A00002"}
    with pytest.raises(errors.NotFound):
        use(vault, "CLN001")
    for number in range(6):
        if number < 2:
            assert put(vault, f"CT/1/r{number}-1.tar", b"x" * 50_000) == f"A0000{number + 1}"
    with pytest.raises(VaultFull, match="no scratch volume"):
        put(vault, ONE, b"bytes")
    assert not any(move.startswith("load 3") for move in moves(tar_rig))


def test_a_cartridge_without_barcode_is_shown_and_never_used(tar_rig):
    tar_rig.add("", 3)
    vault = tar_rig.vault()
    assert volume(vault, "no-barcode-3").state == "suspect"
    assert volume(vault, "no-barcode-3").slot == 3
    with pytest.raises(errors.NotFound):
        use(vault, "no-barcode-3")
    put(vault, ONE, b"x" * 50_000)
    put(vault, TWO, b"x" * 50_000)
    with pytest.raises(VaultFull):
        put(vault, "CT/1/r1-1.tar", b"x")


# Moves


def test_the_drive_that_was_idle_for_longest_makes_room(tar_rig):
    tar_rig.add("A00003", 3)
    vault = tar_rig.vault()
    for label in ("A00001", "A00002", "A00001", "A00003"):
        use(vault, label)
    assert {each.label: each.drive for each in vault.volumes() if each.drive} == {
        "A00001": 1,
        "A00003": 2,
    }
    assert moves(tar_rig) == ["load 1 0", "load 2 1", "unload 2 1", "load 3 1"]


def test_a_label_is_read_once_for_each_time_that_a_tape_is_put_in(tar_rig):
    vault = tar_rig.vault()
    put(vault, ONE, b"bytes")
    before = len(tar_rig.log())
    for _ in range(3):
        use(vault, "A00001")
    after = tar_rig.log()[before:]
    assert not any(line.startswith("dd") for line in after)
    use(vault, "A00002")
    assert any(line.startswith("dd") for line in tar_rig.log()[before + len(after) :])


def test_a_tape_whose_slot_was_filled_by_hand_goes_to_a_free_one(tar_rig):
    vault = tar_rig.vault(drives=str(tar_rig.root / "nst0"))
    use(vault, "A00001")
    tar_rig.add("A00003", 1)
    use(vault, "A00002")
    assert "unload 3 0" in moves(tar_rig)
    assert volume(vault, "A00001").slot == 3


def test_a_volume_that_became_suspect_while_a_writer_waited_for_it_is_not_written(tar_rig):
    vault, waits = tar_rig.vault(), threading.Event()
    put(vault, ONE, b"bytes")
    labels = []

    def write() -> None:
        other = tar_rig.vault()
        labels.append(other.append(TWO, 5, lambda file: file.write(b"bytes"), waits.set))

    thread = threading.Thread(target=write)
    with vault.warm("A00001"):
        thread.start()
        assert waits.wait(30)
        vault.mark("A00001", VolumeState.SUSPECT)
    thread.join()
    assert labels == ["A00002"]


# Labels


def test_a_tape_under_another_barcode_is_refused_and_suspect(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    use(vault, "A00002")
    use(vault, "A00001")
    rig.add("A00003", 3)
    rig.alter("A00001", barcode="swapped")
    rig.alter("A00003", barcode="A00001")
    rig.alter("swapped", barcode="A00003")
    with pytest.raises(WrongVolume, match=r"A00003 .*own label is 'A00001'"):
        use(vault, "A00003")
    assert states(vault)["A00003"] == "suspect"


def test_a_tape_of_another_library_is_never_written(rig, make_rig):
    theirs = rig.vault()
    put(theirs, ONE, b"theirs")
    (rig.state_dir / "vault-1" / "library.json").unlink()
    (rig.state_dir / "vault-1" / "volumes" / "A00001.json").unlink()
    (rig.state_dir / "vault-1" / "volumes" / "A00001.members").unlink()
    ours = rig.vault(id="0123456789abcdef")
    assert ours.library_id != theirs.library_id
    with pytest.raises(WrongVolume, match="another library"):
        use(ours, "A00001")
    assert states(ours)["A00001"] == "suspect"
    assert put(ours, TWO, b"ours") == "A00002"


def test_a_tape_with_something_else_on_it_is_never_written(rig):
    folder = rig.tape("A00001")
    if rig.mode == "ltfs":
        (folder / "ltfs" / "photos").write_bytes(b"mine")
    else:
        rig.record("A00001", b"mine" * 1000)
    vault = rig.vault(id="0123456789abcdef")
    with pytest.raises(WrongVolume, match="no label of an archive"):
        use(vault, "A00001")
    assert states(vault)["A00001"] == "suspect"
    name = "ltfs/photos" if rig.mode == "ltfs" else "file0"
    assert (folder / name).read_bytes().startswith(b"mine")
    assert put(vault, ONE, b"bytes") == "A00002"


def test_a_tape_that_lost_its_members_is_suspect(tar_rig):
    vault = tar_rig.vault()
    put(vault, ONE, b"bytes")
    use(vault, "A00002")
    use(vault, "A00001")
    tar_rig.fault("write-eio")  # whatever is tried, nothing must be written
    tar_rig.record("A00001")
    with pytest.raises(errors.Unavailable, match="holds 0 tape files, 2 were written"):
        put(vault, TWO, b"bytes")
    assert states(vault)["A00001"] == "suspect"


def test_tar_alone_reads_a_member_from_its_tape_file(tar_rig):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo("instances/1.2.3.dcm")
        info.size = 3000
        tar.addfile(info, io.BytesIO(b"d" * 3000))
    vault = tar_rig.vault()
    put(vault, ONE, content.getvalue())
    tape_file = tar_rig.tape("A00001") / "file1"
    listed = subprocess.run(
        [require("tar"), "-tf", str(tape_file)], capture_output=True, text=True, check=True
    )
    assert listed.stdout == "instances/1.2.3.dcm\n"


# The shelf


def test_a_shelved_volume_goes_to_the_mail_slot_and_needs_an_operator(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    shelved = volume(vault, "A00001")
    assert (shelved.state, shelved.shelved, shelved.slot, shelved.drive) == (
        "exported",
        True,
        8,
        None,
    )
    with pytest.raises(NeedsOperator):
        use(vault, "A00001")
    assert put(vault, TWO, b"bytes") == "A00002"
    assert vault.find(ONE) == "A00001"


def test_without_a_mail_slot_a_shelved_volume_waits_in_its_own(make_rig):
    rig = make_rig("tar", mail=0)
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    assert (volume(vault, "A00001").state, volume(vault, "A00001").slot) == ("exported", 1)
    with pytest.raises(NeedsOperator):
        use(vault, "A00001")


def test_a_volume_that_was_taken_out_by_hand_needs_an_operator(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    rig.take_out("A00001")
    assert volume(vault, "A00001").state == "exported"
    with pytest.raises(NeedsOperator, match="A00001"):
        use(vault, "A00001")
    assert vault.find(ONE) == "A00001"


def test_an_inserted_volume_is_compared_with_its_barcode(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    tape = rig.take_out("A00001")
    with pytest.raises(WrongVolume, match="'A00002' was inserted"):
        vault.insert("A00001", "A00002")
    with pytest.raises(WrongVolume, match="sees no cartridge"):
        vault.insert("A00001", "A00001")
    rig.put_in(tape, 8)
    vault.insert("A00001", "A00001")
    assert (volume(vault, "A00001").state, volume(vault, "A00001").slot) == ("filling", 1)
    assert get(vault, "A00001", ONE) == b"bytes"
    assert put(vault, TWO, b"bytes") == "A00001"


def test_a_volume_is_inserted_into_the_drive_that_was_asked_for(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    vault.insert("A00001", "A00001", drive=2)
    assert volume(vault, "A00001").drive == 2
    assert get(vault, "A00001", ONE) == b"bytes"


def test_no_volume_is_inserted_where_every_slot_is_taken(make_rig):
    rig = make_rig("tar", slots=3)
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    rig.add("A00003", 1)
    with pytest.raises(errors.Unavailable, match="every slot is taken"):
        vault.insert("A00001", "A00001")
    assert volume(vault, "A00001").state == "exported"


def test_a_volume_in_use_is_not_shelved(tar_rig):
    vault = tar_rig.vault()
    with vault.warm("A00001"), pytest.raises(errors.Unavailable, match="in use"):
        tar_rig.vault().shelve("A00001")
    assert volume(vault, "A00001").state == "scratch"


def test_unknown_volumes_are_neither_shelved_nor_inserted(tar_rig):
    vault = tar_rig.vault()
    for act in (lambda: vault.shelve("A00009"), lambda: vault.insert("A00009", "A00009")):
        with pytest.raises(errors.NotFound):
            act()


# LTFS


def test_the_tape_of_a_drive_stays_mounted_until_the_changer_needs_it(ltfs_rig):
    vault = ltfs_rig.vault(drives=str(ltfs_rig.root / "nst0"))
    put(vault, ONE, b"bytes")
    put(vault, TWO, b"bytes")
    assert members(vault, "A00001") == [ONE, TWO]
    mounts = [line for line in ltfs_rig.log() if line.startswith("ltfs")]
    assert len(mounts) == 1
    use(vault, "A00002")
    log = [line.split()[0] for line in ltfs_rig.log()]
    assert log.count("umount") == 1
    assert log.count("ltfs") == 2


def test_ltfs_writes_its_index_before_a_member_is_a_success(ltfs_rig):
    vault = ltfs_rig.vault()
    put(vault, ONE, b"bytes")
    log = [line.split()[0] for line in ltfs_rig.log()]
    assert log[-2:] == ["dd", "setfattr"]


def test_nothing_is_written_into_the_folder_beneath_a_mount(ltfs_rig):
    vault = ltfs_rig.vault()
    ltfs_rig.fault("not-formatted")
    with pytest.raises(errors.Unavailable, match="ANSI label"):
        use(vault, "A00002")
    assert states(vault)["A00002"] == "suspect"
    beneath = ltfs_rig.state_dir / "vault-1" / "mounts" / "2"
    assert [path.name for path in beneath.iterdir()] == ["NOT-MOUNTED"]
