"""How many connections are served at once, in all and for one peer, by all SCP processes together.

One anonymous memory, made before the processes are forked, with a region for each of them.
A process that dies keeps its places until the supervisor clears its region.
"""

from __future__ import annotations

import fcntl
import mmap
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b

_KEY_BYTES = 16
_ENTRY_BYTES = 2 * _KEY_BYTES  # the address, then the AE title once it is known
_NOBODY = bytes(_KEY_BYTES)


class Slots:
    """The places of all processes; make it before the first fork, and share it by forking."""

    def __init__(self, processes: int, total: int, per_peer: int) -> None:
        self._processes, self._total, self._per_peer = processes, total, per_peer
        self._memory = mmap.mmap(-1, processes * total * _ENTRY_BYTES)
        self._lock_file = tempfile.TemporaryFile()
        self._threads = threading.Lock()

    def claim(self, process_no: int, address: str) -> Slot | None:
        """Take a place of a process for a peer's address, or None where there is none left."""
        key = _key(address)
        with self._locked():
            taken = [entry for entry in self._entries() if entry[:_KEY_BYTES] != _NOBODY]
            if len(taken) >= self._total:
                return None
            if sum(entry[:_KEY_BYTES] == key for entry in taken) >= self._per_peer:
                return None
            place = self._free_place(process_no)
            self._write(place, key + _NOBODY)
        return Slot(self, place)

    def clear(self, process_no: int) -> None:
        """Free every place of a process: it is dead, or not started yet."""
        start, end = self._region(process_no)
        with self._locked():
            self._memory[start:end] = bytes(end - start)

    def load(self, process_no: int) -> int:
        """Return how many places a process holds."""
        start, end = self._region(process_no)
        with self._locked():
            return sum(entry[:_KEY_BYTES] != _NOBODY for entry in self._entries(start, end))

    def is_busier(self, process_no: int) -> bool:
        """Return whether another process holds fewer places than this one."""
        with self._locked():
            loads = [
                sum(entry[:_KEY_BYTES] != _NOBODY for entry in self._entries(*self._region(number)))
                for number in range(self._processes)
            ]
        return loads[process_no] > min(loads)

    def close(self) -> None:
        """Give back the memory and the lock of this process."""
        self._memory.close()
        self._lock_file.close()

    def name(self, place: int, ae_title: str, limit: int | None) -> bool:
        """Write down whose place it is; False where that AE title holds `limit` already."""
        key = _key(ae_title)
        with self._locked():
            held = sum(entry[_KEY_BYTES:] == key for entry in self._entries())
            if limit is not None and held >= limit:
                return False
            self._write(place, self._memory[place : place + _KEY_BYTES] + key)
        return True

    def free(self, place: int) -> None:
        """Give a place back."""
        with self._locked():
            self._write(place, bytes(_ENTRY_BYTES))

    def _region(self, process_no: int) -> tuple[int, int]:
        if not 0 <= process_no < self._processes:
            raise ValueError(f"there is no process {process_no}")
        size = self._total * _ENTRY_BYTES
        return process_no * size, (process_no + 1) * size

    def _entries(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        content = self._memory[start : len(self._memory) if end is None else end]
        for place in range(0, len(content), _ENTRY_BYTES):
            yield content[place : place + _ENTRY_BYTES]

    def _free_place(self, process_no: int) -> int:
        """Return a place of the region; there is one, as a region has room for the total."""
        start, end = self._region(process_no)
        for number, entry in enumerate(self._entries(start, end)):
            if entry[:_KEY_BYTES] == _NOBODY:
                return start + number * _ENTRY_BYTES
        raise RuntimeError("a region is fuller than the total")

    def _write(self, place: int, entry: bytes) -> None:
        self._memory[place : place + _ENTRY_BYTES] = entry

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold all places: against threads by a lock, against processes by a record lock.

        flock would not do: forked processes share the descriptor, and so its lock. The kernel
        frees the record lock of a process that dies.
        """
        with self._threads:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN)


@dataclass
class Slot:
    """One connection's place, until it is released."""

    slots: Slots
    place: int
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _is_held: bool = True

    def identify(self, ae_title: str, limit: int | None = None) -> bool:
        """Say which AE title connected; False where `limit` places of it are taken already."""
        return self.slots.name(self.place, ae_title, limit)

    def release(self) -> None:
        """Give the place back; a second time does nothing."""
        with self._lock:
            if self._is_held:
                self._is_held = False
                self.slots.free(self.place)


def _key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_KEY_BYTES).digest()
