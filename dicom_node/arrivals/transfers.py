"""What each association brought, and what of it was refused: a bounded memory for people.

A row tells of one association that stored something or tried to. It is written while the
association lasts, at most every `TOLD_EVERY_S`, and once more at its end. A rebuild forgets it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connections
from django.utils import timezone

from dicom_node.index import changes
from dicom_node.ingest.incoming import Outcome, Result
from dicom_node.models import Transfer

LOG = logging.getLogger(__name__)
MAX_ROWS = 2000
MAX_REASONS, MAX_STUDIES = 20, 50  # told of one association
MAX_TEXT = 300
TOLD_EVERY_S = 10.0
RELEASED = ""  # how an association ends as it should
CUT_BY_RESTART = "the node was stopped"


@dataclass(frozen=True)
class Refusal:
    """A C-STORE that was answered with a failure: its status, and the one line that was sent."""

    status: int
    why: str
    sop_instance_uid: str = ""


@dataclass
class Account:
    """Counts what one association stores; nothing is written before its first C-STORE."""

    whose: dict[str, str]
    called_ae: str
    began_at: datetime = field(default_factory=timezone.now)
    _begun: int = 0
    _outcomes: Counter[str] = field(default_factory=Counter)
    _studies: Counter[str] = field(default_factory=Counter)
    _refused: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    _size_bytes: int = 0
    _row_id: int | None = None
    _told_at: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Count a C-STORE whose outcome is not known yet."""
        self._begun += 1

    def stored(self, result: Result) -> None:
        """Count an object that was answered with success."""
        self._outcomes[result.outcome.value] += 1
        self._size_bytes += result.size_bytes
        if result.identity.study:
            self._studies[str(result.identity.study)] += 1
        self._tell_now_and_then()

    def refused(self, refusal: Refusal) -> None:
        """Count an object that was refused, under its status and reason."""
        self._outcomes["refused"] += 1
        why = _clean(refusal.why)
        known = self._refused.get((refusal.status, why))
        if known is not None:
            known["count"] += 1
        elif len(self._refused) < MAX_REASONS:
            self._refused[refusal.status, why] = {
                "status": f"0x{refusal.status:04X}",
                "why": why,
                "count": 1,
                "sop_instance_uid": _clean(refusal.sop_instance_uid),
            }
        self._tell_now_and_then()

    def end(self, why: str) -> None:
        """Write how the association ended: `RELEASED`, or why it broke off."""
        if self._begun:
            self._tell(timezone.now(), why)
            self._note_studies()

    def _tell_now_and_then(self) -> None:
        if time.monotonic() - self._told_at >= TOLD_EVERY_S:
            self._tell(None, "")

    def _tell(self, ended_at: datetime | None, why: str) -> None:
        """Write the row; a database that is away costs only this memory."""
        self._told_at = time.monotonic()
        told = self._columns() | {"ended_at": ended_at, "why_ended": _clean(why)}
        try:
            if self._row_id is None:
                row = Transfer.objects.create(**told)
                self._row_id = row.id
                Transfer.objects.filter(id__lte=row.id - MAX_ROWS).delete()
            else:
                Transfer.objects.filter(id=self._row_id).update(**told)
        except DatabaseError as error:
            LOG.error("a transfer is not remembered: %s", error)
            connections.close_all()

    def _note_studies(self) -> None:
        """Let the archive look anew at whether these studies came whole (custody/incomplete.py)."""
        try:
            changes.note(self._studies)
        except DatabaseError as error:
            LOG.error("the end of a transfer is not told: %s", error)
            connections.close_all()

    def _columns(self) -> dict[str, Any]:
        settled = sum(self._outcomes.values())
        return {
            "source_ae": _clean(self.whose["ae_title"]),
            "address": self.whose["address"],
            "called_ae": _clean(self.called_ae),
            "began_at": self.began_at,
            "last_at": timezone.now(),
            "stored": self._outcomes[Outcome.STORED],
            "duplicates": self._outcomes[Outcome.DUPLICATE],
            "quarantined": self._outcomes[Outcome.QUARANTINED],
            "refused": self._outcomes["refused"],
            "unfinished": self._begun - settled,
            "size_bytes": self._size_bytes,
            "refusals": list(self._refused.values()),
            "studies": dict(self._studies.most_common(MAX_STUDIES)),
        }


def close_open() -> None:
    """Say of the transfers that a stopped node left open that they ended; before it serves."""
    cut = Transfer.objects.filter(ended_at=None)
    for studies in cut.values_list("studies", flat=True):
        changes.note(studies)
    cut.update(ended_at=timezone.now(), why_ended=CUT_BY_RESTART, last_at=timezone.now())


def _clean(text: str) -> str:
    """Return a peer's text as a database and a page can show it."""
    return "".join(one if one.isprintable() else "?" for one in text)[:MAX_TEXT]
