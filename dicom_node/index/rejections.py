"""What rejections hide: rows, counts, and how both come back from the journal (custody rule 8).

An instance is hidden by its own `rejected`; studies and series count what is shown, so that no
query looks at another table. The items also hide what arrives after its rejection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from dicom_node.index import withheld
from dicom_node.index.durable import durable_transaction
from dicom_node.models import Instance, RejectedItem, Rejection, Series, Study
from dicom_node.store.journal import APPROVED, REJECTED, REMOVED, UNDONE
from pacs_common.availability import Availability
from pacs_common.errors import Conflict

_SHOWN = Q(rejected=False)
_KINDS = (REJECTED, UNDONE, APPROVED, REMOVED)


@dataclass(frozen=True)
class Intent:
    """What somebody rejects, and why; `code` is the note's title (DCM)."""

    note_uid: str
    study_uid: str
    code: str
    comment: str
    by: str
    source: str
    at: datetime


def begin(intent: Intent, uids: Iterable[str]) -> Rejection:
    """Note durably what a rejection is about to hide; what another one hides is left to that.

    From now on those that arrive are hidden, the note too. Raises Conflict where another process
    rejects the same.
    """
    wanted = list(dict.fromkeys([*uids, intent.note_uid]))
    try:
        with durable_transaction():
            rejection = Rejection.objects.create(**vars(intent))
            _free_items(rejection, wanted)
            _add_items(rejection, wanted)
    except IntegrityError:
        raise Conflict("another rejection of the same is under way") from None
    return rejection


@contextmanager
def held(rejection: Rejection) -> Iterator[Rejection]:
    """Hold a rejection, as it is now, against all who would change it, in a durable transaction.

    Raises Conflict where it was dropped.
    """
    with durable_transaction():
        now = Rejection.objects.select_for_update().filter(id=rejection.id).first()
        if now is None:
            raise Conflict("it took too long and was given up")
        yield now


def hide(rejection: Rejection) -> None:
    """Hide what a rejection names; the caller holds it."""
    _mark(rejection, rejected=True)
    rejection.state = Rejection.State.REJECTED
    rejection.save()


def show(rejection: Rejection) -> None:
    """Bring back what a rejection hides; its items are forgotten. The caller holds it."""
    _mark(rejection, rejected=False)
    rejection.items.all().delete()
    rejection.state = Rejection.State.UNDONE
    rejection.save()


def drop(rejection: Rejection) -> None:
    """Forget a rejection that never got its note, unless somebody has finished it."""
    with held(rejection) as now:
        if now.state == Rejection.State.BEGUN:
            _mark(now, rejected=False)
            now.delete()


def hidden_by(rejection: Rejection) -> QuerySet[Instance]:
    """Return the instances that a rejection hides and that are here."""
    found = _named_by(rejection).filter(rejected=True)
    return found.select_related("series__study").order_by("id")


def still_hidden(instances: Sequence[Instance]) -> list[Instance]:
    """Return those that are hidden and the same bytes as before, their studies locked."""
    studies = {instance.series.study_id for instance in instances}
    list(Study.objects.select_for_update().filter(id__in=studies).order_by("uid"))
    digests = {instance.id: instance.stored_sha256 for instance in instances}
    found = Instance.every.filter(id__in=digests, rejected=True).select_related("series__study")
    return [one for one in found.order_by("id") if one.stored_sha256 == digests[one.id]]


def forget(rejection: Rejection, instances: Sequence[Instance]) -> None:
    """Delete the rows of instances whose files are about to go, inside the caller's transaction."""
    ids = [instance.id for instance in instances]
    studies = {instance.series.study_id for instance in instances}
    series = {instance.series_id for instance in instances}
    size = {i: 0 for i in studies}
    online = {i: 0 for i in studies}
    for instance in instances:
        size[instance.series.study_id] += instance.size_bytes
        if instance.availability == Availability.ONLINE:
            online[instance.series.study_id] += instance.size_bytes
    Instance.every.filter(id__in=ids).delete()
    for study in studies:
        taken = {"size_bytes": F("size_bytes") - size[study]}
        taken["online_bytes"] = F("online_bytes") - online[study]
        Study.objects.filter(id=study).update(**taken)
    left = Instance.every.filter(series__in=series).values_list("series_id", flat=True)
    Series.objects.filter(id__in=series - set(left)).delete()
    recount(studies)
    empty = Study.objects.filter(id__in=studies, instance_count=0, rejected_count=0)
    for gone in empty:
        withheld.begin(gone)
    empty.delete()
    Rejection.objects.filter(id=rejection.id).update(removed=F("removed") + len(ids))


def recount(study_ids: Iterable[int]) -> None:
    """Count anew what studies and their series show, inside the caller's transaction.

    The studies' rows are locked in the order of their UIDs, as arrivals lock them.
    """
    wanted = Study.objects.select_for_update().filter(id__in=set(study_ids))
    for study in wanted.order_by("uid"):
        away = _SHOWN & ~Q(availability=Availability.ONLINE)
        offline = _SHOWN & Q(availability=Availability.OFFLINE)
        counted = Instance.every.filter(series__study=study).values("series_id")
        counts = {
            row["series_id"]: (row["shown"], row["away"], row["offline"], row["hidden"])
            for row in counted.annotate(
                shown=Count("id", filter=_SHOWN),
                away=Count("id", filter=away),
                offline=Count("id", filter=offline),
                hidden=Count("id", filter=~_SHOWN),
            )
        }
        _write(study, counts)


