"""What an audit line of a node or the archive is in the portal's: a record in, rows out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from pacs_web.audit.models import Action, AuditEvent, Result

ACTIONS = {
    "query": Action.SEARCH,
    "read": Action.DICOMWEB,
    "stored": Action.STORE,
    "sent": Action.SEND,
    "queued": Action.SEND,
    "asked": Action.SEND,
    "cancelled": Action.SEND,
    "rejection-undone": Action.REJECT,
    "corrected": Action.CORRECT,
    "correction-undone": Action.CORRECT,
    "removed": Action.DELETE,
    "evicted": Action.DELETE,
    "restored": Action.ARCHIVE,
    "journal-restored": Action.ARCHIVE,
    "quarantine-restored": Action.ARCHIVE,
    "refilled": Action.ARCHIVE,
    "rescue-opened": Action.GLASS,
    "rescue-refused": Action.LOGIN_FAILED,
    "rescue-left": Action.LOGOUT,
    "refused": Action.REFUSED,
    "associated": Action.CONNECT,
    "ended": Action.CONNECT,
    "rules": Action.CONFIGURE,
    "backup-restored": Action.RESTORED,
    "job-done": Action.JOB,
    "job-failed": Action.JOB,
    "inserted": Action.ARCHIVE,
    "held": Action.ARCHIVE,
    "released": Action.ARCHIVE,
    "alarm-seen": Action.ARCHIVE,
    "policy-set": Action.CONFIGURE,
}
ON_RESCUE_PAGES = {"exam": Action.STUDY, "images": Action.IMAGES, "header": Action.HEADER}
ON_A_JOB = {"asked", "retried", "paused", "resumed", "cancelled", "hastened", "reprioritised"}
BEGINNINGS = {  # of kinds of which there are several
    "peer-": Action.CONFIGURE,
    "rule-": Action.CONFIGURE,
    "window-": Action.CONFIGURE,
    "volume-": Action.ARCHIVE,
    "list-": Action.ARCHIVE,
}
_COLUMNS = {"key", "at", "by", "address", "study_uid"}
RESCUE = "rescue"  # who came past us, by a node's emergency account
FAILURES = ("0xA", "0xC", "0x01")  # PS3.7 C: of the classes of DIMSE statuses, the failures


def is_ours(record: Mapping[str, Any]) -> bool:
    """Return whether the portal asked for this itself, and so has a row of its own."""
    return (
        record.get("kind") in {"read", "query"}
        and record.get("issuer") == "portal"
        and record.get("token") == "ticket"
    )


def rows_of(source: str, record: Mapping[str, Any]) -> list[AuditEvent]:
    """Return the rows of a line: one, or one for each study where several were sent."""
    key = str(record["key"])
    told = record.get("studies")
    studies = [str(uid) for uid in told if uid != "..."] if isinstance(told, Mapping) else []
    if not studies:
        return [_row(source, key, record, str(record.get("study_uid") or ""))]
    return [_row(source, f"{key}#{n}", record, uid) for n, uid in enumerate(studies)]


def _row(source: str, key: str, record: Mapping[str, Any], study_uid: str) -> AuditEvent:
    kind = str(record.get("kind", ""))
    peer = str(record.get("ae_title") or "")
    return AuditEvent(
        at=_moment(record.get("at")),
        who=str(record.get("by") or record.get("identity") or peer),
        action=_action(kind, record),
        result=_result(kind, record),
        study_uid=study_uid,
        address=str(record.get("address") or ""),
        agent=f"AE {peer}" if peer else str(record.get("token") or ""),
        source=source,
        source_key=key,
        detail={name: value for name, value in record.items() if name not in _COLUMNS},
    )


def _action(kind: str, record: Mapping[str, Any]) -> Action:
    if kind == "rejected":  # an exam by a note, or a caller at the door
        return Action.REJECT if "note_uid" in record else Action.REFUSED
    if kind == "read" and record.get("by") == RESCUE:
        return ON_RESCUE_PAGES.get(str(record.get("scope")), Action.STUDY)
    if kind in ON_A_JOB and "job" in record:
        return Action.ARCHIVE_JOB
    begun = (action for start, action in BEGINNINGS.items() if kind.startswith(start))
    return ACTIONS.get(kind) or next(begun, Action.OTHER)


def _result(kind: str, record: Mapping[str, Any]) -> Result:
    if kind in {"refused", "rescue-refused"} or (kind == "rejected" and "note_uid" not in record):
        return Result.REFUSED
    broken = (
        kind in {"job-failed", "unreadable"}
        or (kind == "ended" and record.get("why") != "released")
        or (kind == "sent" and bool(record.get("failed")))
        or (kind == "query" and str(record.get("status", "")).startswith(FAILURES))
    )
    return Result.FAILED if broken else Result.SUCCESS


def _moment(text: object) -> datetime:
    """Return when it was; now, where the line does not say it."""
    try:
        found = datetime.fromisoformat(str(text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return timezone.now()
