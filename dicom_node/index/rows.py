"""The rows of many entries at once: few statements, however many instances wait.

What decides; `statements.py` writes the SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Model
from django.utils import timezone

from dicom_node.index import corrected, in_force, withheld
from dicom_node.index.entry import Entry
from dicom_node.index.statements import Statements, columns_of
from dicom_node.models import Instance, NonPatientObject, Series, Study

BLANK = ("", None)


class AlreadyIndexed(Exception):
    """An instance of that UID has a row."""


class OtherPatient(Exception):
    """The study belongs to another patient key; str() tells which (never a name)."""


def known_uids(uids: Iterable[str]) -> set[str]:
    """Return those of these SOP Instance UIDs that have a row."""
    with Statements() as sql:
        return sql.known(list(uids))


def row_of(uid: str) -> Instance | NonPatientObject | None:
    """Return the row of a SOP Instance UID, whichever kind of object has it."""
    instance = Instance.every.filter(uid=uid).first()
    return instance or NonPatientObject.objects.filter(uid=uid).first()


def add(entry: Entry) -> None:
    """Add one entry's rows, inside the caller's transaction; raises AlreadyIndexed, OtherPatient.

    Either leaves the index as it was.
    """
    (failure,) = add_all([entry])
    if failure is not None:
        raise failure


def add_all(entries: Sequence[Entry], *, are_new: bool = False) -> list[Exception | None]:
    """Add the rows of entries inside the caller's transaction; `are_new`: none was known just now.

    Returns for each None, AlreadyIndexed or OtherPatient, which harm no other. Raises
    IntegrityError where another process was first: the transaction is to be run again.
    """
    with Statements() as sql:
        seen = set() if are_new else sql.known([entry.uid for entry in entries])
        failures: list[Exception | None] = []
        fresh: list[Entry] = []
        for entry in entries:
            failures.append(AlreadyIndexed(entry.uid) if entry.uid in seen else None)
            if entry.uid not in seen:
                fresh.append(entry)
                seen.add(entry.uid)
        if not fresh:
            return failures
        studies = _studies_of(sql, [entry for entry in fresh if entry.is_of_a_patient])
        accepted = []
        for number, entry in enumerate(entries):
            if failures[number] is None and entry.is_of_a_patient:
                conflict = conflict_with(studies[entry.identity.study].row, entry.patient)
                if conflict:
                    failures[number] = OtherPatient(conflict)
                else:
                    accepted.append(entry)
        # Asked once the studies are locked, as whoever rejects locks them.
        hidden = sql.rejected([entry.uid for entry in accepted])
        _add_accepted(sql, accepted, studies, hidden)
        others = [entry.instance for entry in fresh if not entry.is_of_a_patient]
        if others:
            sql.insert(NonPatientObject, others)
        return failures


def conflict_with(study: Mapping[str, Any], patient: tuple[str, str]) -> str:
    """Return why an object of this patient key does not belong to the study, "" if it does."""
    issuer, patient_id = study["issuer"], study["patient_id"]
    if (issuer, patient_id) == patient:
        return ""
    if study["overlay"] and corrected.accepts(study, patient):
        return ""
    return f"study belongs to {issuer}/{patient_id}, object to {'/'.join(patient)}"


class _Touched:
    """A row of a study or series that a batch adds to, and what changes in it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.changes: dict[str, Any] = {}
        self.entries: list[Entry] = []  # shown ones
        self.hidden: list[Entry] = []
        self._merged: list[dict[str, Any]] = []

    def fill_blanks(self, columns: dict[str, Any]) -> None:
        """Take values for what is blank; nothing else ever changes (custody rule 6)."""
        if any(columns is merged for merged in self._merged):
            return  # the instances of a series share their columns
        self._merged.append(columns)
        self._take_blanks(columns)

    def join(self, entry: Entry) -> None:
        """Take what an object says of its study; a corrected one keeps what it shows."""
        if not self.row["overlay"]:
            self.fill_blanks(entry.study)
        elif not any(entry.study is merged for merged in self._merged):
            self._merged.append(entry.study)
            fresh = corrected.joined(self.row, entry.study, entry.patient)
            self.row |= fresh
            self.changes |= fresh

    def _take_blanks(self, columns: dict[str, Any]) -> None:
        row = self.row
        for name, value in columns.items():
            if value not in BLANK and row[name] in BLANK:
                row[name] = self.changes[name] = value


