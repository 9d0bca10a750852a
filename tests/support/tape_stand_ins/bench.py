"""The state of the library that the stand-in programs share; found through a device's path."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOREVER_S = 3600


class Bench:
    """One library's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_device(cls, device: str) -> tuple[Bench, int]:
        """Return the library of `<root>/nst<number>`, and the drive's number from 0."""
        path = Path(device)
        return cls(path.parent), int(path.name.removeprefix("nst"))

    def log(self) -> None:
        """Note that this program was run."""
        words = [Path(sys.argv[0]).stem, *sys.argv[1:]]
        with (self.root / "log").open("a") as file:
            file.write(" ".join(words) + "\n")

    def fault(self, name: str, drive: int | None = None) -> str | None:
        """Return the content of a fault that applies (to this drive), or None."""
        for one in (name, f"{name}.{drive}"):
            try:
                return (self.root / "faults" / one).read_text().strip()
            except FileNotFoundError:
                continue
        return None

    def hang_if(self, name: str, drive: int | None = None) -> None:
        """Never come back, where that fault is set."""
        if self.fault(name, drive) is not None:
            time.sleep(FOREVER_S)

    @contextmanager
    def changed(self) -> Iterator[dict]:
        """Read where everything is, and write it back at the end."""
        with (self.root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads((self.root / "where.json").read_text())
            yield state
            own = self.root / f".where.{os.getpid()}"
            own.write_text(json.dumps(state))
            own.rename(self.root / "where.json")

    def where(self) -> dict:
        """Return where everything is."""
        return json.loads((self.root / "where.json").read_text())

    @contextmanager
    def opened(self, drive: int) -> Iterator[None]:
        """Have a drive's device open: a second program gets EBUSY, as from st."""
        with (self.root / f"device{drive}").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(16, "Device or resource busy") from None
            if self.fault("busy", drive) is not None:
                raise OSError(16, "Device or resource busy")
            yield

    def loaded(self, drive: int) -> Tape | None:
        """Return the tape that the drive sees."""
        state = self.where()["drives"][drive]
        if (
            state["tape"] is None
            or not state["online"]
            or self.fault("no-medium", drive) is not None
        ):
            return None
        return Tape(self.root / "tapes" / state["tape"])

    def position(self, drive: int) -> tuple[int, int]:
        """Return the drive's (file, block)."""
        file, block = self.where()["drives"][drive]["position"]
        return file, block

    def stand_at(self, drive: int, file: int, block: int) -> None:
        """Move the drive to a position."""
        with self.changed() as state:
            state["drives"][drive]["position"] = [file, block]


class Tape:
    """A cartridge: barcode, capacity, tab, and what is recorded on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = json.loads((folder / "tape.json").read_text())

    @property
    def files(self) -> list[dict]:
        """Return its tape files: record size, and whether a filemark ends them."""
        try:
            return json.loads((self.folder / "files.json").read_text())
        except FileNotFoundError:
            return []

    def keep(self, files: list[dict]) -> None:
        """Write the list of tape files."""
        own = self.folder / f".files.{os.getpid()}"
        own.write_text(json.dumps(files))
        own.rename(self.folder / "files.json")

    def path(self, number: int) -> Path:
        """Return where the records of a tape file lie."""
        return self.folder / f"file{number}"

    def records(self, number: int) -> int:
        """Return how many records a tape file has."""
        return -(-self.path(number).stat().st_size // self.files[number]["record_bytes"])

    @property
    def marked(self) -> int:
        """Return how many filemarks there are."""
        return sum(file["marked"] for file in self.files)

    @property
    def used_bytes(self) -> int:
        """Return what is recorded, raw or as files."""
        raw = sum(self.path(number).stat().st_size for number in range(len(self.files)))
        folder = self.folder / "ltfs"
        return raw + sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
