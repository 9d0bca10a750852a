"""Audit rows as CSV (RFC 4180), streamed, with no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from pacs_web.audit.models import AuditEvent, AuditRows

ROWS_AT_ONCE = 2000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "\ufeff"  # spreadsheets read UTF-8 by it


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def answer(rows: AuditRows, name: str, *, patients: bool) -> StreamingHttpResponse:
    """Return rows as a CSV file; what is the patients' only where it is asked for."""
    lines = _lines(rows.iterator(ROWS_AT_ONCE), patients=patients)
    begun = chain([next(lines), next(lines, "")], lines)  # a database that fails does so now
    response = StreamingHttpResponse(begun, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def safe(cell: object) -> str:
    """Return a cell's text; what would be a formula begins with an apostrophe."""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[AuditEvent], *, patients: bool) -> Iterator[str]:
    writer = csv.writer(_Echo())
    head = [_("When"), _("Person"), _("Act"), _("Result"), _("Study"), _("Address"), _("Program")]
    head += [_("Noted by")]
    head += [_("Issuer"), _("Patient ID"), _("Details")] if patients else []
    yield _MARK + writer.writerow(head)
    for row in rows:
        yield writer.writerow([safe(cell) for cell in _cells(row, patients=patients)])


def _cells(row: AuditEvent, *, patients: bool) -> list[object]:
    when = timezone.localtime(row.at).isoformat(timespec="seconds")
    cells: list[object] = [when, row.who, row.act, row.outcome, row.study_uid, row.address or ""]
    cells += [row.agent, row.source]
    if patients:
        detail = json.dumps(row.detail, ensure_ascii=False) if row.detail else ""
        cells += [row.patient_issuer, row.patient_id, detail]
    return cells
