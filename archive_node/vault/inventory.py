"""What a library keeps of each volume beside the volumes: its slot, its shelf, what was decided.

One small file for each label, `inventory/A00001.json`; a label that has one is never given again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from archive_node.vault.base import VolumeState
from archive_node.vault.durable import write_durably
from archive_node.vault.names import LABEL

DECISIONS = (VolumeState.SUSPECT, VolumeState.RETIRED)


@dataclass(frozen=True)
class Record:
    """What is kept of one volume; `shelved` is told apart from a volume that was lost."""

    slot: int | None = None
    mark: VolumeState | None = None
    shelved: bool = False


class Inventory:
    """The records in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def labels(self) -> list[str]:
        """Return the labels that have a record."""
        try:
            stems = [path.stem for path in self._folder.glob("A*.json")]
        except FileNotFoundError:
            return []
        return sorted(stem for stem in stems if LABEL.match(stem))

    def of(self, label: str) -> Record:
        """Return a volume's record; one that cannot be read says that the volume is suspect."""
        try:
            kept = json.loads((self._folder / f"{label}.json").read_text(encoding="utf-8"))
            mark = VolumeState(kept["mark"]) if kept["mark"] else None
            return Record(kept["slot"], mark, bool(kept["shelved"]))
        except FileNotFoundError:
            return Record()
        except (KeyError, TypeError, ValueError):
            return Record(mark=VolumeState.SUSPECT)

    def keep(self, label: str, record: Record) -> None:
        """Make a record durable."""
        changed_at = datetime.now(UTC).isoformat(timespec="seconds")
        content = {"label": label, **asdict(record), "changed_at": changed_at}
        write_durably(self._folder / f"{label}.json", content)
