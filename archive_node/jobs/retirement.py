"""Whether a volume may go: only where nothing lies on it alone."""

from __future__ import annotations

from django.db import transaction

from archive_node import library, trail
from archive_node.catalogue import mark_bad
from archive_node.models import Copy
from archive_node.steps.alone import alone_on
from archive_node.steps.whereabouts import Place
from archive_node.vault.base import VolumeState
from pacs_common import errors
from pacs_common.sentences import say

NO_LONGER = "its volume was retired"


def retire(vault: str, label: str, by: str) -> None:
    """Retire a volume for `by`: its copies count no more. Doing it again changes nothing.

    Raises Conflict where it holds something of which no verified copy lies on another volume that
    can be relied on: suspect and missing volumes cannot, and a bad copy may be all that is left.
    """
    alone = alone_on(Place(vault, label))
    if alone:
        first = alone[0].member
        raise errors.Conflict(
            say("volume-alone", copies_count=len(alone), volume=label, member=first)
        )
    library.vault(vault).mark(label, VolumeState.RETIRED)
    with transaction.atomic():
        for copy in Copy.objects.filter(vault=vault, volume=label, bad_since=None):
            mark_bad(copy, NO_LONGER)
        trail.note("volume-retired", by, vault=vault, volume=label)