def _studies_of(sql: Statements, entries: Sequence[Entry]) -> dict[str, _Touched]:
    """Return the study rows of the entries, locked in the order of their UIDs, made if absent."""
    first = {}
    for entry in entries:
        first.setdefault(str(entry.identity.study), entry)
    found = {row["uid"]: _Touched(row) for row in sql.select(Study, sorted(first), lock=True)}
    fresh = sorted(first.keys() - found.keys())
    known = in_force.of_new(fresh) if fresh else {}
    begun = withheld.revisions(fresh) if fresh else {}
    for uid in fresh:
        entry = first[uid]
        columns = entry.study | {"uid": uid, "last_arrival_at": entry.stored.arrived_at}
        if uid in known:
            columns |= _as_corrected(entry, known[uid])
        if uid in begun:
            columns["revision"] = begun[uid] + columns.get("revision", 0)
        found[uid] = _Touched(_created(Study, columns))
    return found


def _as_corrected(entry: Entry, known: in_force.Known) -> dict[str, Any]:
    """Return the columns of a new study that was corrected before it had this row."""
    original = corrected.Original.of(entry.study | {"original": ""})
    return corrected.corrected_row(original, known.overlay) | {"revision": known.acts}


def _series_of(
    sql: Statements, entries: Sequence[Entry], studies: dict[str, _Touched]
) -> dict[tuple[int, str], _Touched]:
    wanted = sorted({str(entry.identity.series) for entry in entries})
    found = {(row["study_id"], row["uid"]): _Touched(row) for row in sql.select(Series, wanted)}
    for entry in entries:
        study = studies[entry.identity.study]
        key = (study.row["id"], str(entry.identity.series))
        if key not in found:
            row = _created(Series, entry.series | {"uid": key[1], "study_id": key[0]})
            found[key] = _Touched(row)
    return found


def _show(study: _Touched, series: _Touched, entry: Entry) -> None:
    """Count an instance that is shown, and its series with the first of its kind."""
    if not series.row["instance_count"] and not series.entries:
        count = study.row["series_count"] + 1
        study.row["series_count"] = study.changes["series_count"] = count
    study.join(entry)
    series.fill_blanks(entry.series)
    _name_modality(study, series.row["modality"])
    study.entries.append(entry)
    series.entries.append(entry)


def _name_modality(study: _Touched, modality: str) -> None:
    """Name a series' modality in its study, also one that a later instance filled in."""
    known = list(filter(None, study.row["modalities"].split("\\")))
    if modality and modality not in known:
        modalities = "\\".join(sorted([*known, modality]))
        study.row["modalities"] = study.changes["modalities"] = modalities


def _add_accepted(
    sql: Statements,
    entries: Sequence[Entry],
    studies: dict[str, _Touched],
    hidden: set[tuple[str, str]],
) -> None:
    if not entries:
        return
    all_series = _series_of(sql, entries, studies)
    rows = []
    for entry in entries:
        study = studies[entry.identity.study]
        series = all_series[study.row["id"], entry.identity.series]
        row = entry.instance | {"series_id": series.row["id"]}
        if (entry.identity.study, entry.uid) in hidden:
            study.hidden.append(entry)
            rows.append(row | {"rejected": True})
        else:
            _show(study, series, entry)
            rows.append(row)
    sql.insert(Instance, rows)
    for series in all_series.values():
        if series.entries:
            steps = {"instance_count": len(series.entries)}
            sql.update(Series, series.row["id"], steps, series.changes)
    for uid in sorted(studies):
        if studies[uid].entries or studies[uid].hidden:
            _update_study(sql, studies[uid])


def _update_study(sql: Statements, study: _Touched) -> None:
    entries = [*study.entries, *study.hidden]
    size = sum(entry.stored.size_bytes for entry in entries)
    steps = {"instance_count": len(study.entries), "revision": len(entries)}
    steps |= {"size_bytes": size, "online_bytes": size}
    if study.hidden:
        steps["rejected_count"] = len(study.hidden)
    last = max(entry.stored.arrived_at for entry in entries)
    changes = study.changes | {"changed_at": timezone.now()}
    sql.update(Study, study.row["id"], steps, changes, {"last_arrival_at": last})


def _created(model: type[Model], columns: Mapping[str, Any]) -> dict[str, Any]:
    made = model(**columns)
    made.save(force_insert=True)
    return {name: getattr(made, name) for name in columns_of(model)}
