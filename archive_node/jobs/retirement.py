"""Whether a volume may go: only where nothing good lies on it alone."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from archive_node import library, trail
from archive_node.catalogue import mark_bad
from archive_node.models import CopiedInstance, Copy
from archive_node.vault.base import VolumeState
from pacs_common import errors

NO_LONGER = "its volume was retired"


def retire(vault: str, label: str, by: str) -> None:
    """Retire a volume for `by`: its copies count no more. Doing it again changes nothing.

    Raises Conflict where it holds an instance of which no verified copy lies elsewhere.
    """
    alone = _alone(vault, label).select_related("copy").order_by("id")
    first = alone.first()
    if first is not None:
        raise errors.Conflict(
            f"{alone.count()} instances have no verified copy but on {label}: evacuate it first "
            f"(the first is {first.sop_instance_uid} of {first.copy.study_uid})"
        )
    library.vault(vault).mark(label, VolumeState.RETIRED)
    with transaction.atomic():
        for copy in Copy.objects.filter(vault=vault, volume=label, bad_since=None):
            mark_bad(copy, NO_LONGER)
        trail.note("volume-retired", by, vault=vault, volume=label)


def _alone(vault: str, label: str):
    elsewhere = CopiedInstance.objects.filter(
        copy__node=OuterRef("copy__node"),
        copy__study_uid=OuterRef("copy__study_uid"),
        sop_instance_uid=OuterRef("sop_instance_uid"),
        stored_sha256=OuterRef("stored_sha256"),
        copy__bad_since=None,
        copy__verified_at__isnull=False,
    ).exclude(copy__vault=vault, copy__volume=label)
    here = CopiedInstance.objects.filter(
        copy__vault=vault, copy__volume=label, copy__bad_since=None
    )
    return here.filter(~Exists(elsewhere))
