"""The library as a vault: inventory, marks, members, and what operators do with cartridges."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from archive_node.vault.base import (
    MemberExists,
    NeedsOperator,
    TooLarge,
    Vault,
    VaultFull,
    VaultUnavailable,
    Volume,
    VolumeState,
    Waiting,
    Writer,
    WrongVolume,
    wait_quietly,
)
from archive_node.vault.durable import locked
from archive_node.vault.library import faults, locks
from archive_node.vault.library import options as library_options
from archive_node.vault.library.blame import Blame
from archive_node.vault.library.changer import Changer
from archive_node.vault.library.inventory import Inventory, is_label
from archive_node.vault.library.notes import Notes
from archive_node.vault.library.options import LibraryOptions
from archive_node.vault.library.seating import Seating
from archive_node.vault.library.shelf import Shelf
from archive_node.vault.library.spool import spooled
from archive_node.vault.library.tape import Tape
from archive_node.vault.names import checked
from archive_node.vault_setting import VaultDefaults, VaultSpec
from pacs_common import errors
from pacs_common.sentences import say


class ChangerLibrary(Vault):
    """A tape library with a changer; its volumes are the cartridges, by their barcodes."""

    kind = "tape changer"
    spools = True

    def __init__(self, name: str, options: LibraryOptions, notes: Notes) -> None:
        self.name, self.drives, self.library_id = name, len(options.drives), ""
        self._options, self._notes = options, notes
        self._changer = Changer(name, options, notes)
        self._seating = Seating(name, options, self._changer, notes)
        self._shelf = Shelf(name, self._changer, self._seating, notes)

    @classmethod
    def at(cls, spec: VaultSpec, defaults: VaultDefaults) -> ChangerLibrary:
        """Return the library; where its notes are lost, a tape tells who it is."""
        return cls._known(spec, defaults, may_be_new=False)

    @classmethod
    def create_at(cls, spec: VaultSpec, defaults: VaultDefaults) -> ChangerLibrary:
        """Return the library; it is a new one only where no tape of it is found."""
        return cls._known(spec, defaults, may_be_new=True)

    @classmethod
    def _known(cls, spec: VaultSpec, defaults: VaultDefaults, may_be_new: bool) -> ChangerLibrary:
        options = library_options.read(spec, defaults)
        notes = Notes.about(defaults.state_dir, spec.name, options.changer)
        library = cls(spec.name, options, notes)
        with locked(notes.folder / "library.lock"):
            if notes.library() is None:
                library._find_out_who(may_be_new)
        library.library_id = str((notes.library() or {})["id"])
        return library

    def _find_out_who(self, may_be_new: bool) -> None:
        library_id = self._options.known_id or self._id_on_a_tape()
        if library_id:
            self._notes.keep_library(library_id, self._options.changer, rebuilt=True)
        elif may_be_new:
            new_id = uuid.uuid4().hex
            self._notes.keep_library(new_id, self._options.changer, rebuilt=False)
        else:
            raise VaultUnavailable(
                f"{self.name}: the notes in {self._notes.folder} are lost, and no tape tells which "
                "library this is; id= says it (it is in the label of each of its tapes)"
            )

    def _id_on_a_tape(self) -> str:
        """Return the library that the first tape with our name is of; the first empty one ends it.

        Tapes are taken in the order of their barcodes: behind an empty one none was written.
        """
        for label in sorted(self._changer.status().labels()):
            with self._seating.seated(label, wait_quietly) as drive:
                medium = self._seating.medium(drive)
                try:
                    medium.make_ready()
                    found = medium.read_label()
                except faults.NotOurs:
                    continue
                except faults.Fault as fault:
                    raise VaultUnavailable(
                        f"{self.name}: volume {label} cannot tell which library this is: {fault}"
                    ) from None
            if found is None:
                return ""
            if found.get("vault") == self.name and isinstance(found.get("library"), str):
                return found["library"]
        return ""

    def volumes(self) -> list[Volume]:
        """Return every volume, by label; cartridges without barcode too, which are never used."""
        seen = self._changer.seen()
        nameless = [
            Volume(f"no-barcode-{slot}", VolumeState.SUSPECT, 0, 0, slot=slot)
            for slot in seen.nameless()
        ]
        return self._all_described(seen) + nameless

    def check_fits(self, size_bytes: int) -> None:
        """Raise TooLarge where even an empty volume could not hold a member of this size."""
        if size_bytes > self._options.volume_bytes:
            raise TooLarge(
                say("too-large", size_bytes=size_bytes, volume_bytes=self._options.volume_bytes)
            )

    @contextmanager
    def warm(self, label: str, waiting: Waiting = wait_quietly) -> Iterator[Tape]:
        """Put a volume into the drive that was idle longest, compare its label, and hold it."""
        self._check_known(label)
        note = self._notes.volume(label)
        if note.mark == VolumeState.RETIRED:
            raise errors.NotFound(say("volume-retired", volume=label, vault=self.name))
        if note.shelved:
            raise NeedsOperator(self.name, label)
        with self._seating.seated(label, waiting) as drive:
            blame = Blame(self.name, label, drive, self._notes)
            medium = self._seating.medium(drive)
            tape = Tape(label, self._label_of(), medium, blame, self._notes)
            with blame.laid():
                try:
                    medium.make_ready()
                except faults.NoMedium:
                    self._seating.give_back(drive)
                    raise
            if drive.verified != label or not self._notes.volume(label).read:
                tape.compare_label()
                drive.note_verified(label)
            yield tape

    def append(
        self, member: str, size_bytes: int, write: Writer, waiting: Waiting = wait_quietly
    ) -> str:
        """Add a member to the filling volume, or to the next where that turns out to be full.

        It is a whole file on the archive's disk before a drive is asked for.
        """
        self.check_fits(size_bytes)
        checked(member)
        home = self._notes.folder
        with locks.held(home / "writer.lock", waiting):
            if (holder := self.find(member)) is not None:
                raise MemberExists(f"{holder} holds {member} already")
            with spooled(write, member, size_bytes, home) as source:
                while True:
                    with (
                        suppress(NeedsOperator),  # it was taken out since: there is another one
                        self.warm(self._writable(), waiting) as tape,
                    ):
                        is_marked = bool(self._notes.volume(tape.label).mark)  # while it waited
                        if not is_marked and tape.append(member, size_bytes, source):
                            return tape.label

    def find(self, member: str) -> str | None:
        """Return the label of the volume that holds a member of this name, or None.

        After the notes were lost, it reads every volume in the library first, and raises
        VaultUnavailable rather than None while one cannot be read.
        """
        checked(member)
        unread = self._read_unread()
        for label in self._notes.find(member):
            if self._notes.volume(label).mark != VolumeState.RETIRED:
                return label
        if unread:
            raise VaultUnavailable(
                f"{self.name}: nobody knows what is on {', '.join(unread)}: mend or retire them"
            )
        return None

    def mark(self, label: str, state: VolumeState | None) -> None:
        """Decide that a volume is suspect or retired, or with None take that back."""
        if state not in {None, VolumeState.SUSPECT, VolumeState.RETIRED}:
            raise errors.BadInput(f"a volume is not marked {state}")
        self._check_known(label)
        self._notes.change(label, mark=state.value if state else "", why="", failed_in=[])

    def shelve(self, label: str) -> None:
        """Bring a volume to the import and export slot; where there is none, to its own slot."""
        self._check_known(label)
        self._shelf.shelve(label)

    def insert(self, label: str, barcode: str, drive: int | None = None) -> None:
        """Take inventory and let a volume be used again that lies in the library now."""
        if barcode != label:
            raise WrongVolume(say("inserted-other", barcode=barcode[:40], volume=label))
        self._shelf.insert(label, drive)

    def drives_out_of_use(self) -> dict[int, str]:
        """Return why drives are not used any more, by their number."""
        drives = self._seating.drives()
        return {drive.number: drive.out_of_use for drive in drives if drive.out_of_use}

    def use_drive_again(self, number: int) -> None:
        """Let a drive be used again, as an operator says; raises NotFound."""
        for drive in self._seating.drives():
            if drive.number == number:
                drive.out_of_use_file.unlink(missing_ok=True)
                return
        raise errors.NotFound(say("drive-unknown", vault=self.name, drive=number))

    def _all_described(self, seen: Inventory) -> list[Volume]:
        labels = sorted(seen.labels() | set(self._notes.labels()))
        return [self._described(label, seen) for label in labels]

    def _described(self, label: str, seen: Inventory) -> Volume:
        note, tally = self._notes.volume(label), self._notes.tally(label)
        bay, slot = seen.bay_of(label), seen.slot_of(label)
        if note.mark:
            state = VolumeState(note.mark)
        elif note.shelved or (bay is None and slot is None):
            state = VolumeState.EXPORTED
        elif note.closed:
            state = VolumeState.FULL
        else:
            state = VolumeState.FILLING if tally.members else VolumeState.SCRATCH
        return Volume(
            label,
            state,
            tally.used_bytes,
            note.capacity_bytes or self._options.volume_bytes,
            bay.number + 1 if bay else None,
            slot.number if slot else (bay.source if bay else None),
            shelved=note.shelved or (bay is None and slot is None),
        )

    def _writable(self) -> str:
        """Return the volume to write to: a filling one first, else a scratch one."""
        for again in (True, False):
            out = {drive.number for drive in self._seating.drives() if drive.out_of_use}
            there = self._all_described(self._changer.last_seen())
            volumes = [volume for volume in there if volume.drive not in out]
            for state in (VolumeState.FILLING, VolumeState.SCRATCH):
                for volume in volumes:
                    if volume.state == state:
                        return volume.label
            if again:
                with self._changer.held(wait_quietly):
                    self._changer.survey()
                    self._changer.status()
        raise VaultFull(say("no-scratch", vault=self.name))

    def _read_unread(self) -> list[str]:
        """Read the volumes that nothing is known of, after a loss; return those that cannot be."""
        about = self._notes.library()
        if not about or not about.get("rebuilt"):
            return []
        left = []
        for label in sorted(self._changer.seen().labels()):
            note = self._notes.volume(label)
            if not note.read and note.mark != VolumeState.RETIRED:
                if not note.mark:
                    with suppress(errors.ArgensError), self.warm(label):
                        continue
                left.append(label)
        return left

    def _label_of(self) -> dict[str, object]:
        return {
            "library": self.library_id,
            "vault": self.name,
            "capacity_bytes": self._options.volume_bytes,
        }

    def _check_known(self, label: str) -> None:
        if is_label(label):
            if label in self._notes.labels() or label in self._changer.seen().labels():
                return
        raise errors.NotFound(say("volume-unknown", vault=self.name, volume=label[:40]))
