"""Reads instances from a mounted volume, and tells a bad copy from a medium that fails."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from archive_node import library
from archive_node.models import CopiedInstance, Copy
from archive_node.steps import copies
from archive_node.steps.copies import medium
from archive_node.steps.whereabouts import Place
from archive_node.vault import volume
from archive_node.vault.base import MountedVolume, Waiting

IN_MEMORY_BYTES = 32 << 20


@contextmanager
def warmed(place: Place, waiting: Waiting) -> Iterator[MountedVolume]:
    """Hold a volume as `Vault.warm` does; raises MediumFailed where the drive fails at it."""
    with ExitStack() as held:
        with medium(place.vault, place.label):
            warm = library.vault(place.vault).warm(place.label, waiting)
            mounted = held.enter_context(warm)
        yield mounted


def open_member(mounted: MountedVolume, vault: str, member: str) -> IO[bytes]:
    """Return a member's reader; raises NotFound, Thawing or MediumFailed."""
    with medium(vault, mounted.label):
        return mounted.open(member)


def manifest_of(file: IO[bytes], copy: Copy) -> dict[str, Any]:
    """Return a member's manifest; raises Damaged or MediumFailed."""
    with medium(copy.vault, copy.volume):
        return volume.read_manifest(file, copy.member, settings.ARCHIVE.keys)


def readable(file: IO[bytes], copy: Copy) -> volume.OpenMember:
    """Return a member for reading its instances.

    Once for all of them: the manifest of an encrypted one is at its beginning. Raises Damaged,
    KeyMissing or MediumFailed.
    """
    with medium(copy.vault, copy.volume):
        return copies.opened(file, copy)


@contextmanager
def proven(member: volume.OpenMember, row: CopiedInstance, home: Path) -> Iterator[IO[bytes]]:
    """Yield one instance's bytes, read once and equal to its digest: in memory or below `home`.

    Raises Damaged where they are not what was verified, MediumFailed where they cannot be read.
    """
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(home)) as spool:
        for chunk in checked(member, row):
            spool.write(chunk)
        spool.seek(0)
        yield spool


def checked(member: volume.OpenMember, row: CopiedInstance) -> Iterator[bytes]:
    """Yield one instance's bytes; raises Damaged at their end where they are not its own.

    Raises MediumFailed where they cannot be read.
    """
    sha256 = hashlib.sha256()
    chunks = copies.content(member, row)
    while chunk := _next(chunks, row):
        sha256.update(chunk)
        yield chunk
    if sha256.hexdigest() != row.stored_sha256:
        raise volume.Damaged("its bytes are not those that were verified")


def _next(chunks: Iterator[bytes], row: CopiedInstance) -> bytes:
    with medium(row.copy.vault, row.copy.volume):
        return next(chunks, b"")
