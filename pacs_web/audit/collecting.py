"""Collects the nodes' and the archive's audit into the portal's chain, each line once."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from django.utils import timezone

from pacs_common.errors import ArgensError, PeerUnreachable
from pacs_web.audit.collected import is_ours, rows_of
from pacs_web.audit.models import AuditEvent, AuditSource, append_all
from pacs_web.audit.one_writer import one_writer

LOG = logging.getLogger(__name__)
LINES_AT_ONCE = 200  # the chain's lock is held while they are added
MOST_PAGES = 500  # of one source in one round: the others wait
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError)


class Source(Protocol):
    """A role that keeps an audit of its own."""

    def audit_lines(self, after: str = "", limit: int = 500) -> dict[str, Any]:
        """Return {"records", "patients", "next", "more"} after a cursor, oldest first."""


def collect(name: str, source: Source) -> int:
    """Take all that a source has and return how many rows came; a failure is noted and logged."""
    known, _ = AuditSource.objects.get_or_create(name=name)
    added, cursor = 0, known.cursor
    try:
        for _page in range(MOST_PAGES):
            told = source.audit_lines(cursor, LINES_AT_ONCE)
            added += _kept(name, told)
            if not told["more"] or told["next"] == cursor:
                break
            cursor = told["next"]
    except ArgensError as error:
        _failed(name, str(error))
    except _NONSENSE as error:
        _failed(name, f"its audit cannot be read: {error!r}")
    return added


def _kept(name: str, told: dict[str, Any]) -> int:
    """Add what is new of one answer, and remember the cursor, in one transaction."""
    if not isinstance(told["next"], str) or len(told["next"]) > 64:
        raise PeerUnreachable("its audit gives no cursor")
    lines = [record for record in told["records"] if not is_ours(record)]
    rows = {row.source_key: row for record in lines for row in rows_of(name, record)}
    with one_writer():
        there = AuditEvent.objects.filter(source=name, source_key__in=list(rows))
        for key in there.values_list("source_key", flat=True):
            del rows[key]
        new = list(rows.values())
        _name_patients(new, told.get("patients") or {})
        append_all(new)
        AuditSource.objects.filter(name=name).update(
            cursor=told["next"], at=timezone.now(), problem=""
        )
    return len(new)


def _name_patients(rows: list[AuditEvent], told: dict[str, dict[str, str]]) -> None:
    """Put to each row the patient whom the source, else an earlier row, names for its study."""
    uids = {row.study_uid for row in rows if row.study_uid}
    known = AuditEvent.objects.filter(study_uid__in=uids).exclude(patient_id="")
    named = known.order_by().values_list("study_uid", "patient_issuer", "patient_id").distinct()
    patients = {uid: (issuer, patient_id) for uid, issuer, patient_id in named}
    patients |= {uid: (str(one["issuer"]), str(one["id"])) for uid, one in told.items()}
    for row in rows:
        row.patient_issuer, row.patient_id = patients.get(row.study_uid, ("", ""))


def _failed(name: str, why: str) -> None:
    LOG.warning("audit not collected: %s", why, extra={"source": name})
    AuditSource.objects.filter(name=name).update(problem=why[:300])
