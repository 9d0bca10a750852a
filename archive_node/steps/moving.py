"""One member, as it is, from its volume onto another of the same vault."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.db.models import QuerySet
from django.utils import timezone

from archive_node import library
from archive_node.models import CopiedInstance, Copy
from archive_node.steps import staging
from archive_node.steps.alone import EVACUATED
from archive_node.steps.copies import medium
from archive_node.steps.reading import checked, readable, warmed
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MemberExists, Vault
from pacs_common import errors

CHUNK_BYTES = 1 << 20
_NUMBERED = re.compile(r"(.+-)([0-9]+)(\.tar)\Z")


@dataclass(frozen=True)
class Moving:
    """A member that was read into staging, whole and proven."""

    copy: Copy
    file: Path
    sha256: str
    size_bytes: int


def staged(work: Work, copy: Copy, source: IO[bytes]) -> Moving:
    """Read a member into staging and prove what it holds; raises Damaged or MediumFailed."""
    home = staging.folder(work.job_id)
    home.mkdir(parents=True, exist_ok=True)
    target = home / f"member-{copy.id}.tar"
    sha256 = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in _chunks(source, copy):
            work.check()
            sha256.update(chunk)
            file.write(chunk)
    with target.open("rb") as file:
        volume.read_manifest(file)
        member = readable(file, copy)
        for row in copy.contents.select_related("copy").order_by("offset"):
            for _ in checked(member, row):
                pass
    return Moving(copy, target, sha256.hexdigest(), target.stat().st_size)


def _chunks(source: IO[bytes], copy: Copy) -> Iterator[bytes]:
    while True:
        with medium(copy.vault, copy.volume):
            chunk = source.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def move(work: Work, moving: Moving) -> None:
    """Write a staged member to another volume, read it back, and let it take the old one's place.

    Run again after a crash, it adopts what was written whole. Raises TooLarge; Unavailable where
    it does not read back as it was written, for which the next attempt takes another name.
    """
    vault = library.vault(moving.copy.vault)
    name, label = _written(work, vault, moving)
    if _sha256_of(work, Place(vault.name, label), name, settle=True) != moving.sha256:
        raise errors.Unavailable(f"{name} on {label} reads back with another digest")
    with work.fenced():
        _take_over(moving.copy, label, name)
    work.advance(moving.size_bytes)


def _written(work: Work, vault: Vault, moving: Moving) -> tuple[str, str]:
    """Return the name and volume of a member that holds the same bytes, written if need be."""
    for name in _names(moving.copy.member):
        label = vault.find(name)
        if label is None:
            try:
                return name, vault.append(
                    name,
                    moving.size_bytes,
                    lambda file: _write(work, moving.file, file),
                    work.check,
                )
            except MemberExists:
                label = vault.find(name)
        if label is not None and _is_adoptable(work, Place(vault.name, label), name, moving):
            return name, label
    raise errors.Conflict(f"no name is left for {moving.copy.member}")


def _names(member: str) -> Iterator[str]:
    """Yield the names after a member's own: `n` grows (docs/formats/archive-volume.md)."""
    found = _NUMBERED.match(member)
    if found is not None:
        for number in range(int(found[2]) + 1, int(found[2]) + 10_000):
            yield f"{found[1]}{number}{found[3]}"


def _write(work: Work, staged_file: Path, target: IO[bytes]) -> None:
    with staged_file.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            work.check()
            target.write(chunk)


def _is_adoptable(work: Work, place: Place, name: str, moving: Moving) -> bool:
    if place.label == moving.copy.volume:
        return False
    if Copy.objects.filter(vault=place.vault, volume=place.label, member=name).exists():
        return False
    return _sha256_of(work, place, name) == moving.sha256


def _sha256_of(work: Work, place: Place, name: str, *, settle: bool = False) -> str:
    sha256 = hashlib.sha256()
    with warmed(place, work.check) as mounted, medium(place.vault, place.label):
        if settle:
            mounted.settle(name)
        with mounted.open(name) as file:
            while chunk := file.read(CHUNK_BYTES):
                work.check()
                sha256.update(chunk)
    return sha256.hexdigest()


def _take_over(copy: Copy, label: str, name: str) -> None:
    """Make the new copy's rows and close the old one's, which stays for the history."""
    now = timezone.now()
    contents = copy.contents.all()
    fields = {
        field.attname: getattr(copy, field.attname)
        for field in Copy._meta.concrete_fields
        if not field.primary_key
    }
    placed = {"volume": label, "member": name, "written_at": now, "verified_at": now}
    new = Copy.objects.create(**{**fields, **placed, "scrubbed_at": None})
    CopiedInstance.objects.bulk_create(
        [
            CopiedInstance(
                copy=new,
                sop_instance_uid=row.sop_instance_uid,
                stored_sha256=row.stored_sha256,
                size_bytes=row.size_bytes,
                offset=row.offset,
                quarantined=row.quarantined,
            )
            for row in contents
        ],
        batch_size=500,
    )
    close(Copy.objects.filter(id=copy.id))


def close(copies: QuerySet[Copy]) -> None:
    """Let copies that are elsewhere since count no more; their rows stay for the history."""
    copies.update(bad_since=timezone.now(), verified_at=None, problem=EVACUATED)
