"""What every vault promises, whatever lies beneath: tape, disk or object store.

A vault holds volumes, a volume holds members, a member is a sequence of bytes under a name.
Members are only ever added: nothing here changes or removes one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from pacs_common import errors

Waiting = Callable[[], None]
Writer = Callable[[IO[bytes]], None]


def wait_quietly() -> None:
    """Do nothing while a drive is awaited."""


class VaultUnavailable(errors.Unavailable):
    """The vault is not where it should be, or is another one."""

    title = "Vault unavailable"


class TooLarge(errors.Conflict):
    """No volume of this vault can hold so much; trying again does not help."""

    title = "Larger than a volume"


class MemberExists(errors.Conflict):
    """A member of that name is there already, and members are never replaced."""

    title = "Member exists"


class VolumeState(StrEnum):
    """A volume's life so far: never written, being written, closed."""

    SCRATCH = "scratch"
    FILLING = "filling"
    FULL = "full"


@dataclass(frozen=True)
class Volume:
    """One volume as it stands now; `drive` is where it is mounted, if it is."""

    label: str
    state: VolumeState
    used_bytes: int
    capacity_bytes: int
    drive: int | None = None


class MountedVolume(ABC):
    """A volume that is this caller's alone until the `with` of `Vault.warm` ends."""

    label: str

    @abstractmethod
    def open(self, member: str) -> IO[bytes]:
        """Return a seekable reader of a member's bytes as the medium has them.

        Raises NotFound where the volume has no such member.
        """

    @abstractmethod
    def size_of(self, member: str) -> int | None:
        """Return a member's size in bytes, or None where the volume has no such member."""

    @abstractmethod
    def settle(self, member: str) -> None:
        """Make a member durable under its name, whoever wrote it and however far they came.

        Raises NotFound where the volume has no such member.
        """


class Vault(ABC):
    """A set of volumes of one kind, shared safely by any number of processes."""

    name: str
    kind: str
    drives: int
    library_id: str  # made once, kept with the volumes: two vaults are never taken for one

    @abstractmethod
    def volumes(self) -> list[Volume]:
        """Return every volume, by label."""

    @abstractmethod
    def check_fits(self, size_bytes: int) -> None:
        """Raise TooLarge where even an empty volume could not hold a member of this size."""

    @abstractmethod
    def warm(
        self, label: str, waiting: Waiting = wait_quietly
    ) -> AbstractContextManager[MountedVolume]:
        """Make a volume readable (for a tape: mount it) and hold it for this caller alone.

        Waits for as long as it takes, calling `waiting` again and again; what that raises ends
        the wait. Raises NotFound for an unknown label. Not to be nested by one thread.
        """

    @abstractmethod
    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member of exactly `size_bytes`, which `write` writes; return the volume's label.

        On return the bytes are durable under their final name. If `write` raises, or the process
        dies, no member of that name is visible. A volume never exceeds its capacity: one that has
        no room becomes full and another is taken. Raises TooLarge, or MemberExists.
        """

    @abstractmethod
    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None."""
