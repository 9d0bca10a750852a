"""What a real library does wrong: each ends in the right error and state, and loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archive_node.vault.base import MediumFailed, VaultUnavailable
from pacs_common import errors
from tests.support.tape_stand_ins.use import ONE, THREE, TWO, get, members, put, states, use, volume

pytestmark = pytest.mark.slow

QUICK = "0.4"  # seconds: how long a program may hang in these tests


def out_of_use(rig, number: int) -> Path:
    """Return the file that says that a drive is not used."""
    return rig.state_dir / "vault-1" / "drives" / f"{number}.out-of-use"


def hanging(rig) -> list[int]:
    """Return the stand-ins of this library that still run, but for those that serve a mount."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                line = Path("/proc", entry, "cmdline").read_text()
            except OSError:
                continue
            if str(rig.root) in line and "tape_stand_ins" in line and "ltfs.py" not in line:
                found.append(int(entry))
    return found


# No medium


def test_a_drive_that_sees_no_tape_is_out_of_use_and_another_is_taken(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    vault.shelve("A00001")
    vault.insert("A00001", "A00001", drive=1)
    rig.fault("no-medium.0")
    with pytest.raises(MediumFailed, match=r"A00001 of vault-1: .*drive 1 .* out of use until"):
        use(vault, "A00001")
    assert out_of_use(rig, 1).exists()
    assert states(vault)["A00001"] == "filling"
    assert get(vault, "A00001", ONE) == b"bytes"
    assert volume(vault, "A00001").drive == 2


def test_a_tape_that_two_drives_do_not_see_is_suspect_itself(tar_rig):
    vault = tar_rig.vault()
    tar_rig.fault("no-medium")
    for _ in range(2):
        with pytest.raises(MediumFailed):
            use(vault, "A00001")
    assert out_of_use(tar_rig, 1).exists()
    assert not out_of_use(tar_rig, 2).exists()
    assert states(vault)["A00001"] == "suspect"


def test_a_drive_is_used_again_once_an_operator_says_so(tar_rig):
    vault = tar_rig.vault(drives=str(tar_rig.root / "nst0"))
    tar_rig.fault("no-medium")
    with pytest.raises(MediumFailed):
        use(vault, "A00001")
    with pytest.raises(VaultUnavailable, match="every drive is out of use"):
        use(vault, "A00002")
    assert "did not see volume A00001" in vault.drives_out_of_use()[1]
    tar_rig.mend("no-medium")
    vault.use_drive_again(1)
    assert vault.drives_out_of_use() == {}
    use(vault, "A00002")
    with pytest.raises(errors.NotFound):
        vault.use_drive_again(3)


# Write protection and the end of the tape


def test_nothing_is_written_to_a_protected_tape_and_the_next_is_taken(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    rig.alter("A00001", protected=True)
    with pytest.raises(MediumFailed, match=r"A00001 .*(tab|Read-only)"):
        put(vault, TWO, b"bytes")
    assert states(vault)["A00001"] == "suspect"
    assert put(vault, TWO, b"bytes") == "A00002"
    assert get(vault, "A00001", ONE) == b"bytes"
    assert members(vault, "A00001") == [ONE]


def test_a_protected_empty_tape_is_not_labelled(tar_rig):
    vault = tar_rig.vault()
    tar_rig.alter("A00001", protected=True)
    with pytest.raises(MediumFailed, match="write protected"):
        put(vault, ONE, b"bytes")
    assert put(vault, ONE, b"bytes") == "A00002"


def test_where_the_tape_ends_in_mid_member_the_member_goes_to_the_next(rig):
    vault = rig.vault()
    put(vault, ONE, b"a" * 10_000)
    rig.alter("A00001", capacity=22_000)
    calls = []

    def write(file) -> None:
        calls.append(1)
        file.write(b"b" * 20_000)

    assert vault.append(TWO, 20_000, write) == "A00002"
    assert calls == [1]
    assert states(vault) == {"A00001": "full", "A00002": "filling"}
    assert members(vault, "A00001") == [ONE]
    assert get(vault, "A00001", ONE) == b"a" * 10_000
    assert get(vault, "A00002", TWO) == b"b" * 20_000
    assert put(vault, THREE, b"c") == "A00002"


def test_a_tape_that_cannot_hold_one_member_is_no_full_one(rig):
    rig.alter("A00001", capacity=8_000)
    vault = rig.vault()
    with pytest.raises(MediumFailed, match=r"see volume="):
        put(vault, ONE, b"a" * 20_000)
    assert states(vault) == {"A00001": "suspect", "A00002": "scratch"}


# Busy and stuck


def test_a_drive_that_another_program_has_is_waited_for_and_then_named(rig):
    rig.fault("busy")
    vault = rig.vault(id="0123456789abcdef")
    with pytest.raises(VaultUnavailable, match=r"drive 1 .*Device or resource busy"):
        use(vault, "A00001")
    assert states(vault)["A00001"] == "scratch"
    assert not out_of_use(rig, 1).exists()
    rig.mend("busy")
    assert put(vault, ONE, b"bytes") == "A00001"


@pytest.mark.parametrize("fault", ["write-stuck", "mt-stuck", "read-stuck"])
def test_a_drive_that_hangs_is_killed_and_out_of_use(tar_rig, fault):
    vault = tar_rig.vault(stuck_s=QUICK, wind_s="5")
    put(vault, ONE, b"bytes")
    vault = tar_rig.vault(stuck_s=QUICK, wind_s=QUICK if fault == "mt-stuck" else "5")
    tar_rig.fault(fault)
    with pytest.raises(MediumFailed, match=r"did not answer for .* and was killed; drive 1"):
        get(vault, "A00001", ONE) if fault == "read-stuck" else put(vault, TWO, b"x" * 200_00)
    assert hanging(tar_rig) == []
    assert out_of_use(tar_rig, 1).exists()
    assert states(vault)["A00001"] == "suspect"
    tar_rig.mend(fault)
    vault = tar_rig.vault()
    with pytest.raises(MediumFailed, match="in drive 1, which is out of use"):
        use(vault, "A00001")
    assert put(vault, TWO, b"bytes") == "A00002"
    out_of_use(tar_rig, 1).unlink()
    assert get(vault, "A00001", ONE) == b"bytes"
    assert members(vault, "A00001") == [ONE]


def test_a_write_to_a_mounted_tape_that_hangs_is_killed(ltfs_rig):
    vault = ltfs_rig.vault(stuck_s=QUICK)
    put(vault, ONE, b"bytes")
    ltfs_rig.fault("write-stuck", "3000")
    with pytest.raises(MediumFailed, match="was killed; drive 1"):
        put(vault, TWO, b"x" * 300_00)
    assert hanging(ltfs_rig) == []
    assert states(vault)["A00001"] == "suspect"
    assert vault.find(TWO) is None


def test_a_mount_that_hangs_is_killed(ltfs_rig):
    ltfs_rig.fault("ltfs-stuck")
    vault = ltfs_rig.vault(id="0123456789abcdef", mount_s=QUICK)
    with pytest.raises(MediumFailed, match=r"was killed; drive 1 .*out of use"):
        use(vault, "A00001")
    assert out_of_use(ltfs_rig, 1).exists()


@pytest.mark.parametrize("fault", ["umount-stuck", "ltfs-stays"])
def test_a_tape_that_is_not_let_go_puts_its_drive_out_of_use(ltfs_rig, fault):
    vault = ltfs_rig.vault(drives=str(ltfs_rig.root / "nst0"))
    put(vault, ONE, b"bytes")
    ltfs_rig.fault(fault)
    vault = ltfs_rig.vault(drives=str(ltfs_rig.root / "nst0"), mount_s=QUICK)
    with pytest.raises(VaultUnavailable, match="does not let go of A00001"):
        use(vault, "A00002")
    assert out_of_use(ltfs_rig, 1).exists()
    assert hanging(ltfs_rig) == []
    assert not any("unload" in line for line in ltfs_rig.log())


def test_the_changer_moves_nothing_before_ltfs_itself_has_ended(ltfs_rig):
    """Umount is done long before the tape is; a drive that is touched then may spoil it."""
    vault = ltfs_rig.vault(drives=str(ltfs_rig.root / "nst0"))
    put(vault, ONE, b"bytes")
    use(vault, "A00002")  # the stand-in of the changer refuses while the drive is on line
    use(vault, "A00001")
    assert get(vault, "A00001", ONE) == b"bytes"


# Input and output errors


def test_an_error_while_reading_makes_the_volume_suspect(rig):
    vault = rig.vault()
    put(vault, ONE, b"x" * 5_000)
    rig.fault("read-eio", "1024")
    with pytest.raises(MediumFailed, match=r"A00001 of vault-1: .*Input/output error"):
        get(vault, "A00001", ONE)
    assert states(vault)["A00001"] == "suspect"
    rig.mend("read-eio")
    assert get(vault, "A00001", ONE) == b"x" * 5_000
    vault.mark("A00001", None)
    assert put(vault, TWO, b"bytes") == "A00001"


def test_an_error_while_writing_leaves_no_member_and_the_next_volume_is_taken(rig):
    vault = rig.vault()
    put(vault, ONE, b"bytes")
    rig.fault("write-eio", "2048")
    with pytest.raises(MediumFailed, match="Input/output error"):
        put(vault, TWO, b"x" * 5_000)
    rig.mend("write-eio")
    assert (vault.find(TWO), states(vault)["A00001"]) == (None, "suspect")
    assert put(vault, TWO, b"x" * 5_000) == "A00002"
    assert members(vault, "A00001") == [ONE]


def test_a_tape_file_that_became_shorter_is_no_member(tar_rig):
    vault = tar_rig.vault()
    put(vault, ONE, b"x" * 5_000)
    os.truncate(tar_rig.tape("A00001") / "file1", 3072)
    with pytest.raises(MediumFailed, match="tape file 1 has 3072 bytes"):
        get(vault, "A00001", ONE)
    assert states(vault)["A00001"] == "suspect"


# The changer


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            "source-empty",
            r"cannot load slot 2 into drive 1: .*source Element Address 4097 is Empty",
        ),
        ("destination-full", r"cannot unload drive 1 into slot 1: .*4096 is Already Full"),
    ],
)
def test_a_move_that_the_changer_cannot_make_is_told_and_changes_nothing(tar_rig, fault, told):
    vault = tar_rig.vault(drives=str(tar_rig.root / "nst0"))
    put(vault, ONE, b"bytes")
    tar_rig.fault(fault)
    with pytest.raises(VaultUnavailable, match=told):
        use(vault, "A00002")
    assert states(vault) == {"A00001": "filling", "A00002": "scratch"}
    tar_rig.mend(fault)
    use(vault, "A00002")
    assert get(vault, "A00001", ONE) == b"bytes"


def test_a_changer_that_hangs_is_killed_and_told(tar_rig):
    vault = tar_rig.vault(move_s=QUICK)
    tar_rig.fault("mtx-stuck")
    with pytest.raises(VaultUnavailable, match=r"changer cannot .* was killed"):
        vault.volumes()
    assert hanging(tar_rig) == []


def test_a_program_that_is_not_there_is_named(tar_rig):
    with pytest.raises(VaultUnavailable, match="/nowhere/mtx cannot be run: No such file"):
        tar_rig.vault(mtx="/nowhere/mtx")
    vault = tar_rig.vault()
    with pytest.raises(VaultUnavailable, match="/nowhere/mt cannot be run"):
        use(tar_rig.vault(mt="/nowhere/mt"), "A00001")
    assert states(vault)["A00001"] == "scratch"
