"""The folder of one import: its files, what each of them is, and what became of it.

<data>/imports/<id>/owner         whose import it is
                    NNNNNN.dcm    a DICOM file, as it came
                    files.jsonl   a line for each file that came, DICOM or not
                    plan.json     what was confirmed
                    results.jsonl a line for each file that was sent
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pacs_common.errors import DiskFull, NotFound, TooLarge
from pacs_web import config

KEPT_S = 24 * 3600
FREE_BYTES = 1 << 30  # what an import leaves on the portal's disk
MAX_FILES = 100_000
MAX_LIST_BYTES = 128 << 20
_ID = re.compile(r"[A-Za-z0-9_-]{16,40}\Z")


class Import:
    """One import of one person."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    @classmethod
    def begin(cls, owner: str) -> Import:
        """Make a new one; those that nobody went on with are forgotten."""
        root = config.DATA_DIR / "imports"
        _sweep(root)
        folder = root / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700, parents=True)
        (folder / "owner").write_text(owner)
        return cls(folder)

    @classmethod
    def opened(cls, import_id: str, owner: str) -> Import:
        """Return a person's own import; raises NotFound."""
        folder = config.DATA_DIR / "imports" / import_id
        if not _ID.match(import_id) or not folder.is_dir():
            raise NotFound("this import is over: begin it anew")
        if (folder / "owner").read_text() != owner:
            raise NotFound("this import is somebody else's")
        return cls(folder)

    def receive(self, chunks: Iterable[bytes]) -> Path:
        """Write what comes to a new file; raises TooLarge, DiskFull."""
        path = self.folder / f"{secrets.token_hex(8)}.part"
        before = self.size_bytes
        room = config.IMPORT_BYTES - before
        try:
            with path.open("xb") as file:
                for chunk in chunks:
                    room -= len(chunk)
                    if room < 0:
                        raise TooLarge(f"an import holds at most {config.IMPORT_BYTES} bytes")
                    if shutil.disk_usage(self.folder).free < FREE_BYTES + len(chunk):
                        raise DiskFull("the portal's disk has no room for this import")
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        (self.folder / "size").write_text(str(before + path.stat().st_size))
        return path

    def keep(self, path: Path, told: dict[str, Any]) -> dict[str, Any]:
        """Keep a received DICOM file under its number, and note what it is."""
        final = self.folder / f"{secrets.token_hex(8)}.dcm"
        path.rename(final)
        return self.note({**told, "file": final.name, "size_bytes": final.stat().st_size})

    def note(self, told: dict[str, Any]) -> dict[str, Any]:
        """Add a line to the list of what came; raises TooLarge beyond MAX_LIST_BYTES."""
        path = self.folder / "files.jsonl"
        if path.exists() and path.stat().st_size > MAX_LIST_BYTES:
            raise TooLarge(f"an import holds at most {MAX_FILES} files")
        _append(path, told)
        return told

    def files(self) -> list[dict[str, Any]]:
        """Return what came, in its order."""
        return list(_lines(self.folder / "files.jsonl"))

    @property
    def size_bytes(self) -> int:
        """How much has come, ZIPs and what was in them."""
        try:
            return int((self.folder / "size").read_text())
        except FileNotFoundError:
            return 0

    def confirm(self, plan: dict[str, Any]) -> None:
        """Note what was confirmed."""
        (self.folder / "plan.json").write_text(json.dumps(plan))

    @property
    def plan(self) -> dict[str, Any] | None:
        """What was confirmed, None before."""
        try:
            return dict(json.loads((self.folder / "plan.json").read_text()))
        except FileNotFoundError:
            return None

    def settle(self, told: dict[str, Any]) -> None:
        """Note what became of a file, or of an exam's identity; a stored file is let go."""
        _append(self.folder / "results.jsonl", told)
        if told.get("file") and told.get("outcome") != "failed":
            (self.folder / told["file"]).unlink(missing_ok=True)

    def results(self) -> list[dict[str, Any]]:
        """Return what became of what was sent."""
        return list(_lines(self.folder / "results.jsonl"))


def _append(path: Path, told: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(told) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open() as file:
            for line in file:
                yield json.loads(line)


def _sweep(root: Path) -> None:
    if root.is_dir():
        for folder in root.iterdir():
            if time.time() - folder.stat().st_mtime > KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
