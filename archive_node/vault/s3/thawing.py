"""Objects in cold storage: they are asked for once, and readable hours later."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archive_node.vault.base import Thawing, VaultUnavailable
from archive_node.vault.durable import write_durably
from archive_node.vault.s3.store import Store

# What the store's makers say that a restore takes at most.
_TAKES = {
    ("GLACIER", "Expedited"): timedelta(minutes=5),
    ("GLACIER", "Standard"): timedelta(hours=5),
    ("GLACIER", "Bulk"): timedelta(hours=12),
    ("DEEP_ARCHIVE", "Standard"): timedelta(hours=12),
    ("DEEP_ARCHIVE", "Bulk"): timedelta(hours=48),
}
_LONGEST = timedelta(hours=48)
_STILL = timedelta(minutes=15)  # when it takes longer than it should


class Thaw:
    """The restores that were asked for; when, is kept in `folder` (losing that costs nothing)."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder

    def check(self, key: str, head: dict[str, Any]) -> None:
        """Raise Thawing where an object cannot be read yet, having asked the store for it."""
        cold = _cold_class(head)
        if cold is None:
            return
        restore = head.get("Restore", "")
        if 'ongoing-request="false"' in restore:
            self._note(key).unlink(missing_ok=True)
            return
        if not restore:
            self._ask(key, head)
        raise Thawing(f"{self._store.place}{key} is being restored", self._until(key, cold))

    def _ask(self, key: str, head: dict[str, Any]) -> None:
        options = self._store.options
        request: dict[str, Any] = {"GlacierJobParameters": {"Tier": options.restore_tier}}
        if not head.get("ArchiveStatus"):  # what tiers by itself comes back to stay
            request["Days"] = options.restore_days
        try:
            with self._store.translated():
                self._store.client.restore_object(**self._store.named(key), RestoreRequest=request)
        except VaultUnavailable as error:
            if "RestoreAlreadyInProgress" not in str(error):
                raise
        self._note(key).unlink(missing_ok=True)

    def _until(self, key: str, cold: str) -> datetime:
        now = datetime.now(UTC)
        note = self._note(key)
        try:
            until = datetime.fromisoformat(json.loads(note.read_text(encoding="utf-8")))
        except (FileNotFoundError, TypeError, ValueError):
            until = now + _TAKES.get((cold, self._store.options.restore_tier), _LONGEST)
            note.parent.mkdir(parents=True, exist_ok=True)
            write_durably(note, until.isoformat())
        return max(until, now + _STILL) if until < now else until

    def _note(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _cold_class(head: dict[str, Any]) -> str | None:
    """Return the class of an object that must be restored before it is read."""
    if head.get("ArchiveStatus"):
        return "DEEP_ARCHIVE" if "DEEP" in head["ArchiveStatus"] else "GLACIER"
    kept = head.get("StorageClass")
    return kept if kept in {"GLACIER", "DEEP_ARCHIVE"} else None
