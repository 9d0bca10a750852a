"""What stands on every image: whose it is, when it was made, of what."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from pacs_web.federation.study import Series, Study
from pacs_web.templatetags.dicom_text import dicom_date, dicom_time, person


def captions_of(study: Study, series: Series) -> dict[str, Any]:
    """Return the words of an image's corners and the addresses that belong to them.

    `key` is the patient key: two exams are of one patient only where both have the same,
    and `conflict` tells what else must agree (custody rule 12).
    """
    return {
        "patient": {
            "key": list(study.patient_key) if study.patient_key else None,
            "name": person(study.patient_name),
            "id": study.patient_id,
            "born": dicom_date(study.birth_date),
            "sex": study.sex,
            "family": study.patient_name.partition("^")[0].strip().casefold(),
        },
        "exam": {
            **exam_of(study),
            "url": reverse("study", args=[study.uid]),
            "recall": reverse("study-recall", args=[study.uid]),
        },
        "series": {
            "uid": series.uid,
            "title": " · ".join(part for part in (series.modality, series.description) if part),
            "modality": series.modality,
            "instances": series.instances,
            "url": reverse("series", args=[study.uid, series.uid]),
        },
    }


def exam_of(study: Study) -> dict[str, Any]:
    """Return an exam as a line of a list."""
    return {
        "uid": study.uid,
        "date": f"{dicom_date(study.date)} {dicom_time(study.time)}".strip(),
        "description": study.description,
        "modalities": list(study.modalities),
        "patient": person(study.patient_name),
        "series_url": reverse("study-series", args=[study.uid]),
    }
