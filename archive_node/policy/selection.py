"""Which studies the rules must look at: the database leaves out what cannot be meant.

A catalogue has a million rows and a scan comes every half minute, so each question is one
statement over indexes, and what it answers is decided by `rules` once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest

from archive_node import holding, library
from archive_node.models import Hold, Job, Proof, StudyFacts
from archive_node.policy.rules import Policy
from archive_node.ruling.conditions import Conditions
from archive_node.ruling.facts import Facts

REST = timedelta(minutes=15)  # a rule repeats what failed no sooner
PAGE = 500
_ARRIVED = F("last_arrival_at")
LAST_USED: Func = Greatest(
    _ARRIVED, Coalesce("last_access_at", _ARRIVED), Coalesce("recalled_at", _ARRIVED)
)


def known(node: str = "") -> QuerySet[StudyFacts]:
    """Return the studies (of one node) that can be judged: their node described them."""
    rows = StudyFacts.objects.filter(last_arrival_at__isnull=False)
    return rows.filter(node=node) if node else rows


def online(node: str) -> QuerySet[StudyFacts]:
    """Return the studies of which something is on their node's disk."""
    return known(node).filter(online__gt=0)


def to_copy(node: str, vault: str, policy: Policy, now: datetime) -> QuerySet[StudyFacts]:
    """Return what is quiet, lacks a proof in a vault, and can be read; the oldest first."""
    elsewhere = Q()
    for other in library.specs():
        if other != vault:
            elsewhere |= proven(other)
    readable = Q(online__gt=0) | elsewhere if elsewhere else Q(online__gt=0)
    rows = known(node).filter(~proven(vault), readable, digests_ready=True)
    quiet = rows.filter(last_arrival_at__lte=now - timedelta(seconds=policy.quiet_s))
    return unasked(quiet, Job.Kind.COPY, now, vault).order_by("last_arrival_at", "study_uid")


def to_recall(node: str, asked: Conditions, now: datetime) -> QuerySet[StudyFacts]:
    """Return what a rule may want back: of which something is away, and proven somewhere."""
    somewhere = Q()
    for vault in library.specs():
        somewhere |= proven(vault)
    rows = known(node).filter(somewhere, described(asked, now), online__lt=F("instances"))
    return unasked(rows, Job.Kind.RECALL, now).order_by("-last_arrival_at", "study_uid")


def evictable(node: str, policy: Policy, now: datetime) -> QuerySet[StudyFacts]:
    """Return what no fact keeps on the disk, longest unused first; rules may keep it still."""
    age = max(timedelta(seconds=policy.quiet_s), timedelta(days=policy.least_age_days))
    held = Hold.objects.filter(
        node=OuterRef("node"), study_uid=OuterRef("study_uid"), released_at=None
    )
    rows = online(node).filter(
        *(proven(vault) for vault in policy.required),
        ~Exists(held),
        digests_ready=True,
        held=False,
        incomplete=False,
        quarantined=0,
        last_arrival_at__lte=now - age,
    )
    rows = rows if policy.required else rows.none()
    return rows.annotate(used_at=LAST_USED).order_by("used_at", "study_uid")


def unasked(
    rows: QuerySet[StudyFacts], kind: str, now: datetime, vault: str = ""
) -> QuerySet[StudyFacts]:
    """Leave out the studies for which such a job is open, or failed a short while ago."""
    jobs = Job.objects.filter(
        kind=kind, vault=vault, node=OuterRef("node"), study_uid=OuterRef("study_uid")
    )
    return rows.filter(
        ~Exists(jobs.filter(state__in=Job.OPEN)),
        ~Exists(jobs.filter(state=Job.State.FAILED, updated_at__gt=now - REST)),
    )


def resting(node: str, kind: str, now: datetime) -> set[str]:
    """Return the studies for which such a job failed a short while ago."""
    failed = Job.objects.filter(
        node=node, kind=kind, state=Job.State.FAILED, updated_at__gt=now - REST
    )
    return set(failed.values_list("study_uid", flat=True))


def proven(vault: str) -> Q:
    """Return the condition that all of a study, as it is now, is proven in a vault."""
    return Q(
        Exists(
            Proof.objects.filter(
                node=OuterRef("node"),
                study_uid=OuterRef("study_uid"),
                vault=vault,
                revision=OuterRef("revision"),
            )
        )
    )


def described(asked: Conditions, now: datetime) -> Q:
    """Return what a row must be to meet conditions perhaps: texts are left to the rules."""
    found = Q(node__in=asked.nodes) if asked.nodes else Q()
    if asked.modalities:
        several = Q()
        for modality in asked.modalities:
            several |= Q(modalities__contains=modality)
        found &= several
    if asked.departments:
        found &= ~Q(department="")
    if asked.least_bytes:
        found &= Q(size_bytes__gte=asked.least_bytes)
    if asked.most_bytes:
        found &= Q(size_bytes__lte=asked.most_bytes)
    return found & _of_age(asked, now)


def _of_age(asked: Conditions, now: datetime) -> Q:
    found = Q()
    if asked.unused_days:
        before = now - timedelta(days=asked.unused_days)
        for field in ("last_arrival_at", "last_access_at", "recalled_at"):
            found &= Q(**{f"{field}__lte": before}) | Q(**{field: None})
    if asked.study_age_days:
        eldest = now - timedelta(days=asked.study_age_days)
        found &= Q(study_date__gt="", study_date__lte=f"{eldest:%Y%m%d}")
    if asked.patient_age_from:
        found &= Q(birth_date__gt="", birth_date__lte=_years_ago(now, asked.patient_age_from))
    if asked.patient_age_below:
        found &= Q(birth_date__gt=_years_ago(now, asked.patient_age_below))
    return found


def _years_ago(now: datetime, years: int) -> str:
    return f"{now.year - years:04d}{now:%m%d}"


def facts(rows: Iterable[StudyFacts]) -> Iterator[Facts]:
    """Yield studies as rules see them, in the order of their rows, with holds and proofs."""
    waiting = iter(rows)
    while some := list(islice(waiting, PAGE)):
        by_node: dict[str, list[StudyFacts]] = {}
        for row in some:
            by_node.setdefault(row.node, []).append(row)
        found = {row.id: one for node, its in by_node.items() for row, one in _read(node, its)}
        yield from (found[row.id] for row in some)


def _read(node: str, rows: list[StudyFacts]) -> Iterator[tuple[StudyFacts, Facts]]:
    uids = [row.study_uid for row in rows]
    held = holding.in_force(node, uids)
    proofs: dict[tuple[str, int], set[str]] = {}
    told = Proof.objects.filter(node=node, study_uid__in=uids, vault__in=library.specs())
    for uid, vault, revision in told.values_list("study_uid", "vault", "revision"):
        proofs.setdefault((uid, revision), set()).add(vault)
    for row in rows:
        there = frozenset(proofs.get((row.study_uid, row.revision), ()))
        yield row, holding.facts_of(row, held=held.get(row.study_uid, ""), proven_in=there)
