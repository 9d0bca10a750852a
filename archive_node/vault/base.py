"""What every vault promises, whatever lies beneath: tape, disk or object store.

A vault holds volumes, a volume holds members, a member is a sequence of bytes under a name.
Members are only ever added: nothing here changes or removes one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO

from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import errors
from pacs_common.sentences import say

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


class VaultFull(errors.Unavailable):
    """No volume has room and none can be added: a person must shelve one, or add space."""

    title = "Vault full"


class NeedsOperator(errors.Unavailable):
    """The volume lies on the shelf: a person must put it into the library first."""

    title = "Volume on the shelf"

    def __init__(self, vault: str, label: str) -> None:
        super().__init__(say("on-shelf", volume=label, vault=vault))
        self.vault, self.label = vault, label


class Thawing(errors.Unavailable):
    """The store was asked to make the bytes readable; that takes until about `until`."""

    title = "Being restored from cold storage"

    def __init__(self, detail: str, until: datetime | None = None) -> None:
        super().__init__(detail)
        self.until = until


class MediumFailed(errors.Unavailable):
    """A drive or a volume does not do what it was told: the volume is not to be trusted now."""

    title = "Medium or drive failed"

    def __init__(self, vault: str, label: str, detail: str) -> None:
        super().__init__(say("volume-fault", volume=label, vault=vault, why=detail))
        self.vault, self.label = vault, label


class WrongVolume(errors.Conflict):
    """What was inserted is not the volume that its barcode, or the request, says."""

    title = "Wrong volume"


class VolumeState(StrEnum):
    """A volume's life so far: never written, being written, closed; or what was decided of it."""

    SCRATCH = "scratch"
    FILLING = "filling"
    FULL = "full"
    SUSPECT = "suspect"  # read if need be, never written
    EXPORTED = "exported"  # on the shelf, or taken away: an operator must act
    RETIRED = "retired"  # neither read nor written: its members count no more


@dataclass(frozen=True)
class Volume:
    """One volume as it stands now; `drive` is where it is mounted, `slot` where it is put.

    A decision (suspect, retired) is shown before the place: `shelved` says where it lies.
    """

    label: str
    state: VolumeState
    used_bytes: int
    capacity_bytes: int
    drive: int | None = None
    slot: int | None = None
    shelved: bool = False  # on the shelf, or taken away from there


class MountedVolume(ABC):
    """A volume that can be read until the `with` of `Vault.warm` ends."""

    label: str

    def thaw(self, members: Iterable[str]) -> None:
        """Ask at once for all that the store must restore before it can be read.

        Raises Thawing while any cannot be read, NotFound where the volume has no such member: both
        after all were asked for.
        Most kinds have nothing to restore.
        """
        for member in members:
            if self.size_of(member) is None:
                raise errors.NotFound(say("member-missing", volume=self.label, member=member))

    @abstractmethod
    def open(self, member: str) -> IO[bytes]:
        """Return a seekable reader of a member's bytes as the medium has them.

        Raises NotFound where the volume has no such member, and Thawing where the store has to
        restore it first (it has been asked to). The reader raises MediumFailed.
        """

    @abstractmethod
    def members(self) -> list[str]:
        """Return the names of all its members, in the order in which they were written."""

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
    spools: bool = False  # what is appended is fetched whole first: a drive must not wait for it

    @classmethod
    @abstractmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> Vault:
        """Return the vault of the settings that is there; raises VaultUnavailable, or BadSpec."""

    @classmethod
    @abstractmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> Vault:
        """Return it, made with one scratch volume where there is none."""

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
        """Make a volume readable; a tape is mounted, and held for this caller alone.

        Waits for as long as it takes, calling `waiting` again and again; what that raises ends
        the wait. Raises NotFound for an unknown label or a retired volume, NeedsOperator for one
        on the shelf, or MediumFailed. Not to be nested by one thread.
        """

    @abstractmethod
    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member of exactly `size_bytes`, which `write` writes; return the volume's label.

        On return the bytes are durable under their final name. If `write` raises, or the process
        dies, no member of that name is visible. A volume has one writer at a time and never
        exceeds its capacity: one that has no room is closed (its index is written at its end) and
        another is taken. `write` is called once at most. Raises TooLarge, MemberExists,
        VaultFull, MediumFailed, or ValueError where `write` wrote another number of bytes.
        """

    @abstractmethod
    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None.

        Volumes on the shelf are looked through too, retired ones are not.
        """

    @abstractmethod
    def mark(self, label: str, state: VolumeState | None) -> None:
        """Decide that a volume is suspect or retired, or with None take that back.

        The vault itself keeps it. Nothing is appended to a marked volume (what is being written
        now is finished). Raises NotFound, or BadInput where `state` is another one.
        """

    @abstractmethod
    def shelve(self, label: str) -> None:
        """Hand a volume out of the library: from now on an operator must bring it back.

        Raises NotFound, or Unavailable where it is in use or this kind of vault has no shelf.
        """

    @abstractmethod
    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """Take a volume back from the shelf, into a drive where one is named.

        Raises WrongVolume where the barcode read is not the label's, or nothing like it lies
        where it should; Unavailable where every slot is taken, the drive is in use or this kind
        has no shelf; NotFound, BadInput. One that is in the library already stays there.
        """
