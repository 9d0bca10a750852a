"""Which stored instances an address names, and reading them for an answer."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from dicom_node.config import CONFIG
from dicom_node.index import wanted
from dicom_node.index.addressed import addressed
from dicom_node.models import Instance
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import NotFound
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)


def parents(study_uid: str = "", series_uid: str = "", sop_uid: str = "") -> dict[str, Uid]:
    """Return the keys that an address gives; raises UnsafeUid or MissingUid."""
    given = {
        "StudyInstanceUID": study_uid,
        "SeriesInstanceUID": series_uid,
        "SOPInstanceUID": sop_uid,
    }
    return {keyword: Uid.parse(uid, keyword) for keyword, uid in given.items() if uid}


def selected(study_uid: str, series_uid: str = "", sop_uid: str = "") -> list[Instance]:
    """Return the instances of an address, in series and instance order; raises NotFound."""
    keys = parents(study_uid, series_uid, sop_uid)
    study = keys["StudyInstanceUID"]
    found = addressed(study, keys.get("SeriesInstanceUID", ""), keys.get("SOPInstanceUID", ""))
    if not found:
        raise NotFound(f"{sop_uid or series_uid or study_uid} is not here")
    return found


def require_online(found: Iterable[Instance], request: HttpRequest) -> None:
    """Raise NotOnline, and ask for the recall, unless every instance's bytes are here."""
    instances = list(found)
    if all(instance.availability == Availability.ONLINE for instance in instances):
        wanted.note_access(instance.series.study_id for instance in instances)
        return
    wanted.note_absence(instances, f"WADO-RS by {request.ticket.subject}")
    raise wanted.not_online(instance.availability for instance in instances)
