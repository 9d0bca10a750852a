"""What `mtx status` prints: which cartridge is in which drive or slot."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DRIVE = re.compile(r"Data Transfer Element *([0-9]*):(Full|Empty)(.*)")
_SLOT = re.compile(r"Storage Element ([0-9]+)( IMPORT/EXPORT)?:(Full|Empty)(.*)")
_SOURCE = re.compile(r"\(Storage Element ([0-9]+) Loaded\)")
_TAG = re.compile(r":VolumeTag *= *([^\s:]*)")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")  # it names files of the archive's notes
_CLEANING = "CLN"


@dataclass(frozen=True)
class Bay:
    """A drive as the changer counts it, from 0; `source` is the slot that its cartridge is from."""

    number: int
    full: bool
    barcode: str
    source: int | None


@dataclass(frozen=True)
class Slot:
    """A storage element, counted from 1; `mail` where it is one for import and export."""

    number: int
    full: bool
    barcode: str
    mail: bool


@dataclass(frozen=True)
class Inventory:
    """Everything that the changer sees."""

    bays: tuple[Bay, ...]
    slots: tuple[Slot, ...]

    def labels(self) -> set[str]:
        """Return the barcodes of all cartridges that may be volumes: cleaning ones never are."""
        places = (*self.bays, *self.slots)
        return {place.barcode for place in places if is_label(place.barcode)}

    def bay_of(self, label: str) -> Bay | None:
        """Return the drive that holds a volume."""
        return next((bay for bay in self.bays if bay.full and bay.barcode == label), None)

    def slot_of(self, label: str) -> Slot | None:
        """Return the slot that holds a volume."""
        return next((slot for slot in self.slots if slot.full and slot.barcode == label), None)

    def nameless(self) -> list[int]:
        """Return the slots whose cartridge has no barcode that can be read."""
        return [
            slot.number
            for slot in self.slots
            if slot.full and not is_label(slot.barcode) and not slot.barcode.startswith(_CLEANING)
        ]

    def free_slot(self, preferred: int | None = None) -> int | None:
        """Return an empty slot that is none for import and export: the preferred one if it is."""
        free = [slot.number for slot in self.slots if not slot.full and not slot.mail]
        return preferred if preferred in free else next(iter(free), None)

    def free_mail_slot(self) -> int | None:
        """Return an empty import and export slot."""
        return next((slot.number for slot in self.slots if slot.mail and not slot.full), None)


def is_label(barcode: str) -> bool:
    """Return whether a barcode can be a volume's label."""
    return bool(_LABEL.match(barcode)) and not barcode.startswith(_CLEANING)


def parse(printed: str) -> Inventory:
    """Return the inventory of `mtx status`; lines of another form are passed over."""
    bays, slots = [], []
    for line in printed.splitlines():
        if found := _DRIVE.match(line.strip()):
            source = _SOURCE.search(found[3])
            bays.append(
                Bay(
                    int(found[1] or 0),
                    found[2] == "Full",
                    _barcode(found[3]),
                    int(source[1]) if source else None,
                )
            )
        elif found := _SLOT.match(line.strip()):
            full = found[3] == "Full"
            slots.append(Slot(int(found[1]), full, _barcode(found[4]), bool(found[2])))
    return Inventory(tuple(bays), tuple(slots))


def _barcode(rest: str) -> str:
    tag = _TAG.search(rest)
    return tag[1] if tag else ""
