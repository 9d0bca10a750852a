"""The few SQL statements of an arrival: an ORM call costs as much as all the rest of it.

Tables, columns and conversions come from the models; the texts are made once for each shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

from django.db import connections
from django.db.models import BooleanField, Field, ForeignKey, IntegerField, Model, TextField
from django.db.utils import DEFAULT_DB_ALIAS

from dicom_node.models import Instance, NonPatientObject, RejectedItem, Rejection

_AS_IT_IS = (BooleanField, ForeignKey, IntegerField, TextField)  # drivers take their values


class Statements:
    """One cursor of this thread's connection to the index, as a context manager.

    The driver's own, below Django's wrappers; its errors leave the block as Django's.
    """

    def __init__(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS]
        self._locks_rows = self._connection.features.has_select_for_update
        self._mark = "?" if self._connection.vendor == "sqlite" else "%s"

    def __enter__(self) -> Statements:
        self._connection.ensure_connection()
        self._translated = self._connection.wrap_database_errors
        with self._translated:  # the connection may have been lost since
            self._cursor = self._connection.connection.cursor()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self._translated.__exit__(kind, error, at)
        finally:
            self._cursor.close()

    def known(self, uids: Sequence[str]) -> set[str]:
        """Return those of these SOP Instance UIDs that have a row."""
        if not uids:
            return set()
        self._cursor.execute(_select_known(self._mark, len(uids)), [*uids, *uids])
        return {uid for (uid,) in self._cursor.fetchall()}

    def rejected(self, uids: Sequence[str]) -> set[tuple[str, str]]:
        """Return those of these SOP Instance UIDs that a rejection hides, each after its study."""
        if not uids:
            return set()
        self._cursor.execute(_select_rejected(self._mark, len(uids)), list(uids))
        return {(study_uid, uid) for study_uid, uid in self._cursor.fetchall()}

    def select(
        self, model: type[Model], uids: Sequence[str], *, lock: bool = False
    ) -> list[dict[str, Any]]:
        """Return the rows of these UIDs in their order; locked for update where that is known.

        Values are as the driver gives them.
        """
        if not uids:
            return []
        names = columns_of(model)
        is_locked = lock and self._locks_rows
        self._cursor.execute(_select(self._mark, model, names, len(uids), is_locked), list(uids))
        return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def insert(self, model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row does not name take their default."""
        columns = _inserted(model)
        values: list[Any] = []
        for row in rows:
            values += [row.get(name, default) for name, default, _ in columns]
            for offset, (_, _, field) in enumerate(columns, len(values) - len(columns)):
                if field is not None:
                    values[offset] = field.get_db_prep_save(values[offset], self._connection)
        self._cursor.execute(_insert(self._mark, model, len(rows)), values)

    def update(
        self,
        model: type[Model],
        row_id: int,
        steps: Mapping[str, int],
        changes: Mapping[str, Any],
        at_least: Mapping[str, Any] | None = None,
    ) -> None:
        """Add `steps` to columns, set `changes`, and raise the columns of `at_least` to theirs."""
        fields, values = _fields(model), [*steps.values()]
        values += [self._prepared(fields[name], value) for name, value in changes.items()]
        for name, value in (at_least or {}).items():
            values += [self._prepared(fields[name], value)] * 2
        shape = (tuple(steps), tuple(changes), tuple(at_least or ()))
        self._cursor.execute(_update(self._mark, model, *shape), [*values, row_id])

    def _prepared(self, field: Field, value: Any) -> Any:
        if isinstance(field, _AS_IT_IS):
            return value
        return field.get_db_prep_save(value, self._connection)


def columns_of(model: type[Model]) -> tuple[str, ...]:
    """Return the columns of a model, by the names of its attributes."""
    return tuple(_fields(model))


@lru_cache
def _fields(model: type[Model]) -> dict[str, Field]:
    return {field.attname: field for field in model._meta.local_concrete_fields}


@lru_cache
def _inserted(model: type[Model]) -> tuple[tuple[str, Any, Field | None], ...]:
    """Return name and default of each column, and its field where values must be converted."""
    return tuple(
        (name, field.get_default(), None if isinstance(field, _AS_IT_IS) else field)
        for name, field in _fields(model).items()
        if not field.primary_key
    )


@lru_cache(1024)
def _select(mark: str, model: type[Model], names: tuple[str, ...], count: int, lock: bool) -> str:
    for_update = " FOR UPDATE" if lock else ""
    return (
        f"SELECT {_list(names)} FROM {_quoted(model._meta.db_table)} "  # noqa: S608 - names
        f'WHERE "uid" IN ({", ".join([mark] * count)}) ORDER BY "uid"{for_update}'
    )


@lru_cache(1024)
def _select_known(mark: str, count: int) -> str:
    named = f'WHERE "uid" IN ({", ".join([mark] * count)})'
    return " UNION ALL ".join(
        f'SELECT "uid" FROM {_quoted(model._meta.db_table)} {named}'  # noqa: S608 - names
        for model in (Instance, NonPatientObject)
    )


@lru_cache(1024)
def _select_rejected(mark: str, count: int) -> str:
    return (
        f'SELECT r."study_uid", i."uid" FROM {_quoted(RejectedItem._meta.db_table)} i '  # noqa: S608
        f'JOIN {_quoted(Rejection._meta.db_table)} r ON r."id" = i."rejection_id" '
        f'WHERE i."uid" IN ({", ".join([mark] * count)})'
    )


@lru_cache(1024)
def _insert(mark: str, model: type[Model], count: int) -> str:
    names = [name for name, _, _ in _inserted(model)]
    row = f"({', '.join([mark] * len(names))})"
    table = _quoted(model._meta.db_table)
    return f"INSERT INTO {table} ({_list(names)}) VALUES {', '.join([row] * count)}"  # noqa: S608


@lru_cache(1024)
def _update(
    mark: str,
    model: type[Model],
    steps: tuple[str, ...],
    changes: tuple[str, ...],
    at_least: tuple[str, ...],
) -> str:
    sets = [f"{_quoted(name)} = {_quoted(name)} + {mark}" for name in steps]
    sets += [f"{_quoted(name)} = {mark}" for name in changes]
    sets += [
        f"{_quoted(name)} = CASE WHEN {_quoted(name)} < {mark} THEN {mark} ELSE {_quoted(name)} END"
        for name in at_least
    ]
    return f'UPDATE {_quoted(model._meta.db_table)} SET {", ".join(sets)} WHERE "id" = {mark}'  # noqa: S608


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
