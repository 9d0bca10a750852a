"""Studies that went quiet are prepared: the rows are the queue, and arrivals go first.

A study waits while its prepared revision is not its revision; so one that was being prepared when
the node stopped is taken up again, and a late instance makes it wait anew. One that fails is tried
again after others had their turn, and then left as it is: whoever asks gets what is made then.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from dicom_node.chores.digests import let_arrivals_pass
from dicom_node.chores.lanes import GoesOn
from dicom_node.config import CONFIG, Keeping
from dicom_node.models import Instance, Preparation, Study
from dicom_node.prepared.preparing import prepare

LOG = logging.getLogger(__name__)
TRIES = 3
_AWAITING_DIGESTS = Instance.every.filter(
    series__study=OuterRef("pk"), stored_sha256="", damaged=False
)
AGAIN_AFTER_S = 60.0  # four times as long after each further failure


def due(quiet_s: float = CONFIG.prepare_after_s) -> QuerySet[Study]:
    """Return the studies whose turn it is, the latest first: people ask for new ones."""
    now = timezone.now()
    failed = Q(preparation__due_at__gt=now, preparation__revision=F("revision"))
    waiting = Study.objects.filter(prepared_revision__lt=F("revision"))
    quiet = waiting.filter(last_arrival_at__lte=now - timedelta(seconds=quiet_s))
    if CONFIG.renditions is Keeping.AT_REST:  # files are replaced once they are known to be whole
        quiet = quiet.exclude(Exists(_AWAITING_DIGESTS))
    return quiet.exclude(failed).order_by("-last_arrival_at")


def prepare_all(goes_on: GoesOn) -> None:
    """Prepare studies until none waits or the node stops."""
    while goes_on():
        study = due().first()
        if study is None:
            return
        settle(study, goes_on)


def settle(study: Study, goes_on: GoesOn) -> None:
    """Prepare one study and note how it went; what was interrupted is due as before."""

    def gently() -> bool:
        let_arrivals_pass(goes_on)
        return goes_on()

    try:
        is_done = prepare(study, gently)
    except DatabaseError:
        raise
    except Exception as error:  # the node's job runner: one study must not stop the others
        LOG.exception("a study could not be prepared", extra={"study_uid": study.uid})
        _note_failure(study, error)
        return
    if is_done:
        _mark_prepared(study)


def _note_failure(study: Study, error: Exception) -> None:
    noted, _ = Preparation.objects.get_or_create(study=study)
    attempts = noted.attempts + 1 if noted.revision == study.revision else 1
    wait = timedelta(seconds=AGAIN_AFTER_S * 4 ** (attempts - 1))
    Preparation.objects.filter(study=study).update(
        revision=study.revision,
        attempts=attempts,
        due_at=timezone.now() + wait,
        error=f"{type(error).__name__}: {error}"[:500],
    )
    if attempts >= TRIES:
        _note_prepared(study)


def _mark_prepared(study: Study) -> None:
    """Note the revision that was prepared: one that grew meanwhile is due again."""
    _note_prepared(study)
    Preparation.objects.filter(study=study).update(attempts=0, due_at=None, error="")


def _note_prepared(study: Study) -> None:
    settled = {"prepared_revision": study.revision, "changed_at": timezone.now()}
    Study.objects.filter(id=study.id).update(**settled)
