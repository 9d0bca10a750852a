"""Which studies the rules must look at: the database leaves out what cannot be meant.

A catalogue has a million rows and a scan comes every half minute, so each question is one
statement; what it answers is decided by `rules` once more before anything follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from math import ceil

from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest

from archive_node import holding, library
from archive_node.models import Hold, Job, Proof, StudyFacts
from archive_node.policy.rules import HOLD, RECALL, Policy, Rules
from archive_node.ruling.conditions import Conditions
from archive_node.ruling.facts import Facts

REST = timedelta(minutes=15)  # a rule repeats what failed no sooner
CANCELLED_REST = timedelta(days=1)  # nor what a person cancelled
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


def to_be_copied(node: str) -> QuerySet[StudyFacts]:
    """Return the studies of which something is on their node's disk, in quarantine too."""
    return known(node).filter(Q(online__gt=0) | Q(quarantine_files__gt=0))


def settle_proofs(node: str, policy: Policy) -> int:
    """Note which studies are proven as they are now in every required vault; return how many.

    Others look at the note alone: the proofs of a million studies are not read at each scan.
    """
    if not policy.required:
        return 0
    doubted = StudyFacts.objects.filter(node=node, is_proven=False)
    return doubted.filter(*map(proven, policy.required)).update(is_proven=True)


def to_copy(node: str, vault: str, policy: Policy, now: datetime) -> QuerySet[StudyFacts]:
    """Return what is quiet, lacks a proof in a vault, and can be read; the oldest first."""
    readable = Q(online__gt=0) | Q(quarantine_files__gt=0)
    for other in library.specs():
        if other != vault:
            readable |= proven(other)
    rows = known(node).filter(is_proven=False) if vault in policy.required else known(node)
    quiet = rows.filter(last_arrival_at__lte=now - timedelta(seconds=policy.quiet_s))
    lacking = quiet.filter(~proven(vault), readable, digests_ready=True)
    return unasked(lacking, Job.Kind.COPY, node, now, vault).order_by(
        "last_arrival_at", "study_uid"
    )


def to_recall(node: str, asked: Conditions, now: datetime) -> QuerySet[StudyFacts]:
    """Return what a rule may want back: of which something is away, and proven somewhere."""
    somewhere = Q()
    for vault in library.specs():
        somewhere |= proven(vault)
    rows = known(node).filter(described(asked, now), somewhere, online__lt=F("instances"))
    return unasked(rows, Job.Kind.RECALL, node, now).order_by("-last_arrival_at", "study_uid")


def evictable(node: str, asked: Rules) -> Q:
    """Return the condition that nothing keeps a study of a node on the disk."""
    policy = asked.policy
    age = max(timedelta(seconds=policy.quiet_s), timedelta(days=policy.least_age_days))
    if not policy.required:
        return Q(pk__in=[])
    settled = Q(
        is_proven=True,
        digests_ready=True,
        incomplete=False,
        quarantined=0,
        last_arrival_at__lte=asked.now - age,
    )
    return settled & ~held(node, asked) & ~meant(asked, RECALL)


def held(node: str, asked: Rules) -> Q:
    """Return the condition that a person, a rule or its node holds a study of a node."""
    by_person = Hold.objects.filter(node=node, released_at=None).values("study_uid")
    return Q(held=True) | Q(study_uid__in=by_person) | meant(asked, HOLD)


def meant(asked: Rules, action: str) -> Q:
    """Return the condition that some rule with this action speaks of a study."""
    found = Q(pk__in=[])
    for rule in asked.rules:
        if rule.action == action:
            found |= described(rule.conditions, asked.now) or ~Q(pk__in=[])
    return found


def longest_unused(node: str, asked: Rules) -> QuerySet[StudyFacts]:
    """Return what may be evicted and nobody has asked for yet, the longest unused first."""
    rows = unasked(online(node).filter(evictable(node, asked)), Job.Kind.EVICT, node, asked.now)
    return rows.annotate(used_at=LAST_USED).order_by("used_at", "study_uid")


def unasked(
    rows: QuerySet[StudyFacts], kind: str, node: str, now: datetime, vault: str = ""
) -> QuerySet[StudyFacts]:
    """Leave out the studies for which such a job is open, or ended lately as none should again."""
    jobs = Job.objects.filter(kind=kind, node=node, vault=vault)
    opened = jobs.filter(state__in=Job.OPEN).values("study_uid")
    ended = jobs.filter(_ended_lately(now)).values("study_uid")
    return rows.exclude(study_uid__in=opened).exclude(study_uid__in=ended)


def resting(node: str, kind: str, now: datetime) -> set[str]:
    """Return the studies for which such a job failed or was cancelled a short while ago."""
    ended = Job.objects.filter(_ended_lately(now), node=node, kind=kind)
    return set(ended.values_list("study_uid", flat=True))


def _ended_lately(now: datetime) -> Q:
    return Q(state=Job.State.FAILED, updated_at__gt=now - REST) | Q(
        state=Job.State.CANCELLED, updated_at__gt=now - CANCELLED_REST
    )


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
    """Return conditions as one of the database; empty where nothing is asked."""
    found = Q(node__in=asked.nodes) if asked.nodes else Q()
    if asked.modalities:
        several = Q()
        for modality in asked.modalities:
            several |= _one_of_them("modalities", modality)
        found &= several
    if asked.departments:
        found &= Q(department_key__in=asked.departments)
    if asked.description:
        found &= Q(description_key__contains=asked.description)
    if asked.least_bytes:
        found &= Q(size_bytes__gte=asked.least_bytes)
    if asked.most_bytes:
        found &= Q(size_bytes__lte=asked.most_bytes)
    return found & _of_age(asked, now)


def _one_of_them(field: str, value: str) -> Q:
    """Return the condition that a value is among several of one field (PS3.5 6.4)."""
    whole = Q(**{field: value}) | Q(**{f"{field}__contains": f"\\{value}\\"})
    first, last = f"{field}__startswith", f"{field}__endswith"
    return whole | Q(**{first: f"{value}\\"}) | Q(**{last: f"\\{value}"})


def _of_age(asked: Conditions, now: datetime) -> Q:
    found = Q()
    if asked.unused_days:
        before = now - timedelta(days=asked.unused_days)
        for field in ("last_arrival_at", "last_access_at", "recalled_at"):
            found &= Q(**{f"{field}__lte": before}) | Q(**{field: None})
    if asked.study_age_days:
        newest = now.date() - timedelta(days=ceil(asked.study_age_days))
        found &= Q(study_date__gt="", study_date__lte=f"{newest:%Y%m%d}")
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
