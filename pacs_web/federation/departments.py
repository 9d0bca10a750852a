"""The departments that an exam names: by them a hospital may limit who sees it."""

from __future__ import annotations

from pacs_web.federation.dicom_json import TAGS, Attributes, text

# (0008,1040) is the department that made the exam, (0032,1033) the one that asked for it.
FIELDS = ("InstitutionalDepartmentName", "RequestingService")


def departments_in(answer: Attributes) -> tuple[str, ...]:
    """Return the departments that a QIDO-RS answer names."""
    return tuple(named for field in FIELDS if (named := text(answer, field)))


def tells(answer: Attributes) -> bool:
    """Return whether an answer speaks of departments at all: of a series, not every server does."""
    return any(TAGS[field] in answer for field in FIELDS)
