"""What a role wants kept besides its database, and how each part comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pacs_common.backup.manifest import CHUNK_BYTES, sync
from pacs_common.errors import Conflict

SECRET_MODE = 0o600


class Back(Enum):
    """What a restore does where the role has such a file already."""

    GROWS = "the longer of the two stays, and one must begin with the other (a journal)"
    STAYS = "the role's own stays (a key that settings name)"
    REPLACED = "the backup's takes its place"


@dataclass(frozen=True)
class Content:
    """A file or folder of a role; of a folder, the files that `pattern` names, at any depth."""

    part: str
    path: Path
    back: Back = Back.REPLACED
    pattern: str = "*"

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield each file with its path in the backup."""
        if self.path.is_file():
            yield self.path, f"files/{self.part}"
        elif self.path.is_dir():
            for file in sorted(self.path.rglob(self.pattern)):
                if file.is_file() and not file.name.startswith("."):
                    yield file, f"files/{self.part}/{file.relative_to(self.path)}"

    def target(self, kept: str) -> Path:
        """Return where a file of the backup belongs."""
        inside = Path(kept).relative_to(f"files/{self.part}")
        return self.path / inside if inside.parts else self.path


def copy(source: Path, target: Path, mode: int) -> None:
    """Copy as much of a file as it has now (a journal grows meanwhile), durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as out, source.open("rb") as file:
        left = os.fstat(file.fileno()).st_size
        while left and (chunk := file.read(min(left, CHUNK_BYTES))):
            out.write(chunk)
            left -= len(chunk)
        out.flush()
        os.fsync(out.fileno())


def require_fits(source: Path, target: Path, back: Back) -> None:
    """Raise Conflict where a file that only grows has another content than the backup's."""
    if back is Back.GROWS and target.exists() and not _begins_alike(source, target):
        raise Conflict(f"{target} is not the one that was backed up: it has another content")


def put_back(source: Path, target: Path, back: Back, mode: int) -> None:
    """Give a file back as its content is to come back; whole or not at all, durably."""
    if target.exists():
        stays = back is Back.STAYS
        grown = back is Back.GROWS and target.stat().st_size >= source.stat().st_size
        if stays or grown:
            return
    fresh = target.with_name(f".{target.name}.restoring")
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        copy(source, fresh, mode)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    sync(target.parent)


def _begins_alike(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            a, b = first.read(CHUNK_BYTES), second.read(CHUNK_BYTES)
            common = min(len(a), len(b))
            if a[:common] != b[:common]:
                return False
            if len(a) != len(b) or not a:
                return True