def restore(records: Iterable[Mapping[str, Any]]) -> None:
    """Give the journal's rejections their rows, and hide again what they hid (custody rule 2)."""
    told: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("kind") in _KINDS:
            told.setdefault(str(record["note_uid"]), []).append(record)
    known = dict(Rejection.objects.values_list("note_uid", "id"))
    for note_uid, some in told.items():
        if note_uid in known:
            _go_on(known[note_uid], some)
        elif some[0]["kind"] == REJECTED:
            _restore(some)


def _restore(records: Sequence[Mapping[str, Any]]) -> None:
    first = records[0]
    kinds = [record["kind"] for record in records]
    approved = [record for record in records if record["kind"] == APPROVED]
    with durable_transaction():
        rejection = Rejection.objects.create(
            **{name: first[name] for name in ("note_uid", "study_uid", "code", "comment")},
            by=first["by"],
            source=first["source"],
            at=datetime.fromisoformat(first["rejected_at"]),
            state=Rejection.State.REJECTED,
            removed=kinds.count(REMOVED),
        )
        if UNDONE in kinds:
            rejection.state = Rejection.State.UNDONE
        else:
            _add_items(rejection, first["sop_instance_uids"])
            _mark(rejection, rejected=True)
        if approved:
            rejection.state = Rejection.State.APPROVED
            rejection.approved_by = approved[-1]["by"]
        rejection.save()


def _go_on(rejection_id: int, records: Sequence[Mapping[str, Any]]) -> None:
    """Do with a rejection what later records tell, where its row does not know it."""
    kinds = {record["kind"] for record in records}
    found = Rejection.objects.filter(id=rejection_id)
    state = Rejection.State
    if UNDONE in kinds and found.filter(state__in=(state.REJECTED, state.APPROVED)).exists():
        with held(found.get()) as now:
            show(now)
    elif APPROVED in kinds and found.filter(state=state.REJECTED).exists():
        by = next(record["by"] for record in records if record["kind"] == APPROVED)
        found.update(state=state.APPROVED, approved_by=by)


def _named_by(rejection: Rejection) -> QuerySet[Instance]:
    """Return what a rejection names, of its own study alone: who may reject there may not here."""
    uids = rejection.items.values("uid")
    return Instance.every.filter(uid__in=uids, series__study__uid=rejection.study_uid)


def _free_items(rejection: Rejection, uids: Sequence[str]) -> None:
    """Forget that notes of other studies named instances of this one: they hid nothing."""
    for start in range(0, len(uids), 500):
        own = Instance.every.filter(
            uid__in=uids[start : start + 500], series__study__uid=rejection.study_uid
        )
        others = RejectedItem.objects.exclude(rejection__study_uid=rejection.study_uid)
        others.filter(uid__in=own.values("uid")).delete()


def _add_items(rejection: Rejection, uids: Sequence[str]) -> None:
    taken: set[str] = set()
    for start in range(0, len(uids), 500):  # within what one statement of SQLite may name
        some = uids[start : start + 500]
        taken |= set(RejectedItem.objects.filter(uid__in=some).values_list("uid", flat=True))
    fresh = [RejectedItem(rejection=rejection, uid=uid) for uid in uids if uid not in taken]
    RejectedItem.objects.bulk_create(fresh, batch_size=500)


def _mark(rejection: Rejection, *, rejected: bool) -> None:
    """Hide or show the rows of a rejection's items, and count their studies anew."""
    found = _named_by(rejection)
    studies = list(found.values_list("series__study_id", flat=True).distinct())
    list(Study.objects.select_for_update().filter(id__in=studies).order_by("uid"))
    found.update(rejected=rejected)
    recount(studies)
    Study.objects.filter(id__in=studies).update(revision=F("revision") + 1)


def _write(study: Study, counts: Mapping[int, tuple[int, int, int, int]]) -> None:
    modalities, shown_series = set(), 0
    for series in study.series.all():
        shown, away, offline, _ = counts.get(series.id, (0, 0, 0, 0))
        known = series.instance_count, series.evicted_count, series.offline_count
        if known != (shown, away, offline):
            series.instance_count, series.evicted_count = shown, away
            series.offline_count = offline
            series.save(update_fields=["instance_count", "evicted_count", "offline_count"])
        if shown:
            shown_series += 1
            modalities.add(series.modality)
    totals = [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0, 0, 0]
    study.instance_count, study.evicted_count, study.offline_count, study.rejected_count = totals
    study.series_count, study.changed_at = shown_series, timezone.now()
    study.modalities = "\\".join(sorted(filter(None, modalities)))
    study.save(
        update_fields=[
            *("instance_count", "evicted_count", "offline_count", "rejected_count"),
            *("series_count", "modalities", "changed_at"),
        ]
    )
