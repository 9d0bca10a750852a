"""What the journal says of a study, without reading what it says of all others.

Rows tell where each study's lines stand, up to a mark in each file; what was added since is read
through, and gets its rows once it is long enough to matter. All can be made again from the journal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any

from django.db import IntegrityError, transaction

from dicom_node.models import JournalMark, JournalRun
from dicom_node.store.journal import Journal, Line

READ_THROUGH_BYTES = 1 << 18  # of lines without rows, for one question
PIECE_BYTES = 8 << 20  # looked through in one transaction
STUDIES_AT_ONCE = 500  # within what one statement of SQLite may name
Record = dict[str, Any]


def of_study(journal: Journal, study_uid: str) -> list[Record]:
    """Return the records of one study, oldest first."""
    return list(of_studies(journal, [study_uid]))


def of_studies(journal: Journal, study_uids: Collection[str]) -> Iterator[Record]:
    """Yield the records of some studies, oldest first."""
    if not study_uids:
        return
    marks = _ready(journal)
    sizes = journal.sizes()
    wanted = set(study_uids)
    runs = _runs(wanted, marks)
    for file, size in sizes.items():
        spans = [*runs.get(file, ()), (marks.get(file, 0), size)]
        for begins_at, ends_at in spans:
            for line in journal.lines(file, begins_at, ends_at):
                yield from (r for r in line.records() if r.get("study_uid") in wanted)


def look_through(journal: Journal) -> None:
    """Give rows to all lines that were added; safe beside others that do, and beside writers."""
    for file, size in journal.sizes().items():
        while (mark := _mark(file)) < size:
            ends_at = _look_through_piece(journal, file, mark, size)
            if ends_at == mark:
                break  # the last line is still open: torn, until the next writer closes it


def forget() -> None:
    """Forget where anything stands; it is looked through again when it is asked for."""
    with transaction.atomic():
        JournalRun.objects.all().delete()
        JournalMark.objects.all().delete()


def _ready(journal: Journal) -> dict[str, int]:
    """Return the marks, once what lies behind them is little."""
    marks, sizes = _marks(), journal.sizes()
    if any(sizes.get(file, 0) < mark for file, mark in marks.items()):
        forget()  # another journal than the rows speak of
        marks = {}
    if sum(size - marks.get(file, 0) for file, size in sizes.items()) > READ_THROUGH_BYTES:
        look_through(journal)
        marks = _marks()
    return marks


def _runs(study_uids: Collection[str], marks: dict[str, int]) -> dict[str, list[tuple[int, int]]]:
    """Return where lines of studies stand, by file, in order, up to the marks.

    Whoever has moved a mark on meanwhile has added runs: these lines are read behind the mark.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    uids = sorted(study_uids)
    for start in range(0, len(uids), STUDIES_AT_ONCE):
        rows = JournalRun.objects.filter(study_uid__in=uids[start : start + STUDIES_AT_ONCE])
        for file, begins_at, ends_at in rows.values_list("file", "begins_at", "ends_at"):
            if begins_at < marks.get(file, 0):
                found.setdefault(file, []).append((begins_at, ends_at))
    return {file: sorted(spans) for file, spans in found.items()}


def _marks() -> dict[str, int]:
    return dict(JournalMark.objects.values_list("file", "offset"))


def _mark(file: str) -> int:
    return _marks().get(file, 0)


def _look_through_piece(journal: Journal, file: str, mark: int, size: int) -> int:
    """Give rows to some lines behind a mark, and return where the mark stands then."""
    lines = list(journal.lines(file, mark, min(size, mark + PIECE_BYTES)))
    if lines and not lines[-1].text.endswith(b"\n"):
        lines.pop()
    if not lines:
        return mark
    runs = list(_runs_of(lines))
    try:
        with transaction.atomic():
            if not _moved(file, mark, lines[-1].ends_at):
                return _mark(file) or mark
            JournalRun.objects.bulk_create(runs, batch_size=200)
    except IntegrityError:  # another process has made the mark of this file
        pass
    return _mark(file)


def _moved(file: str, before: int, after: int) -> bool:
    """Move a mark on, unless somebody else has."""
    if before == 0 and not JournalMark.objects.filter(file=file).exists():
        JournalMark.objects.create(file=file, offset=after)
        return True
    return JournalMark.objects.filter(file=file, offset=before).update(offset=after) == 1


def _runs_of(lines: list[Line]) -> Iterator[JournalRun]:
    told = ((line, _study_of(line)) for line in lines)
    for study_uid, some in groupby(told, key=lambda one: one[1]):
        if study_uid:
            run = [line for line, _ in some]
            yield JournalRun(
                study_uid=study_uid,
                file=run[0].file,
                begins_at=run[0].begins_at,
                ends_at=run[-1].ends_at,
            )


def _study_of(line: Line) -> str:
    for record in line.records():
        uid = record.get("study_uid")
        return uid if isinstance(uid, str) else ""
    return ""
