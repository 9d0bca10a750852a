"""What every vault promises (archive_node/vault/base.py), run on every kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_node.vault.base import MemberExists, TooLarge, Vault, VolumeState
from archive_node.vault.tape import TapeLibrary
from pacs_common import errors
from tests.support.tape_stand_ins.rig import Rig

VOLUME_BYTES = 50_000
MakeVault = Callable[..., Vault]


def tape(root: Path, drives: int) -> Vault:
    return TapeLibrary.create(root, name="vault-1", drives=drives, volume_bytes=VOLUME_BYTES)


def library(mode: str) -> Callable[[Path, int], Vault]:
    """A real library, its programs and hardware stood in for; an operator fills it when asked."""

    def make(root: Path, drives: int) -> Vault:
        rig = Rig(root, mode, drives=drives).filled(VOLUME_BYTES)
        return rig.vault(volume=str(VOLUME_BYTES))

    return make


KINDS = {"tape": tape, "library-tar": library("tar"), "library-ltfs": library("ltfs")}


@pytest.fixture(params=KINDS)
def make_vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeVault]:
    """Open the vault of this test, as another process would: the same each time."""
    yield lambda drives=2: KINDS[request.param](tmp_path / "vault", drives)
    Rig.end(tmp_path / "vault")


@pytest.fixture
def vault(make_vault: MakeVault) -> Vault:
    return make_vault()


def put(vault: Vault, member: str, content: bytes) -> str:
    return vault.append(member, len(content), lambda file: file.write(content))


def get(vault: Vault, label: str, member: str) -> bytes:
    with vault.warm(label) as mounted, mounted.open(member) as file:
        return file.read()


def test_a_new_vault_offers_one_scratch_volume(vault):
    (volume,) = vault.volumes()
    assert (volume.label, volume.state, volume.used_bytes) == ("A00001", VolumeState.SCRATCH, 0)
    assert volume.capacity_bytes == VOLUME_BYTES


def test_what_was_appended_is_read_back(vault):
    label = put(vault, "CT/1.2/r1-1.tar", b"bytes" * 100)
    assert get(vault, label, "CT/1.2/r1-1.tar") == b"bytes" * 100
    assert vault.volumes()[0].state == VolumeState.FILLING
    assert vault.volumes()[0].used_bytes == 500


def test_another_process_sees_the_same_vault(vault, make_vault):
    label = put(vault, "CT/1.2/r1-1.tar", b"bytes")
    other = make_vault()
    assert other.library_id == vault.library_id
    assert other.volumes()[0].used_bytes == 5
    assert get(other, label, "CT/1.2/r1-1.tar") == b"bytes"


def test_find_names_the_volume_that_holds_a_member(vault):
    assert vault.find("CT/1.2/r1-1.tar") is None
    label = put(vault, "CT/1.2/r1-1.tar", b"bytes")
    assert vault.find("CT/1.2/r1-1.tar") == label


def test_a_member_is_never_replaced(vault):
    label = put(vault, "CT/1.2/r1-1.tar", b"first")
    with pytest.raises(MemberExists):
        put(vault, "CT/1.2/r1-1.tar", b"other")
    assert get(vault, label, "CT/1.2/r1-1.tar") == b"first"


def test_a_write_that_fails_leaves_no_member(vault):
    def write(file):
        file.write(b"half")
        raise errors.Unavailable("the node went away")

    with pytest.raises(errors.Unavailable):
        vault.append("CT/1.2/r1-1.tar", 8, write)
    assert vault.find("CT/1.2/r1-1.tar") is None
    assert vault.volumes()[0].used_bytes == 0
    put(vault, "CT/1.2/r1-1.tar", b"complete")


def test_a_write_of_another_size_than_announced_leaves_no_member(vault):
    with pytest.raises(ValueError, match="not 8"):
        vault.append("CT/1.2/r1-1.tar", 8, lambda file: file.write(b"four"))
    assert vault.find("CT/1.2/r1-1.tar") is None


def test_a_full_volume_is_followed_by_the_next_and_never_exceeds_its_capacity(vault):
    labels = [put(vault, f"CT/1.2/r{number}-1.tar", b"x" * 20_000) for number in range(5)]
    assert labels == ["A00001", "A00001", "A00002", "A00002", "A00003"]
    assert [volume.state for volume in vault.volumes()] == ["full", "full", "filling"]
    assert all(volume.used_bytes <= volume.capacity_bytes for volume in vault.volumes())


def test_a_volume_may_be_filled_to_its_last_byte(vault):
    assert put(vault, "CT/1.2/r1-1.tar", b"x" * VOLUME_BYTES) == "A00001"
    assert put(vault, "CT/1.2/r2-1.tar", b"x") == "A00002"


def test_more_than_a_volume_is_refused_and_fills_none(vault):
    with pytest.raises(TooLarge, match="do not fit"):
        put(vault, "CT/1.2/r1-1.tar", b"x" * (VOLUME_BYTES + 1))
    assert [volume.state for volume in vault.volumes()] == ["scratch"]


def test_unknown_volumes_and_members_are_not_found(vault):
    with pytest.raises(errors.NotFound), vault.warm("A00009"):
        pass
    with vault.warm("A00001") as mounted, pytest.raises(errors.NotFound):
        mounted.open("CT/1.2/r1-1.tar")


@pytest.mark.parametrize("member", ["../x.tar", "/x.tar", "CT/../x.tar", "CT//x.tar", "", "LABEL"])
def test_a_name_that_could_leave_its_volume_is_refused(vault, member):
    with pytest.raises(errors.BadInput):
        put(vault, member, b"bytes")


def test_a_volume_serves_one_caller_at_a_time(vault, make_vault):
    entered = threading.Event()

    def second() -> None:
        with make_vault().warm("A00001"):
            entered.set()

    with vault.warm("A00001"):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()


class Tired(Exception):
    pass


def give_up() -> None:
    raise Tired


def two_volumes(vault: Vault) -> None:
    for number in range(2):
        put(vault, f"CT/1.2/r{number}-1.tar", b"x" * 30_000)


def test_no_more_volumes_are_in_use_than_there_are_drives(make_vault):
    vault = make_vault(drives=1)
    two_volumes(vault)
    with vault.warm("A00001"), pytest.raises(Tired), vault.warm("A00002", give_up):
        pass
    with vault.warm("A00002", give_up):
        pass


def test_two_drives_hold_two_volumes_at_once(make_vault):
    vault = make_vault(drives=2)
    two_volumes(vault)
    with vault.warm("A00001"), vault.warm("A00002", give_up):
        assert sorted(volume.drive for volume in vault.volumes()) == [1, 2]


def test_what_ends_the_wait_for_a_drive_leaves_the_vault_usable(make_vault):
    vault = make_vault(drives=1)
    two_volumes(vault)
    with vault.warm("A00001"), pytest.raises(Tired):
        vault.append("CT/1.3/r1-1.tar", 5, lambda file: file.write(b"bytes"), give_up)
    assert put(vault, "CT/1.3/r1-1.tar", b"bytes") == "A00002"


def test_many_writers_share_the_vault_without_loss(make_vault):
    def write(number: int) -> None:
        content = bytes([number]) * 9_000
        put(make_vault(), f"CT/1.{number}/r1-1.tar", content)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = make_vault()
    for number in range(12):
        member = f"CT/1.{number}/r1-1.tar"
        assert get(vault, vault.find(member), member) == bytes([number]) * 9_000
    assert all(volume.used_bytes <= VOLUME_BYTES for volume in vault.volumes())
    assert sum(volume.used_bytes for volume in vault.volumes()) == 12 * 9_000


def test_only_a_member_that_is_there_can_be_settled(vault):
    label = put(vault, "CT/1.2/r1-1.tar", b"bytes")
    with vault.warm(label) as mounted:
        mounted.settle("CT/1.2/r1-1.tar")
        with pytest.raises(errors.NotFound):
            mounted.settle("CT/1.2/r9-1.tar")
