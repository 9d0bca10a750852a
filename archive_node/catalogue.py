"""What the archive has of a study: the questions that steps, rules and pages ask the rows."""

from __future__ import annotations

from django.utils import timezone

from archive_node.models import CopiedInstance, Copy, StudyFacts

Held = dict[tuple[str, str], CopiedInstance]  # by SOP Instance UID and stored_sha256


def held(node: str, study_uid: str, *, verified: bool) -> Held:
    """Return the instances that good copies hold (with `verified`, only proven ones).

    Where several copies hold one, the last written stands.
    """
    rows = CopiedInstance.objects.filter(
        copy__node=node, copy__study_uid=study_uid, copy__bad_since=None
    )
    if verified:
        rows = rows.filter(copy__verified_at__isnull=False)
    rows = rows.select_related("copy").order_by("copy__written_at", "id")
    return {(row.sop_instance_uid, row.stored_sha256): row for row in rows}


def mark_bad(copy: Copy, problem: str) -> None:
    """Note that a copy cannot be trusted: it frees nothing and is written anew."""
    Copy.objects.filter(id=copy.id).update(
        verified_at=None, bad_since=timezone.now(), problem=problem[:500]
    )
    doubt(copy.node, copy.study_uid)


def doubt(node: str, study_uid: str) -> None:
    """Note that something of a study is not proven: it is copied again before it is evicted."""
    StudyFacts.objects.filter(node=node, study_uid=study_uid).update(verified_revision=None)


def note_verified(node: str, study_uid: str, revision: int) -> None:
    """Note that every instance that the study had at `revision` is proven."""
    StudyFacts.objects.update_or_create(
        node=node, study_uid=study_uid, defaults={"verified_revision": revision}
    )
