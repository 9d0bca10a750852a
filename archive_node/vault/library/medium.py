"""What a tape in a drive can do, whichever way its members lie on it."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from archive_node.vault.library import commands, faults
from archive_node.vault.library.bays import Drive
from archive_node.vault.library.notes import Entry
from archive_node.vault.library.options import LibraryOptions

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Contents:
    """The whole members of a tape, and whether its index closes it."""

    entries: list[Entry]
    closed: bool


class Medium(ABC):
    """The tape in a drive that is this caller's alone; whatever goes wrong is a Fault."""

    def __init__(self, drive: Drive, options: LibraryOptions, scratch_dir: Path) -> None:
        self._drive, self._options, self._scratch_dir = drive, options, scratch_dir

    @abstractmethod
    def make_ready(self) -> None:
        """Wait until the drive sees the tape (LTFS: mount it)."""

    @abstractmethod
    def read_label(self) -> dict[str, Any] | None:
        """Return the tape's own label, None for an empty tape; raises NotOurs for any other."""

    @abstractmethod
    def write_label(self, label: dict[str, Any]) -> None:
        """Write the first record of an empty tape."""

    @abstractmethod
    def contents(self) -> Contents:
        """Return the whole members, read from the tape alone."""

    @abstractmethod
    def gone_on(self, known: Sequence[Entry]) -> Contents:
        """Return the whole members that lie behind the known ones, and go where the next belongs.

        Raises Unreadable where the tape holds less than is known, or anything that is neither
        whole nor the last: nothing may be written behind such a tape.
        """

    @abstractmethod
    def append(self, member: str, size_bytes: int, known: int, source: IO[bytes]) -> Entry:
        """Write a member behind the `known` ones; it is whole on the tape, or is none."""

    @abstractmethod
    def fetch(self, entry: Entry) -> IO[bytes]:
        """Return a member's bytes as the tape has them, in a file that vanishes when closed."""

    @abstractmethod
    def close(self, index: dict[str, Any]) -> None:
        """Write the index behind the last member: nothing is appended any more."""

    @abstractmethod
    def settle(self) -> None:
        """Make everything durable that was written."""

    @abstractmethod
    def let_go(self) -> None:
        """Give the tape free, so that the changer may take it out of the drive."""

    def _run(self, command: str, timeout_s: float, *arguments: object, **values: object) -> str:
        words = [*self._words(command, **values), *map(str, arguments)]
        keeping = () if command == "mount" else self._drive.keeping  # ltfs stays, and must not
        try:
            ended = commands.run(words, timeout_s, keeping)
        except commands.TookTooLong as error:
            raise faults.Stuck(str(error)) from None
        except commands.CannotRun as error:
            raise faults.NoAccess(str(error)) from None
        faults.check(ended)
        return ended.out

    def _send(self, target: object, produce: Callable[[commands.Feed], None]) -> None:
        words, stuck_s = self._words("write", target=target), self._options.stuck_s
        try:
            ended = commands.send(words, produce, stuck_s, self._drive.keeping)
        except commands.TookTooLong as error:
            raise faults.Stuck(str(error)) from None
        except commands.CannotRun as error:
            raise faults.NoAccess(str(error)) from None
        faults.check(ended)

    def _receive(self, source: object, enough_bytes: int | None = None) -> IO[bytes]:
        words = self._words("read", target=source)
        into = tempfile.TemporaryFile(dir=self._scratch_dir)
        try:
            ended = commands.receive(
                words, into, self._options.stuck_s, self._drive.keeping, enough_bytes
            )
            faults.check(ended)
        except commands.TookTooLong as error:
            into.close()
            raise faults.Stuck(str(error)) from None
        except commands.CannotRun as error:
            into.close()
            raise faults.NoAccess(str(error)) from None
        except BaseException:
            into.close()
            raise
        into.seek(0)
        return into

    @staticmethod
    def _pump(source: IO[bytes], feed: commands.Feed) -> None:
        source.seek(0)
        while chunk := source.read(_CHUNK_BYTES):
            feed.write(chunk)

    def _words(self, command: str, **values: object) -> list[str]:
        return self._options.words(command, device=self._drive.device, **values)
