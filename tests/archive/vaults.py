"""Archives of several vaults, volumes that somebody marked, and media that fail."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import pytest
from django.conf import settings

from archive_node import library
from archive_node.jobs import runner, states
from archive_node.models import Copy, Job
from archive_node.vault.base import Thawing, Vault, VolumeState
from archive_node.vault.tape import TapeVolume

VOLUME_BYTES = 200_000


def two_vaults(archive: Callable[..., None], folder: Path, options: str = "") -> list[Vault]:
    """Let the archive have the required vaults `near` and `far`."""
    written = {
        name: f"tape:{folder / name}?volume={VOLUME_BYTES}{options}" for name in ("near", "far")
    }
    archive(vaults_written=written)
    return [library.vault(name) for name in written]


def copied(study_uid: str, vault: str, node: str = "CT") -> Copy:
    """Copy a study into a vault; return its newest copy there."""
    job = Job.objects.create(
        kind="copy", node=node, study_uid=study_uid, vault=vault, requested_by="test"
    )
    assert runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.error) == ("done", "")
    mine = Copy.objects.filter(study_uid=study_uid, vault=vault, node=node)
    return mine.order_by("-id")[0]


def on_another_volume(vault: Vault) -> None:
    """Let what is appended from now on go to a new volume, as if the present one were full."""
    last = vault.volumes()[-1]
    room = last.capacity_bytes - last.used_bytes
    label = vault.append(f"filler/1/{last.label}.tar", room, lambda file: file.write(bytes(room)))
    assert label == last.label


def member_file(copy: Copy) -> Path:
    return Path(settings.ARCHIVE.vaults[copy.vault].place) / copy.volume / copy.member


def flip_a_bit(copy: Copy, sop_uid: str = "") -> None:
    """Damage one instance of a copy on its volume."""
    rows = copy.contents.filter(sop_instance_uid=sop_uid) if sop_uid else copy.contents.all()
    with member_file(copy).open("r+b") as file:
        file.seek(rows[0].offset + 10)
        (byte,) = file.read(1)
        file.seek(rows[0].offset + 10)
        file.write(bytes([byte ^ 1]))


def marked(vault: Vault, label: str, state: VolumeState) -> None:
    """Mark a volume, or put it on the shelf."""
    if state == VolumeState.EXPORTED:
        vault.shelve(label)
    else:
        vault.mark(label, state)


def state_of(vault: Vault, label: str) -> VolumeState:
    return next(one.state for one in vault.volumes() if one.label == label)


class Unreadable(io.RawIOBase):
    """What the system gives of a torn tape."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def read(self, size: int = -1) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def torn(monkeypatch: pytest.MonkeyPatch, copy: Copy, *, member: str = "") -> None:
    """Let nothing (or not one member) of a copy's volume be readable."""
    folder = Path(settings.ARCHIVE.vaults[copy.vault].place) / copy.volume
    _opening(
        monkeypatch,
        lambda path, name: Unreadable() if path == folder and member in {"", name} else None,
    )


def frozen(monkeypatch: pytest.MonkeyPatch, until: datetime, asked: list[str], vault: str) -> None:
    """Let each member of a vault have to be restored first; `asked` notes which were asked for."""

    def opened(path: Path, name: str) -> None:
        if vault in path.parts:
            asked.append(name)
            raise Thawing(f"{name} is being restored", until)

    _opening(monkeypatch, opened)


def _opening(
    monkeypatch: pytest.MonkeyPatch, instead: Callable[[Path, str], IO[bytes] | None]
) -> None:
    real = TapeVolume.open

    def opened(volume: TapeVolume, member: str) -> IO[bytes]:
        found = instead(volume._folder, member)
        return real(volume, member) if found is None else found

    monkeypatch.setattr(TapeVolume, "open", opened)


def leased(job: Job) -> states.Lease:
    lease = states.claim(job.id)
    assert lease is not None
    return lease
