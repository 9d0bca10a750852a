"""Numbers that all processes of a role add to: a file for each process, told as one.

The files are prometheus_client's, mapped into memory, so that counting is a store into memory.
Two things are done otherwise than there. The room of a file is allotted before it is mapped: a
hole in it would kill the process that counts (SIGBUS) as soon as the disk is full, and a full
disk is normal life. And what a dead process counted goes into one file that stands for all the
dead, so that nothing piles up and no sum ever falls.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client import values as library
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

LOG = logging.getLogger(__name__)
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
ROOM_BYTES = 256 << 10  # some 1,000 numbers; a file grows where there are more
OF_THE_DEAD = 0  # no process has this id
SUMMED = ("counter", "histogram")
CONTENT_TYPE = CONTENT_TYPE_LATEST
_MOST_OVERHEAD = 64  # bytes of an entry besides its key


class AllottedFile(MmapedDict):
    """The numbers of a process; in its memory alone where the disk has no room for the file."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            if not read_mode:
                _allot(filename)
        except OSError as error:
            LOG.warning("these numbers are not shared: %s", error.strerror)
            self._f: Any = None
            self._fname = filename
            self._capacity = ROOM_BYTES
            self._m: Any = mmap.mmap(-1, ROOM_BYTES)
            self._positions: dict[str, int] = {}
            self._used = 8
            self._m[:4] = struct.pack("i", self._used)
            return
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    @property
    def is_shared(self) -> bool:
        """Whether others can read the numbers."""
        return self._f is not None

    def close(self) -> None:
        """Unmap the file."""
        if self._m is not None:
            self._m.close()
            self._m = None
        if self._f is not None:
            self._f.close()
            self._f = None

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + _MOST_OVERHEAD > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        """Double the room: of the file, or where the disk is full, in memory from now on."""
        capacity = self._capacity * 2
        try:
            if self._f is None:
                raise OSError
            os.posix_fallocate(self._f.fileno(), 0, capacity)
            grown = mmap.mmap(self._f.fileno(), capacity)
        except OSError:
            grown = mmap.mmap(-1, capacity)
            grown[: self._used] = self._m[: self._used]
            self.close()
        self._m, self._capacity = grown, capacity


def keep_in(folder: Path) -> None:
    """Let this process and its forks count in files of a folder; before anything is counted.

    A folder that cannot be made leaves each process its own numbers.
    """
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        LOG.warning("no folder of numbers: %s", error.strerror)
        return
    os.environ[FOLDER_VARIABLE] = str(folder)
    library.MmapedDict = AllottedFile  # type: ignore[attr-defined]
    library.ValueClass = library.MultiProcessValue()  # type: ignore[no-untyped-call]


def told(collectors: Iterable[Any] = ()) -> bytes:
    """Return all numbers as Prometheus reads them: those of all processes, and the collectors'."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return generate_latest(REGISTRY) + generate_latest(registry)
    with _alone_in(Path(folder)) as alone:
        if alone:
            bury(Path(folder))
        counted = CollectorRegistry(auto_describe=False)
        MultiProcessCollector(counted, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(registry)


def bury(folder: Path) -> None:
    """Add what dead processes counted to the file of the dead; their gauges are gone with them."""
    dead = [file for file in folder.glob("*_*.db") if _is_dead(file)]
    for file in dead:
        if file.name.startswith("gauge"):
            file.unlink(missing_ok=True)
    for kind in SUMMED:
        files = [file for file in dead if file.name.startswith(f"{kind}_")]
        if files:
            _add_up(folder, kind, files)


def _add_up(folder: Path, kind: str, files: list[Path]) -> None:
    """Write the sums under a new name, and give them theirs when they are whole.

    A kill between that and the last removal counts a dead process twice, never less than once.
    """
    grave, fresh = folder / f"{kind}_{OF_THE_DEAD}.db", folder / f".{kind}.new"
    fresh.unlink(missing_ok=True)
    sums = AllottedFile(str(fresh))
    try:
        for file in [*([grave] if grave.exists() else []), *files]:
            for key, value, stamp, _ in _numbers(file):
                sums.write_value(key, sums.read_value(key)[0] + value, stamp)  # type: ignore[no-untyped-call]
        if not sums.is_shared:
            return  # no room: another time
    finally:
        sums.close()
    fresh.replace(grave)
    for file in files:
        file.unlink(missing_ok=True)


def _numbers(file: Path) -> list[tuple[str, float, float, int]]:
    """Return the numbers of a file; of one that a power cut spoiled, none."""
    try:
        return list(MmapedDict.read_all_values_from_file(file))  # type: ignore[no-untyped-call]
    except (OSError, ValueError, RuntimeError, struct.error):
        return []


def _is_dead(file: Path) -> bool:
    pid = file.stem.rpartition("_")[2]
    if not pid.isdecimal() or int(pid) == OF_THE_DEAD:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, and is another's
        return False
    return False


def _allot(filename: str) -> None:
    handle = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if os.fstat(handle).st_size == 0:
            os.posix_fallocate(handle, 0, ROOM_BYTES)
    except OSError:
        with suppress(OSError):
            os.unlink(filename)
        raise
    finally:
        os.close(handle)


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Hold the folder against other readers; False where it cannot be (a full disk)."""
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(handle)
