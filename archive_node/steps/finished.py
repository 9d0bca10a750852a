"""Which studies a restore has ended, so that one that was killed goes on where it was."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings


class Finished:
    """A list of UIDs in a file; a line that was lost, or torn, only has a study told again."""

    def __init__(self, node: str) -> None:
        self._file: Path = settings.ARCHIVE.data_dir / "restored" / f"{node}.uids"
        try:
            self._uids = set(self._file.read_text(encoding="utf-8").split("\n"))
        except FileNotFoundError:
            self._uids = set()

    def __contains__(self, study_uid: str) -> bool:
        return study_uid in self._uids

    def add(self, study_uid: str) -> None:
        """Note that all of a study was brought and told."""
        self._uids.add(study_uid)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"\n{study_uid}\n")
            file.flush()
            os.fdatasync(file.fileno())
