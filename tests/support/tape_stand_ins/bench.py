"""The state of the library that the stand-in programs share; found through a device's path.

They are run hundreds of times in a test: so nothing is imported here that takes long to import,
and what is kept is kept as `marshal` writes it.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import sys
import time

FOREVER_S = 3600


def kept(file: str) -> object:
    """Return what `keep` wrote."""
    with open(file, "rb") as opened:
        return marshal.load(opened)


def keep(file: str, content: object) -> None:
    """Write something under its name, whole or not at all."""
    own = f"{file}.{os.getpid()}"
    with open(own, "wb") as opened:
        marshal.dump(content, opened)
    os.rename(own, file)


class Changed:
    """Where everything is, to be changed in a `with`: read at its begin, kept at its end."""

    def __init__(self, root: str) -> None:
        self._file, self._lock_file = f"{root}/where", f"{root}/lock"

    def __enter__(self) -> dict:
        self._lock = open(self._lock_file, "w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._state = kept(self._file)
        return self._state

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            keep(self._file, self._state)
        self._lock.close()


class Opened:
    """A drive's device, open: a second program gets EBUSY, as from st."""

    def __init__(self, bench: Bench, drive: int) -> None:
        self._bench, self._drive = bench, drive

    def __enter__(self) -> None:
        self._handle = open(f"{self._bench.root}/device{self._drive}", "w")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(16, "Device or resource busy") from None
        if self._bench.fault("busy", self._drive) is not None:
            raise OSError(16, "Device or resource busy")

    def __exit__(self, *_: object) -> None:
        self._handle.close()


class Bench:
    """One library's folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    @classmethod
    def of_device(cls, device: str) -> tuple[Bench, int]:
        """Return the library of `<root>/nst<number>`, and the drive's number from 0."""
        root, name = os.path.split(device)
        return cls(root), int(name.removeprefix("nst"))

    @classmethod
    def of_mount(cls, folder: str) -> Bench:
        """Return the library whose tape is mounted at a folder: `<root>/tapes/<tape>/ltfs`."""
        return cls(os.readlink(folder).rsplit("/", 3)[0])

    def log(self) -> None:
        """Note that this program was run."""
        program = os.path.basename(sys.argv[0]).removesuffix(".py")
        with open(f"{self.root}/log", "a") as file:
            file.write(" ".join([program, *sys.argv[1:]]) + "\n")

    def fault(self, name: str, drive: int | None = None) -> str | None:
        """Return the content of a fault that applies (to this drive), or None."""
        for one in (name, f"{name}.{drive}"):
            try:
                with open(f"{self.root}/faults/{one}") as file:
                    return file.read().strip()
            except FileNotFoundError:
                continue
        return None

    def hang_if(self, name: str, drive: int | None = None) -> None:
        """Never come back, where that fault is set."""
        if self.fault(name, drive) is not None:
            time.sleep(FOREVER_S)

    def changed(self) -> Changed:
        """Return a context in which everything may be moved."""
        return Changed(self.root)

    def where(self) -> dict:
        """Return where everything is."""
        return kept(f"{self.root}/where")

    def opened(self, drive: int) -> Opened:
        """Return a context in which a drive's device is open."""
        return Opened(self, drive)

    def loaded(self, drive: int) -> Tape | None:
        """Return the tape that the drive sees."""
        state = self.where()["drives"][drive]
        if state["tape"] is None or not state["online"]:
            return None
        return None if self.fault("no-medium", drive) is not None else self.tape(state["tape"])

    def tape(self, name: str) -> Tape:
        """Return a cartridge by its name here, which is not its barcode."""
        return Tape(f"{self.root}/tapes/{name}")

    def add(self, barcode: str, capacity: int, protected: bool = False) -> str:
        """Bring an empty cartridge; return its name."""
        name = f"T{len(os.listdir(f'{self.root}/tapes')) + 1}"
        os.makedirs(f"{self.root}/tapes/{name}/ltfs")
        about = {"barcode": barcode, "capacity": capacity, "protected": protected}
        keep(f"{self.root}/tapes/{name}/about", about)
        return name

    def position(self, drive: int) -> tuple[int, int]:
        """Return the drive's (file, block)."""
        return self.where()["drives"][drive]["position"]

    def stand_at(self, drive: int, file: int, block: int) -> None:
        """Move the drive to a position."""
        with self.changed() as state:
            state["drives"][drive]["position"] = (file, block)


class Tape:
    """A cartridge: barcode, capacity, tab, and what is recorded on it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.about: dict = kept(f"{folder}/about")

    @property
    def files(self) -> list[dict]:
        """Return its tape files: record size, and whether a filemark ends them."""
        try:
            return kept(f"{self.folder}/files")
        except FileNotFoundError:
            return []

    def keep(self, files: list[dict]) -> None:
        """Write the list of tape files."""
        keep(f"{self.folder}/files", files)

    def path(self, number: int) -> str:
        """Return where the records of a tape file lie."""
        return f"{self.folder}/file{number}"

    def records(self, number: int) -> int:
        """Return how many records a tape file has."""
        return -(-os.path.getsize(self.path(number)) // self.files[number]["record_bytes"])

    @property
    def marked(self) -> int:
        """Return how many filemarks there are."""
        return sum(file["marked"] for file in self.files)

    @property
    def used_bytes(self) -> int:
        """Return what is recorded, raw or as files."""
        raw = sum(os.path.getsize(self.path(number)) for number in range(len(self.files)))
        return raw + sum(
            os.path.getsize(f"{folder}/{name}")
            for folder, _, names in os.walk(f"{self.folder}/ltfs")
            for name in names
        )
