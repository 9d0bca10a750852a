"""What leaves the library and comes back: an operator's hands do the rest."""

from __future__ import annotations

from archive_node.vault.base import VaultUnavailable, WrongVolume, wait_quietly
from archive_node.vault.library.changer import Changer
from archive_node.vault.library.inventory import Inventory
from archive_node.vault.library.notes import Notes
from archive_node.vault.library.seating import Seating
from pacs_common import errors
from pacs_common.sentences import say


class Shelf:
    """Hands volumes out of a library, and takes them back."""

    def __init__(self, name: str, changer: Changer, seating: Seating, notes: Notes) -> None:
        self._name, self._changer, self._seating, self._notes = name, changer, seating, notes

    def shelve(self, label: str) -> None:
        """Note that a volume is to leave, then move it to where an operator can take it.

        Raises Unavailable while a drive uses it. Run again, it goes on where it was broken off.
        """
        with self._changer.held(wait_quietly):
            seen = self._changer.status()
            bay, slot = seen.bay_of(label), seen.slot_of(label)
            mail = seen.free_mail_slot()
            if bay is not None:
                drive = self._seating.drives()[bay.number]
                if not drive.take():
                    raise errors.Unavailable(say("volume-in-use", volume=label, vault=self._name))
                try:
                    self._notes.change(label, shelved=True)
                    self._seating.empty(drive, bay, seen, mail)
                finally:
                    drive.release()
            else:
                self._notes.change(label, shelved=True)
                if slot is not None and not slot.mail and mail is not None:
                    self._changer.transfer(slot.number, mail)
            self._changer.status()

    def insert(self, label: str, drive: int | None) -> None:
        """Take a volume from where an operator put it: into a drive if that is free, or a slot.

        Raises WrongVolume where the changer sees no such barcode, Unavailable where every slot is
        taken.
        """
        with self._changer.held(wait_quietly):
            seen = self._found(label)
            slot = seen.slot_of(label)
            if slot is not None and not self._loaded(slot.number, drive, seen) and slot.mail:
                target = seen.free_slot()
                if target is None:
                    raise errors.Unavailable(say("every-slot-taken", vault=self._name))
                self._changer.transfer(slot.number, target)
            self._notes.change(label, shelved=False)
            self._changer.status()

    def _found(self, label: str) -> Inventory:
        seen = self._changer.status()
        if label not in seen.labels():
            self._changer.survey()
            seen = self._changer.status()
        if label not in seen.labels():
            if label not in self._notes.labels():
                raise errors.NotFound(say("volume-unknown", vault=self._name, volume=label))
            raise WrongVolume(say("changer-sees-none", vault=self._name, volume=label))
        return seen

    def _loaded(self, slot: int, number: int | None, seen: Inventory) -> bool:
        """Load a slot into the drive that was named, where it is empty and nobody uses it."""
        empty = {bay.number + 1 for bay in seen.bays if not bay.full}
        drives = {drive.number: drive for drive in self._seating.drives()}
        if number not in empty or number not in drives or drives[number].out_of_use:
            return False
        drive = drives[number]
        if not drive.take():
            return False
        try:
            drive.note_verified("")
            self._changer.load(slot, number)
        except VaultUnavailable:
            return False
        finally:
            drive.release()
        return True
