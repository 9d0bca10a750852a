"""Brings volumes into drives: which drive, and what the changer must do for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archive_node.vault.base import MediumFailed, NeedsOperator, VaultUnavailable, Waiting
from archive_node.vault.library import faults, locks
from archive_node.vault.library.bays import Drive
from archive_node.vault.library.changer import Changer
from archive_node.vault.library.inventory import Bay, Inventory
from archive_node.vault.library.ltfs_tape import LtfsTape
from archive_node.vault.library.medium import Medium
from archive_node.vault.library.notes import Notes
from archive_node.vault.library.options import LibraryOptions
from archive_node.vault.library.raw_tape import RawTape

_MEDIA: dict[str, type[Medium]] = {"tar": RawTape, "ltfs": LtfsTape}


class Seating:
    """The drives of a library and its changer, as one caller after another uses them."""

    def __init__(self, name: str, options: LibraryOptions, changer: Changer, notes: Notes) -> None:
        self._name, self._options, self._changer = name, options, changer
        self._folder: Path = notes.folder / "drives"

    def drives(self) -> list[Drive]:
        """Return the drives, as they are noted now."""
        devices = self._options.drives
        return [Drive(self._folder, at + 1, device) for at, device in enumerate(devices)]

    def medium(self, drive: Drive) -> Medium:
        """Return what is in a drive."""
        return _MEDIA[self._options.mode](drive, self._options, self._folder.parent)

    @contextmanager
    def seated(self, label: str, waiting: Waiting) -> Iterator[Drive]:
        """Have a volume in a drive, alone; raises MediumFailed, NeedsOperator, VaultUnavailable."""
        drive = self._brought(label, waiting)
        try:
            yield drive
        finally:
            drive.release()

    def empty(self, drive: Drive, bay: Bay, seen: Inventory, slot: int | None = None) -> None:
        """Put what is in a drive into `slot`, or where it came from, or into any free slot."""
        target = slot or seen.free_slot(bay.source)
        what = bay.barcode or "a cartridge without barcode"
        if target is None:
            raise VaultUnavailable(f"{self._name}: no slot is free for {what}, which is in a drive")
        drive.note_verified("")
        try:
            self.medium(drive).let_go()
        except faults.Stuck as fault:
            drive.put_out_of_use(f"did not let go of {what}: {fault}")
            raise VaultUnavailable(
                f"{self._name}: drive {drive.number} does not let go of {what}: {fault}; it is out "
                f"of use until {drive.out_of_use_file} is removed"
            ) from None
        except faults.Fault as fault:
            raise VaultUnavailable(
                f"{self._name}: drive {drive.number} does not let go of {what}: {fault}"
            ) from None
        self._changer.unload(target, drive.number)

    def give_back(self, drive: Drive) -> None:
        """Try to bring the cartridge of a drive that does not see it back to its slot."""
        with suppress(VaultUnavailable), self._changer.held(lambda: None):
            seen = self._changer.status()
            bay = self._bay(drive, seen)
            target = seen.free_slot(bay.source)
            if bay.full and target is not None:
                self._changer.unload(target, drive.number)
                self._changer.status()

    def _brought(self, label: str, waiting: Waiting) -> Drive:
        while True:
            with self._changer.held(waiting):
                drive = self._taken(label)
                if drive is not None:
                    try:
                        if self._moved(label, drive):
                            return drive
                    except BaseException:
                        drive.release()
                        raise
                    drive.release()
            waiting()
            time.sleep(locks.POLL_S)

    def _taken(self, label: str) -> Drive | None:
        """Return the drive to use, taken, or None while all that would do are in use."""
        bay = self._changer.last_seen().bay_of(label)
        drives = self.drives()
        if bay is not None and bay.number < len(drives):
            holder = drives[bay.number]
            if holder.out_of_use:
                raise MediumFailed(
                    self._name,
                    label,
                    f"it is in drive {holder.number}, which is out of use: {holder.out_of_use}",
                )
            return holder if holder.take() else None
        usable = [drive for drive in drives if not drive.out_of_use]
        if not usable:
            raise VaultUnavailable(
                f"{self._name}: every drive is out of use (see {self._folder}/*.out-of-use)"
            )
        usable.sort(key=lambda drive: drive.last_used_ns)
        return next((drive for drive in usable if drive.take()), None)

    def _moved(self, label: str, drive: Drive) -> bool:
        """Bring the volume into this drive; return False where it is in another one by now."""
        seen = self._changer.status()
        bay = self._bay(drive, seen)
        if bay.full and bay.barcode == label:
            return True
        slot = seen.slot_of(label)
        if slot is None:
            if seen.bay_of(label) is not None:
                return False
            raise NeedsOperator(self._name, label)
        drive.note_verified("")
        if bay.full:
            self.empty(drive, bay, seen)
        self._changer.load(slot.number, drive.number)
        self._changer.status()
        return True

    def _bay(self, drive: Drive, seen: Inventory) -> Bay:
        for bay in seen.bays:
            if bay.number == drive.number - 1:
                return bay
        raise VaultUnavailable(
            f"{self._name}: the changer has {len(seen.bays)} drives, none for {drive.device}"
        )
