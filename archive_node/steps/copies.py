"""Copies as they are read: the volume warm, the member open, decrypted where it is encrypted."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from django.conf import settings

from archive_node import library
from archive_node.models import CopiedInstance, Copy
from archive_node.vault import volume
from archive_node.vault.base import MediumFailed, MountedVolume, Waiting

_OF_THE_MEDIUM = {
    errno.EIO, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ESTALE,
    errno.ENOMEDIUM, errno.EMEDIUMTYPE,
}  # fmt: skip


@contextmanager
def medium(vault: str, label: str) -> Iterator[None]:
    """Raise MediumFailed where the system says that a drive or a medium does not do its work.

    It says nothing against the copies that lie there: another drive may read them.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_MEDIUM:
            raise
        raise MediumFailed(vault, label, error.strerror or str(error)) from error


@contextmanager
def warmed(vault: str, label: str, waiting: Waiting) -> Iterator[MountedVolume]:
    """Hold a volume, as `Vault.warm`; what its medium cannot do in the block is MediumFailed."""
    with medium(vault, label), library.vault(vault).warm(label, waiting) as mounted:
        yield mounted


def opened(file: IO[bytes], copy: Copy) -> volume.OpenMember:
    """Return a copy's member for reading what the catalogue knows of it.

    Of one in clear nothing is read yet. Raises Damaged, or KeyMissing.
    """
    if not copy.key_id:
        return volume.in_clear(file)
    return volume.opened(file, copy.member, settings.ARCHIVE.keys)


def placed(known: CopiedInstance, stored_sha256: str | None = None) -> volume.Placed:
    """Return where an instance lies, with the digest that the node gives, or the catalogue."""
    return volume.Placed(
        known.sop_instance_uid,
        stored_sha256 or known.stored_sha256,
        volume.Extent(known.offset, known.size_bytes),
        known.quarantined,
    )


def content(member: volume.OpenMember, known: CopiedInstance) -> Iterator[bytes]:
    """Yield one instance's file, decrypted, not compared with its digest yet; raises Damaged."""
    return member.content(placed(known))


def row(copy: Copy, placed: volume.Placed) -> CopiedInstance:
    """Return the catalogue's row of one instance of a copy, not saved."""
    return CopiedInstance(
        copy=copy,
        sop_instance_uid=placed.sop_instance_uid,
        stored_sha256=placed.stored_sha256,
        size_bytes=placed.extent.size_bytes,
        offset=placed.extent.offset,
        quarantined=placed.quarantined,
    )
