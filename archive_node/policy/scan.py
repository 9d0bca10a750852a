"""Asks every node what it has, keeps the answer, and makes the jobs that the rules want."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError
from django.utils import timezone

from archive_node import library, nodes
from archive_node.catalogue import doubt, proven_revisions
from archive_node.jobs import dispatch
from archive_node.jobs.states import State
from archive_node.models import Job, NodeState, Proof, StudyFacts
from archive_node.policy import rules
from archive_node.steps import staging
from pacs_common import errors
from pacs_common.node_client import NodeClient
from pacs_common.uids import Uid

LOG = logging.getLogger(__name__)
PAGE = 500
RULE = "rule"
REST = timedelta(minutes=15)  # a rule repeats what failed no sooner
# what reading, or keeping, an answer of another shape than the interface's raises
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, DataError,
             IntegrityError)  # fmt: skip
_GIVEN = (
    "patient_issuer", "patient_id", "modalities", "study_date", "description", "instances",
    "online", "size_bytes", "online_bytes", "revision", "recalls", "last_arrival_at",
    "last_access_at", "digests_ready", "quarantined", "seen_at",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What one scan of a node found."""

    studies: int
    disk: dict[str, Any]


def scan_all() -> None:
    """Scan every node; one that does not answer is noted and never stops the others."""
    for name in nodes.names():
        now = timezone.now()
        try:
            seen = scan_node(name, now)
        except errors.ArgensError as error:
            _note_failure(name, str(error))
        except _NONSENSE as error:
            _note_failure(name, f"{name} gave facts that cannot be read: {error!r}")
        else:
            _note(name, reachable=True, error="", studies=seen.studies, disk=seen.disk,
                  last_scan_at=now)  # fmt: skip
    staging.sweep(_open_jobs)


def _open_jobs() -> set[int]:
    opened = Job.objects.filter(state__in=Job.OPEN)
    return set(opened.values_list("id", flat=True))


def scan_node(name: str, now: datetime) -> Seen:
    """Read one node's facts and recall requests; make the jobs that follow from them."""
    client = nodes.client(name, subject="scan")
    studies = 0
    for page in _pages(client):
        _keep(name, page, now)
        studies += len(page)
    _recall_what_is_wanted(name, client, now)
    disk = client.status()["disk"]  # after the facts, so that nothing is evicted twice over
    _apply_rules(name, disk, now)
    return Seen(studies, disk)


def _pages(client: NodeClient) -> Iterator[list[dict[str, Any]]]:
    after: str | None = ""
    while after is not None:
        answer = client.custody_studies(after=after, limit=PAGE)
        yield answer["studies"]
        following = answer["next"]
        if following is not None and following <= after:
            raise errors.PeerUnreachable(f"{client.name} does not go on after {after}")
        after = following


def _keep(name: str, page: list[dict[str, Any]], now: datetime) -> None:
    rows = [_row(name, facts, now) for facts in page]
    _doubt_what_counts_anew(name, rows)
    StudyFacts.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["node", "study_uid"],
        update_fields=list(_GIVEN),
        batch_size=200,
    )


def _doubt_what_counts_anew(name: str, rows: list[StudyFacts]) -> None:
    """Forget what was proven of studies whose revision fell (a node that was replaced)."""
    given = {row.study_uid: row.revision for row in rows}
    known = Proof.objects.filter(node=name, study_uid__in=given)
    for study_uid, verified in known.values_list("study_uid", "revision"):
        if given[study_uid] < verified:
            doubt(name, study_uid)


