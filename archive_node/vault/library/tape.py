"""A volume in a drive: what its own tape says of it, and its members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Any

from archive_node.vault.base import MemberExists, MountedVolume
from archive_node.vault.library import faults
from archive_node.vault.library.blame import Blame
from archive_node.vault.library.medium import Contents, Medium
from archive_node.vault.library.notes import Entry, Notes
from archive_node.vault.names import checked
from pacs_common import errors
from pacs_common.sentences import say


class Tape(MountedVolume):
    """A volume that this caller has in a drive; nothing is done before its label was compared."""

    def __init__(
        self, label: str, library: dict[str, Any], medium: Medium, blame: Blame, notes: Notes
    ) -> None:
        self.label = label
        self._library, self._medium, self._blame, self._notes = library, medium, blame, notes

    def open(self, member: str) -> IO[bytes]:
        """Return a reader of a member's bytes, read from the tape just now."""
        entry = self._entry(member)
        with self._blame.laid():
            return self._medium.fetch(entry)

    def members(self) -> list[str]:
        """Return the names of its members, in the order of the tape."""
        return [entry.name for entry in self._notes.members(self.label)]

    def size_of(self, member: str) -> int | None:
        """Return a member's size in bytes, or None."""
        found = (entry for entry in self._notes.members(self.label) if entry.name == member)
        return next((entry.size_bytes for entry in found), None)

    def settle(self, member: str) -> None:
        """Make durable what was written of it."""
        self._entry(member)
        with self._blame.laid():
            self._medium.settle()

    def compare_label(self) -> None:
        """Compare the tape's own label with the barcode; learn the volume where it is new."""
        with self._blame.laid():
            found = self._medium.read_label()
            note = self._notes.volume(self.label)
            if found is None:
                if note.labelled:
                    raise faults.Unreadable("it is empty now, and was not")
                self._notes.change(self.label, read=True)
                return
            self._check_ours(found)
            if not note.read or not note.labelled:
                self._learn(found, self._medium.contents())

    def append(self, member: str, size_bytes: int, source: IO[bytes]) -> bool:
        """Write a member; return False where it has no room, after which the volume is closed."""
        with self._blame.laid():
            known = self._notes.members(self.label)
            if self._begin(known):
                return False
            known = self._notes.members(self.label)
            if any(entry.name == member for entry in known):
                raise MemberExists(f"{self.label} holds {member} already")
            note = self._notes.volume(self.label)
            used = sum(entry.size_bytes for entry in known)
            if used + size_bytes > note.capacity_bytes:
                return self._close(known)
            try:
                entry = self._medium.append(member, size_bytes, len(known), source)
            except faults.EndOfTape as fault:
                if not known:
                    raise faults.Unreadable(f"{fault} (on an empty tape: see volume=)") from None
                return self._close(known)
            self._notes.add_members(self.label, [entry])
            return True

    def _begin(self, known: Sequence[Entry]) -> bool:
        """Label an empty tape, or note what lies behind the known members; return if it is closed.

        A worker that was killed may have written a whole member and not noted it.
        """
        note = self._notes.volume(self.label)
        if not note.labelled:
            about = {**self._library, "label": self.label}
            about["labelled_at"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._medium.write_label(about)
            found = self._medium.read_label()
            if found is None or found.get("label") != self.label:
                raise faults.Unreadable("its label does not read back")
            self._notes.change(
                self.label, read=True, labelled=True, capacity_bytes=about["capacity_bytes"]
            )
        more = self._medium.gone_on(known)
        self._notes.add_members(self.label, more.entries)
        if more.closed:
            self._notes.change(self.label, closed=True)
        return more.closed

    def _close(self, known: Sequence[Entry]) -> bool:
        members = [
            {"name": entry.name, "file": entry.file, "size_bytes": entry.size_bytes}
            for entry in known
        ]
        self._medium.close(
            {
                "label": self.label,
                "library": self._library["library"],
                "closed_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "used_bytes": sum(entry.size_bytes for entry in known),
                "members": members,
            }
        )
        self._notes.change(self.label, closed=True)
        return False

    def _check_ours(self, found: dict[str, Any]) -> None:
        if found.get("library") != self._library["library"]:
            raise faults.NotOurs("it is a volume of another library")
        if found.get("label") != self.label:
            raise faults.Mislabelled(f"its own label is {found.get('label')!r}")

    def _learn(self, label: dict[str, Any], contents: Contents) -> None:
        try:
            capacity_bytes = int(label["capacity_bytes"])
        except (KeyError, TypeError, ValueError):
            raise faults.Unreadable("its label does not tell its capacity") from None
        self._notes.forget_members(self.label)
        self._notes.add_members(self.label, contents.entries)
        self._notes.change(
            self.label,
            read=True,
            labelled=True,
            closed=contents.closed,
            capacity_bytes=capacity_bytes,
        )

    def _entry(self, member: str) -> Entry:
        wanted = checked(member)
        for entry in self._notes.members(self.label):
            if entry.name == wanted:
                return entry
        raise errors.NotFound(say("member-missing", volume=self.label, member=member))
