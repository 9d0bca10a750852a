"""Rows of the form: what an exam shows now, beside the field for what it is to show."""

from __future__ import annotations

from dataclasses import dataclass

from django.forms import BoundField

from pacs_web.federation.dicom_json import day


@dataclass(frozen=True)
class Row:
    """One line: the field, and the value that is shown now."""

    field: BoundField
    now: str


def row_of(field: BoundField, now: str) -> Row:
    """Return a line with its value as people read it."""
    born = day(now) if field.name == "birth_date" else None
    return Row(field, f"{born:%d/%m/%Y}" if born else now.replace("\\", ", "))