def _row(name: str, facts: dict[str, Any], now: datetime) -> StudyFacts:
    return StudyFacts(
        node=name,
        study_uid=Uid.parse(facts["study_uid"], "Study Instance UID"),
        patient_issuer=(facts["patient_key"]["issuer"] or "")[:200],
        patient_id=(facts["patient_key"]["id"] or "")[:200],
        modalities="\\".join(facts["modalities"])[:200],
        study_date=(facts["study_date"] or "")[:8],
        description=(facts["description"] or "")[:200],
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
        seen_at=now,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _recall_what_is_wanted(name: str, client: NodeClient, now: datetime) -> None:
    resting = _resting(name, "recall", now)
    for wanted in client.recall_requests():
        study_uid = Uid.parse(wanted["study_uid"], "Study Instance UID")
        if study_uid not in resting:
            dispatch.request("recall", name, study_uid, wanted["requested_by"] or name)


def _apply_rules(name: str, disk: dict[str, Any], now: datetime) -> None:
    policy = current_policy()
    resting = {kind: _resting(name, kind, now) for kind in ("copy", "evict")}
    evictable = []
    rows = StudyFacts.objects.filter(node=name, seen_at=now, online__gt=0).order_by("id")
    for some in _batches(rows.iterator(), PAGE):
        for facts, behind in _with_proofs(name, some):
            kind = rules.decide(facts, policy, now)
            if kind is not None and facts.study_uid not in resting[kind]:
                _request(kind, name, facts.study_uid, behind)
            elif facts.is_proven and facts.study_uid not in resting["evict"]:
                evictable.append(facts)
    _relieve(name, disk, policy, evictable)


def _batches(rows: Iterator[StudyFacts], most: int) -> Iterator[list[StudyFacts]]:
    while batch := list(islice(rows, most)):
        yield batch


def _request(kind: str, name: str, study_uid: str, behind: list[str]) -> None:
    for vault in behind if kind == "copy" else [""]:
        dispatch.request(kind, name, study_uid, RULE, vault=vault)


def _with_proofs(name: str, rows: Sequence[StudyFacts]) -> Iterator[tuple[rules.Facts, list[str]]]:
    """Yield each study's facts, and the required vaults that do not have all of it proven."""
    uids = [row.study_uid for row in rows]
    proven = {vault: proven_revisions(name, uids, [vault]) for vault in library.required()}
    for row in rows:
        revisions = [found.get(row.study_uid) for found in proven.values()]
        behind = [v for v, found in proven.items() if found.get(row.study_uid) != row.revision]
        known = [revision for revision in revisions if revision is not None]
        yield _facts(row, min(known) if len(known) == len(revisions) else None), behind


def _relieve(
    name: str, disk: dict[str, Any], policy: rules.Policy, evictable: list[rules.Facts]
) -> None:
    """Evict the longest unused where the disk is above its watermark."""
    usable = disk["total_bytes"] - disk["reserve_bytes"]
    excess = rules.excess_bytes(usable, disk["free_bytes"] - disk["reserve_bytes"], policy)
    if not excess:
        return
    opened = Job.objects.filter(node=name, kind=Job.Kind.EVICT, state__in=Job.OPEN)
    going = set(opened.values_list("study_uid", flat=True))
    sizes = StudyFacts.objects.filter(node=name, study_uid__in=going)
    excess -= sum(sizes.values_list("online_bytes", flat=True))
    staying = [facts for facts in evictable if facts.study_uid not in going]
    for facts in rules.least_recently_used(staying, excess):
        dispatch.request("evict", name, facts.study_uid, RULE)


def current_policy() -> rules.Policy:
    """Return the policy that the settings give."""
    config = settings.ARCHIVE
    return rules.Policy(
        config.quiet_s, config.evict_after_days, config.high_watermark, config.low_watermark
    )


def _facts(row: StudyFacts, verified_revision: int | None) -> rules.Facts:
    return rules.Facts(
        study_uid=row.study_uid,
        online=row.online,
        online_bytes=row.online_bytes,
        revision=row.revision,
        digests_ready=row.digests_ready,
        quarantined=row.quarantined,
        last_arrival_at=row.last_arrival_at,
        last_access_at=row.last_access_at,
        recalled_at=row.recalled_at,
        verified_revision=verified_revision,
    )


def _resting(name: str, kind: str, now: datetime) -> set[str]:
    """Return the studies for which such a job failed a short while ago."""
    failed = Job.objects.filter(node=name, kind=kind, state=State.FAILED, updated_at__gt=now - REST)
    return set(failed.values_list("study_uid", flat=True))


def _note_failure(name: str, why: str) -> None:
    LOG.warning("node not scanned: %s", why, extra={"node": name})
    _note(name, reachable=False, error=why[:500])


def _note(name: str, **fields: Any) -> None:
    NodeState.objects.update_or_create(name=name, defaults=fields)
