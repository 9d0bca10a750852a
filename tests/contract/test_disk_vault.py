"""What is peculiar to a folder on another disk or NAS: its mount may vanish."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive_node.vault import kinds
from archive_node.vault.base import Vault, VaultFull, VaultUnavailable
from archive_node.vault_setting import BadSpec, VaultDefaults, read
from pacs_common import errors

DISK_BYTES = 8 << 20


def spec(folder: Path, mount: Path, place: str = "vault"):
    return read("nas", f"disk:{folder / place}?mount={mount}&volume=1MB")


def defaults(folder: Path) -> VaultDefaults:
    return VaultDefaults(drives=2, volume_bytes=1000, state_dir=folder / "state")


def put(vault: Vault, member: str, content: bytes) -> str:
    return vault.append(member, len(content), lambda file: file.write(content))


class Nas:
    """A small file system that is really mounted, and can go away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def mount(self) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")

    def vanish(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def nas(tmp_path: Path) -> Iterator[Nas]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    nas = Nas(tmp_path / "nas")
    nas.mount()
    try:
        yield nas
    finally:
        if os.path.ismount(nas.folder):
            nas.vanish()


@pytest.fixture
def vault(nas: Nas, tmp_path: Path) -> Vault:
    return kinds.create(spec(nas.folder, nas.folder), defaults(tmp_path))


def test_a_vault_on_a_mount_works(nas, vault):
    assert put(vault, "CT/1.2/r1-1.tar", b"bytes") == "A00001"
    assert (nas.folder / "vault" / "A00001" / "CT" / "1.2" / "r1-1.tar").read_bytes() == b"bytes"


@pytest.mark.parametrize("how", [kinds.opened, kinds.create])
@pytest.mark.parametrize("place", ["vault", "."])
def test_a_vault_whose_mount_vanished_is_refused_and_nothing_is_written_beneath(
    nas, tmp_path, how, place
):
    kinds.create(spec(nas.folder, nas.folder, place), defaults(tmp_path))
    nas.vanish()
    with pytest.raises(VaultUnavailable, match="nothing is mounted on"):
        how(spec(nas.folder, nas.folder, place), defaults(tmp_path))
    assert list(nas.folder.iterdir()) == []


def test_a_mount_that_vanishes_under_an_open_vault_is_refused_and_nothing_is_written_beneath(
    nas, tmp_path
):
    vault = kinds.create(spec(nas.folder, nas.folder, "."), defaults(tmp_path))
    put(vault, "CT/1.2/r1-1.tar", b"bytes")
    nas.vanish()
    asked = (
        vault.volumes,
        lambda: vault.find("CT/1.2/r1-1.tar"),
        lambda: put(vault, "CT/1.2/r2-1.tar", b"bytes"),
        lambda: vault.warm("A00001").__enter__(),
        lambda: vault.mark("A00001", None),
    )
    for ask in asked:
        with pytest.raises(VaultUnavailable):
            ask()
    assert list(nas.folder.iterdir()) == []


def test_a_mount_that_vanishes_in_mid_member_leaves_nothing_beneath(nas, tmp_path):
    vault = kinds.create(spec(nas.folder, nas.folder, "."), defaults(tmp_path))

    def write(file) -> None:
        nas.vanish()
        file.write(b"bytes")

    with pytest.raises((errors.ArgensError, OSError)):
        vault.append("CT/1.2/r1-1.tar", 5, write)
    assert list(nas.folder.iterdir()) == []


def test_a_vault_whose_id_file_is_gone_is_refused(nas, vault, tmp_path):
    put(vault, "CT/1.2/r1-1.tar", b"bytes")
    (nas.folder / "vault" / "library.json").unlink()
    for how in (kinds.opened, kinds.create):
        with pytest.raises(VaultUnavailable, match=r"library\.json|is it mounted"):
            how(spec(nas.folder, nas.folder), defaults(tmp_path))
    with pytest.raises(VaultUnavailable):
        put(vault, "CT/1.2/r2-1.tar", b"bytes")
    assert not list(nas.folder.rglob("r2-1.tar"))


def test_another_disk_in_its_place_is_refused_by_an_open_vault(nas, vault, tmp_path):
    nas.vanish()
    nas.mount()
    kinds.create(spec(nas.folder, nas.folder), defaults(tmp_path))
    with pytest.raises(VaultUnavailable, match="another disk than it was"):
        put(vault, "CT/1.2/r1-1.tar", b"bytes")


def test_a_disk_that_fills_in_mid_member_keeps_nothing_half_and_goes_on_with_space(nas, vault):
    filler = nas.folder / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(nas.folder)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (1 << 16))
    content = b"x" * (1 << 19)
    with pytest.raises(VaultFull, match="no space left"):
        put(vault, "CT/1.2/r1-1.tar", content)
    assert vault.find("CT/1.2/r1-1.tar") is None
    filler.unlink()
    assert put(vault, "CT/1.2/r1-1.tar", content) == "A00001"


def test_a_folder_where_nothing_is_mounted_is_never_made_a_vault(tmp_path):
    (tmp_path / "nas").mkdir()
    with pytest.raises(VaultUnavailable, match="nothing is mounted on"):
        kinds.create(spec(tmp_path / "nas", tmp_path / "nas"), defaults(tmp_path))
    assert list((tmp_path / "nas").iterdir()) == []


@pytest.mark.parametrize("mount", ["/mnt/other", "relative"])
def test_a_place_that_does_not_lie_on_its_mount_is_refused(tmp_path, mount):
    with pytest.raises(BadSpec, match="does not lie on"):
        kinds.create(spec(tmp_path, Path(mount)), defaults(tmp_path))


def test_readers_do_not_wait_for_the_writer(tmp_path):
    vault = kinds.create(read("nas", f"disk:{tmp_path / 'vault'}"), defaults(tmp_path))
    put(vault, "CT/1.2/r1-1.tar", b"first")
    seen = threading.Event()

    def write(file) -> None:
        with vault.warm("A00001") as volume, volume.open("CT/1.2/r1-1.tar") as there:
            assert there.read() == b"first"
        seen.set()
        file.write(b"second")

    vault.append("CT/1.2/r2-1.tar", 6, write)
    assert seen.is_set()
