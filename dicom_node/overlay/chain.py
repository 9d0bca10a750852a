"""The corrections of one study that are in force, in their order, as its row holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache

Key = tuple[str, str]  # issuer, Patient ID


@dataclass(frozen=True)
class Change:
    """One correction: what it shows, since when, and whose the study was before and after."""

    id: str
    at: str
    values: dict[str, str | None]
    before: Key
    after: Key

    @property
    def moment(self) -> datetime:
        """Return when it was made."""
        return datetime.fromisoformat(self.at)


def packed(changes: Iterable[Change]) -> str:
    """Return corrections as a study's row holds them, "" for none."""
    told = [asdict(change) for change in changes]
    return json.dumps(told, sort_keys=True) if told else ""


@lru_cache(512)
def unpacked(text: str) -> tuple[Change, ...]:
    """Return what `packed` made."""
    return tuple(
        Change(one["id"], one["at"], one["values"], _key(one["before"]), _key(one["after"]))
        for one in json.loads(text or "[]")
    )


def revision_of(text: str) -> str:
    """Return a short digest of the corrections in force, "" for none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _key(pair: list[str]) -> Key:
    issuer, patient_id = pair
    return issuer, patient_id
