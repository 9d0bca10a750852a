"""What a backup's manifest says: of which role, when, what is in it, and its digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pacs_common.errors import BadInput

FORMAT = "argens-backup-1"
NAME = "manifest.json"
CHUNK_BYTES = 1 << 20
_TIME = re.compile(r"\d{8}T\d{6}\.\d{6}Z")


@dataclass(frozen=True)
class Kept:
    """One file of a backup: where in it, of which content, and its part of the role."""

    path: str
    size_bytes: int
    sha256: str
    mode: int
    part: str  # the name of the content that it belongs to: "journal", "secret-key"


@dataclass(frozen=True)
class Manifest:
    """A whole backup; times are ISO 8601 in UTC, `migrations` are those of its database."""

    role: str
    name: str
    version: str
    begun_at: str
    ended_at: str
    database: str  # its file in the backup
    engine: str  # sqlite or postgresql
    migrations: list[str] = field(default_factory=list)
    files: list[Kept] = field(default_factory=list)
    format: str = FORMAT

    @property
    def began(self) -> datetime:
        """When it was begun: nothing that was done before is missing."""
        return datetime.fromisoformat(self.begun_at)

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return sum(file.size_bytes for file in self.files)

    def of(self, part: str) -> list[Kept]:
        """Return the files of one part."""
        return [file for file in self.files if file.part == part]

    def text(self) -> bytes:
        """Return it as it is written."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


def read(folder: Path) -> Manifest:
    """Return a backup's manifest; raises BadInput where it is none, or not one of ours."""
    try:
        told: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise BadInput(f"{folder} is of the form {str(told['format'])[:40]!r}, not {FORMAT}")
        files = [Kept(**file) for file in told.pop("files")]
        found = Manifest(**told, files=files)
        datetime.fromisoformat(found.begun_at)
    except OSError as error:
        raise BadInput(f"{folder} is no backup: {NAME}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{folder / NAME} cannot be read: {error}") from None
    for file in found.files:
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise BadInput(f"{folder / NAME} names {file.path!r}, which is outside of it")
    return found


def check(folder: Path, manifest: Manifest) -> None:
    """Raise BadInput at the first file that is not there, or not what was backed up."""
    for file in manifest.files:
        path = folder / file.path
        try:
            if path.stat().st_size != file.size_bytes or sha256_of(path) != file.sha256:
                raise BadInput(f"{path} is not what was backed up: its digest differs")
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whole_ones(dest: Path, role: str, name: str) -> Iterator[Path]:
    """Yield what looks like a whole backup of a role below a folder, oldest first."""
    for folder in named(dest, prefix(role, name)):
        if (folder / NAME).is_file():
            yield folder


def own_ones(dest: Path, role: str, name: str) -> Iterator[Path]:
    """Yield the whole backups that say themselves that they are this role's, oldest first."""
    for folder in whole_ones(dest, role, name):
        try:
            found = read(folder)
        except BadInput:
            continue
        if not folder.is_symlink() and (found.role, found.name) == (role, name):
            yield folder


def named(dest: Path, begins: str) -> list[Path]:
    """Return what is called `begins` and a time: node CT has no part in what is node CT-2's."""
    return [
        path
        for path in sorted(dest.iterdir())
        if path.name.startswith(begins) and _TIME.fullmatch(path.name, len(begins))
    ]


def prefix(role: str, name: str) -> str:
    """Return what the names of a role's backups begin with."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return f"argens-{role}-{safe}-"


def sync(path: Path) -> None:
    """Make a file or folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
