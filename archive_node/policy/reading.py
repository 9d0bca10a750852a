"""Reads what a node says of its studies: what changed, and now and then all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from archive_node import library
from archive_node.catalogue import doubt
from archive_node.models import NodeState, Proof, StudyFacts
from archive_node.ruling.conditions import day_of, folded
from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.uids import Uid

PAGE = 500
PAGES_OF_A_PASS = 100  # in one scan: a node of a million studies never keeps others waiting
NEW = timedelta(days=1)
_KEPT = ("node", "study_uid", "first_seen_at", "recalled_at")
_GIVEN = tuple(
    one.name for one in StudyFacts._meta.concrete_fields if one.name not in {*_KEPT, "id"}
)


@dataclass
class _Reading:
    """One scan's reading of one node."""

    client: NodeClient
    state: NodeState
    now: datetime
    onwards: str = ""

    def changes(self) -> None:
        """Read what changed since the last scan, all of it."""
        after: str | None = ""
        while after is not None:
            after = self._page(after, since=self.state.changes_since)

    def a_part_of_all(self) -> None:
        """Go on with the full pass, or begin one; it ends in this scan if it is short enough.

        What changes behind it is among the changes, where the node tells them; else it is one go.
        """
        state, pages = self.state, 0
        if state.pass_began_at is None:
            state.pass_began_at, state.pass_after = self.now, ""
        after: str | None = state.pass_after
        while after is not None and (pages < PAGES_OF_A_PASS or not self.onwards):
            after = self._page(after)
            pages += 1
        state.pass_after = after or ""
        if after is None:
            _note_gone(state.name, state.pass_began_at)
            state.last_full_scan_at, state.pass_began_at = state.pass_began_at, None

    def _page(self, after: str, since: str = "") -> str | None:
        answer = self.client.custody_studies(after=after, limit=PAGE, since=since)
        keep(self.client.name, answer["studies"], self.now)
        self.onwards = self.onwards or _cursor(answer.get("now"))
        following = answer["next"]
        if following is not None and following <= after:
            raise errors.PeerUnreachable(f"{self.client.name} does not go on after {after}")
        return following


def read(client: NodeClient, state: NodeState, now: datetime) -> None:
    """Keep what a node says, and in `state` (not saved) where to go on.

    A node that cannot say what changed (it is older than this archive) is read whole each time.
    """
    reading = _Reading(client, state, now)
    if state.changes_since:
        reading.changes()
    if not reading.onwards or state.pass_began_at is not None or _is_pass_due(state, now):
        reading.a_part_of_all()
    state.changes_since = reading.onwards


def arrived(state: NodeState, now: datetime) -> list[StudyFacts]:
    """Return the studies of a node that have just begun to arrive, since its last whole scan.

    Those of a scan that broke off come again. Old ones came with a node that is new here.
    """
    rows = StudyFacts.objects.filter(node=state.name, last_arrival_at__gt=now - NEW)
    seen = {"first_seen_at__gt": state.last_scan_at} if state.last_scan_at else {}
    return list(rows.filter(first_seen_at__isnull=False, **seen))


def keep(name: str, page: list[dict[str, Any]], now: datetime) -> None:
    """Keep one page of facts."""
    rows = [_row(name, facts, now) for facts in page]
    _look_for_proofs(name, rows)
    StudyFacts.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["node", "study_uid"],
        update_fields=list(_GIVEN),
        batch_size=200,
    )


def _is_pass_due(state: NodeState, now: datetime) -> bool:
    last = state.last_full_scan_at
    return last is None or now - last >= timedelta(seconds=settings.ARCHIVE.full_scan_s)


def _note_gone(name: str, pass_began_at: datetime) -> None:
    """Note that a node which told all did not name some studies: nothing of them is online."""
    gone = StudyFacts.objects.filter(node=name, online__gt=0, seen_at__lt=pass_began_at)
    gone.update(online=0, online_bytes=0)


def _look_for_proofs(name: str, rows: list[StudyFacts]) -> None:
    """Note which studies are proven as they are now; forget proofs of more than there is.

    A revision that fell is of a node that was replaced.
    """
    given = {row.study_uid: row.revision for row in rows}
    known = Proof.objects.filter(node=name, study_uid__in=given)
    proven: dict[str, set[str]] = {}
    for study_uid, vault, revision in known.values_list("study_uid", "vault", "revision"):
        if given[study_uid] < revision:
            doubt(name, study_uid)
        elif given[study_uid] == revision:
            proven.setdefault(study_uid, set()).add(vault)
    required = set(library.required())
    for row in rows:
        row.is_proven = bool(required) and required <= proven.get(row.study_uid, set())


def _row(name: str, facts: dict[str, Any], now: datetime) -> StudyFacts:
    department = (facts.get("department") or "")[:200]
    description = (facts["description"] or "")[:200]
    return StudyFacts(
        node=name,
        study_uid=Uid.parse(facts["study_uid"], "Study Instance UID"),
        patient_issuer=(facts["patient_key"]["issuer"] or "")[:200],
        patient_id=(facts["patient_key"]["id"] or "")[:200],
        birth_date=_date(facts.get("birth_date")),
        modalities="\\".join(facts["modalities"]).upper()[:200],
        body_parts="\\".join(facts.get("body_parts") or ())[:200],
        department=department,
        department_key=folded(department)[:400],
        study_date=_date(facts["study_date"]),
        description=description,
        description_key=folded(description)[:400],
        instances=int(facts["instances"]),
        online=int(facts["online"]),
        size_bytes=int(facts["size_bytes"]),
        online_bytes=int(facts["online_bytes"]),
        revision=int(facts["revision"]),
        recalls=int(facts["recalls"]),
        last_arrival_at=_moment(facts["last_arrival_at"]),
        last_access_at=_moment(facts["last_access_at"]) if facts["last_access_at"] else None,
        digests_ready=bool(facts["digests_ready"]),
        quarantined=int(facts["quarantined"]),
        quarantine_files=int(facts.get("quarantine_files", 0)),
        incomplete=bool(facts.get("incomplete", False)),
        held=bool(facts.get("held", False)),
        seen_at=now,
        first_seen_at=now,  # kept where the row is there already
    )


def _date(told: str | None) -> str:
    """Return a DICOM date, or nothing where it is none: such dates are compared as texts."""
    return told if told and day_of(told) else ""


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cursor(told: Any) -> str:
    return told if isinstance(told, str) and len(told) <= 64 else ""
