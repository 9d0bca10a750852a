"""Holds: the archive forbids that a study leaves this node's disk, until it releases it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Case, F, When
from django.utils import timezone

from dicom_node import audit
from dicom_node.index.durable import durable_transaction
from dicom_node.index.holds import Hold, packed
from dicom_node.models import Study
from dicom_node.store.journal import HELD, RELEASED, Journal
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotFound

MOST_HOLDS = 20
MAX_CHARS = {"kind": 32, "reason": 500, "by": 200}


def checked(told: Any) -> list[Hold]:
    """Return the holds that somebody tells, [{"kind", "reason", "by"}]; raises BadInput."""
    if not isinstance(told, list) or len(told) > MOST_HOLDS:
        raise BadInput(f"holds is not a list of at most {MOST_HOLDS}")
    return [Hold(**{name: _text(one, name) for name in MAX_CHARS}) for one in told]


def hold(layout: Layout, study_uid: str, holds: Iterable[Hold], by: str) -> Study:
    """Let exactly these holds be in force for a study; none releases it. Durable; harmless again.

    It is a revision of the study, which the archive copies, though its pictures stay prepared.
    Raises NotFound.
    """
    wanted = sorted(set(holds))
    with durable_transaction():
        study = Study.objects.select_for_update().filter(uid=study_uid).first()
        if study is None:
            raise NotFound(f"study {study_uid} is not here")
        if study.holds == packed(wanted):
            return study
        record = {"study_uid": study_uid, "holds": [one._asdict() for one in wanted], "by": by}
        kind = HELD if wanted else RELEASED
        Journal(layout.journal).append(kind, [record])
        Study.objects.filter(id=study.id).update(
            holds=packed(wanted),
            revision=F("revision") + 1,
            prepared_revision=Case(
                When(prepared_revision=F("revision"), then=F("revision") + 1),
                default=F("prepared_revision"),
            ),
            changed_at=timezone.now(),
        )
    audit.note(kind, **record)
    study.refresh_from_db()
    return study


def _text(told: Any, name: str) -> str:
    text = told.get(name) if isinstance(told, Mapping) else None
    is_line = isinstance(text, str) and text.isprintable() and len(text) <= MAX_CHARS[name]
    if not is_line or not (text or name == "by"):
        raise BadInput(f"each hold has a {name}: a line of 1 to {MAX_CHARS[name]} characters")
    return text
