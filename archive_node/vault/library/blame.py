"""What a fault means: for the caller, for the volume, and for the drive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archive_node.vault.base import MediumFailed, VaultUnavailable, VolumeState, WrongVolume
from archive_node.vault.library import faults
from archive_node.vault.library.bays import Drive
from archive_node.vault.library.notes import Notes
from pacs_common.sentences import say


class Blame:
    """Turns the faults of one volume in one drive into the vault's errors, and notes them first."""

    def __init__(self, vault: str, label: str, drive: Drive, notes: Notes) -> None:
        self._vault, self._label, self._drive, self._notes = vault, label, drive, notes

    @contextmanager
    def laid(self) -> Iterator[None]:
        """Raise MediumFailed, WrongVolume or VaultUnavailable for the faults of a block."""
        try:
            yield
        except (faults.Busy, faults.NoAccess) as fault:
            raise VaultUnavailable(f"{self._vault}: {self._where}: {fault}") from None
        except (faults.NotOurs, faults.Mislabelled) as fault:
            self._suspect(str(fault))
            if isinstance(fault, faults.NotOurs):  # then it holds none of our members
                self._notes.change(self._label, read=True)
            raise WrongVolume(
                say("barcode-lies", volume=self._label, vault=self._vault, why=fault)
            ) from None
        except faults.Stuck as fault:
            self._put_drive_out(str(fault))
            self._suspect(f"{self._where} got stuck with it: {fault}")
            raise self._failed(f"{fault}; {self._told_out}") from None
        except faults.NoMedium as fault:
            raise self._unseen(fault) from None
        except faults.Fault as fault:
            self._suspect(str(fault))
            raise self._failed(f"{fault} ({self._where}); it is suspect now") from None

    def _unseen(self, fault: faults.Fault) -> MediumFailed:
        """Blame the drive at first, and the volume once a second drive does not see it either."""
        failed_in = self._notes.volume(self._label).failed_in
        if any(number != self._drive.number for number in failed_in):
            self._suspect("no drive sees it")
            return self._failed(f"{fault} ({self._where}, nor did another); it is suspect now")
        self._notes.change(self._label, failed_in=[self._drive.number])
        self._put_drive_out(f"did not see volume {self._label}: {fault}")
        return self._failed(f"{fault}; {self._told_out}")

    @property
    def _where(self) -> str:
        return f"drive {self._drive.number} ({self._drive.device})"

    @property
    def _told_out(self) -> str:
        return f"{self._where} is out of use until {self._drive.out_of_use_file} is removed"

    def _failed(self, detail: str) -> MediumFailed:
        return MediumFailed(self._vault, self._label, detail)

    def _put_drive_out(self, why: str) -> None:
        self._drive.put_out_of_use(why)
        self._drive.note_verified("")

    def _suspect(self, why: str) -> None:
        self._drive.note_verified("")
        if not self._notes.volume(self._label).mark:
            self._notes.change(self._label, mark=VolumeState.SUSPECT.value, why=why)
