"""How many studies exist once: those of which no verified copy of every instance is on record.

The archive's receipts are records of the journal. They are counted by study as they are added, a
bounded piece of the journal at a time, since it may hold millions of them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

from dicom_node.models import Study
from dicom_node.store.journal import COPIED, Journal

MOST_BYTES = 64 << 20  # of the journal, for one question
KNOWN_S = 60.0


class SingleCopies:
    """Counts the receipts of one journal; safe between threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._marks: dict[str, int] = {}
        self._copied: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._counted: int | None = None
        self._known_until = 0.0

    def count(self, *, most_bytes: int = MOST_BYTES) -> int | None:
        """Return how many studies have a single copy; None until the whole journal was read.

        What was evicted lies in the archive, which knows its own copies. Kept for a minute.
        """
        with self._lock:
            if time.monotonic() >= self._known_until:
                self._counted = self._count() if self._caught_up(most_bytes) else None
                known_s = 0.0 if self._counted is None else KNOWN_S
                self._known_until = time.monotonic() + known_s
            return self._counted

    def _caught_up(self, most_bytes: int) -> bool:
        read = self._journal.since(self._marks, most_bytes)
        self._copied.update(
            record["study_uid"]
            for record in read.records
            if record.get("kind") == COPIED and isinstance(record.get("study_uid"), str)
        )
        return read.whole

    def _count(self) -> int:
        rows = Study.objects.values_list(
            "uid", "instance_count", "rejected_count", "evicted_count"
        ).iterator(chunk_size=2000)
        return sum(
            evicted < shown and self._copied[uid] < shown + hidden
            for uid, shown, hidden, evicted in rows
        )
